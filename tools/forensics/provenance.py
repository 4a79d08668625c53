"""Signed provenance (C2PA): what the file says of its own origin, and whether that can be believed.

It is no statistic. Four states are kept apart: absent (means nothing), invalid (the file was
changed after signing), valid-untrusted (unchanged, but anyone may have signed), trusted. Only a
trusted manifest that states the IPTC source type trainedAlgorithmicMedia may decide alone.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from tools.base import Availability, ToolOptions
from tools.forensics.clip import Clip
from tools.forensics.measurement import Measurement, Reading
from tools.media.video import Video

GENERATED = "trainedAlgorithmicMedia"
"""IPTC digital source type of media made by a trained model."""

STATES = {"Trusted": "trusted", "Valid": "valid-untrusted", "Invalid": "invalid"}
MEANINGS = {
    "trusted": "the signature is intact and leads to a trust anchor",
    "valid-untrusted": "the signature is intact, but its signer is not known: anyone can sign so",
    "invalid": "the file or the manifest was changed after signing",
}
# Nothing is fetched: neither a manifest that lies on a server nor the state of a certificate.
OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}
SIGNER = 80  # characters; the name is the signer's own text


class C2paOptions(ToolOptions):
    """Options of `C2pa`.

    Attributes:
        trust_anchors: PEM file of the certificates that are trusted, for example the C2PA trust
            list; without one no manifest is trusted.
    """

    trust_anchors: str = ""


class C2pa(Measurement):
    """State of the C2PA manifest, who signed it, and the source types that it states."""

    name: ClassVar[str] = "c2pa"
    pictures: ClassVar[bool] = False
    Options: ClassVar[type[ToolOptions]] = C2paOptions
    options: C2paOptions

    def available(self) -> Availability:
        """Check the package and the file of trust anchors."""
        if find_spec("c2pa") is None:
            return Availability(False, "c2pa is not installed", "pip install c2pa-python")
        anchors = self.options.trust_anchors
        if anchors and not Path(anchors).expanduser().is_file():
            remedy = "set c2pa.trust_anchors to a PEM file of certificates"
            return Availability(False, "the file of trust anchors does not exist", remedy)
        return Availability(ok=True)

    def reads(self, video: Video) -> Sequence[Path]:
        """The trust anchors."""
        anchors = self.options.trust_anchors
        return (Path(anchors).expanduser(),) if anchors else ()

    def measure(self, clip: Clip) -> Reading:
        """Read and verify the manifest."""
        from c2pa import C2paError

        try:
            store = self._read(clip.video.path)
        except C2paError.ManifestNotFound:
            card = "C2PA provenance: absent. The file carries no manifest; that means nothing."
            return Reading("ok", {"state": "absent", "states_generated": False}, card)
        except C2paError.NotSupported:
            return self._without("C2PA is not defined for this container", "not_applicable")
        except C2paError.RemoteManifest:
            return self._without(
                "the manifest lies on a server; it is not fetched", "not_applicable"
            )
        return _told(store)

    def _read(self, path: Path) -> Mapping[str, Any]:
        """Return the manifest store."""
        from c2pa import Context, Reader, Settings

        settings: dict[str, Any] = {"verify": OFFLINE}
        if self.options.trust_anchors:
            anchors = Path(self.options.trust_anchors).expanduser().read_text(encoding="ascii")
            settings["trust"] = {"trust_anchors": anchors}
        with (
            Context(Settings.from_dict(settings)) as context,
            Reader(path, context=context) as read,
        ):
            store: dict[str, Any] = json.loads(read.json())
        return store


def _told(store: Mapping[str, Any]) -> Reading:
    state = STATES[store["validation_state"]]
    active = store["manifests"][store["active_manifest"]]
    others = [one for name, one in store["manifests"].items() if name != store["active_manifest"]]
    stated = sorted(set(source_types(active)))
    earlier = sorted({kind for one in others for kind in source_types(one)})
    failures = sorted({one["code"] for one in store.get("validation_status") or ()})
    signer = str(active.get("signature_info", {}).get("issuer", ""))[:SIGNER]
    values: dict[str, float | str | bool] = {
        "state": state,
        "states_generated": GENERATED in stated,
        "source_types": ", ".join(stated),
        "ingredients_state_generated": GENERATED in earlier,
        "signer": signer,
        "findings": ", ".join(failures),
    }
    origin = f"source type {values['source_types']}" if stated else "no source type"
    card = (
        f"C2PA provenance: {state}; {MEANINGS[state]}.\n"
        f'The manifest names the signer "{signer}" and states {origin}.'
    )
    return Reading("ok", values, f"{card}\nFindings: {', '.join(failures) or 'none'}.")


def source_types(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield the last part of each digital source type that the actions of a manifest state."""
    for assertion in manifest.get("assertions", ()):
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            for action in assertion.get("data", {}).get("actions", ()):
                if kind := action.get("digitalSourceType"):
                    yield str(kind).rstrip("/").rsplit("/", 1)[-1]
