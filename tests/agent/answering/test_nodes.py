"""The end of every method, on a scripted model."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import prompts
from agent.answering.support import NOT_KNOWN
from agent.models.chat_model import ContextOverflowError
from agent.session import Session

Open = Callable[..., Session]
Scripted = Callable[..., Any]
QUESTION, OPTIONS = "What is the gate code?", ("1111", "7391", "2222")


@pytest.fixture
def harbour(make_clip: Callable[..., Path]) -> Path:
    cues = [(0.2, 1.2, "Welcome to the harbour."), (1.4, 2.6, "The gate code is 7391.")]
    return make_clip(seconds=3, subtitles=cues)


def test_a_reply_without_a_letter_is_asked_for_again(
    open_session: Open, scripted: Scripted, harbour: Path
) -> None:
    chat = scripted(replies=("I think it is hard to say.", "B"))
    answer = open_session(chat, method="blind").ask(harbour, QUESTION, OPTIONS)
    assert (answer.choice, answer.answer) == (1, "7391")
    assert len(chat.asked) == 2


def test_where_the_model_can_tell_the_confidence_is_its_likelihood(
    open_session: Open, scripted: Scripted, harbour: Path
) -> None:
    chat = scripted(replies=("B",))
    answer = open_session(chat, method="blind").ask(harbour, QUESTION, OPTIONS)
    assert answer.measured_by == "likelihood"
    assert 0 < answer.confidence < 1


def test_the_likeliest_option_is_the_last_resort_and_says_so(
    open_session: Open, scripted: Scripted, harbour: Path
) -> None:
    class Sure(scripted):  # type: ignore[misc, valid-type]
        def score_options(self, messages: Any, options: Sequence[str]) -> list[float]:
            return [-4.0, -0.1, -4.0]

    chat = Sure(replies=("Nobody can say.", "Really nobody."))
    answer = open_session(chat, method="blind").ask(harbour, QUESTION, OPTIONS)
    assert answer.choice == 1
    assert "likeliest" in answer.reason


def test_where_no_option_is_likelier_than_the_others_together_it_abstains(
    open_session: Open, scripted: Scripted, harbour: Path
) -> None:
    chat = scripted(replies=("Nobody can say.", "Really nobody."))
    answer = open_session(chat, method="blind").ask(harbour, QUESTION, OPTIONS)
    assert answer.abstained
    assert "no option is likelier than the others together" in answer.reason


def test_without_likelihoods_it_abstains_and_never_guesses(
    open_session: Open, scripted: Scripted, harbour: Path
) -> None:
    chat = scripted(replies=("Nobody knows.", "Really nobody."), option_scoring=False)
    answer = open_session(chat, method="blind").ask(harbour, QUESTION, OPTIONS)
    assert answer.abstained
    assert "none of the options" in answer.reason


def test_an_open_question_that_the_model_refuses_is_no_answer(
    open_session: Open, scripted: Scripted, harbour: Path
) -> None:
    chat = scripted(replies=("not known", "It is not mentioned."))
    answer = open_session(chat, method="blind").ask(harbour, QUESTION)
    assert answer.abstained


def test_a_prompt_that_is_too_long_is_made_again_with_less_evidence(
    open_session: Open, scripted: Scripted, make_clip: Callable[..., Path]
) -> None:
    cues = [(i, i + 0.9, f"Sentence {i} of the tour, said slowly.") for i in range(20)]
    seen: list[str] = []

    def refuse_long(prompt: str) -> None:
        seen.append(prompt)
        if prompt.count("Sentence") > 6:
            raise ContextOverflowError("scripted", 900, 300)

    chat = scripted(replies=("A",), on_call=refuse_long)
    session = open_session(chat, method="subtitles-only")
    options = ("slowly", "7391")
    answer = session.ask(make_clip(seconds=20, subtitles=cues), QUESTION, options)
    assert answer.choice == 0
    assert len(seen) > 1
    assert all(QUESTION in prompt and "7391" in prompt for prompt in seen)
    assert seen[-1].count("Sentence") <= 6 < seen[0].count("Sentence")


def test_a_prompt_that_is_always_too_long_is_an_error_after_few_tries(
    open_session: Open, scripted: Scripted, harbour: Path
) -> None:
    def refuse(prompt: str) -> None:
        raise ContextOverflowError("scripted", 900, 300)

    session = open_session(scripted(on_call=refuse), method="subtitles-only")
    with pytest.raises(ContextOverflowError, match="choose a model with a longer context"):
        session.ask(harbour, QUESTION)


def test_words_are_streamed_as_the_model_writes_them(
    open_session: Open, tiny_llama: Path, harbour: Path
) -> None:
    settings = {"chat.model": str(tiny_llama), "chat.max_new_tokens": 8, "method": "blind"}
    session = open_session(**settings)
    events = list(session.stream(harbour, QUESTION))
    tokens = [event.data for event in events if event.kind == "token"]
    assert len(tokens) > 1
    assert events[-1].kind == "answer"


@pytest.mark.parametrize("reply", ["Do not enter.", "He cannot swim", "the Unknown Soldier"])
def test_an_answer_with_a_negation_is_an_answer(
    reply: str, open_session: Open, scripted: Scripted, make_clip: Callable[..., Path]
) -> None:
    chat = scripted(replies=(reply,))
    clip = make_clip(seconds=3, subtitles=[(0.2, 2.8, f"Then I read it out: {reply}")])
    answer = open_session(chat).ask(clip, "What did he read out then?")
    assert answer.answer == reply
    assert [e.text for e in answer.evidence] == [f"Then I read it out: {reply}"]
    assert len(chat.asked) == 1


@pytest.mark.parametrize("method", ["video-rag", "subtitles-only", "llovi"])
@pytest.mark.parametrize("options", [(), ("9999", "7391")])
def test_what_no_given_line_holds_is_asked_again_and_never_cited(
    method: str,
    options: tuple[str, ...],
    open_session: Open,
    scripted: Scripted,
    harbour: Path,
) -> None:
    wrong = "A" if options else "9999"
    chat = scripted(replies=(wrong,))
    session = open_session(chat, method=method, **{"llovi.summary": "none"})
    answer = session.ask(harbour, QUESTION, options)
    assert answer.abstained
    assert answer.answer == ""
    assert "9999" in answer.reason
    assert len(chat.asked) == 2


def test_the_second_reply_counts_if_the_lines_hold_it(
    open_session: Open, scripted: Scripted, harbour: Path
) -> None:
    chat = scripted(replies=("9999", "7391"))
    answer = open_session(chat).ask(harbour, QUESTION)
    assert answer.answer == "7391"
    assert [e.text for e in answer.evidence] == ["The gate code is 7391."]
    assert (answer.measured_by, answer.confidence) == ("support", 1.0)


def test_the_reply_that_the_prompt_names_abstains_at_once(
    open_session: Open, scripted: Scripted, harbour: Path
) -> None:
    chat = scripted(replies=("Not known.", "7391"))
    answer = open_session(chat).ask(harbour, QUESTION)
    assert answer.abstained
    assert len(chat.asked) == 1


@pytest.mark.parametrize(
    "name", ["question_open", "ask_again", "ask_again_grounded", "ask_letter_again_grounded"]
)
def test_the_prompts_name_the_reply_that_stands_for_not_known(name: str) -> None:
    assert NOT_KNOWN in prompts.source(name)


def test_a_prompt_that_cannot_be_made_shorter_is_sent_twice_at_most(
    open_session: Open, scripted: Scripted, harbour: Path
) -> None:
    sent: list[str] = []

    def refuse(prompt: str) -> None:
        sent.append(prompt)
        raise ContextOverflowError("scripted", 900, 300)

    session = open_session(scripted(on_call=refuse), method="blind")
    with pytest.raises(ContextOverflowError):
        session.ask(harbour, QUESTION)
    assert len(sent) == 2


def test_a_reply_and_its_likelihoods_are_not_disturbed_by_another_thread(
    open_session: Open, scripted: Scripted, harbour: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = scripted(replies=("B",), on_call=lambda prompt: happened.append("reply"))
    happened: list[str] = []
    score = type(chat).score_options

    @contextmanager
    def undisturbed(self: Any) -> Iterator[None]:
        happened.append("begins")
        yield
        happened.append("ends")

    def scored(*given: Any) -> list[float]:
        happened.append("likelihoods")
        return list(score(*given))

    monkeypatch.setattr(type(chat), "undisturbed", undisturbed)
    monkeypatch.setattr(type(chat), "score_options", scored)
    open_session(chat, method="blind").ask(harbour, QUESTION, OPTIONS)
    assert happened == ["begins", "reply", "likelihoods", "ends"]
