"""Write the request to the model: frames and views as pictures, cards as quoted data.

No path, file name or container tag enters it; what a provenance tool found is there only if that
tool is in the kit.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import prompts
from agent.detection.prompt_document import PromptDocument
from agent.detection.records import ShownFrames, ToolReading
from agent.detection.schema import describe
from agent.detection.task import Task
from agent.records import Turn


def compose_turns(
    task: Task,
    document: PromptDocument,
    readings: Sequence[ToolReading],
    shown: ShownFrames,
    duration_s: float,
) -> tuple[Turn, Turn]:
    """Return the system turn, which is locked, and the user's turn with all pictures."""
    views = [r for r in readings if r.view is not None and r.status == "ok"][: task.max_views]
    text = prompts.render(
        "detect_judge",
        question=task.question,
        duration=f"{duration_s:.2f}",
        pictures=[*_frame_lines(shown), *_view_lines(views)],
        cards=[card_line(reading) for reading in readings],
        instructions=document.instructions,
        shape=describe(task, document, [reading.tool for reading in readings]),
    )
    system = prompts.render(
        "detect_system", definition=task.definition, labels=", ".join(task.labels)
    )
    files = (*shown.files, *(r.view.file for r in views if r.view))
    return Turn("system", system), Turn("user", text, files)


def milder(turn: Turn, frames: int, pictures: int) -> Turn:
    """Return a request in neutral forensic words with fewer pictures: every second frame.

    Args:
        turn: The user's turn.
        frames: How many of its pictures are frames; they come first.
        pictures: Maximum number of pictures that are kept.
    """
    kept: tuple[Path, ...] = turn.images[:frames:2][:pictures]
    lines = turn.text.split("\n")
    # The list of pictures must stay true: only those sent are named.
    named = [line for line in lines if line.partition(". ")[0].isdigit()]
    wanted = named[:frames:2][:pictures]
    again = [f"{i}. {line.partition('. ')[2]}" for i, line in enumerate(wanted, 1)]
    at = lines.index(named[0]) if named else 0
    rest = [line for line in lines if line not in named]
    text = "\n".join([*rest[:at], *again, *rest[at:]])
    return Turn("user", prompts.render("detect_again", request=text), kept)


def card_line(reading: ToolReading) -> str:
    """Return a tool's card as one line of quoted data."""
    status = "" if reading.status == "ok" else f" ({reading.status.replace('_', ' ')})"
    return f"{reading.tool}{status}: {json.dumps(reading.card, ensure_ascii=False)}"


def _frame_lines(shown: ShownFrames) -> list[str]:
    return [f"frame {frame.index} at {frame.time_s:.2f} s" for frame in shown.frames]


def _view_lines(views: Sequence[ToolReading]) -> list[str]:
    return [
        f"view of {r.tool}, frames {', '.join(map(str, r.view.frames))}; "
        f"{json.dumps(r.view.legend, ensure_ascii=False)}"
        for r in views
        if r.view
    ]
