import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock, Timeout

from agent.library.rows import across_videos
from agent.library.store import Library
from agent.models import kept_prompt
from tools.errors import InputError, StorageError
from tools.evidence import ChannelReport, Evidence
from tools.media.tracks import Track
from tools.media.video import Video


@pytest.fixture
def video(tmp_path: Path) -> Video:
    path = tmp_path / "a b ü.mp4"
    path.write_bytes(b"pictures")
    return Video(
        path=path,
        sha256="ab" * 32,
        duration_s=60.0,
        width=320,
        height=240,
        rotation=0,
        fps=Fraction(30000, 1001),
        has_audio=True,
        tracks=(Track(2, "subtitle", "mov_text", "eng", ("default",)),),
    )


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


def evidence(text: str, start_s: float = 0.0) -> Evidence:
    return Evidence("ocr", "text", start_s, start_s + 1, text, 0.9, {"boxes": [[0, 0, 1, 1]]})


def save(library: Library, video: Video, *texts: str, key: str = "k") -> int:
    found = [evidence(text, float(i)) for i, text in enumerate(texts)]
    report = ChannelReport("ocr", "ok" if texts else "empty", len(texts), 0.5)
    return library.save_run(video, key, {"a": 1}, report, found).id


def test_a_video_is_recalled_until_its_file_changes(library: Library, video: Video) -> None:
    library.add_video(video)
    assert library.known_file(video.path) == video
    video.path.write_bytes(b"other pictures")
    assert library.known_file(video.path) is None


def test_a_copy_under_another_name_is_the_same_video(library: Library, video: Video) -> None:
    library.add_video(video)
    run = save(library, video, "Door code 5927")
    copy = video.path.with_name("copy.mp4")
    copy.write_bytes(b"pictures")
    library.add_video(replace(video, path=copy))
    assert len(library.entries()) == 1
    again = library.finished_run(video, "ocr", "k")
    assert again is not None
    assert again.id == run


def test_evidence_comes_back_as_it_was_stored(library: Library, video: Video) -> None:
    library.add_video(video)
    run = save(library, video, "first", "second")
    found = [passage.evidence for passage in library.passages([run])]
    assert replace(found[1], id="") == evidence("second", 1.0)
    assert library.passages([]) == []


def test_a_run_counts_only_with_its_very_key(library: Library, video: Video) -> None:
    library.add_video(video)
    save(library, video, "x", key="k1")
    assert library.finished_run(video, "ocr", "k1") is not None
    assert library.finished_run(video, "ocr", "k2") is None
    assert library.finished_run(video, "detect", "k1") is None


def test_failed_and_partial_runs_are_never_taken_as_done(library: Library, video: Video) -> None:
    library.add_video(video)
    with pytest.raises(StorageError):
        library.save_run(video, "k", {}, ChannelReport("ocr", "failed"), [])
    broken = [evidence("good"), replace(evidence("bad"), text=None)]  # type: ignore[arg-type]
    with pytest.raises(StorageError):
        library.save_run(video, "k", {}, ChannelReport("ocr", "ok", 2), broken)
    assert library.finished_run(video, "ocr", "k") is None
    assert library.search_text("good", [1], 9) == []


def test_words_are_found_by_their_stem_best_first(library: Library, video: Video) -> None:
    library.add_video(video)
    run = save(library, video, "the lamps", "a lamp is a lamp", "nothing")
    rows = [passage.row for passage in library.passages([run])]
    assert set(library.search_text("lamp", [run], 9)) == set(rows[:2])
    assert library.search_text("lamp", [run], 1) != []
    assert library.search_text("lamp", [run + 1], 9) == []
    assert library.search_text('"OR*', [run], 9) == []
    assert library.search_text("", [run], 9) == []


def test_embeddings_come_back_by_model(library: Library, video: Video) -> None:
    library.add_video(video)
    run = save(library, video, "x")
    row = library.passages([run])[0].row
    vectors = np.array([[0.6, 0.8]], np.float32)
    library.save_embeddings("m", [row], vectors)
    assert library.embeddings("other", [run]) == {}
    np.testing.assert_array_equal(library.embeddings("m", [run])[row], vectors[0])


def test_delete_leaves_nothing_but_the_file(library: Library, video: Video) -> None:
    library.add_video(video)
    run = save(library, video, "secret words")
    row = library.passages([run])[0].row
    library.save_embeddings("m", [row], np.ones((1, 2), np.float32))
    frames = library.frames_folder(video, "k")
    frames.mkdir(parents=True)
    (frames / "0.jpg").write_bytes(b"x")
    read = library.folder / kept_prompt.FOLDER
    read.mkdir()
    (read / "a.state").write_bytes(b"secret words")
    assert library.entries()[0].frame_bytes == 1
    library.delete(video)
    assert library.entries() == []
    assert not read.exists()
    assert not frames.exists()
    assert video.path.exists()
    with sqlite3.connect(library.folder / "library.sqlite") as db:
        for table in ("videos", "files", "runs", "evidence", "embeddings"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        found = db.execute("SELECT * FROM evidence_text WHERE evidence_text MATCH 'secret'")
        assert found.fetchall() == []


def test_a_video_is_found_by_name_path_or_hash(library: Library, video: Video) -> None:
    library.add_video(video)
    for name in (video.path.name, str(video.path), "abab"):
        assert library.find(name).video.sha256 == video.sha256
    with pytest.raises(InputError, match="library list"):
        library.find("other.mp4")


def test_only_one_thread_works_on_the_same_thing(library: Library, video: Video) -> None:
    library.add_video(video)
    worked = []

    def work() -> None:
        with library.claim(video, "ocr", "k"):
            if not library.finished_run(video, "ocr", "k"):
                worked.append(1)
                save(library, video, "x")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worked == [1]


CLAIM_AND_DIE = """
import os, sys
from pathlib import Path
from agent.library.claims import Claims
claim = Claims(Path(sys.argv[1]) / "locks").hold("abababababababab-ocr-k")
claim.__enter__()
print("claimed", flush=True)
os._exit(9)
"""


def test_a_killed_process_holds_no_claim(library: Library, video: Video) -> None:
    command = [sys.executable, "-c", CLAIM_AND_DIE, str(library.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (9, "claimed\n")
    with library.claim(video, "ocr", "k"):
        pass


def test_processes_may_open_a_new_library_at_once(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from agent.library.store import Library;"
    code += "Library(Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path / "new")]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]


def test_a_folder_that_cannot_be_used_is_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(StorageError, match="--set library="):
        Library(file)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "library.sqlite").write_text("not a database" * 100)
    with pytest.raises(StorageError, match="--set library="):
        Library(tmp_path / "old")


def test_a_library_of_another_format_is_not_touched(tmp_path: Path) -> None:
    Library(tmp_path)
    with sqlite3.connect(tmp_path / "library.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="format 99"):
        Library(tmp_path)


def test_a_full_disk_is_an_error_and_the_library_stays_whole(
    library: Library, video: Video
) -> None:
    library.add_video(video)
    save(library, video, "kept", key="before")
    db = library._db.connection
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(StorageError, match="full"):
        save(library, video, "x" * 500_000)
    db.execute("PRAGMA max_page_count = 1000000")
    assert library.finished_run(video, "ocr", "k") is None
    assert save(library, video, "after") > 0


def test_pieces_of_a_run_are_kept_until_it_is_saved(library: Library, video: Video) -> None:
    library.add_video(video)
    library.save_piece(video, "ocr", "one", "picture 0", [["text", 0.5]])
    library.save_piece(video, "ocr", "two", "picture 0", [])
    assert library.pieces(video, "ocr", "one") == {"picture 0": [["text", 0.5]]}
    library.save_run(video, "one", {}, ChannelReport("ocr", "empty"), [])
    assert library.pieces(video, "ocr", "one") == {}
    assert library.pieces(video, "ocr", "two") == {"picture 0": []}
    library.delete(video)
    library.add_video(video)
    assert library.pieces(video, "ocr", "two") == {}


def test_threads_share_a_library_and_open_one_connection_each(
    library: Library, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add_video(video)
    opened: list[sqlite3.Connection] = []
    real = sqlite3.connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(real(*args, **options))
        return opened[-1]

    monkeypatch.setattr("agent.library.database.sqlite3.connect", connect)

    def work(number: int) -> None:
        for piece in range(20):
            library.save_piece(video, "ocr", f"run {number}", str(piece), piece)
            assert len(library.pieces(video, "ocr", f"run {number}")) == piece + 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    assert 1 <= len(opened) <= 4
    assert sum(len(library.pieces(video, "ocr", f"run {n}")) for n in range(8)) == 160
    for connection in opened:  # their threads have ended
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_a_closed_library_says_so(tmp_path: Path, video: Video) -> None:
    with Library(tmp_path / "library") as library:
        library.add_video(video)
    with pytest.raises(StorageError):
        library.entries()
    told: list[str] = []

    def use() -> None:
        try:
            library.entries()
        except StorageError as error:
            told.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert "was closed" in told[0]
    assert not list((tmp_path / "library").glob("*-wal"))


@pytest.mark.parametrize("name", ["", " ", "a", "ab", "aba"])
def test_too_little_of_a_hash_names_no_video(library: Library, video: Video, name: str) -> None:
    library.add_video(video)
    with pytest.raises(InputError, match="at least 4 digits of the hash"):
        library.find(name)


def test_a_short_file_name_and_any_case_of_a_hash_are_found(library: Library, video: Video) -> None:
    short = video.path.with_name("ab")
    short.write_bytes(b"other")
    library.add_video(video)
    library.add_video(replace(video, path=short, sha256="cd" * 32))
    assert library.find("ab").video.path == short
    assert library.find("ABAB").video == video
    assert library.find("cd" * 32).video.path == short
    with pytest.raises(InputError, match="no video"):
        library.find("ab" * 32 + "a")


def test_a_look_up_touches_neither_frames_nor_other_videos(
    library: Library, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add_video(video)
    frames = library.frames_folder(video, "k")
    frames.mkdir(parents=True)
    (frames / "0.jpg").write_bytes(b"picture")
    told: list[str] = []
    library._db.connection.set_trace_callback(told.append)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rglob", lambda *_: pytest.fail("the frames were looked at"))
        found = library.find(video.path.name)
        assert len(library.entries()) == 1
        assert library.video(video.sha256) == video
    assert found.frame_bytes == 7
    (lookup,) = [sql for sql in told if "FROM videos WHERE name" in sql]
    steps = library._db.rows(f"EXPLAIN QUERY PLAN {lookup}")
    assert not [step["detail"] for step in steps if step["detail"].startswith("SCAN")]


def test_an_id_leads_to_one_record(library: Library, video: Video) -> None:
    other = replace(video, path=video.path.with_name("other.mp4"), sha256="cd" * 32)
    other.path.write_bytes(b"other")
    for one in (video, other):
        library.add_video(one)
        for key in ("k", "l"):
            save(
                library,
                one,
                f"{one.sha256[:2]} {key} first",
                f"{one.sha256[:2]} {key} second",
                key=key,
            )
            library.save_caption(one, key, {"clip": [0, 1]}, (0.0, 1.0), f"{one.sha256} {key}", 0.1)
    runs = [run.id for entry in library.entries() for run in entry.runs]
    found = [passage.evidence for passage in library.passages(runs)]
    found += [c for one in (video, other) for c in library.captions(one).values() if c]
    assert len({one.id for one in found}) == len(found) == 12
    assert [library.evidence_by_id(one.id) for one in found] == found
    assert library.evidence_by_id(f"{found[0].id}@a/b: c") == found[0]  # looked for by a phrase


def test_an_id_is_the_same_in_any_library_and_for_a_run_that_is_made_again(
    library: Library, video: Video, tmp_path: Path
) -> None:
    library.add_video(video)
    (first,) = library.passages([save(library, video, "text")])
    library.delete(video)
    library.add_video(video)
    save(library, video, "another", key="before it")
    (again,) = library.passages([save(library, video, "text")])
    assert again.evidence.id == first.evidence.id
    with Library(tmp_path / "elsewhere") as other:
        other.add_video(video)
        assert other.passages([save(other, video, "text")])[0].evidence.id == again.evidence.id


def test_an_id_with_a_video_leads_into_that_video_alone(library: Library, video: Video) -> None:
    library.add_video(video)
    (passage,) = library.passages([save(library, video, "text")])
    named = across_videos(video, passage.evidence)
    assert named.id == f"{video.sha256[:12]}/{passage.evidence.id}"
    assert library.evidence_by_id(named.id) == passage.evidence
    assert library.evidence_by_id(f"cdcd/{passage.evidence.id}") is None


@pytest.mark.parametrize("id", ["", "ocr:0", "captions:0", "ocr:1:x", "a:b:c:0", "/", "sensor:1@x"])
def test_an_id_of_an_older_version_leads_nowhere(library: Library, video: Video, id: str) -> None:
    library.add_video(video)
    save(library, video, "text")
    assert library.evidence_by_id(id) is None


def test_runs_are_never_given_a_number_again(library: Library, video: Video) -> None:
    library.add_video(video)
    run = save(library, video, "text")
    library.delete(video)
    library.add_video(video)
    assert save(library, video, "text") > run


INDEX_UNTIL_TOLD = """
import sys
from fractions import Fraction
from pathlib import Path
from agent.library.rows import across_videos
from agent.library.store import Library
from tools.errors import ReelgraphError
from tools.evidence import ChannelReport
from tools.media.video import Video
library = Library(Path(sys.argv[1]))
video = library.video("ab" * 32)
try:
    with library.claim(video, "frames", "k"):
        folder = library.frames_folder(video, "k")
        folder.mkdir(parents=True)
        (folder / "0.jpg").write_bytes(b"x")
        print("claimed", flush=True)
        sys.stdin.readline()
        if "pieces" in sys.argv:
            library.save_piece(video, "ocr", "k", "picture 0", 1)
        if "run" in sys.argv:
            library.save_run(video, "k", {}, ChannelReport("ocr", "empty"), [])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "1.jpg").write_bytes(b"x")
        if "fails" in sys.argv:
            (folder / "0.jpg").read_bytes()
except ReelgraphError as error:
    print(type(error).__name__, error, flush=True)
"""


@pytest.mark.parametrize("work", ["frames", "pieces", "run", "fails"])
def test_who_indexes_a_deleted_video_is_told_so_and_leaves_nothing(
    library: Library, video: Video, work: str
) -> None:
    library.add_video(video)
    command = [sys.executable, "-c", INDEX_UNTIL_TOLD, str(library.folder), work]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as indexer:
        assert indexer.stdout is not None
        assert indexer.stdout.readline() == "claimed\n"
        (lock,) = (library.folder / "locks").glob("abab*")
        library.delete(video)
        assert lock.exists()  # it is held
        with pytest.raises(Timeout), FileLock(lock, timeout=0):
            pass
        assert library.entries() == []
        told, _ = indexer.communicate("go on\n")
    assert told.startswith("DeletedError the video was deleted from the library while it was index")
    assert not (library.folder / "frames" / video.sha256).exists()
    assert list((library.folder / "locks").glob("abab*")) == []
    assert library._db.rows("SELECT * FROM deleted") == []


def test_what_a_killed_process_left_of_a_deleted_video_goes_when_the_library_is_opened(
    library: Library, video: Video
) -> None:
    library.add_video(video)
    with library._claims.hold(f"{video.sha256[:16]}-frames-k"):
        library.delete(video)
        frames = library.frames_folder(video, "k")
        frames.mkdir(parents=True)  # and then the process dies
    assert frames.exists()
    Library(library.folder).close()
    assert not frames.exists()


def test_a_video_that_was_added_again_keeps_its_frames(library: Library, video: Video) -> None:
    library.add_video(video)
    with library._claims.hold(f"{video.sha256[:16]}-frames-k"):
        library.delete(video)
        library.add_video(video)
        frames = library.frames_folder(video, "k")
        frames.mkdir(parents=True)
    Library(library.folder).close()
    assert frames.exists()


def test_a_file_that_changes_after_it_was_hashed_is_not_recalled(
    library: Library, video: Video
) -> None:
    before = video.path.stat()
    video.path.write_bytes(b"pictures and more")
    library.add_video(video, before)
    assert library.known_file(video.path) is None
