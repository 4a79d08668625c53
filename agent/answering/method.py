"""What a method is: a subgraph, its options, and what it will do before it does it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from pydantic import ValidationError

from agent.answering.nodes import ChatOf, add_answering_nodes, pool_chat
from agent.records import PlannedFrame, Question
from agent.settings import Section, Settings
from agent.state import Context, State
from tools.errors import InputError
from tools.media.video import Video
from tools.registry import explain

Subgraph = CompiledStateGraph[State, Context, State, State]
Need = Literal["images", "visual tokens", "tool calls"]
Role = Literal["captioner", "embedder", "image encoder"]
Options = TypeVar("Options", bound=Section)


@dataclass(frozen=True, slots=True)
class MethodPlan:
    """What a method will do with one video and question.

    Attributes:
        prompts: Names of the prompts that may be used.
        calls: Calls of the chat model, at least and at most.
        tokens: Tokens of one prompt beside the question itself, at most.
        frames: Pictures that go to the model, in time order.
        visuals: How they are laid out: grids, thumbnails, sampled tokens; plain JSON.
        tools: Tools of the profile that may look at the video.
        roles: Frozen models that may be used beside the chat model and those of the tools.
    """

    prompts: tuple[str, ...]
    calls: tuple[int, int]
    tokens: int
    frames: tuple[PlannedFrame, ...] = ()
    visuals: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """A way to answer a question of a video.

    Attributes:
        name: How it is called on the command line.
        summary: What it does, in one line.
        options: Its settings, as in `--set llovi.words=300`.
        build: Returns its subgraph: probed video and question in, answer out.
        plan: Says what it will do, without calling a model.
        needs: What the chat model must be able to do.
    """

    name: str
    summary: str
    options: type[Section]
    build: Callable[[Settings], Subgraph]
    plan: Callable[[Video, Question, Context], MethodPlan]
    needs: frozenset[Need] = frozenset()


def build_asking(name: str, node: Callable[..., State], chat_of: ChatOf = pool_chat) -> Subgraph:
    """Build the subgraph of a method that makes its prompt in one node.

    Args:
        name: Of the method.
        node: Leaves what it wants to ask in the state.
        chat_of: Returns the chat model that is asked.
    """
    graph, retry_node = StateGraph(State, context_schema=Context), node.__name__
    graph.add_node(retry_node, node)
    graph.add_edge(START, retry_node)
    graph.add_edge(retry_node, "reason")
    add_answering_nodes(graph, retry_node, chat_of)
    return graph.compile(name=name)


def read_options(name: str, model: type[Options], settings: Settings) -> Options:
    """Return the options of a method or a reader.

    Raises:
        InputError: Names an unknown key or a wrong value.
    """
    given = settings.methods.get(name) or settings.readers.get(name, {})
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise InputError(explain(error, name, model.model_fields)) from error
