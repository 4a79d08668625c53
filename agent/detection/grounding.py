"""The grounding check: a claim must name a tool that ran and a frame that exists, and quote right.

Claims that fail are removed and counted; sentences of the analyses that quote a number which no
tool produced are removed too. Nothing left means inconclusive.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.detection.records import FRAMES, Claim, Removed, ShownFrames, ToolReading, Verdict
from agent.detection.schema import StrictReply
from agent.detection.task import INCONCLUSIVE, Task

_NUMBER = re.compile(r"(?:(?<![\w.])[-\u2212+])?(?<![\w.])\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_FRAMES = re.compile(r"\bframes?\s+\d+(?:\s*(?:-|\u2013|to|and|,|through)\s*\d+)*", re.IGNORECASE)
_TIME = re.compile(r"(?<![\w.])\d+(?:\.\d+)?\s*(?:s|sec|seconds?)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
SLACK_S = 0.05  # a time may be rounded


@dataclass(frozen=True, slots=True)
class Places:
    """The frames, by number with their time, and the length of the clip in seconds."""

    frames: Mapping[int, float]
    duration_s: float

    def has(self, frame: str) -> bool:
        """Whether there is a frame of this number."""
        return frame.isdigit() and int(frame) in self.frames

    def within(self, time: str) -> bool:
        """Whether a written time lies in the clip."""
        number = _NUMBER.search(time)
        return number is not None and 0 <= float(number[0]) <= self.duration_s + SLACK_S


def ground(
    reply: StrictReply,
    readings: Sequence[ToolReading],
    shown: ShownFrames,
    duration_s: float,
    task: Task,
) -> Verdict:
    """Return the verdict of a reply after the check."""
    values = reply.model_dump()
    claims, removed = [], []
    for item in (Claim(**item) for item in values["evidence"]):
        if why := ungrounded(item, readings, shown, duration_s):
            removed.append(Removed(item.claim, why))
        else:
            claims.append(item)
    places = Places(_frames(shown, readings), duration_s)
    measured = [number for reading in readings for number in numbers_of(reading)]
    texts = {}
    for name, text in {**reply.analyses, "limitations": values["limitations"]}.items():
        texts[name], lost = keep_grounded(text, measured, places)
        removed += lost
    verdict = Verdict(
        label=values["verdict"],
        by="model",
        confidence=values["confidence"],
        limitations=texts.pop("limitations"),
        analyses=texts,
        claims=tuple(claims),
        removed=tuple(removed),
        raw_label=values["verdict"],
    )
    return supported(verdict, task)


def supported(verdict: Verdict, task: Task) -> Verdict:
    """Return a verdict as it stands on its remaining claims."""
    if verdict.label == INCONCLUSIVE:
        return replace(verdict, reason=verdict.reason or "the model judged the material too weak")
    if not verdict.claims:
        return _undecided(verdict, "ungrounded", "no claim of the model passed the grounding check")
    if verdict.label not in {claim.direction for claim in verdict.claims}:
        return _undecided(
            verdict, "contradiction", "no remaining claim speaks for the model's own verdict"
        )
    return replace(verdict, reason="the model's verdict, on the claims below")


def ungrounded(
    claim: Claim, readings: Sequence[ToolReading], shown: ShownFrames, duration_s: float
) -> str:
    """Return why a claim is not grounded, "" if it is."""
    reading = next((r for r in readings if r.tool == claim.tool), None)
    if claim.tool != FRAMES and (reading is None or reading.status != "ok"):
        return f"{claim.tool} was not run"
    if claim.tool == FRAMES and not shown.files:
        return "no frame was shown"
    places = Places(_frames(shown, [reading] if reading else []), duration_s)
    if why := _misplaced(claim, places.frames, duration_s):
        return why
    wrong = unmatched(claim.claim, numbers_of(reading) if reading else [], places)
    return f"{claim.tool} did not measure {wrong}" if wrong else ""


def _misplaced(claim: Claim, frames: Mapping[int, float], duration_s: float) -> str:
    """Return why the frame or time span of a claim does not exist."""
    if claim.frame is not None:
        return "" if claim.frame in frames else f"there is no frame {claim.frame}"
    if claim.start_s is None and claim.end_s is None:
        return "it names neither a frame nor a time span"
    start_s = claim.start_s if claim.start_s is not None else claim.end_s
    end_s = claim.end_s if claim.end_s is not None else claim.start_s
    if start_s is None or end_s is None or not start_s <= end_s <= duration_s + SLACK_S:
        return f"{start_s} to {end_s} s does not lie in the clip"
    return ""


def numbers_of(reading: ToolReading) -> list[float]:
    """Return the numbers that a tool produced: its values, and those on its card and legend."""
    card = reading.card + (f" {reading.view.legend}" if reading.view else "")
    return [*reading.numbers.values(), *(float(_plain(n)) for n in _NUMBER.findall(card))]


def unmatched(text: str, measured: Iterable[float], places: Places) -> str:
    """Return the first number of a text that no tool measured, within its rounding.

    A frame's number after the word "frame" and a time within the clip are places, not measurements.
    """
    for match in _FRAMES.findall(text):
        if wrong := next((n for n in _NUMBER.findall(match) if not places.has(n)), ""):
            return f"frame {wrong}"
    text = _TIME.sub(lambda time: "" if places.within(time[0]) else time[0], _FRAMES.sub("", text))
    known = list(measured)
    return next((n for n in _NUMBER.findall(text) if not _matches(_plain(n), known)), "")


def _matches(written: str, known: Sequence[float]) -> bool:
    digits = len(written.partition(".")[2]) if "e" not in written.lower() else 12
    half = 0.5 * 10.0**-digits + 1e-9
    return any(abs(abs(float(written)) - abs(number)) <= half for number in known)


def keep_grounded(
    text: str, measured: Sequence[float], places: Places
) -> tuple[str, list[Removed]]:
    """Return a text without the sentences that quote an unknown number, and those."""
    kept, removed = [], []
    for sentence in filter(None, _SENTENCE.split(text)):
        if wrong := unmatched(sentence, measured, places):
            removed.append(Removed(sentence, f"no tool measured {wrong}"))
        else:
            kept.append(sentence)
    return " ".join(kept), removed


def _frames(shown: ShownFrames, readings: Sequence[ToolReading]) -> dict[int, float]:
    """Return the time of each frame that was shown or measured, by number."""
    frames = {frame.index: frame.time_s for frame in shown.frames}
    for reading in readings:
        frames |= reading.frames
    return frames


def _plain(number: str) -> str:
    return number.replace("\N{MINUS SIGN}", "-")


def _undecided(verdict: Verdict, code: str, reason: str) -> Verdict:
    return replace(verdict, label=INCONCLUSIVE, code=code, reason=reason)
