"""Which models of the manifest a profile uses."""

from collections.abc import Iterator

from agent.settings import Settings
from tools.model_files.manifest import manifest
from tools.registry import make_tool, tool_classes


def needed_models(settings: Settings) -> list[str]:
    """Return the names, each once, in the order chat, embedding, tools."""
    return [name for name in dict.fromkeys(_named(settings)) if name in manifest()]


def _named(settings: Settings) -> Iterator[str]:
    for chat in (settings.chat, settings.captioner):
        if chat and chat.engine != "endpoint":
            yield chat.model
    yield settings.embedder.model
    for name in settings.ingest:
        if name in tool_classes():
            yield from make_tool(name, settings.tools.get(name, {})).models.values()
