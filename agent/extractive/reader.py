"""The reader for models that are too small to read: it narrows, checks, and quotes."""

from dataclasses import replace
from functools import partial
from time import perf_counter

from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime
from langgraph.types import Command

import prompts
from agent.answer import Usage
from agent.answering.conversation import option_likelihoods, send, timed
from agent.answering.evidence_lines import SEPARATOR, as_line
from agent.answering.option_match import Match, match_option
from agent.answering.reader import GENERATIVE, Reread, likeliest
from agent.extractive import narrow
from agent.extractive.copying import SpanGrammar
from agent.extractive.follow_ups import resolve
from agent.extractive.judge import judge, named_option
from agent.extractive.rank import answering_row
from agent.models.chat_model import ChatModel
from agent.records import CandidateAnswer, Turn, Understood
from agent.settings import Section
from agent.state import Context, State


class Extractive:
    """Takes only words of the given lines as an answer, and a line itself as the last resort."""

    options: type[Section] = narrow.Options
    lettered = False
    prompts: tuple[str, ...] = ("extractive_answer", "extractive_answer_again")

    def read(self, state: State, runtime: Runtime[Context]) -> Command[str] | None:
        """Ask about few excerpts, or answer from the time line."""
        return narrow.read(state, runtime)

    def judge(self, state: State, context: Context) -> CandidateAnswer:
        """Take the text if the excerpts hold its words."""
        if not state.get("excerpts"):  # pictures were asked about
            return GENERATIVE.judge(state, context)
        embedder = context.pool.embedder()
        return judge(state["candidate"].text, state["question"], state["excerpts"], embedder)

    def ask_again(self, state: State, chat: ChatModel) -> Reread:
        """Ask for a span of the best excerpt alone."""
        if not state.get("excerpts"):
            return GENERATIVE.ask_again(state, chat)
        name, question, best = "extractive_answer_again", state["question"], state["excerpts"][0]
        prompt = prompts.render(name, line=as_line(best), question=question.text)
        if chat.capabilities.constrained_decoding:
            grammar = partial(SpanGrammar, best.text.split(SEPARATOR))
            text, usage = timed(lambda: chat.constrained([HumanMessage(prompt)], grammar))
        else:
            text, usage = send([Turn("user", prompt)], chat)
        return replace(state["candidate"], text=text), usage, (name,)

    def fall_back(self, state: State, context: Context) -> tuple[CandidateAnswer, Usage]:
        """Quote the best excerpt, or take the option that is nearest to it or likeliest."""
        if state["candidate"].likelihoods:
            return likeliest(state["candidate"]), Usage()
        if not state.get("excerpts"):
            return GENERATIVE.fall_back(state, context)
        found, options = _quote(state, context), state["question"].options
        if not options or found.accepted:
            return found, Usage()
        chat, start = context.pool.chat(), perf_counter()
        likely, usage = option_likelihoods(state["ask"].turns, options, chat)
        usage = replace(usage, seconds=perf_counter() - start)
        return likeliest(replace(found, likelihoods=likely)) if likely else found, usage

    def follow_up(
        self, question: str, before: str, answer: str, context: Context
    ) -> Understood | None:
        """Say it in the words of the question before, by rules."""
        return resolve(question, before, answer, context.pool.embedder())


EXTRACTIVE = Extractive()


def _quote(state: State, context: Context) -> CandidateAnswer:
    """Quote the best line, or take the option that the best fitting line means."""
    candidate, question, lines = state["candidate"], state["question"], state["excerpts"]
    why = f"{candidate.reason}; "
    if not question.options:
        return CandidateAnswer(
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
            return CandidateAnswer(
                text=line.text,
                choice=match.choice,
                confidence=match.confidence * line.score / 2,
                measured_by="relevance",
                reason=why + "the option that fits the best matching line is taken",
                accepted=True,
            )
    return replace(candidate, reason=why + "no line fits one of them either", accepted=False)
