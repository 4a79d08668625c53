"""The blind baseline: the model answers from the question alone.

    START -> ask -> reason -> ...

A method is worth no more than what it adds to this.
"""

from agent.answering.method import Method, MethodPlan, Subgraph, build_asking
from agent.answering.prompt import ask_for, prompt_names, section
from agent.records import Question
from agent.settings import Section, Settings
from agent.state import Context, State
from tools.media.video import Video


class Options(Section):
    """The baseline has no settings."""


def build(settings: Settings) -> Subgraph:
    """Build the subgraph."""
    return build_asking("blind", ask)


def ask(state: State) -> State:
    """Write the prompt without anything from the video."""
    return ask_for("ask", state["question"], section("given_nothing"))


def plan(video: Video, question: Question, context: Context) -> MethodPlan:
    """Return the plan."""
    return MethodPlan(prompt_names(question, "given_nothing"), calls=(1, 2), tokens=0)


METHOD = Method("blind", "the question alone, for comparison", Options, build, plan)
