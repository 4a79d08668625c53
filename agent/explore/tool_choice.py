"""Which tools of the profile run, and when: with the first search, or when the model calls them."""

from collections.abc import Iterable

from agent.explore.state import Exploring, sees
from agent.ingest.graph import branch_tools, ingest_tools, question_tools, together_with
from agent.ingest.uses import made_tools
from agent.settings import Settings
from agent.state import Context
from tools.registry import make_tool

PREFIX = "run_"  # of the name under which the model calls a tool of the profile


def detectors(settings: Settings) -> list[str]:
    """Return the phrase-driven tools of a profile, whether it ingests with them or not."""
    names = dict.fromkeys([*settings.ingest, *settings.tools])
    return [n for n in names if "phrases" in make_tool(n, settings.tools.get(n, {})).needs]


def chosen_tools(settings: Settings) -> list[str]:
    """Return the tools that the model chooses by their descriptions.

    These are the expensive ones, those that need the question, and all that use their evidence.
    """
    tools, looking = made_tools(settings), detectors(settings)
    expensive = together_with(settings, lambda tool: tool.expensive)
    names = dict.fromkeys([*expensive, *question_tools(settings)])
    return [name for name in tools if name in names and name not in looking]


def without_chosen(settings: Settings) -> Settings:
    """Return the settings with only those tools in `ingest` that run unasked."""
    chosen = chosen_tools(settings)
    if not chosen:
        return settings
    kept = tuple(name for name in settings.ingest if name not in chosen)
    return settings.model_copy(update={"ingest": kept})


def unasked_tools(settings: Settings) -> list[str]:
    """Return the tools that run once something is searched for, those for sound first."""
    plain = without_chosen(settings)
    return [*ingest_tools(plain, visual=False), *ingest_tools(plain, visual=True)]


def needed_runs(called: Iterable[str], state: Exploring, context: Context) -> list[str]:
    """Return the nodes that must run before the called tools can: none if done."""
    wanted, settings, channels = set(called), context.settings, state.get("channels", {})
    sound = branch_tools(without_chosen(settings), "listen")
    searched = wanted & {"search_evidence", "count"}
    blind_look = "look" in wanted and not sees(state["video"], context)
    runs = detectors(settings) if "detect" in wanted else []
    runs += [one for one in chosen_tools(settings) if PREFIX + one in wanted]
    missing = any(name not in channels for name in unasked_tools(settings))
    if (searched or blind_look) and missing:
        return ["ingest", *runs]
    if "listen" in wanted and any(name not in channels for name in sound):
        return ["hear", *runs]
    return runs
