"""Decide from measurements alone: trusted provenance, or a task that needs no model."""

from collections.abc import Sequence

from agent.detection.records import Claim, DecidedBy, ToolReading, Verdict
from agent.detection.task import INCONCLUSIVE, Bounds, Rule, Task

PROVENANCE = "c2pa"


def decide_by_rules(
    task: Task, readings: Sequence[ToolReading], duration_s: float
) -> Verdict | None:
    """Return the verdict that the task's rules give; None where a model must judge.

    A task that is decided by rules is negative only if every tool of its rules ran.
    """
    by_tool = {reading.tool: reading for reading in readings}
    held = [rule for rule in task.rules if _holds(rule, by_tool.get(rule.tool))]
    if held:
        claims = [c for rule in held for c in _claims(rule, by_tool[rule.tool], duration_s)]
        by: DecidedBy = "provenance" if held[0].tool == PROVENANCE else "rules"
        reason = "; ".join(rule.says for rule in held)
        return Verdict(held[0].verdict, by, reason, claims=tuple(claims))
    if task.decided_by == "model":
        return None
    missing = [r.tool for r in task.rules if not _ran(by_tool.get(r.tool))]
    if missing:
        why = f"{' and '.join(dict.fromkeys(missing))} did not run, so nothing can be ruled out"
        return Verdict(INCONCLUSIVE, "rules", why, code="not_run")
    return Verdict(task.negative, "rules", "no rule of the task holds")


def _holds(rule: Rule, reading: ToolReading | None) -> bool:
    if reading is None or not _ran(reading):
        return False
    return all(_meets(reading.values.get(name), wanted) for name, wanted in rule.where.items())


def _ran(reading: ToolReading | None) -> bool:
    return reading is not None and reading.status == "ok"


def _meets(value: object, wanted: bool | str | Bounds) -> bool:
    if isinstance(wanted, Bounds):
        return wanted.hold(value)
    return type(value) is type(wanted) and value == wanted


def _claims(rule: Rule, reading: ToolReading, duration_s: float) -> list[Claim]:
    """Return one claim of each finding that the rule rests on, at most twenty."""
    spans: Sequence[tuple[float, float]] = reading.spans or ((0.0, duration_s),)
    if rule.where.get("count") and len(spans) > 1:
        spans = [(start_s, start_s) for start_s, _ in spans[1:]]  # where the next shot begins
    said = f"{rule.says} ({reading.card.splitlines()[0]})" if len(spans) == 1 else rule.says
    return [
        Claim(rule.tool, said, rule.verdict, rule.strength, start_s=start_s, end_s=end_s)
        for start_s, end_s in spans[:20]
    ]
