"""The reader for models that are too small to read: it quotes where they fail."""

from dataclasses import replace
from time import perf_counter

import prompts
from agent.answer import Usage
from agent.answering.conversation import copy, option_likelihoods, send
from agent.answering.evidence_lines import SEPARATOR, as_line
from agent.answering.option_match import Match, match_option
from agent.answering.reader import Reread, likeliest
from agent.extractive.judge import judge, named_option
from agent.extractive.rank import answering_row
from agent.models.chat_model import ChatModel
from agent.records import Draft, Turn
from agent.state import Context, State


class Extractive:
    """Takes only words of the given lines as an answer, and a line itself as the last resort."""

    lettered = False

    def judge(self, state: State, context: Context) -> Draft:
        """Take the text if the lines hold its words."""
        embedder = context.pool.embedder()
        return judge(state["draft"].text, state["question"], state["lines"], embedder)

    def ask_again(self, state: State, chat: ChatModel) -> Reread:
        """Ask for a span of the best line alone."""
        question, best = state["question"], state["lines"][0]
        prompt = prompts.render("answer_again", line=as_line(best), question=question.text)
        if chat.capabilities.span_copying:
            text, usage = copy(prompt, best.text.split(SEPARATOR), chat)
        else:
            text, usage = send([Turn("user", prompt)], chat)
        return replace(state["draft"], text=text), usage, ("answer_again",)

    def fall_back(self, state: State, context: Context) -> tuple[Draft, Usage]:
        """Quote the best line, or take the option that is nearest to it or likeliest."""
        if state["draft"].likelihoods:
            return likeliest(state["draft"]), Usage()
        found, options = _quote(state, context), state["question"].options
        if not options or found.accepted:
            return found, Usage()
        chat, start = context.pool.chat(), perf_counter()
        likely, usage = option_likelihoods(state["ask"].turns, options, chat)
        usage = replace(usage, seconds=perf_counter() - start)
        return likeliest(replace(found, likelihoods=likely)) if likely else found, usage


EXTRACTIVE = Extractive()


def _quote(state: State, context: Context) -> Draft:
    """Quote the best line, or take the option that the best fitting line means."""
    draft, question, lines = state["draft"], state["question"], state["lines"]
    why = f"{draft.reason}; "
    if not question.options:
        return Draft(
            text=answering_row(question, lines[0].text),
            confidence=lines[0].score / 2,
            measured_by="relevance",
            reason=why + "the best matching line is quoted instead",
            accepted=True,
        )
    embedder = context.pool.embedder()
    for line in lines:
        match = match_option(line.text, question.options, embedder)
        if (named := named_option(line, question)) is not None:
            match = Match(named, 1.0, "mention")
        if match.choice is not None and match.how != "letter":
            return Draft(
                text=line.text,
                choice=match.choice,
                confidence=match.confidence * line.score / 2,
                measured_by="relevance",
                reason=why + "the option that fits the best matching line is taken",
                accepted=True,
            )
    return replace(draft, reason=why + "no line fits one of them either", accepted=False)
