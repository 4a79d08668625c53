"""The method contract: a subgraph, its options, and its plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from pydantic import ValidationError

from agent.answering.nodes import ChatOf, add_answering_nodes, pool_chat
from agent.records import Plan, PlannedFrame, Question, Visual
from agent.settings import Section, Settings
from agent.state import Context, State
from tools.errors import InputError
from tools.media.video import Video
from tools.registry import METHODS, Registry, explain

Subgraph = CompiledStateGraph[State, Context, State, State]
Need = Literal["images", "visual tokens", "tool calls"]
Role = Literal["captioner", "embedder", "image encoder"]
Options = TypeVar("Options", bound=Section)


@dataclass(frozen=True, slots=True)
class MethodPlan:
    """What a method will do with one video and question.

    Attributes:
        prompts: Names of the prompts that may be used.
        calls: Minimum and maximum number of calls of the chat model.
        tokens: Maximum tokens of one prompt without the question itself.
        frames: Frames given to the model, in time order.
        visuals: Their layout: grids, thumbnails, sampled tokens; plain JSON.
        tools: Tools of the profile that may run on the video.
        roles: Frozen models that may be used besides the chat model and those of the tools.
    """

    prompts: tuple[str, ...]
    calls: tuple[int, int]
    tokens: int
    frames: tuple[PlannedFrame, ...] = ()
    visuals: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()


def _unchanged(settings: Settings) -> Settings:
    return settings


@dataclass(frozen=True, slots=True)
class Method:
    """A way to answer a question about a video.

    Attributes:
        name: Its name on the command line.
        summary: What it does, in one line.
        options: Its settings, as in `--set llovi.words=300`.
        build: Returns its subgraph: probed video and question in, answer out.
        plan: Returns its plan, without calling a model.
        needs: Capabilities that the chat model must have.
        draw: Makes the pictures of a plan as the chat model would be shown them, without calling a
            model; None where none are known before a run.
        adapt: Sets what its options were published with in the settings of the frozen models, where
            the user has set nothing.
    """

    name: str
    summary: str
    options: type[Section]
    build: Callable[[Settings], Subgraph]
    plan: Callable[[Video, Question, Context], MethodPlan]
    needs: frozenset[Need] = frozenset()
    draw: Callable[[Video, Question, Plan, Context], tuple[Visual, ...]] | None = None
    adapt: Callable[[Settings], Settings] = _unchanged


def _why_no_method(name: str, loaded: object) -> str:
    """Return how an object breaks the contract of a method, "" if it keeps it."""
    if not isinstance(loaded, Method):
        return "it is no agent.answering.method.Method"
    return "" if loaded.name == name else f"it calls itself {loaded.name!r}"


REGISTRY: Registry[Method] = Registry(METHODS, "method", _why_no_method)


def build_asking(name: str, node: Callable[..., State], chat_of: ChatOf = pool_chat) -> Subgraph:
    """Build the subgraph of a method that writes its prompt in one node.

    Args:
        name: Name of the method.
        node: Writes the prompt into the state.
        chat_of: Returns the chat model to call.
    """
    graph, retry_node = StateGraph(State, context_schema=Context), node.__name__
    graph.add_node(retry_node, node)
    graph.add_edge(START, retry_node)
    graph.add_edge(retry_node, "reason")
    add_answering_nodes(graph, retry_node, chat_of)
    return graph.compile(name=name)


def read_options(name: str, model: type[Options], settings: Settings) -> Options:
    """Return the options of a method.

    Raises:
        InputError: Names an unknown key or a wrong value.
    """
    try:
        return model.model_validate(settings.methods.get(name, {}))
    except ValidationError as error:
        raise InputError(explain(error, name, model.model_fields)) from error
