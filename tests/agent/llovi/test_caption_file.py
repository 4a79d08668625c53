import json
from pathlib import Path

import pytest

from agent.llovi.caption_file import Timing, read_captions
from tools.errors import InputError
from tools.evidence import Evidence

TEN = Timing(duration_s=10)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "captions.json"


def told(captions: tuple[Evidence, ...]) -> list[tuple[float, float, str]]:
    return [(c.start_s, c.end_s, c.text) for c in captions]


def test_a_list_is_one_caption_a_clip(file: Path) -> None:
    file.write_text(json.dumps({"a": ["one", "two", "three"], "b": ["other"]}))
    assert told(read_captions(file, "a", TEN)) == [(0, 1, "one"), (1, 2, "two"), (2, 3, "three")]


def test_the_rate_and_the_step_of_a_list_are_kept(file: Path) -> None:
    file.write_text(json.dumps(["one", "two", "three"]))
    half = Timing(10, fps=0.5)
    assert told(read_captions(file, "any", half)) == [
        (0, 2, "one"),
        (2, 4, "two"),
        (4, 6, "three"),
    ]
    every = Timing(10, every=2)
    assert told(read_captions(file, "any", every)) == [(0, 1, "one"), (2, 3, "three")]


def test_frame_numbers_are_ordered_as_numbers_and_are_moments(file: Path) -> None:
    file.write_text(json.dumps({"4010069381": {"10": "ten", "9": "nine", "0": "none"}}))
    found = told(read_captions(file, "4010069381", Timing(10, fps=2)))
    assert found == [(0, 0, "none"), (4.5, 4.5, "nine"), (5, 5, "ten")]


@pytest.mark.parametrize(
    ("keys", "ours"),
    [(range(9, 15), [9, 11, 13]), (range(0, 12, 2), [0, 4, 8]), (range(6), [0, 2, 4])],
)
def test_llovi_labels_the_captions_of_frames_by_position(
    file: Path, keys: range, ours: list[int]
) -> None:
    """Every second one: the published labels are 0, 2, 4 whatever the numbers of the frames."""
    file.write_text(json.dumps({str(key): f"caption {key}" for key in keys}))
    plain = read_captions(file, "a", Timing(20, every=2))
    published = read_captions(file, "a", Timing(20, every=2, by_position=True))
    assert [one.start_s for one in plain] == ours
    assert [one.start_s for one in published] == [0, 2, 4]
    assert [one.text for one in published] == [one.text for one in plain]


def test_a_mapping_of_frames_needs_no_name(file: Path) -> None:
    file.write_text(json.dumps({"10": "ten", "9": "nine"}))
    assert [c.text for c in read_captions(file, "clip", TEN)] == ["nine", "ten"]


@pytest.mark.parametrize("content", [{"a": "All of it."}, "All of it."])
def test_a_text_is_one_summary_and_never_letters(file: Path, content: object) -> None:
    file.write_text(json.dumps(content))
    (summary,) = read_captions(file, "a", TEN)
    assert summary == Evidence("captions", "summary", 0, 10, "All of it.")


def test_our_own_records_are_read_line_by_line(file: Path) -> None:
    records = [
        Evidence("caption", "caption", 4, 6, "second", id="caption:1"),
        Evidence("transcribe", "speech", 1, 2, "first", data={"language": "en"}),
    ]
    file.write_text("\n".join(json.dumps(r.to_json()) for r in records) + "\n\n")
    found = read_captions(file, "a", TEN)
    assert told(found) == [(1, 2, "first"), (4, 6, "second")]
    assert [c.kind for c in found] == ["speech", "caption"]


def test_a_single_record_is_no_mapping_of_videos(file: Path) -> None:
    file.write_text('{"start_s": 0, "end_s": 99, "text": "all"}')
    assert told(read_captions(file, "a", TEN)) == [(0, 10, "all")]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"holiday": ["x"]}', "no video 'holidays' in it.*holiday"),
        ('{"holidays": [1]}', "at 0 s is no text"),
        ('{"holidays": {"first": "x"}}', "'first' is no number"),
        ('{"holidays": 7}', "expected a list"),
        ('{"holidays": []}', "nothing about 'holidays'"),
        ("", "nothing about"),
        ("a man walks", "line 1"),
        ('{"start_s": 0, "end_s": 1, "text": "x"}\n{"text": "y"}', "line 2"),
        ('{"start_s": 5, "end_s": 1, "text": "x"}', "from 5 to 1 s"),
        ('{"start_s": NaN, "end_s": 1, "text": "x"}', "line 1"),
        ('{"start_s": 70, "end_s": 71, "text": "x"}', "a video of 10 s"),
        (json.dumps(["x"] * 40), "at 12 s but the video lasts 10 s.*fps"),
    ],
)
def test_what_is_wrong_is_said(file: Path, content: str, complaint: str) -> None:
    file.write_text(content)
    with pytest.raises(InputError, match=complaint) as error:
        read_captions(file, "holidays", TEN)
    assert str(file.parent) not in str(error.value)


def test_one_caption_too_many_is_forgiven(file: Path) -> None:
    file.write_text(json.dumps([str(n) for n in range(11)]))
    assert told(read_captions(file, "a", TEN))[-1] == (10, 10, "10")


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.json cannot be read"):
        read_captions(tmp_path / "missing.json", "a", TEN)
    (tmp_path / "raw.json").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match=r"raw\.json cannot be read: it is not text"):
        read_captions(tmp_path / "raw.json", "a", TEN)
