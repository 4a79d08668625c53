"""B5: the states of a C2PA manifest, signed with certificates that the test makes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.base import ToolInput
from tools.errors import InputError
from tools.evidence import Evidence
from tools.media.video import probe
from tools.registry import make_tool

Measure = Callable[..., Evidence]
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class Signed(NamedTuple):
    unsigned: Path
    sign: Callable[[str], Path]
    anchors: Path


def certificate(
    name: str, key: Any, issuer: x509.Certificate | None = None, issuer_key: Any = None
) -> x509.Certificate:
    """A certificate for a key: an authority's without issuer, else one that signs."""
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
    authority, now = issuer is None, datetime.now(UTC)
    unused = ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    usage = dict.fromkeys([*unused, "encipher_only", "decipher_only"], False)
    usage |= {"digital_signature": not authority}
    usage |= {"key_cert_sign": authority, "crl_sign": authority}
    built = (
        x509.CertificateBuilder(subject_name=subject, public_key=key.public_key())
        .issuer_name(issuer.subject if issuer else subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    by = (issuer_key or key).public_key()
    built = built.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by), False)
    if not authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        built = built.add_extension(purpose, critical=False)
    return built.sign(issuer_key or key, hashes.SHA256())


def pem(one: x509.Certificate) -> str:
    return one.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def signed(make_shared_clip: Callable[..., Path], tmp_path_factory: Any) -> Signed:
    folder = tmp_path_factory.mktemp("signed")
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in "ab")
    root = certificate("Test authority", root_key)
    leaf = certificate("Test signer", key, root, root_key)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain = (pem(leaf) + pem(root)).encode()
    unsigned = make_shared_clip("clip.mp4", fps=8, seconds=1, size=(160, 120))

    def sign(kind: str) -> Path:
        action = {"action": "c2pa.created", "digitalSourceType": SOURCE + kind}
        manifest = {
            "claim_generator_info": [{"name": "test", "version": "1"}],
            "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
        }
        info = c2pa.C2paSignerInfo(b"es256", chain, private, None)
        target = folder / f"{kind}.mp4"
        target.unlink(missing_ok=True)
        c2pa.Builder(manifest).sign_file(unsigned, target, c2pa.Signer.from_info(info))
        return target

    (folder / "anchors.pem").write_text(pem(root))
    return Signed(unsigned, sign, folder / "anchors.pem")


def test_an_unsigned_file_means_nothing(signed: Signed, measure: Measure) -> None:
    found = measure(signed.unsigned, "c2pa", trust_anchors=str(signed.anchors))
    assert found.data["status"] == "ok"
    assert found.data["values"] == {"state": "absent", "states_generated": False}
    assert "means nothing" in found.text


def test_an_unknown_signer_is_valid_but_untrusted(signed: Signed, measure: Measure) -> None:
    values = measure(signed.sign("trainedAlgorithmicMedia"), "c2pa").data["values"]
    assert (values["state"], values["states_generated"]) == ("valid-untrusted", True)
    assert values["findings"] == "signingCredential.untrusted"
    assert values["signer"] == "Test signer"


def test_a_known_signer_is_trusted(signed: Signed, measure: Measure) -> None:
    anchors = str(signed.anchors)
    found = measure(signed.sign("trainedAlgorithmicMedia"), "c2pa", trust_anchors=anchors)
    assert found.data["values"]["state"] == "trusted"
    assert found.data["values"]["states_generated"] is True
    assert "source type trainedAlgorithmicMedia" in found.text
    camera = measure(signed.sign("digitalCapture"), "c2pa", trust_anchors=anchors)
    assert camera.data["values"]["state"] == "trusted"
    assert camera.data["values"]["states_generated"] is False


@pytest.mark.parametrize("trusting", [False, True])
def test_one_flipped_byte_makes_it_invalid(
    signed: Signed, measure: Measure, trusting: bool
) -> None:
    path = signed.sign("trainedAlgorithmicMedia")
    content = bytearray(path.read_bytes())
    content[content.rfind(b"mdat") + 30] ^= 1
    path.write_bytes(content)
    options = {"trust_anchors": str(signed.anchors)} if trusting else {}
    values = measure(path, "c2pa", **options).data["values"]
    assert values["state"] == "invalid"
    assert "assertion.bmffHash.mismatch" in values["findings"]


def test_a_container_without_c2pa_is_not_applicable(
    make_clip: Callable[..., Path], measure: Measure
) -> None:
    found = measure(make_clip("clip.mkv", fps=8, seconds=1), "c2pa")
    assert found.data["status"] == "not_applicable"
    assert "not defined" in found.text


def test_missing_trust_anchors_are_said(signed: Signed) -> None:
    tool = make_tool("c2pa", {"trust_anchors": "/nowhere/list.pem"})
    assert not tool.available().ok
    (found,) = tool.run(ToolInput(probe(signed.unsigned)))
    assert found.data["status"] == "unavailable"
    assert "set c2pa.trust_anchors" in found.text
    assert "nowhere" not in found.text
    with pytest.raises(InputError, match="unknown key"):
        make_tool("c2pa", {"frames": 3})
