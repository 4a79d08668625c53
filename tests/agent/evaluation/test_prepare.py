from dataclasses import replace
from functools import partial
from pathlib import Path

from agent.answering.time_spans import Span
from agent.evaluation.prepare import natural_order, prepare_rows
from agent.evaluation.task import Media
from tools.speech.cues import Cue
from tools.speech.sidecars import look_beside


def test_a_video_is_linked_without_the_subtitles_beside_it(item, make_clip, tmp_path: Path) -> None:
    source = make_clip("talk.mp4", size=(64, 48))
    source.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello.\n")
    asked = replace(item(), media=Media(source))

    (row,) = prepare_rows([asked], tmp_path / "media")

    assert row.video.resolve() == source
    assert row.video.name == "talk.mp4"
    assert not look_beside(row.video).belong


def test_subtitles_lie_beside_the_video_where_they_are_given(
    item, make_clip, tmp_path: Path
) -> None:
    source = make_clip("talk.mp4", size=(64, 48))
    given = tmp_path / "subtitle/ID.srt"
    given.parent.mkdir()
    given.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello.\n")
    files = replace(item("a"), media=Media(source, subtitles=given))
    made = replace(item("b"), media=Media(source, cues=partial(_cues, "Later.")))
    other = replace(item("c"), media=Media(source, cues=partial(_cues, "Other.")))

    linked, written, different = prepare_rows([files, made, other], tmp_path / "media")

    assert [one.path.resolve() for one in look_beside(linked.video).belong] == [given]
    (sidecar,) = (one.path for one in look_beside(written.video).belong)
    assert sidecar.read_text() == "1\n00:00:01,250 --> 00:00:04,000\nLater.\n"
    assert different.video != written.video


def _cues(text: str, duration_s: float) -> list[Cue]:
    beyond = Cue(duration_s + 1, duration_s + 2, ("Never seen.",))
    return [Cue(-3.0, -1.0, ("Before.",)), Cue(1.25, duration_s, (text,)), beyond]


def test_what_is_there_is_not_made_again(item, make_clip, tmp_path: Path) -> None:
    asked = replace(item(), media=Media(make_clip(size=(64, 48)), clip=Span(0.5, 1.5)))
    done: list[int] = []

    (first,) = prepare_rows([asked], tmp_path / "media")
    before = first.video.stat().st_mtime_ns
    (second,) = prepare_rows([asked], tmp_path / "media", done.append)

    assert second.video == first.video
    assert second.video.stat().st_mtime_ns == before
    assert done == [1]


def test_a_broken_video_costs_its_own_questions(item, make_clip, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypmp42")
    good = make_clip(size=(64, 48))
    clips = [Media(broken, clip=Span(0, 1)), Media(good, clip=Span(90, 95)), Media(good)]
    items = [replace(item(str(n)), media=media) for n, media in enumerate(clips)]

    rows = prepare_rows(items, tmp_path / "media")

    assert [bool(row.error) for row in rows] == [True, True, False]
    assert "has nothing from 90 to 95 s" in rows[1].error
    assert not list((tmp_path / "media").rglob(".*.mp4"))


def test_pictures_are_in_the_order_of_their_numbers() -> None:
    names = [path.name for path in natural_order(map(Path, ("f10.jpg", "f2.jpg", "f1.jpg")))]

    assert names == ["f1.jpg", "f2.jpg", "f10.jpg"]
