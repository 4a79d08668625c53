"""The example package: installed into a fresh environment as anybody would, tested and used."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "plugin_codes"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment, with the packages of this one beneath, and the plug-in in it."""
    folder = tmp_path_factory.mktemp("fresh")
    source = folder / "plugin_codes"
    shutil.copytree(PACKAGE, source)
    venv.create(folder / "venv", system_site_packages=True, with_pip=False)
    made = folder / "venv" / "bin" / "python"
    where = subprocess.check_output(
        [made, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    )
    # This environment may be one itself, which the new one does not see.
    (Path(where.strip()) / "outer.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n{ROOT}\n"
    )
    install = [sys.executable, "-m", "pip", "--python", str(made), "install", "--quiet"]
    install += ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", str(source)]
    subprocess.run(install, check=True)
    return made


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of its programs: a library of their own, the plug-in not in this folder."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return kept | {"REELGRAPH_LIBRARY": str(tmp_path / "library"), "OMP_NUM_THREADS": "1"}


def test_its_own_tests_pass(python: Path, environ: dict[str, str], tmp_path: Path) -> None:
    tests = python.parents[2] / "plugin_codes" / "tests"
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", tests, tests],
        env=environ,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_ask_uses_it_by_name(
    python: Path, environ: dict[str, str], make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    """Without a language model, whose weights are not here, the search alone answers."""
    small = cv2.QRCodeEncoder.create().encode("https://example.org/7391")
    code = cv2.resize(small, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)

    def draw(time_s: float, width: int, height: int) -> Any:
        image = np.full((height, width, 3), 255, np.uint8)
        image[40 : 40 + len(code), 40 : 40 + len(code)] = code[..., None]
        return image

    clip = make_clip(seconds=2, size=(640, 360), draw=draw)
    ask = "from agent.cli.main import main; main()"
    command = [python, "-c", ask, "ask", clip, "Where does the QR code lead?", "--plugin", "codes"]
    settings = ["--set", "ingest=[]", "--set", "chat.model=smollm2-135m", "--json"]
    done = subprocess.run(
        [*command, *settings],
        env=environ | {"REELGRAPH_MODELS": _with_embedder_alone(tmp_path)},
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )
    answer = json.loads(done.stdout)
    (channel,) = answer["channels"]
    assert (channel["tool"], channel["status"], channel["count"]) == ("codes", "ok", 1)
    assert [e["text"] for e in answer["evidence"]] == ["QR code: https://example.org/7391"]
    assert answer["evidence"][0]["data"]["box"][:2] == pytest.approx([52, 52], abs=12)


def _with_embedder_alone(folder: Path) -> str:
    from agent.settings import resolve

    models = folder / "models"
    models.mkdir()
    settings = resolve("embedded")
    name = settings.embedder.model
    (models / name).symlink_to(settings.models.expanduser() / name)
    return str(models)
