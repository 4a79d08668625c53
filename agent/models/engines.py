"""Chat models that plug-ins bring: each an engine, chosen with `chat.engine`."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.models.chat_model import Capabilities, ChatModel
from agent.settings import ENGINES, ChatSettings
from tools.base import ToolRuntime
from tools.registry import MODELS, Registry


@dataclass(frozen=True, slots=True)
class ChatEngine:
    """A way to run a frozen chat model.

    Attributes:
        name: The value of `chat.engine`.
        summary: What it runs, in one line.
        version: Raise it when the same messages would get another reply.
        load: Loads the model of some settings. It may raise `MissingError`.
        capabilities: Returns what that model can do, without loading it.
    """

    name: str
    summary: str
    version: str
    load: Callable[[ChatSettings, ToolRuntime], ChatModel]
    capabilities: Callable[[ChatSettings], Capabilities]


def _why_no_engine(name: str, loaded: object) -> str:
    """Return how an object breaks the contract of an engine, "" if it keeps it."""
    if not isinstance(loaded, ChatEngine):
        return "it is no agent.models.engines.ChatEngine"
    if name in ENGINES:
        return "a built-in engine has the same name; rename it"
    return "" if loaded.name == name else f"it calls itself {loaded.name!r}"


REGISTRY: Registry[ChatEngine] = Registry(MODELS, "chat engine", _why_no_engine)
