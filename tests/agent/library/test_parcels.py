"""What is known of a video goes from one library to another, whatever is there already."""

import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np

from agent.library.store import Library
from tools.evidence import ChannelReport, Evidence
from tools.media.video import Video


def video_in(folder: Path, digits: str) -> Video:
    path = folder / f"{digits}.mp4"
    path.write_bytes(digits.encode())
    return Video(path, digits * 32, 60.0, 320, 240, 0, Fraction(25), True, ())


def save(library: Library, video: Video, tool: str, *texts: str) -> list[int]:
    """Save a run of a tool with a vector for each record; return its rows."""
    found = [Evidence(tool, "text", i, i + 1, text) for i, text in enumerate(texts)]
    library.add_video(video)
    report = ChannelReport(tool, "ok", len(texts), 0.5)
    run = library.save_run(video, "k", {"a": 1}, report, found)
    rows = [passage.row for passage in library.passages([run.id])]
    library.save_embeddings("m", rows, np.eye(len(rows), 3, dtype=np.float32))
    return rows


def test_a_parcel_adds_what_is_missing_and_leaves_what_is_there(tmp_path: Path) -> None:
    one, two = Library(tmp_path / "one"), Library(tmp_path / "two")
    video, other = video_in(tmp_path, "ab"), video_in(tmp_path, "cd")
    save(two, other, "ocr", "another video")  # so that ids differ
    save(one, video, "ocr", "the harbour", "gate 7391")
    save(one, video, "transcribe", "welcome")
    save(two, video, "transcribe", "welcome")
    one.save_caption(video, "c", {}, (0.0, 2.0), "a boat", 0.1)
    one.save_reply(video, "r", {}, "yes", 0.1)
    for _ in range(2):  # a second time adds nothing
        two.unpack(pickle.loads(pickle.dumps(one.pack(video.sha256))))
        assert two.findings(video) == one.findings(video)
    assert two.reply(video, "r") == "yes"
    assert two.known_file(video.path) == video
    runs = {run.tool: run.id for run in two.runs(video.sha256)}
    passages = two.passages([runs["ocr"]])
    vectors = two.embeddings("m", [runs["ocr"]])
    assert [list(vectors[passage.row]) for passage in passages] == [[1, 0, 0], [0, 1, 0]]
    assert two.search_text("harbour", runs.values(), 9) == [passages[0].row]
    assert [item.text for item in two.findings(other)] == ["another video"]


def test_of_an_unknown_video_there_is_nothing(tmp_path: Path) -> None:
    one, two = Library(tmp_path / "one"), Library(tmp_path / "two")
    two.unpack(one.pack("ab" * 32))
    assert two.entries() == []


def test_vectors_take_little_more_than_their_bytes(tmp_path: Path) -> None:
    with Library(tmp_path / "one") as library:
        rows = save(library, video_in(tmp_path, "ab"), "ocr", *["word"] * 400)
        before = pages(library)
        library.save_embeddings("big", rows, np.ones((400, 768), np.float32))
        assert pages(library) - before < 1.5 * 400 * 768 * 4


def pages(library: Library) -> int:
    """Bytes of the library's file, what is not yet in it included."""
    (count,), (size,) = (library._db.rows(f"PRAGMA page_{name}")[0] for name in ("count", "size"))
    return int(count * size)
