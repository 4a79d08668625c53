"""Consoles of every kind: the real program in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REELGRAPH = Path(sys.executable).with_name("reelgraph")
ODD = {
    "a Windows code page": {"PYTHONIOENCODING": "cp1252"},
    "plain ASCII": {"PYTHONIOENCODING": "ascii"},
    "no locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "40 columns": {"COLUMNS": "40"},
    "no colour": {"NO_COLOR": "1", "FORCE_COLOR": "1"},
    "no HOME": {"HOME": ""},
}


def run(
    *arguments: str, library: Path, output: int = subprocess.PIPE, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "REELGRAPH_MODELS")
        if name in os.environ
    }
    environment = {name: value for name, value in (kept | environ).items() if value}
    command = [str(REELGRAPH), *arguments, "--set", f"library={library}"]
    return subprocess.run(
        command, env=environment, stdout=output, stderr=subprocess.PIPE, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("environ", ODD.values(), ids=ODD)
def test_every_console_gets_its_text(environ: dict[str, str], tmp_path: Path) -> None:
    done = run("tools", library=tmp_path, **environ)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    text = done.stdout.decode(environ.get("PYTHONIOENCODING", "utf-8"))
    assert "transcribe" in text.replace("\n", "") or "COLUMNS" in environ
    if "COLUMNS" in environ:
        assert max(map(len, text.splitlines())) <= 40
        assert "…" not in text  # nothing is cut off
    if "NO_COLOR" in environ:
        assert "\x1b[3" not in text


@pytest.mark.slow
def test_json_is_whole_where_the_console_lacks_letters(tmp_path: Path) -> None:
    question = "Где лодка? 船はどこ? 🚤"
    film = tmp_path / "нет.mp4"
    done = run("models", "list", library=tmp_path, PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr.decode("cp1252")
    missing = run("ask", str(film), question, library=tmp_path, PYTHONIOENCODING="cp1252")
    assert missing.returncode == 2
    assert missing.stderr.decode("cp1252").startswith("error: there is no file")
    code = f"from agent.cli.options import print_json; print_json({{'asked': {question!r}}})"
    command = [sys.executable, "-c", code]
    written = subprocess.run(
        command, env=os.environ | {"PYTHONIOENCODING": "cp1252"}, capture_output=True, check=True
    )
    assert json.loads(written.stdout.decode("cp1252")) == {"asked": question}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_message(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run("tools", library=tmp_path, output=full.fileno())
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("error: the output cannot be written (No space left on device)")


@pytest.mark.slow
def test_a_reader_that_ends_early_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run("tools", library=tmp_path, output=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
