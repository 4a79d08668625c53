"""What ingest would find in a video, taken from the library where all of it is known."""

from agent.ingest.graph import branch_tools
from agent.ingest.tool_node import reason_to_skip, recall
from agent.ingest.uses import made_tools
from agent.settings import Settings
from agent.state import Context, Findings, State
from tools.base import Tool
from tools.errors import ReelgraphError
from tools.evidence import ChannelReport
from tools.media.video import Video


def known_findings(video: Video, context: Context) -> Findings | None:
    """Return what ingest would return, without running its graph; None if a tool must run."""
    runs: dict[str, int] = {}
    channels: dict[str, ChannelReport] = {}
    for name, tool in _in_order(context.settings):
        state: State = {"video": video, "runs": runs}
        try:
            report, run = reason_to_skip(tool, state, context), None
            if report is None and (run := recall(name, state, context)) is None:
                return None
        except ReelgraphError:  # ingest reports it
            return None
        if run:
            runs[name], report = run.id, run.report
        if report:
            channels[name] = report
    return {"channels": channels, "runs": runs, "usage": {}}


def _in_order(settings: Settings) -> list[tuple[str, Tool]]:
    """Return the tools of ingest, each after those that it may depend on.

    Speech is recognised only where no file told what is said, and tools that use the evidence of
    others come after them.
    """
    tools = made_tools(settings)
    listen = branch_tools(settings, "listen")
    listen.sort(key=lambda name: (bool(tools[name].uses), "audio" in tools[name].needs))
    names = [*listen, *branch_tools(settings, "look"), *branch_tools(settings, "combine")]
    return [(name, tools[name]) for name in names]
