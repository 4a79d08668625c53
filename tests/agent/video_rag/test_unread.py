"""What is left where weights are missing: a search that no language model reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.session import Session
from tools.errors import MissingError

Open = Callable[..., Session]
Scripted = Callable[..., Any]
QUESTION = "Which code opens the gate?"


@pytest.fixture
def no_models(own_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELGRAPH_MODELS", str(tmp_path / "no models"))


@pytest.mark.usefixtures("no_models")
def test_without_any_weights_the_nearest_lines_are_listed_and_it_is_said(harbour: Path) -> None:
    answer = Session("embedded", {"ingest": "[subtitles]"}).ask(harbour, QUESTION)
    assert answer.abstained
    assert "reelgraph models get qwen2.5-coder-1.5b" in answer.reason
    assert "The gate code is 7391." in [line.text for line in answer.evidence]
    (report,) = [one for one in answer.channels if one.tool == "retrieve"]
    assert report.status == "unavailable"
    assert "reelgraph models get multilingual-e5-small" in report.reason
    assert answer.total("model_calls") == 0
    assert "chat" not in answer.models


@pytest.mark.usefixtures("no_models", "shared_embedder")
def test_without_a_chat_model_meanings_are_still_compared(harbour: Path) -> None:
    answer = Session("embedded", {"ingest": "[subtitles]"}).ask(harbour, "When do boats depart?")
    assert answer.abstained
    assert "The last ferry leaves at nine." in [line.text for line in answer.evidence]
    assert not [one for one in answer.channels if one.tool == "retrieve"]


@pytest.mark.usefixtures("no_models")
def test_the_plan_says_that_nothing_is_called(harbour: Path) -> None:
    plan = Session("embedded", {"ingest": "[subtitles]"}).plan(harbour, QUESTION)
    assert plan.calls == (0, 0)
    assert plan.prompts == {}


def test_a_chat_model_reads_what_words_alone_have_found_and_it_is_said(
    open_session: Open, scripted: Scripted, harbour: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingError("no embedding model; fetch it with `reelgraph models get X`")

    session = open_session(scripted(replies=("7391",)))
    monkeypatch.setattr(session.context.pool, "_load_embedder", missing)
    answer = session.ask(harbour, QUESTION)
    assert answer.answer == "7391"
    (report,) = [one for one in answer.channels if one.tool == "retrieve"]
    assert (report.status, "reelgraph models get X" in report.reason) == ("unavailable", True)
