"""Search and questions over several videos, and a folder that is watched."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.runtime import RunControl

from agent.search.asking import VideosQuestions
from agent.search.search import VideoSearch
from agent.search.watch import Seen, watch_folder
from agent.session import Session
from tools.errors import InputError
from tools.media.video import Video

Make = Callable[..., Any]
HARBOUR = [(0, 1, "Welcome to the harbour."), (1, 2, "The gate code is 7391.")]
BAKERY = [(0, 1, "We bake rye bread."), (2, 3, "The oven is at 240 degrees.")]
TOOLS = ["subtitles"]


@pytest.fixture
def folder(make_clip: Make, tmp_path: Path) -> Path:
    """Two videos with subtitles, and a file that is no video."""
    place = tmp_path / "films"
    place.mkdir()
    for name, cues, tone in (("harbour.mp4", HARBOUR, True), ("bakery.mkv", BAKERY, True)):
        make_clip(f"films/{name}", subtitles=cues, audio=tone)
    (place / "broken.mp4").write_bytes(b"not a video at all" * 50)
    return place


@pytest.fixture
def session(open_session: Make, scripted: Make) -> Session:
    """A session that listens to subtitles alone."""
    chat = scripted(replies=("7391",))
    opened: Session = open_session(chat, ingest=TOOLS, method="video-rag")
    return opened


def watched(session: Session, folder: Path) -> list[Seen]:
    events = watch_folder(session, folder, RunControl(), settle_s=0, once=True)
    return [event for event in events if isinstance(event, Seen)]


def test_a_watched_folder_is_looked_at_once_and_a_broken_file_stops_nothing(
    session: Session, folder: Path
) -> None:
    first = {(one.file.name, one.what) for one in watched(session, folder)}
    assert first >= {("harbour.mp4", "done"), ("bakery.mkv", "done"), ("broken.mp4", "broken")}
    again = {(one.file.name, one.what) for one in watched(session, folder)}
    assert again >= {("harbour.mp4", "known"), ("bakery.mkv", "known")}
    assert not {what for _, what in again} & {"begins", "done"}


def test_moments_of_all_videos_follow_the_library(
    session: Session, folder: Path, make_clip: Make
) -> None:
    watched(session, folder)
    search = VideoSearch(session.context)
    (best, *_) = search.search("gate code").moments
    assert (best.evidence.video, best.evidence.text) == ("harbour.mp4", HARBOUR[1][2])
    assert (best.evidence.start_s, best.evidence.end_s) == pytest.approx((1, 2), abs=0.05)
    (oven, *_) = search.search("How hot is the oven?").moments
    assert oven.evidence.video == "bakery.mkv"
    assert oven.thumbnail
    assert oven.thumbnail.is_file()
    one: Video = session.probe(folder / "bakery.mkv")
    session.library.delete(one)
    assert "bakery.mkv" not in {m.evidence.video for m in search.search("oven").moments}
    late = make_clip("films/late.mp4", subtitles=[(0, 1, "A walrus sleeps.")], audio=True)
    session.index(late)
    found = search.search("walrus").moments
    assert [m.evidence.video for m in found] == ["late.mp4"]
    fresh = VideoSearch(session.context).search("walrus").moments
    assert [m.evidence.id for m in fresh] == [m.evidence.id for m in found]


def test_the_answer_names_the_video_of_each_citation(session: Session, folder: Path) -> None:
    files = sorted(folder.iterdir())
    answer = VideosQuestions(session).ask(files, "What is the gate code?")
    assert "7391" in answer.answer
    assert [one.video for one in answer.evidence] == ["harbour.mp4"]
    told = answer.to_json()
    assert told["evidence"][0]["video"] == "harbour.mp4"
    assert {one.name for one in answer.videos} >= {"harbour.mp4", "bakery.mkv", "broken.mp4"}


@pytest.mark.parametrize(
    ("query", "options", "why"),
    [(" ", {}, "empty"), ("x" * 1001, {}, "shorten it"), ("x", {"top": 0}, "1 to 200")],
)
def test_a_query_that_cannot_be_used_says_why(
    session: Session, query: str, options: dict[str, int], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        VideoSearch(session.context).search(query, **options)
