"""Choose how clips are judged: the active prompt, and the kit of tools that fits the model."""

from collections.abc import Sequence
from pathlib import Path

from agent.detection.audit_log import AuditLog
from agent.detection.kit import Calibration, load_calibration, tool_versions
from agent.detection.prompt_document import first_document
from agent.detection.state import Job
from agent.detection.task import Task
from agent.library.keys import digest
from agent.models.identity import reply_identity
from agent.settings import Settings
from agent.state import Context
from tools.errors import InputError
from tools.registry import broken_tools, suggest, tool_classes


def folder_of(context: Context, task: Task) -> Path:
    """Return the folder of a task's calibrations and prompt logs in the library, by model."""
    return context.library.folder / "detection" / task.name / model_key(context.settings)


def model_key(settings: Settings) -> str:
    """Return a folder name for the chat model of the settings."""
    return digest(reply_identity(settings.chat))[:16]


def audit_log(context: Context, task: Task) -> AuditLog:
    """Return the log of the prompts of a task and model."""
    first = first_document(task)  # another task file is another log
    file = folder_of(context, task) / f"prompts-{first.sha256[:12]}.jsonl"
    return AuditLog(file, first, task)


def calibration_file(context: Context, task: Task) -> Path:
    """Return where the calibration of a task and model is stored."""
    return folder_of(context, task) / "calibration.json"


def make_job(
    context: Context, task: Task, tools: Sequence[str] = (), *, check_motion: bool = False
) -> Job:
    """Return the job that the library's state prescribes; it says what it fell back to.

    Raises:
        InputError: An unknown tool, or the prompt log was changed.
    """
    version, document = audit_log(context, task).active()
    found, notes = _calibration(context, task, document.sha256)
    kit, source = tuple(tools), "chosen"
    if not kit:
        calibrated = found is not None and found.established
        kit, source = (found.kit, "calibrated") if calibrated and found else _default(task)
    known = {*tool_classes(), *broken_tools()}
    if wrong := [name for name in tools if name not in known]:
        raise InputError(f"unknown tool {wrong[0]!r}{suggest(wrong[0], tool_classes())}")
    return Job(task, document, version, kit, source, found, tuple(notes), check_motion)


def _default(task: Task) -> tuple[tuple[str, ...], str]:
    return task.default_kit, "default"


def _calibration(context: Context, task: Task, prompt: str) -> tuple[Calibration | None, list[str]]:
    """Return the calibration that fits, and what to say where there is none."""
    file = calibration_file(context, task)
    if not file.exists():
        if task.decided_by == "rules":
            return None, []
        return None, [
            "not calibrated: which tools help this model, percentiles and a probability are not "
            "known; see `reelgraph calibrate`"
        ]
    try:
        found = load_calibration(file, task, reply_identity(context.settings.chat), prompt)
    except InputError as error:
        return None, [f"the calibration is not used: {error}"]
    return found, [*([] if found.established else [found.why]), *filter(None, [found.warning])]


def work_key(sha256: str, job: Job, settings: Settings) -> str:
    """Return the key of judging one clip: clip, job, model, tools with versions and options."""
    options = {tool: settings.tools.get(tool, {}) for tool in job.kit}
    model, versions = reply_identity(settings.chat), tool_versions(job.kit)
    return digest([sha256, job.id, model, versions, options])
