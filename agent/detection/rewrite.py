"""Let the prompt rewrite itself: bounded patches, accepted only by a gate split, all of it logged.

Failures on split A write the patch; split B accepts it if the loss falls by at least 0.01 and, with
labels, neither balanced accuracy nor specificity falls by more than a point; split C is judged once
at the end. It runs only here, on request: no user's clip ever changes the prompt.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import prompts
from agent.answer import Usage
from agent.answering.conversation import send
from agent.detection.audit_log import AuditLog, Round
from agent.detection.clips import LabelledClip, prepare
from agent.detection.detector import Detector
from agent.detection.jobs import audit_log, folder_of
from agent.detection.loss import Judged, failures, guardrails, judge_orders, loss, rates
from agent.detection.outcomes import Outcomes
from agent.detection.patches import MAX_OPERATIONS, PatchError, apply_patch, read_patch
from agent.detection.prompt_document import PromptDocument
from agent.detection.state import Job
from agent.records import Turn
from tools.errors import InputError, MissingError

MAX_ROUNDS, MAX_REJECTIONS = 4, 2
MIN_GAIN, MAX_FALL = 0.01, 0.01
SHARES = {"A": 0.4, "B": 0.4, "C": 0.2}
MAX_TOKENS = 2_000_000
REWRITER_TOKENS = 900


@dataclass(frozen=True, slots=True)
class Rewriting:
    """How a rewriting ended.

    Attributes:
        version: The active version.
        rounds: Rounds that were logged.
        why: Which rule ended it.
        final: Loss and rates of the active prompt on split C.
    """

    version: int
    rounds: int
    why: str
    final: Mapping[str, Any]


@dataclass
class Rewriter:
    """One rewriting run; every clip belongs to one of three splits by source.

    Attributes:
        labelled: Whether the labels of the clips are known and guard the gate.
        max_tokens: Tokens of all calls, at most.
    """

    detector: Detector
    clips: Sequence[LabelledClip]
    labelled: bool = False
    max_tokens: int = MAX_TOKENS
    progress: Callable[[str], None] = lambda text: None
    spent: int = field(default=0, init=False)
    asked: int = field(default=0, init=False)

    def run(self) -> Rewriting:
        """Rewrite until a stop rule holds.

        Raises:
            InputError: Too few clips, duplicates across splits.
            MissingError: No model that sees is there.
        """
        context, task = self.detector.context, self.detector.task
        if not context.pool.capabilities().images:
            raise MissingError(
                f"{context.settings.chat.model} reads text only; take a model that sees"
            )
        self.clips = self._split()
        self.outcomes = Outcomes(folder_of(context, task) / "outcomes.jsonl", self.detector)
        self.log: AuditLog = audit_log(context, task)
        self.base = self.detector.job()
        version, document = self.log.active()
        seen, rejections, rounds, why = {document.sha256}, 0, 0, f"{MAX_ROUNDS} rounds"
        while rounds < MAX_ROUNDS:
            now = self._losses(document)
            if now["A"]["loss"] == 0 and now["B"]["loss"] == 0:
                why = "the loss is 0"
                break
            if self.spent >= self.max_tokens:
                why = "the token budget is spent"
                break
            rounds += 1
            self.progress(
                f"round {rounds}: loss {now['A']['loss']:.3f} on A, {now['B']['loss']:.3f} on B"
            )
            changed, round_ = self._propose(document, now, seen)
            version = self.log.append(round_, changed)
            if round_.reason == REPEATED:
                why = REPEATED
                break
            if changed is None:
                rejections += 1
                if rejections == MAX_REJECTIONS:
                    why = f"{MAX_REJECTIONS} rejections in a row"
                    break
                continue
            rejections, document = 0, changed
        return Rewriting(version, rounds, why, self._measured(document, "C"))

    def _split(self) -> list[LabelledClip]:
        clips = list(self.clips)
        if len(clips) < 5:
            raise InputError(
                f"{len(clips)} clips were given; rewriting needs at least 5, for three splits"
            )
        if self.labelled:
            return prepare(clips, SHARES, self.detector.context.library)
        return prepare(clips, SHARES, self.detector.context.library, one_label=True)

    def _job(self, document: PromptDocument) -> Job:
        return replace(self.base, document=document, check_motion=False, calibration=None)

    def _judged(self, document: PromptDocument, split: str) -> tuple[Judged, ...]:
        clips = [clip for clip in self.clips if clip.split == split]
        return judge_orders(clips, self._job(document), self.outcomes)

    def _measured(self, document: PromptDocument, split: str) -> dict[str, Any]:
        """Return loss and rates on a split, with labels also the guardrails; counts the tokens."""
        judged = self._judged(document, split)
        found = rates(judged)
        self.spent = self.outcomes.tokens + self.asked
        guard = guardrails(judged, self.detector.task.positive) if self.labelled else {}
        return {"loss": loss(found), "rates": found, "clips": len(judged), **guard}

    def _losses(self, document: PromptDocument) -> dict[str, dict[str, Any]]:
        return {split: self._measured(document, split) for split in ("A", "B")}

    def _propose(
        self, document: PromptDocument, now: Mapping[str, Any], seen: set[str]
    ) -> tuple[PromptDocument | None, Round]:
        """Ask for a patch, and decide; return the accepted document and what to log."""
        reply, usage = self._ask(document, now["A"])
        self.asked += usage.input_tokens + usage.output_tokens
        round_ = Round(
            "reject",
            reply=reply,
            before=now,
            cost={"calls": usage.model_calls, "tokens": usage.input_tokens + usage.output_tokens},
            model=self.detector.context.settings.chat.model,
            clips=sorted(clip.sha256 for clip in self.clips),
        )
        try:
            patch = read_patch(reply)
            round_ = replace(round_, patch=patch)
            changed = apply_patch(document, patch, self.detector.task)
        except PatchError as error:
            return None, replace(round_, reason=str(error))
        if changed.sha256 in seen:
            return None, replace(round_, reason=REPEATED)
        seen.add(changed.sha256)
        after = self._measured(changed, "B")
        why = rejected(now["B"], after)
        decided = replace(round_, after=after, reason=why or "the loss on B falls")
        return (None, decided) if why else (changed, replace(decided, decision="accept"))

    def _ask(self, document: PromptDocument, on_a: Mapping[str, Any]) -> tuple[str, Usage]:
        text = prompts.render(
            "detect_rewrite",
            document=json.dumps(document.editable(), ensure_ascii=False, indent=1),
            clips=on_a["clips"],
            rates=[f"{name}: {rate:.3f}" for name, rate in on_a["rates"].items()],
            failures=failures(self._judged(document, "A")) or ["none on these clips"],
            operations=MAX_OPERATIONS,
        )
        chat = self.detector.context.pool.chat()
        return send([Turn("user", text)], chat, max_new_tokens=REWRITER_TOKENS, temperature=0.0)


REPEATED = "the patch leads back to an earlier prompt"


def rejected(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return why a patched prompt is not accepted, "" if it is.

    Args:
        before: Loss on split B, with labels also `balanced_accuracy` and `specificity`.
        after: The same of the patched prompt.
    """
    if before["loss"] - after["loss"] < MIN_GAIN - 1e-9:
        return f"the loss on B goes from {before['loss']:.3f} to {after['loss']:.3f}"
    for name in ("balanced_accuracy", "specificity"):
        if before.get(name, 0.0) - after.get(name, 0.0) > MAX_FALL + 1e-9:
            return f"{name} falls from {before[name]:.3f} to {after[name]:.3f}"
    return ""
