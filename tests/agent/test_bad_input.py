"""Files, places and words that go wrong: one clear line, or a sensible answer."""

import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Command = Callable[..., Any]
MakeClip = Callable[..., Path]
Start = Callable[..., subprocess.Popen[str]]
PlainUser = Callable[[], AbstractContextManager[None]]

QUESTION = "What is the gate code?"
CHEAP = ("--set", "ingest=[subtitles, transcribe, shots]")
QUIET = ("--set", "ingest=[subtitles, shots]")
CODE = [(0.0, 0.8, "The gate code is 7391.")]

pytestmark = pytest.mark.usefixtures("scripted_chat")


def refused(done: Any, code: int = 2) -> str:
    """Return the one line of an error, after checking that there is nothing else."""
    assert (done.code, done.out) == (code, "")
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    return str(line)


def answered(done: Any) -> dict[str, Any]:
    assert done.code == 0, done.err
    answer: dict[str, Any] = json.loads(done.out)
    assert "7391" in answer["answer"]
    return answer


def statuses(answer: dict[str, Any]) -> dict[str, str]:
    return {channel["tool"]: channel["status"] for channel in answer["channels"]}


def cut(clip: Path, share: float) -> Path:
    content = clip.read_bytes()
    clip.write_bytes(content[: int(len(content) * share)])
    return clip


UNUSABLE: dict[str, tuple[Callable[[Path, MakeClip], Path], str]] = {
    "missing": (lambda folder, clip: folder / "gone.mp4", "check the name"),
    "a folder": (lambda folder, clip: folder, "name files with another one"),
    "empty": (lambda folder, clip: written(folder, b""), "copy or download it again"),
    "a text": (lambda folder, clip: written(folder, b"Dear diary,\n" * 99), "x.mp4"),
    "noise": (lambda folder, clip: written(folder, bytes(range(256)) * 99), "x.mp4"),
    "a page": (lambda folder, clip: written(folder, b"<!doctype html><html>" * 9), "x.mp4"),
    "a playlist": (lambda folder, clip: written(folder, b"#EXTM3U\n/etc/passwd\n"), "playlist"),
    "cut before its index": (lambda folder, clip: cut(clip("x.mp4"), 0.6), "x.mp4"),
    "a pipe": (lambda folder, clip: pipe(folder), "no regular file"),
    "a link to itself": (lambda folder, clip: loop(folder), "x.mp4"),
    "a name too long": (lambda folder, clip: folder / ("x" * 300), "another place"),
    "within a file": (lambda folder, clip: written(folder, b"x") / "y.mp4", "y.mp4"),
    "a picture of nothing": (lambda folder, clip: written(folder, b"\xff\xd8\xff\xe0"), "x.mp4"),
    "subtitles": (
        lambda folder, clip: written(folder, b"1\n00:00:00,0 --> 00:00:01,0\nx"),
        "x.mp4",
    ),
}


def written(folder: Path, content: bytes) -> Path:
    (folder / "x.mp4").write_bytes(content)
    return folder / "x.mp4"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "x.mp4")
    return folder / "x.mp4"


def loop(folder: Path) -> Path:
    (folder / "x.mp4").symlink_to(folder / "x.mp4")
    return folder / "x.mp4"


@pytest.mark.parametrize(("make", "words"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_file_that_cannot_be_used_is_named_with_a_remedy(
    reelgraph: Command,
    make_clip: MakeClip,
    tmp_path: Path,
    make: Callable[[Path, MakeClip], Path],
    words: str,
) -> None:
    path = make(tmp_path, make_clip)
    line = refused(reelgraph("ask", path, QUESTION, "--json", *CHEAP))
    assert words in line
    assert str(path) in line
    assert ";" in line or "(" in line  # what to do follows what was found
    listed = reelgraph("library", "list")
    assert "is empty" in listed.out


def test_indexing_says_the_same(reelgraph: Command, tmp_path: Path) -> None:
    done = reelgraph("index", tmp_path / "gone.mp4", *CHEAP)
    assert done.code == 2
    assert done.err.splitlines()[0] == "gone.mp4"
    assert done.err.splitlines()[1].startswith("error: there is no file")
    assert len(done.err.splitlines()) == 2


USABLE: dict[str, dict[str, Any]] = {
    "without sound": {},
    "one picture": {"times": [0.0], "fps": 1},
    "one picture in half a minute": {"seconds": 4, "times": [0.0, 3.0], "fps": 1},
    "0.4 pictures a second": {"seconds": 10, "fps": Fraction(2, 5)},
    "variable rate": {"times": [0.0, 0.04, 0.5, 0.51, 1.9]},
    "turned": {"rotation": 90, "size": (240, 320)},
    "tiny": {"size": (50, 50)},
    "a late start": {"start_s": 500.0},
}


@pytest.mark.parametrize("fields", USABLE.values(), ids=USABLE.keys())
def test_odd_files_are_answered(
    reelgraph: Command, make_clip: MakeClip, fields: dict[str, Any]
) -> None:
    clip = make_clip(**{"seconds": 2, "fps": 10, "subtitles": CODE, **fields})
    answer = answered(reelgraph("ask", clip, QUESTION, "--json", *CHEAP))
    assert statuses(answer) == {"subtitles": "ok", "transcribe": "skipped", "shots": "ok"}
    assert all(0 <= e["start_s"] <= e["end_s"] for e in answer["evidence"])


NAMES = [
    "a b  c.mp4",
    "übung 日本語 \N{CLAPPER BOARD}.mp4",
    "-f.mp4",
    "100% [red]{x}$HOME;'\"`.mp4",
    "x" * 200 + ".mp4",
    "no ending",
    "line\nbreak.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_are_names(reelgraph: Command, make_clip: MakeClip, name: str) -> None:
    clip = make_clip("x.mp4", seconds=1, subtitles=CODE)
    clip = clip.rename(clip.with_name(name))
    answered(reelgraph("ask", "--json", *QUIET, "--", clip, QUESTION))
    assert reelgraph("library", "list").code == 0
    shown = reelgraph("library", "show", "--json", "--", name)
    assert "The gate code is 7391." in [item["text"] for item in json.loads(shown.out)]
    assert refused(reelgraph("library", "show", "--", f"{name}?"))
    assert reelgraph("library", "delete", "--yes", "--", name).code == 0
    assert "is empty" in reelgraph("library", "list").out


def test_a_name_or_question_that_is_no_text_is_refused(
    reelgraph: Command, make_clip: MakeClip
) -> None:
    clip = make_clip("x.mp4", seconds=1, subtitles=CODE)
    cafe = os.fsdecode(b"caf\xe9")  # as a shell hands over what is not UTF-8
    assert "UTF-8" in refused(reelgraph("ask", clip, f"Which {cafe}?", *QUIET))
    assert "UTF-8" in refused(reelgraph("ask", clip, "Which?", "--option", cafe, "--option", "x"))
    odd = clip.rename(clip.with_name(f"{cafe}.mp4"))
    assert "rename" in refused(reelgraph("ask", odd, QUESTION, "--json", *QUIET))
    assert "rename" in refused(reelgraph("ask", odd, QUESTION, "--dry-run", *QUIET))


def test_sound_alone_is_listened_to(reelgraph: Command, make_clip: MakeClip) -> None:
    clip = make_clip("talk.flac", seconds=1, picture=False, audio=True)
    done = reelgraph("ask", clip, QUESTION, "--json", *CHEAP)
    assert done.code == 3
    answer = json.loads(done.out)
    assert statuses(answer) == {"subtitles": "empty", "transcribe": "empty", "shots": "skipped"}
    assert "no tool found anything" in answer["reason"]
    clip.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:00,900\nThe gate code is 7391.")
    answer = answered(reelgraph("ask", clip, QUESTION, "--json", *CHEAP))
    assert statuses(answer)["transcribe"] == "skipped"


def test_a_cut_file_is_answered_from_what_is_left(reelgraph: Command, make_clip: MakeClip) -> None:
    clip = make_clip("x.mkv", seconds=4, subtitles=CODE, audio=True)
    answered(reelgraph("ask", cut(clip, 0.6), QUESTION, "--json", *QUIET))


@pytest.mark.parametrize("name", ["corrupted.mp4", "rot_90.mov", "unordered.mov", "jfk.flac"])
def test_real_odd_files(reelgraph: Command, media: Path, tmp_path: Path, name: str) -> None:
    clip = tmp_path / name
    shutil.copyfile(media / name, clip)
    done = reelgraph("ask", clip, QUESTION, "--json", *QUIET)
    if done.code == 2:
        assert name in refused(done)
    else:
        assert done.code == 3
        assert json.loads(done.out)["abstained"]
        assert not {"failed", "unavailable"} & set(statuses(json.loads(done.out)).values())


QUESTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "empty": (("",), "the question is empty"),
    "blank": ((" \n\t",), "the question is empty"),
    "100 kB": (("why " * 25_000,), "shorten it"),
    "one option": (("Who?", "--option", "me"), "--option once for each"),
    "equal options": (("Who?", "--option", "me", "--option", "me"), "different"),
    "an empty option": (("Who?", "--option", "me", "--option", ""), "different"),
}


@pytest.mark.parametrize(("arguments", "words"), QUESTIONS.values(), ids=QUESTIONS.keys())
def test_a_question_that_cannot_be_used_is_refused_before_any_work(
    reelgraph: Command, make_clip: MakeClip, arguments: tuple[str, ...], words: str
) -> None:
    clip = make_clip(seconds=1)
    for extra in ((), ("--dry-run",)):
        line = refused(reelgraph("ask", clip, *arguments, "--json", *extra))
        assert words in line
        assert len(line) < 300
    assert "is empty" in reelgraph("library", "list").out


PROFILES = {
    "unknown key": (b"ocr: {min_confidense: 1}", "min_confidence"),
    "unknown section": (b"orc: {}", "'ocr'"),
    "no mapping": (b"- a\n", "mapping"),
    "broken": (b"a: [1\n", "YAML"),
    "not UTF-8": (b"device: caf\xe9\n", "UTF-8"),
    "extends itself": (b"extends: PROFILE", "extends itself"),
    "extends nothing": (b"extends: nowhere", "embedded"),
    "a number for a name": (b"1: 2", "mapping"),
    "a number for an option": (b"ocr: {1: 2}", "ocr"),
}


@pytest.mark.parametrize(("content", "word"), PROFILES.values(), ids=PROFILES.keys())
def test_a_profile_that_cannot_be_used(
    reelgraph: Command, tmp_path: Path, content: bytes, word: str
) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_bytes(content.replace(b"PROFILE", os.fsencode(profile)))
    assert word in refused(reelgraph("tools", "--profile", profile))


# Places


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that other users may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_library_that_cannot_be_made(
    reelgraph: Command, outside: Path, as_plain_user: PlainUser
) -> None:
    library = outside / "library"
    with as_plain_user():
        done = reelgraph("library", "list", "--set", f"library={library}")
    assert "--set library=DIR" in refused(done, code=1)
    assert not library.exists()


def test_a_file_that_may_not_be_read(
    reelgraph: Command, outside: Path, as_plain_user: PlainUser
) -> None:
    (outside / "shut").mkdir(mode=0o700)
    for name in ("closed.mp4", "shut/open.mp4"):
        (outside / name).write_bytes(b"x")
        (outside / name).chmod(0o600)
    (outside / "library").mkdir(mode=0o777)
    (outside / "library").chmod(0o777)
    library = ("--set", f"library={outside / 'library'}")
    with as_plain_user():
        for name in ("closed.mp4", "shut/open.mp4"):
            done = reelgraph("ask", outside / name, QUESTION, *QUIET, *library)
            assert "may not be read" in refused(done)


def test_a_library_that_may_only_be_read(
    reelgraph: Command, make_clip: MakeClip, outside: Path, as_plain_user: PlainUser
) -> None:
    clip = outside / "clip.mp4"
    shutil.copyfile(make_clip(seconds=1, subtitles=CODE), clip)
    library = ("--set", f"library={outside / 'library'}")
    answered(reelgraph("ask", clip, QUESTION, "--json", *QUIET, *library))
    for path in [outside / "library", *(outside / "library").rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    with as_plain_user():
        done = reelgraph("ask", clip, QUESTION, "--json", *QUIET, *library)
    if done.code:
        line = refused(done, code=1)
        assert "--set library=DIR" in line
        assert "Permission denied" in line or "readonly" in line
    else:
        answered(done)


def test_a_file_where_the_library_should_be(
    reelgraph: Command, make_clip: MakeClip, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    done = reelgraph("ask", make_clip(seconds=1), QUESTION, "--set", f"library={file}")
    assert "--set library=DIR" in refused(done, code=1)


SMALL_DISK = """
import resource, sys
limit = int(sys.argv.pop())
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main()
"""


@pytest.mark.parametrize("limit", [20_000, 150_000])
def test_a_disk_that_is_full_is_an_error_and_the_library_stays_whole(
    reelgraph: Command,
    reelgraph_process: Start,
    make_clip: MakeClip,
    own_library: Path,
    limit: int,
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    clip = make_clip(seconds=2, size=(640, 480), subtitles=CODE, draw=lambda *_: noise)
    process = reelgraph_process("index", clip, *QUIET, limit, code=f"exec({SMALL_DISK!r})")
    out, err = process.communicate(timeout=600)
    assert (process.returncode, out) == (1, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("error: ")
    assert "--set library=DIR" in err.splitlines()[-1]
    answered(reelgraph("ask", clip, QUESTION, "--json", *QUIET))
    with closing(sqlite3.connect(own_library / "library.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not list(own_library.rglob("*.part"))
