"""The demo video and its questions fit together, and stay within what the README promises."""

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
FILM = EXAMPLES / "tour.mp4"
SETS = {"": (24, 3), "_heldout": (28, 4)}
KINDS = {"text", "speech", "both", "count", "order", "unanswerable"}


def read_lines(name: str) -> list[dict[str, Any]]:
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def plain(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()


@pytest.fixture(scope="module")
def film() -> dict[str, Any]:
    with av.open(str(FILM)) as container:
        assert container.duration is not None
        return {
            "seconds": container.duration / av.time_base,
            "codecs": {s.type: s.codec_context.name for s in container.streams},
            "size": (container.streams.video[0].width, container.streams.video[0].height),
        }


@pytest.fixture(scope="module")
def cues() -> list[tuple[float, float, str]]:
    found = []
    with av.open(str(FILM)) as container:
        for packet in container.demux(container.streams.subtitles[0]):
            text = bytes(packet)[2:].decode()
            if text and packet.pts is not None and packet.duration is not None:
                start = float(packet.pts * packet.time_base)
                found.append((start, start + float(packet.duration * packet.time_base), text))
    return found


@pytest.fixture(scope="module")
def script() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((EXAMPLES / "script.yaml").read_text(encoding="utf-8"))
    return list(loaded["scenes"])


def on_screen(script: list[dict[str, Any]]) -> str:
    shown = [text for scene in script for text in scene["text"].values()]
    return plain("|".join(t["show"] if isinstance(t, dict) else t for t in shown))


def spoken_lines(script: list[dict[str, Any]]) -> list[str]:
    said = [line for scene in script for line in scene["say"]]
    return [line["line"] if isinstance(line, dict) else line for line in said]


def test_film_is_long_and_light(film: dict[str, Any]) -> None:
    assert film["seconds"] >= 600
    assert FILM.stat().st_size < 3_000_000


def test_film_has_the_promised_streams(film: dict[str, Any]) -> None:
    assert film["codecs"] == {"video": "h264", "audio": "aac", "subtitle": "mov_text"}
    assert film["size"] == (1280, 720)


def test_film_starts_without_reading_to_the_end() -> None:
    head = FILM.read_bytes()[:64]
    assert b"moov" in head, "the index stands at the end; write with +faststart"


def test_key_frames_are_at_most_ten_seconds_apart() -> None:
    with av.open(str(FILM)) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.is_keyframe and p.pts is not None]
        times = sorted(float(p.pts * stream.time_base) for p in packets)
    assert max(b - a for a, b in pairwise(times)) <= 10.01


def test_subtitles_are_the_spoken_lines(
    cues: list[tuple[float, float, str]], script: list[dict[str, Any]]
) -> None:
    assert [text for _, _, text in cues] == spoken_lines(script)
    assert all(end > start for start, end, _ in cues)
    assert all(a[1] <= b[0] for a, b in pairwise(cues))


@pytest.mark.parametrize("name", SETS)
def test_questions_and_answers_match(name: str) -> None:
    questions, answers = read_lines(f"questions{name}.jsonl"), read_lines(f"answers{name}.jsonl")
    assert [q["id"] for q in questions] == [a["id"] for a in answers]
    assert len({q["id"] for q in questions}) == len(questions)
    for question, answer in zip(questions, answers, strict=True):
        assert question["video"] == FILM.name
        if not answer["answerable"]:
            assert not {"choice", "answer"} & set(answer), answer["id"]
        elif "options" in question:
            assert len(set(question["options"])) == 4, question["id"]
            assert 0 <= answer["choice"] < 4, question["id"]
        else:
            assert answer["answer"], question["id"]
            assert all(plain(key) for key in answer["answer"]), question["id"]


@pytest.mark.parametrize("name", SETS)
def test_sets_have_all_kinds(name: str) -> None:
    answers = read_lines(f"answers{name}.jsonl")
    kinds = Counter(answer["kind"] for answer in answers)
    total, unanswerable = SETS[name]
    assert set(kinds) == KINDS
    assert len(answers) == total
    assert kinds["unanswerable"] == unanswerable == sum(not a["answerable"] for a in answers)


@pytest.mark.parametrize("name", SETS)
def test_evidence_lies_inside_the_film(name: str, film: dict[str, Any]) -> None:
    for answer in read_lines(f"answers{name}.jsonl"):
        assert bool(answer["evidence"]) == answer["answerable"], answer["id"]
        for start, end in answer["evidence"]:
            assert 0 <= start < end <= film["seconds"] + 0.1, answer["id"]


def expected(question: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    if "options" in question:
        return [question["options"][answer["choice"]]]
    return [str(key) for key in answer["answer"]]


@pytest.mark.parametrize("name", SETS)
def test_key_facts_occur_in_the_film(
    name: str, cues: list[tuple[float, float, str]], script: list[dict[str, Any]]
) -> None:
    shown = on_screen(script)
    questions, answers = read_lines(f"questions{name}.jsonl"), read_lines(f"answers{name}.jsonl")
    for question, answer in zip(questions, answers, strict=True):
        keys = [plain(key) for key in expected(question, answer)] if answer["answerable"] else []
        if answer["kind"] in {"text", "both"}:
            assert any(key in shown for key in keys), answer["id"]
        if answer["kind"] == "speech":
            spans = answer["evidence"]
            heard = [t for start, end, t in cues for a, b in spans if start < b and end > a]
            said = plain(" ".join(heard))
            assert any(key in said for key in keys), answer["id"]


@pytest.mark.parametrize("name", SETS)
def test_text_answers_cannot_be_heard(name: str, cues: list[tuple[float, float, str]]) -> None:
    said = plain(" ".join(text for _, _, text in cues))
    questions, answers = read_lines(f"questions{name}.jsonl"), read_lines(f"answers{name}.jsonl")
    for question, answer in zip(questions, answers, strict=True):
        if answer["kind"] == "text":
            assert not any(plain(key) in said for key in expected(question, answer)), answer["id"]
