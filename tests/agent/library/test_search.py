# ruff: noqa: RUF001 - real punctuation of real scripts
"""Words are found in scripts that put no spaces between them."""

from fractions import Fraction
from pathlib import Path

import pytest

from agent.library.store import Library
from agent.text import letter_pairs, searched_pairs
from tools.evidence import ChannelReport, Evidence
from tools.media.video import Video

BOARD = [
    "成人门票十四元，学生九元",
    "博物馆每周一闭馆",
    "渡轮末班九点开出",
    "本日の入場料は大人千円です",
    "ロープウェイは運休中",
    "ค่าเข้าชมผู้ใหญ่ 200 บาท",
    "입장권은 매표소에서 삽니다",
    "Tickets at the harbour",
]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"x")
    video = Video(file, "ab" * 32, 60.0, 320, 240, 0, Fraction(25), False, ())
    library = Library(tmp_path / "library")
    library.add_video(video)
    report = ChannelReport("ocr", "ok", len(BOARD))
    found = [Evidence("ocr", "text", float(i), i + 1.0, text) for i, text in enumerate(BOARD)]
    library.save_run(video, "k", {}, report, found)
    return library


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("门票", 0),
        ("学生票多少元？", 0),
        ("元", 0),
        ("馆", 1),
        ("博物馆星期几闭馆？", 1),
        ("末班渡轮几点开？", 2),
        ("入場料はいくらですか", 3),
        ("ﾛｰﾌﾟｳｪｲ", 4),
        ("ผู้ใหญ่", 5),
        ("입장권", 6),
        ("harbour ticket", 7),
    ],
)
def test_what_is_asked_is_found_first(library: Library, asked: str, place: int) -> None:
    rows = [passage.row for passage in library.passages([1])]
    assert library.search_text(asked, [1], 1) == [rows[place]]


@pytest.mark.parametrize("asked", ["游泳池", "鲸", "プール", "สระน้ำ", "swimming"])
def test_what_is_not_there_is_not_found(library: Library, asked: str) -> None:
    assert library.search_text(asked, [1], 9) == []


def test_deleted_text_is_found_no_more(library: Library) -> None:
    library.delete(library.entries()[0].video)
    assert library._db.rows("SELECT * FROM evidence_text WHERE evidence_text MATCH '门票'") == []
    assert library.search_text("门票", [1], 9) == []


def test_every_letter_begins_a_pair() -> None:
    assert letter_pairs("成人票 14, abc 票") == "成人 人票 票 票"
    assert letter_pairs("plain words") == ""
    assert searched_pairs("成人票") == ["成人", "人票"]
    assert searched_pairs("票") == ["票"]
