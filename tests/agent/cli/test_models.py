"""`reelgraph models`, with a manifest of two tiny models and no index."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.model_files.manifest import read_manifest

Command = Callable[..., Any]
CONTENT = b"weights"
CHAT = ("--set", "chat.model=tiny", "--set", "embedder.model=none", "--set", "ingest=[]")


def about(licence: str) -> dict[str, Any]:
    part = {"package": "nowhere==1.0", "member": "nowhere/weights"}
    whole = {"bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    return {
        "what": "nothing",
        "licence": licence,
        "hub": {"repository": "somebody/tiny", "revision": "main"},
        "files": [{"name": "weights.bin", **whole, "parts": [part]}],
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models; `tiny` is here, `other` is not."""
    known = read_manifest(yaml.safe_dump({"tiny": about("MIT"), "other": about("BSD")}))
    for module in ("agent.cli.models", "agent.models.needed", "tools.model_files.store"):
        monkeypatch.setattr(f"{module}.manifest", lambda: known)
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "models" / "tiny" / "weights.bin").write_bytes(CONTENT)
    monkeypatch.setenv("REELGRAPH_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "models"


def test_models_are_listed_with_licence_and_state(reelgraph: Command, folder: Path) -> None:
    done = reelgraph("models", "list", *CHAT)
    assert done.code == 0
    (tiny,) = [line for line in done.out.splitlines() if "tiny" in line]
    (other,) = [line for line in done.out.splitlines() if "other" in line]
    assert [word in tiny for word in ("MIT", "here", "yes")] == [True] * 3
    assert [word in other for word in ("BSD", "missing", "yes")] == [True, True, False]
    assert str(folder) in done.out


def test_what_a_profile_needs_and_is_here_costs_nothing(reelgraph: Command, folder: Path) -> None:
    done = reelgraph("models", "get", *CHAT)
    assert (done.code, done.out) == (0, "")
    assert reelgraph("models", "get", "tiny").code == 0


def test_what_cannot_be_had_is_one_line(reelgraph: Command, folder: Path) -> None:
    done = reelgraph("models", "get", "other")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("error: weights.bin of other cannot be had")
    assert not (folder / "other" / "weights.bin").exists()


def test_an_unknown_name_is_refused_with_the_nearest(reelgraph: Command, folder: Path) -> None:
    done = reelgraph("models", "get", "tinny")
    assert done.code == 2
    assert "did you mean 'tiny'" in done.err


def test_files_are_verified_and_damaged_ones_removed(reelgraph: Command, folder: Path) -> None:
    done = reelgraph("models", "verify")
    assert done.code == 0
    assert "tiny/weights.bin" in done.out
    assert "other" not in done.out
    (folder / "tiny" / "weights.bin").write_bytes(b"WEIGHTS")
    done = reelgraph("models", "verify")
    assert done.code == 1
    assert "removed" in done.out
    assert "reelgraph models get tiny" in done.out
    assert not (folder / "tiny" / "weights.bin").exists()
