"""The results file: whole lines only, one writer, nothing lost."""

import errno
import json
import os
from pathlib import Path

import pytest

from agent.batch.records import Result
from agent.batch.results import ResultsFile, read_results
from tools.errors import InputError, StorageError


def result(id: str, status: str = "answered", text: str = "Größe \ud800 \u2028?") -> Result:
    return Result(id, "a.mp4", "ab", text, ("x", "y"), status, "f", {"answer": "x"})  # type: ignore[arg-type]


def test_a_line_is_on_disk_at_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "r.jsonl"
    with ResultsFile(path) as file:
        file.append(result("1", text="Größe \u2028?"))
        assert read_results(path) == {"1": result("1", text="Größe \u2028?")}
        file.append(result("2"))  # a lone half of a pair, as a model may write it
        with pytest.raises(StorageError, match="already has a result for '1'"):
            file.append(result("1"))
    assert len(path.read_bytes().splitlines()) == 2
    assert [json.loads(line)["id"] for line in path.read_bytes().splitlines()] == ["1", "2"]


@pytest.mark.parametrize("kept", [1, 40, -2])
def test_a_torn_last_line_is_cut_off_and_said(
    tmp_path: Path, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "r.jsonl"
    with ResultsFile(path) as file:
        file.append(result("1"))
        whole = path.read_bytes()
        file.append(result("2"))
    torn = path.read_bytes()[len(whole) :][:kept]
    path.write_bytes(whole + torn)
    assert list(read_results(path)) == ["1"]
    assert "torn last line" in caplog.text
    with ResultsFile(path) as file:
        assert path.read_bytes() == whole
        file.append(result("2"))
    assert list(read_results(path)) == ["1", "2"]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with ResultsFile(path) as file:
        file.append(result("1"))
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    with ResultsFile(path) as file:
        file.append(result("2"))
    assert list(read_results(path)) == ["1", "2"]


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with ResultsFile(path), pytest.raises(InputError, match="another batch writes to"):
        ResultsFile(path)
    ResultsFile(path).close()


@pytest.mark.parametrize("content", ['{"a": 1}\n', "my notes\n", '{"id": "1"}\n[]\n'])
def test_a_file_of_another_kind_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_text(content)
    for _ in range(2):  # the lock is free again
        with pytest.raises(InputError, match=r"line 1 is no result of a batch; give another"):
            ResultsFile(path)
    assert path.read_text() == content


def test_two_results_of_one_row_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with ResultsFile(path) as file:
        file.append(result("1"))
    path.write_bytes(2 * path.read_bytes())
    with pytest.raises(InputError, match="line 2: '1' has two results"):
        read_results(path)


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = tmp_path / "r.jsonl", os.pwrite

    def full(file: int, data: bytes, at: int) -> int:
        if at > 500:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:100], at)

    with ResultsFile(path) as file:
        file.append(result("1"))
        before = path.read_bytes()
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(StorageError, match=r"No space left.*free some space"):
            file.append(result("2", text="long " * 200))
        assert path.read_bytes() == before
        monkeypatch.undo()
        file.append(result("2"))
    assert list(read_results(path)) == ["1", "2"]


def test_what_is_asked_again_is_kept_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with ResultsFile(path) as file:
        file.append(result("1"))
        file.append(result("2", "failed"))
        assert file.take_out(lambda one: one.status == "failed") == 1
        file.append(result("3"))
    assert list(read_results(path)) == ["1", "3"]
    assert list(read_results(tmp_path / "r.retried.jsonl")) == ["2"]
    assert {file.name for file in tmp_path.iterdir()} <= {
        *("r.jsonl", "r.retried.jsonl", ".r.jsonl.lock"),
    }
