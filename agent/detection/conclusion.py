"""The last node: complete the verdict with percentiles, flags, versions and costs."""

from datetime import UTC, datetime

from langgraph.runtime import Runtime

from agent.detection.canary import CANARY
from agent.detection.detection import Detection, Percentile, conviction
from agent.detection.kit import age_note
from agent.detection.nodes import readings, video_of
from agent.detection.records import ToolReading, Verdict
from agent.detection.schema import is_positive
from agent.detection.state import DetectionContext, DetectionState, Job
from agent.detection.task import Task

MOTION_UNUSED = "motion evidence not used"


def report(state: DetectionState, runtime: Runtime[DetectionContext]) -> DetectionState:
    """Return the detection as a whole."""
    context, job, verdict = runtime.context, runtime.context.job, state["verdict"]
    video, found = video_of(state, context), readings(state, context)
    detection = Detection(
        task=job.task.name,
        question=job.task.question,
        label=verdict.label,
        outcome=job.task.outcomes[verdict.label],
        positive=is_positive(verdict.label, job.task),
        by=verdict.by,
        reason=verdict.reason,
        code=verdict.code,
        conviction=conviction(verdict.confidence) if verdict.by == "model" else "",
        probability=_probability(verdict, job),
        claims=tuple(verdict.claims),
        removed=tuple(verdict.removed),
        analyses=dict(verdict.analyses),
        limitations=verdict.limitations,
        readings=found,
        percentiles=_percentiles(found, job),
        shown=state["shown"],
        flags=_flags(state, job),
        notes=_notes(state, job),
        caveats=job.task.caveats,
        prompt={"version": job.version, "sha256": job.document.sha256},
        kit=_kit(job),
        metrics=job.calibration.metrics if job.calibration else {},
        model=context.settings.chat.model,
        profile=context.settings.profile,
        video={
            "sha256": video.sha256,
            "duration_s": round(video.duration_s, 3),
            "width": video.width,
            "height": video.height,
        },
        usage=dict(state.get("usage", {})),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        verdict=verdict,
    )
    return {"detection": detection}


def _kit(job: Job) -> dict[str, object]:
    found = job.calibration
    return {
        "tools": list(job.kit),
        "from": job.kit_from,
        "calibration": found.id if found else "",
        "established": bool(found and found.established),
    }


def _probability(verdict: Verdict, job: Job) -> float | None:
    """Return the calibrated probability of a verdict that the model gave; None without one."""
    found = job.calibration.probability if job.calibration else None
    if found is None or verdict.by != "model" or job.kit_from != "calibrated":
        return None
    return found.of(verdict.label, verdict.confidence, job.task.positive)


def _percentiles(found: tuple[ToolReading, ...], job: Job) -> tuple[Percentile, ...]:
    if job.calibration is None:
        return ()
    placed = []
    for reading in (r for r in found if r.status == "ok" and r.tool != CANARY):
        for name, value in reading.numbers.items():
            if place := job.calibration.percentile(reading.tool, name, value):
                placed.append(Percentile(reading.tool, name, value, *place))
    return tuple(placed)


def _flags(state: DetectionState, job: Job) -> tuple[str, ...]:
    """Return what is noticeable of the verdict itself."""
    if not job.check_motion or "control" not in state:
        return ()
    shuffled = state["control"]
    if shuffled is None:
        return ("the control with shuffled frames gave no usable reply",)
    same = motion_part(state["verdict"], job.task) == motion_part(shuffled, job.task)
    return (MOTION_UNUSED,) if same else ()


def motion_part(verdict: Verdict, task: Task) -> tuple[object, ...]:
    """Return what a verdict says of motion: its label, motion analyses and motion claims."""
    tools = set(task.motion)
    texts = {
        name: " ".join(text.split()).lower()
        for name, text in verdict.analyses.items()
        if name in tools or name.removesuffix("_analysis") in tools
    }
    claims = sorted(
        (c.tool, c.claim.lower(), c.direction) for c in verdict.claims if c.tool in tools
    )
    return verdict.raw_label or verdict.label, sorted(texts.items()), claims


def _notes(state: DetectionState, job: Job) -> tuple[str, ...]:
    notes = list(job.notes)
    if job.calibration and (old := age_note(job.calibration)):
        notes.append(old)
    if codes := dict(state.get("codes", {})):
        notes.append(f"asked {state['calls']} times: {', '.join(codes.values())}")
    if removed := state["verdict"].removed:
        notes.append(f"{len(removed)} statements of the model were removed as ungrounded")
    return tuple(notes)
