"""One question by several methods, in Python and on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.comparison.compare import DEFAULT, compare, read_methods
from agent.comparison.rows import Comparison, told_in_common
from agent.session import Session
from tools.errors import InputError

Open = Callable[..., Session]
QUESTION = "What is the gate code?"
CODE = (QUESTION, "--set", "ingest=[subtitles]")


def compared(session: Session, clip: Path, *methods: str, **more: Any) -> Comparison:
    events = list(compare(session, clip, QUESTION, methods, **more))
    assert [e.data for e in events if e.kind == "method"] == list(methods)
    assert not [e for e in events if e.kind == "answer"]
    reported = [e.data.tool for e in events if e.kind == "channel"]
    assert len(reported) == len(set(reported))
    (found,) = [e.data for e in events if e.kind == "comparison"]
    return found


def test_names_with_commas_or_auto_and_the_baselines() -> None:
    assert read_methods(" llovi, blind,") == ("llovi", "blind")
    assert read_methods("") == DEFAULT == ("auto", "direct", "subtitles-only", "blind")


def test_the_video_is_looked_at_once_and_before_the_first_method(
    open_session: Open, scripted: Callable[..., Any], harbour: Path, plug_in: Callable[..., Any]
) -> None:
    runs: list[str] = []
    plug_in(lambda given: iter(runs.append(given.video.path.name) or ()))
    session = open_session(scripted(), ingest="[subtitles, sensor]")
    found = compared(session, harbour, "video-rag", "ground", "subtitles-only")
    assert runs == ["harbour.mp4"]
    assert {report.tool for report in found.ingest} == {"subtitles", "sensor"}
    assert found.ingest_s > 0
    assert all(row.answer and row.answer.total("tool_runs") == 0 for row in found.rows)


def test_methods_that_need_no_tools_run_none(
    open_session: Open, scripted: Callable[..., Any], harbour: Path
) -> None:
    found = compared(open_session(scripted()), harbour, "blind")
    assert (found.ingest, found.ingest_s) == ((), 0.0)


def test_answers_citations_and_costs_stand_side_by_side(
    open_session: Open, scripted: Callable[..., Any], harbour: Path
) -> None:
    session = open_session(scripted(replies=["7391", "not known"]))
    found = compared(session, harbour, "video-rag", "blind", "ts-llava")
    rag, blind, tokens = found.rows
    assert (rag.status, rag.said, rag.frames) == ("answered", "7391", 0)
    assert rag.citation == "0:01 The gate code is 7391."
    assert rag.how_sure == "100% support"
    assert (rag.calls, rag.tokens) == (1, 12)
    assert rag.answer.plan == session.with_method("video-rag").plan(harbour, QUESTION).id
    assert (blind.status, blind.citation, blind.how_sure) == ("abstained", "", "")
    assert (tokens.status, tokens.answer, tokens.calls) == ("failed", None, 0)
    assert "'ts-llava' needs a chat model with images" in tokens.said
    assert found.same_prompts["question_open"] == ("video-rag", "blind")
    assert found.same_frames == []


def test_methods_with_the_same_frames_are_told(
    open_session: Open, watching: Callable[..., Any], harbour: Path
) -> None:
    settings = {"direct.frames": 6, "ig-vlm.frames": 6}
    session = open_session(watching(replies=["7391"]), **settings)
    found = compared(session, harbour, "direct", "ig-vlm", "blind")
    assert found.same_frames == [("direct", "ig-vlm")]
    assert [row.frames for row in found.rows] == [6, 6, 0]
    assert "the same pictures: direct, ig-vlm" in told_in_common(found)
    times = [row["frame_times_s"] for row in found.to_json()["methods"]]
    assert times[0] == times[1]
    assert len(times[0]) == 6


def test_a_method_that_fails_on_its_way_stops_no_other(
    open_session: Open, scripted: Callable[..., Any], harbour: Path
) -> None:
    def break_down(prompt: str) -> None:
        if "Nothing of the video" in prompt or len(chat.seen) == 1:
            raise InputError("the model is out of order; mend it")

    chat = scripted(on_call=break_down, replies=["7391"])
    found = compared(
        open_session(chat, **{"video-rag.decouple": False}), harbour, "blind", "video-rag"
    )
    assert [row.status for row in found.rows] == ["failed", "answered"]
    assert found.rows[0].said == "the model is out of order; mend it"


def test_another_method_shares_library_and_models(open_session: Open, scripted: Any) -> None:
    session = open_session(scripted())
    blind = session.with_method("blind")
    assert blind.context.pool is session.context.pool
    assert blind.library is session.library
    assert (session.settings.method, blind.settings.method) == ("auto", "blind")
    assert blind.context.settings.method == "blind"
    assert "blind" in blind.mermaid()
    assert "blind" not in session.mermaid()


@pytest.mark.parametrize("methods", [(), ("blind", "blind"), ("blnd",)])
def test_wrong_names_are_refused_before_anything_runs(
    open_session: Open, scripted: Any, harbour: Path, methods: tuple[str, ...]
) -> None:
    session = open_session(scripted())
    with pytest.raises(InputError, match=r"name each method once|did you mean 'blind'"):
        list(compare(session, harbour, QUESTION, methods))
    assert session.library.entries() == []


def test_the_command_prints_one_table_or_json(
    reelgraph: Callable[..., Any], scripted_chat: Any, harbour: Path
) -> None:
    run = ("compare", harbour, *CODE, "--option", "1111", "--option", "7391")
    scripted_chat.replies = ("B",)
    done = reelgraph(*run, "--methods", "video-rag,subtitles-only,direct")
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert {"video-rag", "subtitles-only", "direct"} <= {line[0] for line in lines if line}
    assert done.out.count("7391") >= 3  # two answers and a citation
    assert "needs a chat model with" in " ".join(done.out.split())
    assert "looking at the video first" in done.out
    plain = json.loads(reelgraph(*run, "--methods", "blind,direct", "--json").out)
    assert [row["status"] for row in plain["methods"]] == ["answered", "failed"]
    assert plain["methods"][0]["answer"]["choice"] == 1


@pytest.mark.parametrize(
    ("methods", "reply", "code"),
    [("blind", "7391", 0), ("blind", "not known", 3), ("direct", "", 1)],
)
def test_exit_codes(
    reelgraph: Callable[..., Any], scripted_chat: Any, harbour: Path, methods, reply, code
) -> None:
    scripted_chat.replies = (reply,)
    assert reelgraph("compare", harbour, *CODE, "--methods", methods).code == code


def test_wrong_names_end_with_the_remedy(reelgraph: Callable[..., Any], harbour: Path) -> None:
    done = reelgraph("compare", harbour, QUESTION, "--methods", "blind,blnd")
    assert done.code == 2
    assert "did you mean 'blind'?" in done.err
