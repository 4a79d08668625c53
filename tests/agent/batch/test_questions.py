"""Question files in every format, with the traps that real ones hold."""

from collections.abc import Callable
from pathlib import Path

import polars
import pytest

from agent.batch.questions import read_questions
from agent.batch.records import Row
from tools.errors import InputError


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    """a.mp4, b.mkv, and 7.mp4 in two folders."""
    names = ("films/a.mp4", "films/b.c.mkv", "films/one/7.mp4", "films/two/7.mp4")
    files = [tmp_path / name for name in names]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return files


@pytest.fixture
def read(tmp_path: Path, videos: list[Path]) -> Callable[..., list[Row]]:
    """`read(name, content)`: the rows of a question file with that content."""

    def rows(name: str, content: str | bytes) -> list[Row]:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_questions(file, videos)

    return rows


Read = Callable[..., list[Row]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.jsonl", '{"video": "a.mp4", "question": " Who? ", "options": ["x", "y, z"], "id": 5}'),
        (
            "q.jsonl",
            b'\xef\xbb\xbf{"Video": "a", "Question": "Who?", "options": "x|y, z", "id": 5}',
        ),
        ("q.csv", 'id,video,question,options\n5,films/a.mp4,Who?,"[""x"", ""y, z""]"\n'),
        ("q.csv", 'id;video;question;a0;a1;a2\r\n5;films/a;Who?;x;"y, z";\r\n'),
        (
            "q.csv",
            b'\xef\xbb\xbfID,VIDEO,question,option 0,option 1\n5,./films/a.mp4,Who?,x,"y, z"',
        ),
    ],
)
def test_one_question_in_many_spellings(read: Read, name: str, content: str | bytes) -> None:
    (row,) = read(name, content)
    assert (row.id, row.video.name, row.error) == ("5", "a.mp4", "")
    assert (row.question.text, row.question.options) == ("Who?", ("x", "y, z"))


def test_parquet_with_lists_numbers_and_empty_cells(tmp_path: Path, videos: list[Path]) -> None:
    table = {
        "id": [1.0, 2.0, None],
        "video": ["a", None, "nothing"],
        "question": ["Who?", "Where?", "When?"],
        "options": [["x", "y"], None, None],
        "rating": [1, 2, 3],
    }
    polars.DataFrame(table).write_parquet(tmp_path / "q.parquet")
    rows = read_questions(tmp_path / "q.parquet", videos)
    assert [row.id for row in rows[:2]] == ["1", "2@films/a.mp4"]
    assert len(rows) == 1 + len(videos) + 1
    assert rows[0].question.options == ("x", "y")
    assert rows[-1].error.startswith("q.parquet row 3: no video 'nothing' among the 4 given")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"broken\.parquet is no parquet file"):
        read_questions(tmp_path / "broken.parquet", videos)


def test_questions_for_all_videos_beside_those_for_one(read: Read) -> None:
    rows = read("q.csv", "video,question\n,Who?\na.mp4,Where?\n")
    assert [(row.question.text, row.video.name) for row in rows] == [
        *(("Who?", name) for name in ("a.mp4", "b.c.mkv", "7.mp4", "7.mp4")),
        ("Where?", "a.mp4"),
    ]
    assert len({row.id for row in rows}) == 5


def test_ids_do_not_depend_on_the_order_or_on_where_the_program_is_started(
    read: Read, videos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {row.id for row in read("q.csv", "question\nWho?\nWhere?\n")}
    assert {row.id for row in read("q.csv", "question\nWhere?\nWho?\n")} == first
    monkeypatch.chdir(tmp_path / "films")
    near = [Path("..") / video.relative_to(tmp_path) for video in videos]
    assert {row.id for row in read_questions(Path("../q.csv"), near)} == first


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"question": "Who?"', "line 2: not a JSON object"),
        ('["Who?"]', "line 2: not a JSON object; write one object a line"),
        ('{"video": "a"}', r"line 2: there is no column 'question' \(columns: video\)"),
        ('{"question": 7}', "line 2: the question is 7, not a text"),
        ('{"question": " "}', "line 2: the question is empty"),
        ('{"question": "Who?", "options": ["x"]}', "line 2: options must be two or more"),
        ('{"question": "Who?", "options": {"A": "x"}}', "line 2: the options are .*write a list"),
        ('{"question": "Who?", "options": ["x", null]}', "line 2: the option None is no text"),
        ('{"question": "Who?", "video": "7"}', "line 2: the video '7' may be .*write its path"),
        ('{"question": "Who?", "video": "a.mpg"}', r"did you mean 'a\.mp4'\?"),
        ('{"question": "Who?", "video": ["a"]}', "line 2: the video is .*expected a text"),
        ('{"question": "Good?", "video": "a"}', "line 2: q.jsonl line 1 has the id '.*' too"),
        (b'{"question": "Gr\xfc\xdfe?"}', "line 2: byte 17 is not UTF-8"),
        ("[" * 100_000, "line 2: not a JSON object"),
    ],
)
def test_a_bad_row_names_its_line_and_the_rest_is_asked(
    read: Read, content: str | bytes, says: str
) -> None:
    plain = content if isinstance(content, bytes) else content.encode()
    good = b'{"question": "Good?", "video": "a"}'
    rows = read("q.jsonl", b"\n".join([good, plain, b"", good.replace(b"Good", b"Last")]))
    assert [row.error for row in rows if row.question.text == "Last?"] == [""]
    assert not rows[0].error
    (bad,) = [row for row in rows if row.error]
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(bad.error)


def test_bad_rows_of_a_csv_file(read: Read) -> None:
    rows = read(
        "q.csv", 'video,question\na,Who, why?\na,"Two\nlines?"\na,Where?\nb,"open\na,Lost?\n'
    )
    assert [row.question.text for row in rows if not row.error] == ["Two\nlines?", "Where?"]
    assert "q.csv line 2: 3 cells for 2 columns; put texts with ','" in rows[0].error
    assert "q.csv line 6: not CSV from here on" in rows[-1].error


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("q.txt", "Who?", r"q\.txt: questions are read from \.jsonl, \.csv, \.parquet"),
        ("q.jsonl", "\n", r"q\.jsonl has no question"),
        ("q.jsonl", "x\ny", r"no question of q\.jsonl can be asked; the first: q\.jsonl line 1"),
        ("q.csv", "question,question\na,b", "the column 'question' twice"),
        ("q.csv", b"question\nGr\xfc\xdfe?", r"q\.csv line 2 is not UTF-8"),
    ],
)
def test_a_file_without_any_question_is_refused(
    read: Read, name: str, content: str | bytes, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        read(name, content)


def test_a_missing_file_is_named(tmp_path: Path, videos: list[Path]) -> None:
    with pytest.raises(InputError, match=r"gone\.csv cannot be read \(No such file"):
        read_questions(tmp_path / "gone.csv", videos)


def test_a_path_decides_between_videos_of_one_name(read: Read, videos: list[Path]) -> None:
    rows = read("q.csv", "video,question\ntwo/7.mp4,Who?\none/7,Who?\nb.c,Who?\n")
    assert [row.video for row in rows] == [videos[3], videos[2], videos[1]]
