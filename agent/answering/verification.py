"""How a reply is verified: which option it chooses, and whether the given lines support it."""

from collections.abc import Callable
from dataclasses import replace

import prompts
from agent.answer import Usage
from agent.answering.choice import parse_choice
from agent.answering.conversation import send
from agent.answering.support import Text, held_by, is_refusal, support
from agent.answering.voting import majority
from agent.frames.files import PICTURE
from agent.models.chat_model import ChatModel
from agent.records import CandidateAnswer, Parity, Question, Turn
from agent.state import State
from agent.text import plain

MAJORITY = 0.5  # likelihood from which an option is likelier than all others together

# Why no option is chosen where no reply could be parsed, as opposed to a refusal.
NO_OPTION = "the model chose none of the options"
NO_OPTION_SAMPLED = "no sample chose one of the options"


def judge(state: State) -> CandidateAnswer:
    """Accept the option or text of the reply, or of most samples, if it is grounded."""
    read: Callable[[CandidateAnswer, Question, Parity | None], CandidateAnswer]
    read = vote if state["candidate"].replies else understand
    candidate = read(state["candidate"], state["question"], state["ask"].parity)
    return candidate if state["ask"].parity or not candidate.accepted else ground(candidate, state)


def ask_again(state: State, chat: ChatModel) -> tuple[CandidateAnswer, Usage, str]:
    """Ask for the bare answer, or for one that the given lines support; also name the prompt."""
    turns, name = state["ask"].turns, again_name(state["candidate"], state["question"])
    said = (Turn("assistant", state["candidate"].text), Turn("user", prompts.render(name)))
    text, usage = send((*turns, *said), chat)
    return CandidateAnswer(text, likelihoods=state["candidate"].likelihoods), usage, name


def fall_back(state: State) -> CandidateAnswer:
    """Accept the option that is likelier than all others together, if it is grounded."""
    candidate = replace(state["candidate"], accepted=False)
    if candidate.refused or not candidate.grounded or not candidate.likelihoods:
        return candidate
    found = likeliest(candidate)
    return ground(found, state) if found.accepted else found


def again_name(candidate: CandidateAnswer, question: Question) -> str:
    """Return the name of the prompt that asks again: for the format, or for groundedness."""
    kind = "ask_letter_again" if question.options else "ask_again"
    return kind if candidate.grounded else f"{kind}_grounded"


def understand(
    candidate: CandidateAnswer, question: Question, parity: Parity | None = None
) -> CandidateAnswer:
    """Parse one reply: the option that it chooses, or for an open question the text itself."""
    if not parity and is_refusal(candidate.text):
        return replace(candidate, refused=True, reason="the model says that this is not known")
    if not question.options:
        if not candidate.text:
            return replace(candidate, reason="the model gave no answer")
        return replace(candidate, accepted=True)
    parsed = parse_choice(candidate.text, question.options, parity)
    if parsed.choice is None:
        return replace(candidate, reason=NO_OPTION)
    if not candidate.likelihoods:
        return replace(candidate, choice=parsed.choice, accepted=True)
    return replace(
        candidate,
        choice=parsed.choice,
        confidence=candidate.likelihoods[parsed.choice],
        measured_by="likelihood",
        accepted=True,
    )


def vote(
    candidate: CandidateAnswer, question: Question, parity: Parity | None = None
) -> CandidateAnswer:
    """Choose the option of most samples (self-consistency)."""
    if not question.options:
        return _vote_on_texts(candidate, question)
    choices = [parse_choice(reply, question.options, parity).choice for reply in candidate.replies]
    winner = majority(choices)
    if winner.choice is None:
        return replace(candidate, reason=NO_OPTION_SAMPLED)
    return replace(
        candidate,
        choice=winner.choice,
        confidence=winner.share,
        measured_by="agreement",
        accepted=True,
    )


def _vote_on_texts(candidate: CandidateAnswer, question: Question) -> CandidateAnswer:
    """Choose the answer of more than half of the samples, ignoring case and punctuation.

    Open answers have no fixed set of options, over which a plurality of two in five would do.
    """
    won = majority([plain(reply) or None for reply in candidate.replies])
    if won.share <= 0.5:
        count = len(candidate.replies)
        return replace(
            candidate, reason=f"no answer was given by more than half of {count} samples"
        )
    text = next(reply for reply in candidate.replies if plain(reply) == won.choice)
    return replace(
        understand(replace(candidate, text=text), question),
        confidence=won.share,
        measured_by="agreement",
    )


def ground(candidate: CandidateAnswer, state: State) -> CandidateAnswer:
    """Accept an answer only if it is grounded in the lines given to the model.

    Of an option only numbers and names must occur there, and only those that not all options share:
    its other words are the user's, and may be inferred. An inference from pictures cannot be
    checked against lines; the reason says so.
    """
    lines, question = state.get("lines", ()), state["question"]
    told = [line for line in lines if line.kind != PICTURE]
    if not told:
        return candidate
    results = [Text(step.result) for step in state.get("steps", ())]
    options = [held_by(option) for option in question.options]
    shared = frozenset.intersection(*options) if options else frozenset()
    text = candidate.text if candidate.choice is None else question.options[candidate.choice]
    found = support(text, [*told, *results], question.text, shared)
    if found.enough or (question.options and not found.missing):
        if candidate.measured_by or question.options:
            return candidate
        return replace(candidate, confidence=found.share, measured_by="support")
    if len(told) < len(lines) or state["ask"].tokens or state["ask"].visuals:
        why = f"it rests on the pictures alone: {found.reason}"
        return replace(candidate, reason="; ".join(filter(None, (candidate.reason, why))))
    return replace(candidate, accepted=False, grounded=False, reason=found.reason)


def likeliest(candidate: CandidateAnswer) -> CandidateAnswer:
    """Choose the option that the model scores likelier than all others together, if any."""
    choice = max(range(len(candidate.likelihoods)), key=candidate.likelihoods.__getitem__)
    if candidate.likelihoods[choice] <= MAJORITY:
        why = f"{candidate.reason}; no option is likelier than the others together"
        return replace(candidate, accepted=False, reason=why)
    return replace(
        candidate,
        choice=choice,
        confidence=candidate.likelihoods[choice],
        measured_by="likelihood",
        reason=f"{candidate.reason}; the option that it finds likeliest is taken",
        accepted=True,
    )
