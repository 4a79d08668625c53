"""Which tools a tool's evidence comes from, and that evidence."""

from collections.abc import Mapping, Sequence

from agent.library.keys import digest
from agent.library.store import Library
from agent.settings import Settings
from tools.base import Tool
from tools.errors import MissingError
from tools.evidence import Evidence
from tools.media.video import Video
from tools.registry import make_tool


def made_tools(settings: Settings) -> dict[str, Tool]:
    """Return the tools of a profile, with its options; a broken one is an error when it runs."""
    return {name: make_tool(name, settings.tools.get(name, {})) for name in settings.ingest}


def producers(tool: Tool, settings: Settings) -> list[str]:
    """Return the profile's tools whose evidence a tool uses: by their name or kind."""
    if not tool.uses:
        return []
    others = made_tools(settings)
    return [
        name
        for name, other in others.items()
        if name != tool.name and tool.uses & {name, other.kind}
    ]


def used_keys(runs: Mapping[str, int], video: Video, library: Library) -> dict[str, str]:
    """Return the keys of the runs whose evidence is used, by tool."""
    by_id = {run.id: digest(run.settings) for run in library.runs(video.sha256)}
    return {name: by_id[run] for name, run in runs.items()}


def used_evidence(
    tool: Tool, runs: Mapping[str, int], settings: Settings, library: Library
) -> dict[str, Sequence[Evidence]]:
    """Return the evidence that a tool uses, by the names that it gives, in time order."""
    kinds = {name: one.kind for name, one in made_tools(settings).items()}
    found = {
        used: [run for name, run in runs.items() if used in (name, kinds[name])]
        for used in tool.uses
    }
    return {used: library.view(of).records if of else () for used, of in found.items()}


def require_used(tool: Tool, runs: Mapping[str, int], settings: Settings) -> None:
    """Check that a tool's evidence can be had.

    Raises:
        MissingError: A tool that it uses is not in the profile, or none of them has run.
    """
    of = producers(tool, settings)
    kinds = {name: one.kind for name, one in made_tools(settings).items()}
    for used in sorted(tool.uses):
        known = [name for name in of if used in (name, kinds[name])]
        if not known:
            raise MissingError(
                f"{tool.name} uses what {used} finds, which is not in this profile; name it in "
                f"ingest, or with --plugin {used}"
            )
        if not any(name in runs for name in known):
            raise MissingError(
                f"{tool.name} uses what {' or '.join(known)} finds, which could not be had here; "
                f"see its report"
            )
