"""Calibrate a model on the user's own labelled clips: kit, percentiles, probability, metrics.

Resumable: each judged clip is on disk at once, each tool run in the library.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agent.detection.canary import CANARY, canary_features
from agent.detection.clips import LabelledClip, prepare, set_hash
from agent.detection.detector import Detector
from agent.detection.jobs import audit_log, calibration_file, folder_of
from agent.detection.kit import Calibration, save_calibration, tool_versions
from agent.detection.outcomes import Outcome, Outcomes
from agent.detection.probability import Probability, fit_probability, signed
from agent.detection.select import Kit, Selection, select_tools
from agent.detection.state import Job
from agent.detection.statistics import canary_accuracy, metric_block, precision_at
from agent.detection.usefulness import ask_usefulness
from agent.graph import find_video
from agent.models.identity import reply_identity
from tools.errors import MissingError
from tools.registry import tool_classes

SHARES = {"select": 0.5, "held_out": 0.5}
Progress = Callable[[str, int, int], None]
"""Called with a stage, the clips done and the clips in all."""


@dataclass
class Calibrator:
    """One calibration run."""

    detector: Detector
    clips: Sequence[LabelledClip]
    progress: Progress = lambda stage, done, total: None
    rated: Mapping[str, float] | None = field(default=None, init=False)

    def run(self) -> Calibration:
        """Calibrate, store the artefact and return it.

        Raises:
            InputError: One class only, duplicates across splits, or a file that is no video.
        """
        context, task = self.detector.context, self.detector.task
        self.clips = prepare(self.clips, SHARES, context.library)
        log = audit_log(context, task)
        _, document = log.active()
        self.outcomes = Outcomes(folder_of(context, task) / "outcomes.jsonl", self.detector)
        candidates = tuple(tool for tool in task.tools if tool in tool_classes())
        negatives = self._measure(candidates)
        selection = self._select(candidates)
        made = Calibration(
            task=task.sha256,
            model=reply_identity(context.settings.chat),
            prompt=document.sha256,
            tools=tool_versions((*candidates, *selection.kit)),
            data=set_hash(self.clips),
            counts={
                task.positive: sum(c.positive for c in self.clips),
                task.negative: sum(not c.positive for c in self.clips),
            },
            kit=selection.kit,
            established=selection.established,
            why=selection.why,
            scores=selection.scores,
            negatives=negatives,
            warning=_warning(self.clips, log.clips()),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            **self._evaluate(candidates, selection),
        )
        save_calibration(made, calibration_file(context, task))
        return made

    def _job(self, kit: Kit) -> Job:
        version, document = audit_log(self.detector.context, self.detector.task).active()
        return Job(self.detector.task, document, version, kit, "chosen")

    def _measure(self, tools: Kit) -> dict[str, dict[str, list[float]]]:
        """Return the sorted values of each measurement on all negative clips."""
        found: dict[str, dict[str, list[float]]] = {}
        negatives = [clip for clip in self.clips if not clip.positive]
        for done, clip in enumerate(negatives):
            self.progress("measure", done, len(negatives))
            for reading in self.detector.measure(clip.path, tools):
                for name, value in reading.numbers.items():
                    found.setdefault(reading.tool, {}).setdefault(name, []).append(value)
        return {
            tool: {name: sorted(values) for name, values in by_name.items()}
            for tool, by_name in found.items()
        }

    def _sees(self) -> bool:
        if self.detector.task.decided_by == "rules":
            return False
        try:
            return self.detector.context.pool.capabilities().images
        except MissingError:
            return False

    def _select(self, tools: Kit) -> Selection:
        if not self._sees():
            task = self.detector.task
            why = "no tool was selected, for no model that sees judges this task; percentiles only"
            return Selection(task.default_kit, False, why, ())
        return self._selected_on([c for c in self.clips if c.split == "select"], tools)

    def _selected_on(self, clips: Sequence[LabelledClip], tools: Kit) -> Selection:
        task = self.detector.task
        return select_tools(
            tools,
            [clip.positive for clip in clips],
            lambda kit: self._right(clips, kit),
            self._usefulness(tools),
            CANARY,
            task.default_kit,
            task.max_views,
        )

    def _usefulness(self, tools: Kit) -> Mapping[str, float]:
        if self.rated is None:
            chat = self.detector.context.pool.chat()
            self.rated = ask_usefulness(self.detector.task, tools, chat)
        return self.rated

    def _judge(self, clips: Sequence[LabelledClip], kit: Kit, stage: str) -> list[Outcome]:
        job, found = self._job(kit), []
        for done, clip in enumerate(clips):
            self.progress(stage, done, len(clips))
            found.append(self.outcomes.of(clip.path, clip.sha256, job))
        return found

    def _right(self, clips: Sequence[LabelledClip], kit: Kit) -> list[bool]:
        task = self.detector.task
        wanted = {True: task.positive, False: task.negative}
        stage = f"judge with {' + '.join(kit) or 'no tool'}"
        outcomes = self._judge(clips, kit, stage)
        return [o.label == wanted[c.positive] for o, c in zip(outcomes, clips, strict=True)]

    def _evaluate(self, tools: Kit, selection: Selection) -> dict[str, Any]:
        """Judge the held-out split once, with the kit; each generator also without its clips."""
        clips = [clip for clip in self.clips if clip.split == "held_out"]
        if not clips or not (self._sees() or self.detector.task.decided_by == "rules"):
            return {"metrics": {}, "probability": None}
        outcomes = self._judge(clips, selection.kit, "held-out clips")
        unseen = self._without_generator(tools) if selection.established else {}
        return {
            "metrics": {
                **self._metrics(clips, outcomes),
                "recall_of_unseen_generator": unseen,
            },
            "probability": self._probability(clips, outcomes),
        }

    def _without_generator(self, tools: Kit) -> dict[str, float]:
        """Return the recall of each generator with the kit selected without any clip of it."""
        chosen = [clip for clip in self.clips if clip.split == "select"]
        found: dict[str, float] = {}
        for generator in sorted({c.generator for c in chosen if c.positive and c.generator}):
            held = [c for c in self.clips if (c.split, c.generator) == ("held_out", generator)]
            others = [clip for clip in chosen if clip.generator != generator]
            if held:
                kit = self._selected_on(others, tools).kit
                outcomes = self._judge(held, kit, f"{generator}, unseen")
                found |= _by_generator(held, outcomes, self.detector.task.positive)
        return found

    def _probability(
        self, clips: Sequence[LabelledClip], outcomes: Sequence[Outcome]
    ) -> Probability | None:
        positive = self.detector.task.positive
        scores = [signed(o.label, o.confidence, positive) for o in outcomes]
        return fit_probability(scores, [clip.positive for clip in clips])

    def _metrics(
        self, clips: Sequence[LabelledClip], outcomes: Sequence[Outcome]
    ) -> Mapping[str, Any]:
        """Return the metric block beside what guessing and the canary reach."""
        task, truths = self.detector.task, [clip.positive for clip in clips]
        block = metric_block(truths, [o.label for o in outcomes], task.positive)
        always = metric_block(truths, [task.positive] * len(truths), task.positive)
        videos = [find_video(c.path, self.detector.context.library) for c in self.clips]
        canary = canary_accuracy(
            [canary_features(video) for video in videos], [c.positive for c in self.clips]
        )
        return block | {
            "always_positive_f1": always["f1_positive"],
            "always_positive_specificity": always["specificity"],
            "canary_balanced_accuracy": None if canary is None else round(canary, 4),
            "precision_at_1_in_100": round(
                precision_at(block["sensitivity"], block["specificity"], 0.01), 4
            ),
            "recall_by_generator": _by_generator(clips, outcomes, task.positive),
            "calls": sum(outcome.calls for outcome in outcomes),
            "tokens": sum(outcome.tokens for outcome in outcomes),
        }


def _warning(clips: Sequence[LabelledClip], seen: frozenset[str]) -> str:
    """Say how many clips also shaped the prompt, so that the figures may be too good."""
    shared = sum(clip.sha256 in seen for clip in clips)
    if not shared:
        return ""
    return (
        f"{shared} of {len(clips)} clips were also used to rewrite the prompt, so its figures may "
        f"be too good; calibrate on others"
    )


def _by_generator(
    clips: Sequence[LabelledClip], outcomes: Sequence[Outcome], positive: str
) -> dict[str, float]:
    """Return the recall of each generator of the held-out split."""
    hits: dict[str, list[bool]] = {}
    for clip, outcome in zip(clips, outcomes, strict=True):
        if clip.positive and clip.generator:
            hits.setdefault(clip.generator, []).append(outcome.label == positive)
    return {name: round(sum(found) / len(found), 4) for name, found in sorted(hits.items())}
