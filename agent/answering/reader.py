"""How replies are read: what differs between a model that reads well and one too small to.

A reader judges a reply, words the second question, and says what is left when that fails too.
"""

from dataclasses import replace
from typing import Protocol

import prompts
from agent.answer import Usage
from agent.answering.choice import parse_choice
from agent.answering.conversation import send
from agent.answering.support import REFUSALS
from agent.answering.voting import majority
from agent.models.chat_model import ChatModel
from agent.records import Draft, Parity, Question, Turn
from agent.state import Context, State

Reread = tuple[Draft, Usage, tuple[str, ...]]  # with the names of the prompts that were used


class Reader(Protocol):
    """Reads what a chat model replies."""

    lettered: bool
    """Whether the model is shown the options with their letters."""

    def judge(self, state: State, context: Context) -> Draft:
        """Say whether the draft may be given as the answer."""
        ...

    def ask_again(self, state: State, chat: ChatModel) -> Reread:
        """Ask once more, more strictly, after a reply that could not be used."""
        ...

    def fall_back(self, state: State, context: Context) -> tuple[Draft, Usage]:
        """Return what can be answered without the model's words, accepted or not."""
        ...


class Generative:
    """The reader of models that read whole records and choose a letter."""

    lettered = True

    def judge(self, state: State, context: Context) -> Draft:
        """Take the option or the text that the reply, or most samples, mean."""
        read = vote if state["draft"].replies else understand
        return read(state["draft"], state["question"], state["ask"].parity)

    def ask_again(self, state: State, chat: ChatModel) -> Reread:
        """Ask for the bare answer."""
        asked, draft = state["ask"], state["draft"]
        name = "ask_letter_again" if state["question"].options else "ask_again"
        turns = (*asked.turns, Turn("assistant", draft.text), Turn("user", prompts.render(name)))
        text, usage = send(turns, chat)
        return replace(draft, text=text, replies=()), usage, (name,)

    def fall_back(self, state: State, context: Context) -> tuple[Draft, Usage]:
        """Take the likeliest option, where the model can tell."""
        draft = state["draft"]
        return likeliest(draft) if draft.likelihoods else replace(draft, accepted=False), Usage()


GENERATIVE = Generative()


def understand(draft: Draft, question: Question, parity: Parity | None = None) -> Draft:
    """Read one reply: the option that it chooses, or for an open question the text itself."""
    if not question.options:
        if not draft.text or REFUSALS.search(draft.text):
            return replace(draft, reason="the model gave no answer")
        return replace(draft, accepted=True)
    parsed = parse_choice(draft.text, question.options, parity)
    if parsed.choice is None:
        return replace(draft, reason="the model chose none of the options")
    if not draft.likelihoods:
        return replace(draft, choice=parsed.choice, accepted=True)
    return replace(
        draft,
        choice=parsed.choice,
        confidence=draft.likelihoods[parsed.choice],
        measured_by="likelihood",
        accepted=True,
    )


def vote(draft: Draft, question: Question, parity: Parity | None = None) -> Draft:
    """Take the option that most samples choose (self-consistency)."""
    if not question.options:
        return understand(draft, question)
    choices = [parse_choice(reply, question.options, parity).choice for reply in draft.replies]
    winner = majority(choices)
    if winner.choice is None:
        return replace(draft, reason="no sample chose one of the options")
    return replace(
        draft,
        choice=winner.choice,
        confidence=winner.share,
        measured_by="agreement",
        accepted=True,
    )


def likeliest(draft: Draft) -> Draft:
    """Take the option that the model finds likeliest."""
    choice = max(range(len(draft.likelihoods)), key=draft.likelihoods.__getitem__)
    return replace(
        draft,
        choice=choice,
        confidence=draft.likelihoods[choice],
        measured_by="likelihood",
        reason=f"{draft.reason}; the option that it finds likeliest is taken",
        accepted=True,
    )
