"""Select the tools for a model: score each, drop what may be chance, then grow the joint kit.

Our own scheme; LAVID's S_Tool is unknown to us. The model's opinion never wins alone, and a gain
that size, frame rate and bit rate reproduce does not count.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.detection.kit import ToolScore
from agent.detection.statistics import Changes, changes, eligible, holm, tool_score

MIN_CLIPS, ADVISED_CLIPS = 100, 200
Kit = tuple[str, ...]
Right = Callable[[Kit], Sequence[bool]]
"""Which clips a kit judges right, in the order of the truths."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected kit, the scores, and why the kit is or is not established."""

    kit: Kit
    established: bool
    why: str
    scores: tuple[ToolScore, ...]


def select_tools(
    tools: Sequence[str],
    truths: Sequence[bool],
    right: Right,
    usefulness: Mapping[str, float],
    canary: str,
    default_kit: Kit,
    max_tools: int = 4,
) -> Selection:
    """Select a kit.

    Args:
        tools: Candidates.
        truths: Whether each clip of the selection split is positive.
        right: Judges the split with a kit; () is the model alone.
        usefulness: The model's mean rating of each tool, as a share.
        canary: Name of the canary tool.
        default_kit: Taken where nothing is established.
        max_tools: Maximum size of the kit.
    """
    before = right(())
    found = {tool: changes(truths, before, right((tool,))) for tool in tools}
    known = {tool: change for tool, change in found.items() if change is not None}
    adjusted = holm({tool: change.p for tool, change in known.items()})
    baseline = changes(truths, before, right((canary,)))
    canary_delta = baseline.delta if baseline else 0.0
    scores = [
        _score(tool, found[tool], adjusted.get(tool, 1.0), usefulness.get(tool), canary_delta)
        for tool in tools
    ]
    kit = grow(scores, truths, right, max_tools)
    if len(truths) < MIN_CLIPS:
        why = f"toolkit not established: {len(truths)} clips, at least {MIN_CLIPS} are needed"
        return Selection(default_kit, False, f"{why}; the default kit is used", tuple(scores))
    marked = tuple(s.model_copy(update={"selected": s.tool in kit}) for s in scores)
    few = len(truths) < ADVISED_CLIPS
    note = f"; {ADVISED_CLIPS} clips or more would find smaller gains" if few else ""
    if not kit:
        return Selection((), True, f"no tool helps this model: it judges alone{note}", marked)
    return Selection(kit, True, f"selected on {len(truths)} clips{note}", marked)


def _score(
    tool: str, change: Changes | None, p_holm: float, usefulness: float | None, canary: float
) -> ToolScore:
    if change is None:
        return ToolScore(tool=tool, why="no data")
    opinion = 0.5 if usefulness is None else usefulness
    why = eligible(change, p_holm, canary)
    return ToolScore(
        tool=tool,
        delta=change.delta,
        p=change.p,
        p_holm=p_holm,
        usefulness=usefulness,
        score=tool_score(change.delta, opinion),
        eligible=not why,
        why=why,
    )


def grow(scores: Sequence[ToolScore], truths: Sequence[bool], right: Right, max_tools: int) -> Kit:
    """Add eligible tools by falling score, each only if the joint kit gets better."""
    kit: Kit = ()
    ranked = sorted((s for s in scores if s.eligible), key=lambda s: (-(s.score or 0.0), s.tool))
    for score in ranked:
        if len(kit) >= max_tools:
            break
        joint = changes(truths, right(kit), right((*kit, score.tool)))
        if joint is not None and joint.delta > 0:
            kit = (*kit, score.tool)
    return kit
