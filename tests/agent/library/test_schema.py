"""A library that an older version wrote is brought to this one, and nothing is lost.

`version2` was written by version 2: LLoVi and Video-RAG asked about a clip of four seconds with
subtitles, the second in a chat. Only the path of the clip was changed afterwards.
"""

import gzip
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.library.schema import VERSION, run_tag
from agent.library.store import Library
from agent.models.embedding import SentenceEmbeddings
from tools.errors import StorageError
from tools.media.video import Video

SAID = ["Welcome to the harbour tour.", "The gate code is 7391.", "The last ferry leaves at nine."]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of a library of version 2."""
    for file in Path(__file__).with_name("version2").glob("*.gz"):
        (tmp_path / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    return tmp_path


def the_video(library: Library) -> Video:
    (entry,) = library.entries()
    return entry.video


def rows_of(folder: Path, sql: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(folder / "library.sqlite")
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def test_only_runs_of_tools_remain_runs(old: Path) -> None:
    with Library(old) as library:
        (run,) = library.runs(the_video(library).sha256)
        assert (run.tool, run.report.status, run.report.count) == ("subtitles", "ok", 3)
        passages = library.passages([run.id])
        assert [passage.evidence.text for passage in passages] == SAID
        everything = library.search_text("quay, gull, gate", range(100), 9)
        assert everything == [passages[1].row]


def test_captions_and_replies_are_found_by_their_old_keys(old: Path) -> None:
    kept = rows_of(
        old,
        "SELECT tool, key, coalesce(text, '') FROM runs LEFT JOIN evidence ON run = runs.id"
        " WHERE tool IN ('captions', 'reply') ORDER BY runs.id",
    )
    assert len(kept) == 7
    with Library(old) as library:
        video = the_video(library)
        captions = library.captions(video)
        texts = {key: caption.text if caption else "" for key, caption in captions.items()}
        assert texts == {key: text for tool, key, text in kept if tool == "captions"}
        assert list(texts.values()) == ["a quay", "", "two ferries", "a gull"]
        for tool, key, text in kept:
            assert tool == "captions" or library.reply(video, str(key)) == text
        spans = [(c.start_s, c.end_s) for c in captions.values() if c]
        assert spans == [(0, 1), (2, 3), (3, 4)]


def test_vectors_pieces_files_and_times_are_kept(old: Path, embedder: SentenceEmbeddings) -> None:
    (file,) = rows_of(old, "SELECT path, size, mtime_ns, video FROM files")
    (added,) = rows_of(old, "SELECT added FROM videos")
    (finished,) = rows_of(old, "SELECT finished FROM runs WHERE tool = 'subtitles'")
    with Library(old) as library:
        (run,) = library.runs(the_video(library).sha256)
        vectors = library.embeddings(embedder.name, [run.id])
        found = np.stack([vectors[passage.row] for passage in library.passages([run.id])])
        np.testing.assert_allclose(found, embedder.embed(SAID), atol=1e-5)
        assert library.pieces(the_video(library), "ocr", "ab" * 16) == {
            "picture 0": [["text", 0.5]]
        }
        assert library.entries()[0].added == added[0]
        assert run.finished == finished[0]
    assert rows_of(old, "SELECT path, size, mtime_ns, video FROM files") == [file]


def test_a_library_of_version_1_has_no_pieces(old: Path) -> None:
    db = sqlite3.connect(old / "library.sqlite")
    with db:
        db.execute("DROP TABLE pieces")
        db.execute("PRAGMA user_version = 1")
    db.close()
    with Library(old) as library:
        video = the_video(library)
        assert len(library.captions(video)) == 4
        library.save_piece(video, "ocr", "one", "picture 0", 1)
        assert library.pieces(video, "ocr", "one") == {"picture 0": 1}


def test_a_migration_that_fails_leaves_the_old_library(old: Path) -> None:
    db = sqlite3.connect(old / "library.sqlite")
    with db:
        db.execute("UPDATE runs SET settings = 'no JSON' WHERE id = 1")
    db.close()
    before = rows_of(old, "SELECT name, sql FROM sqlite_master ORDER BY name")
    with pytest.raises(StorageError, match="--set library="):
        Library(old)
    assert rows_of(old, "PRAGMA user_version") == [(2,)]
    assert rows_of(old, "SELECT name, sql FROM sqlite_master ORDER BY name") == before
    assert rows_of(old, "SELECT count(*) FROM runs") == [(8,)]


def test_a_migrated_library_has_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    Library(old).close()
    Library(tmp_path / "new").close()
    made = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    assert rows_of(old, made) == rows_of(tmp_path / "new", made)
    assert rows_of(old, "PRAGMA user_version") == [(VERSION,)]
    assert rows_of(old, "PRAGMA foreign_key_check") == []


def test_processes_may_open_an_old_library_at_once(old: Path) -> None:
    code = "import sys; from pathlib import Path; from agent.library.store import Library;"
    code += "print(len(Library(Path(sys.argv[1])).entries()))"
    command = [sys.executable, "-c", code, str(old)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0] for process in started] == ["1\n", "1\n"]


def test_a_newer_library_is_not_touched(tmp_path: Path) -> None:
    Library(tmp_path).close()
    db = sqlite3.connect(tmp_path / "library.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StorageError, match="format 99, this program reads 3; update the program"):
        Library(tmp_path)
    assert rows_of(tmp_path, "PRAGMA user_version") == [(99,)]


def test_a_run_has_the_same_tag_everywhere() -> None:
    assert run_tag("ab" * 32, "ocr", "k") == run_tag("ab" * 32, "ocr", "k")
    different = {run_tag("a", "ocr", "k"), run_tag("b", "ocr", "k"), run_tag("a", "ocr", "l")}
    assert len(different) == 3
