"""How likely an open answer is right, on a scripted model."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any

import pytest

from agent.answering.confidence import calibrated, with_odds
from agent.answering.support import NOT_KNOWN
from agent.records import Ask, CandidateAnswer, TokenPrompt, Turn
from agent.session import Session
from agent.settings import ChatSettings

Open = Callable[..., Session]
Scripted = Callable[..., Any]
ASKED = Ask((Turn("user", "What is the gate code?"),))
SCORES = {"7391": -0.5, NOT_KNOWN: -2.0}
MEASURED = ChatSettings(calibration=(-1.0, 2.0))
QUESTION = "What is the gate code?"


@pytest.fixture
def scoring(scripted: Scripted) -> Scripted:
    """A scripted model whose replies have the mean log-likelihoods `SCORES`."""

    class Scoring(scripted):  # type: ignore[misc, valid-type]
        def score_options(self, messages: Any, options: Sequence[str]) -> list[float]:
            return [SCORES.get(option, -9.0) for option in options]

    return Scoring


def test_the_odds_are_the_difference_of_the_mean_log_likelihoods(scoring: Scripted) -> None:
    found, usage = with_odds(CandidateAnswer("7391"), ASKED, scoring(), MEASURED)
    assert found.odds == pytest.approx(-0.5 - -2.0)
    assert usage.scored == 2
    assert usage.model_calls == 0


UNMEASURED = {
    "no calibration": ({}, ASKED, ChatSettings()),
    "cannot score": ({"option_scoring": False}, ASKED, MEASURED),
    "samples": ({}, replace(ASKED, samples=3, temperature=1.0), MEASURED),
    "parity": ({}, replace(ASKED, parity="llovi"), MEASURED),
    "visual tokens": ({}, replace(ASKED, tokens=TokenPrompt(Path("tokens"))), MEASURED),
    "a reply after another one": ({}, replace(ASKED, follow_ups=("And now?",)), MEASURED),
}


@pytest.mark.parametrize(("chat", "asked", "settings"), UNMEASURED.values(), ids=UNMEASURED)
def test_elsewhere_no_odds_are_measured(
    chat: dict[str, Any], asked: Ask, settings: ChatSettings, scoring: Scripted
) -> None:
    found, usage = with_odds(CandidateAnswer("7391"), asked, scoring(**chat), settings)
    assert found.odds is None
    assert usage.scored == 0


def test_an_empty_reply_has_no_odds(scoring: Scripted) -> None:
    assert with_odds(CandidateAnswer(""), ASKED, scoring(), MEASURED)[0].odds is None


def test_the_probability_is_the_logistic_function_of_the_odds() -> None:
    found = calibrated(CandidateAnswer("7391", accepted=True, odds=1.5), MEASURED)
    assert found.confidence == pytest.approx(1 / (1 + exp(1.0 - 2.0 * 1.5)))
    assert (found.measured_by, found.accepted) == ("calibrated", True)


def test_what_has_no_odds_or_is_an_option_stays_as_it_is() -> None:
    option = CandidateAnswer("A", choice=0, odds=1.5, accepted=True)
    plain = CandidateAnswer("7391", accepted=True)
    for candidate in (option, plain):
        assert calibrated(candidate, MEASURED) == candidate
    measured = replace(plain, odds=1.5)
    assert calibrated(measured, ChatSettings()) == measured


def test_an_answer_tells_its_probability(
    open_session: Open, scoring: Scripted, harbour: Path
) -> None:
    chat = scoring(replies=("7391",))
    answer = open_session(chat, **{"chat.calibration": "[-1.0, 2.0]"}).ask(harbour, QUESTION)
    assert (answer.answer, answer.measured_by) == ("7391", "calibrated")
    assert answer.confidence == pytest.approx(1 / (1 + exp(-2)), abs=1e-3)
    assert answer.total("scored") == 2


def test_one_that_is_too_unlikely_is_withheld_and_the_reason_told(
    open_session: Open, scoring: Scripted, harbour: Path
) -> None:
    chat = scoring(replies=("7391", "7391"))
    strict = {"chat.calibration": "[-1.0, 2.0]", "chat.abstain_below": 0.95}
    answer = open_session(chat, **strict).ask(harbour, QUESTION)
    assert (answer.abstained, answer.answer) == (True, "")
    assert "right with a probability of 88% only" in answer.reason
    assert len(chat.asked) == 1


def test_options_are_never_withheld(open_session: Open, scoring: Scripted, harbour: Path) -> None:
    chat = scoring(replies=("B",))
    strict = {"chat.calibration": "[-1.0, 2.0]", "chat.abstain_below": 1.0}
    answer = open_session(chat, **strict).ask(harbour, QUESTION, ("1111", "7391"))
    assert (answer.answer, answer.measured_by) == ("7391", "likelihood")


def test_the_same_answer_is_given_at_any_level_below_its_probability(
    open_session: Open, scoring: Scripted, harbour: Path
) -> None:
    levels = {"chat.calibration": "[-1.0, 2.0]", "chat.abstain_below": 0.85}
    assert (
        open_session(scoring(replies=("7391",)), **levels).ask(harbour, QUESTION).answer == "7391"
    )
