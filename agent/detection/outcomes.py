"""Outcomes of judged clips, kept in a JSONL file so that a stopped calibration goes on."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.detection.detector import Detector
from agent.detection.jobs import work_key
from agent.detection.records import Verdict
from agent.detection.state import Job
from tools.errors import StorageError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What counts of one judged clip.

    Attributes:
        label: The verdict.
        confidence: The model's self-report.
        code: Why there is none.
        claims: Claims and sentences that passed the grounding check.
        removed: Those that did not.
        raw_label: What the model said before the checks.
        calls: Calls of the model.
        tokens: Tokens read and written.
    """

    label: str
    confidence: float = 0.0
    code: str = ""
    claims: int = 0
    removed: int = 0
    raw_label: str = ""
    calls: int = 0
    tokens: int = 0


class Outcomes:
    """Judges clips, each once for a job and model; the file holds what is known.

    Attributes:
        judged: Clips that were judged now, rather than known.
        tokens: Tokens of their calls.
    """

    def __init__(self, file: Path, detector: Detector) -> None:
        """Use a file; a line that was cut off by a kill is judged again."""
        self._file, self._detector = file, detector
        self._known: dict[str, Outcome] = {}
        self.judged = 0
        self.tokens = 0
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            values: dict[str, Any] = json.loads(line)
            key = values.pop("key")
            self._known[key] = Outcome(**values)
        except (json.JSONDecodeError, KeyError, TypeError):
            return

    def of(self, path: Path, sha256: str, job: Job) -> Outcome:
        """Return the outcome of a clip, judging it if it is not known."""
        key = work_key(sha256, job, self._detector.context.settings)
        if key not in self._known:
            outcome = self._judge(path, job)
            self._append(key, outcome)
            self._known[key] = outcome
            self.judged += 1
            self.tokens += outcome.tokens
        return self._known[key]

    def _judge(self, path: Path, job: Job) -> Outcome:
        found = self._detector.detect(path, job, resumable=False)
        verdict: Verdict = found.verdict
        return Outcome(
            label=verdict.label,
            confidence=verdict.confidence,
            code=verdict.code,
            claims=len(verdict.claims),
            removed=len(verdict.removed),
            raw_label=verdict.raw_label,
            calls=int(found.total("model_calls")),
            tokens=int(found.total("input_tokens") + found.total("output_tokens")),
        )

    def _append(self, key: str, outcome: Outcome) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, **asdict(outcome)}) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{self._file} cannot be written ({error.strerror})") from error
