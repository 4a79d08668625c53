"""Patches, the gate, the stop rules, the audit log."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.detection.audit_log import AuditLog, Round
from agent.detection.clips import LabelledClip
from agent.detection.jobs import audit_log
from agent.detection.loss import TOLERANCE, loss
from agent.detection.patches import PatchError, apply_patch, read_patch
from agent.detection.prompt_document import first_document
from agent.detection.rewrite import REPEATED, Rewriter, rejected
from agent.detection.task import Task
from tools.errors import InputError, MissingError

Make = Callable[..., Any]
BETTER = '[{"op": "replace", "path": "/instructions", "value": "Be brief. Cite the card."}]'


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ([{"op": "remove", "path": "/verdict/2"}], "is locked"),
        ([{"op": "replace", "path": "/locked", "value": "x"}], "is locked"),
        ([{"op": "replace", "path": "/fields/0/name", "value": "verdict"}], "is locked"),
        ([{"op": "replace", "path": "/fields", "value": []}], "is locked"),
        ([{"op": "copy", "path": "/instructions", "from": "/locked"}], "not allowed"),
        (
            [{"op": "replace", "path": "/instructions", "value": "Most clips are fake."}],
            "hints at a label",
        ),
        (
            [{"op": "replace", "path": "/instructions", "value": "Never say inconclusive."}],
            "hints at a label",
        ),
        (
            [{"op": "replace", "path": "/fields/0/about", "value": "Why it is AI-generated."}],
            "hints at a label",
        ),
        (
            [{"op": "add", "path": "/fields/-", "value": {"name": "verdict", "about": "x"}}],
            "is locked",
        ),
        (
            [{"op": "add", "path": "/fields/-", "value": {"name": "a_analysis", "x": "y"}}],
            "is no {name, about}",
        ),
        ([{"op": "replace", "path": "/instructions", "value": "x" * 1501}], "longer than"),
        ([{"op": "remove", "path": "/fields/9"}], "does not apply"),
        ([], "0 operations"),
    ],
)
def test_patches_outside_the_bounds_are_refused(
    task: Task, patch: list[Mapping[str, Any]], why: str
) -> None:
    """B17: labels, safety text and output keys are locked; no hint at a label."""
    with pytest.raises(PatchError, match=why):
        apply_patch(first_document(task), patch, task)


def test_allowed_patches_apply(task: Task) -> None:
    """B17: instructions, descriptions, order, adding and removing an analysis field."""
    patch = [
        {"op": "replace", "path": "/instructions", "value": "Be brief."},
        {"op": "move", "from": "/fields/1", "path": "/fields/0"},
        {"op": "replace", "path": "/fields/0/about", "value": "How things move."},
        {"op": "add", "path": "/fields/-", "value": {"name": "light_analysis", "about": "Light."}},
        {"op": "remove", "path": "/fields/1"},
    ]
    changed = apply_patch(first_document(task), patch, task)
    assert changed.instructions == "Be brief."
    assert [f.name for f in changed.fields] == ["motion_analysis", "light_analysis"]
    assert changed.locked == first_document(task).locked
    assert read_patch(f"Here: ```json\n{json.dumps(patch)}\n```") == patch
    with pytest.raises(PatchError, match="no JSON patch"):
        read_patch("I would rather not [sic].")


def test_the_loss_counts_what_exceeds_the_tolerance() -> None:
    """B18: J = sum of max(0, rate - tolerance)."""
    assert loss(TOLERANCE) == 0
    rates = {**TOLERANCE, "invalid": 0.12, "disagreement": 0.3}
    assert loss(rates) == pytest.approx(0.3)


def test_the_gate() -> None:
    """B18: at least 0.01 better on B, and no guardrail falls by more than a point."""
    before = {"loss": 0.30, "balanced_accuracy": 0.80, "specificity": 0.90}
    assert rejected(before, {**before, "loss": 0.29}) == ""
    assert "loss on B" in rejected(before, {**before, "loss": 0.295})
    assert "specificity falls" in rejected(before, {**before, "loss": 0.1, "specificity": 0.88})
    assert rejected(before, {**before, "loss": 0.1, "specificity": 0.89}) == ""
    assert "balanced_accuracy" in rejected(before, {**before, "loss": 0, "balanced_accuracy": 0.7})


@pytest.fixture
def clips(clip: Make) -> list[LabelledClip]:
    """Six different clips without labels."""
    return [LabelledClip(clip(f"set/{k}.mp4", seed=20 + k), False) for k in range(6)]


def rewriter(reply: Make, patches: list[str], good: Callable[[str], bool]) -> Any:
    """A model that judges well if the request satisfies `good`, and rewrites by the patches."""
    left = list(patches)

    def answer(messages: Any) -> str:
        text = messages[-1].text
        if "JSON Patch" in text:
            return left.pop(0) if len(left) > 1 else left[0]
        return reply() if good("\n".join(m.text for m in messages)) else "no json at all"

    return answer


def test_a_rewriter_that_always_worsens_is_stopped_after_two_rounds(
    detector: Make, judge: Make, reply: Make, meter: Make, clips: list[LabelledClip]
) -> None:
    """B19: exactly two rounds, version 0 kept."""
    meter()
    patches = [
        f'[{{"op": "replace", "path": "/instructions", "value": "Worse {k}."}}]' for k in range(4)
    ]
    agent = detector(judge(rewriter(reply, patches, lambda text: False)))
    done = Rewriter(agent, clips).run()
    assert (done.version, done.rounds, done.why) == (0, 2, "2 rejections in a row")
    log = audit_log(agent.context, agent.task)
    assert [e["decision"] for e in log.entries()] == ["start", "reject", "reject"]
    assert log.active() == (0, first_document(agent.task))


def test_a_rewriter_that_oscillates_is_stopped_by_the_hash(
    detector: Make, judge: Make, reply: Make, meter: Make, clips: list[LabelledClip], task: Task
) -> None:
    """B19: A to B is accepted, for B is better; back to A ends it."""
    meter()
    claim = {"tool": "meter", "frame": 0, "direction": "real", "strength": "weak"}
    half = [{**claim, "claim": "it reads 0.25"}, {**claim, "claim": "it reads 0.99"}]
    back = json.dumps([{"op": "replace", "path": "/instructions", "value": task.instructions}])

    def answer(messages: Any) -> str:
        text = messages[1].text if len(messages) > 1 else messages[0].text
        if "JSON Patch" in text:
            return back if "Be brief" in text else BETTER
        return reply("real", evidence=half) if "Be brief" in text else "no json at all"

    agent = detector(judge(answer))
    done = Rewriter(agent, clips).run()
    assert (done.version, done.rounds, done.why) == (1, 2, REPEATED)
    assert done.final["loss"] == pytest.approx(0.45)
    entries = audit_log(agent.context, agent.task).entries()
    assert [e["decision"] for e in entries] == ["start", "accept", "reject"]
    assert entries[1]["before"]["B"]["loss"] == pytest.approx(0.98)


def test_replay_gives_the_active_prompt_byte_for_byte(tmp_path: Path, task: Task) -> None:
    """B20: after two accepted rounds and a return to version 1."""
    first = first_document(task)
    log = AuditLog(tmp_path / "prompts.jsonl", first, task)
    assert log.active() == (0, first)
    document = first
    for words in ("Be brief.", "Be very brief."):
        patch = [{"op": "replace", "path": "/instructions", "value": words}]
        document = apply_patch(document, patch, task)
        log.append(Round("accept", patch=patch), document)
    log.append(Round("reject", reason="worse"))
    again = AuditLog(tmp_path / "prompts.jsonl", first, task)
    assert again.active()[1].canonical() == document.canonical()
    assert list(again.versions()) == [0, 1, 2]
    again.use(1)
    version, active = AuditLog(tmp_path / "prompts.jsonl", first, task).active()
    assert (version, active.instructions) == (1, "Be brief.")
    with pytest.raises(InputError, match="no version 7 of the prompt; there are 0, 1, 2"):
        again.use(7)


@pytest.mark.parametrize("line", [0, 1, 2])
def test_an_edited_line_breaks_the_chain(tmp_path: Path, task: Task, line: int) -> None:
    """B20: any change, and a log that was cut off."""
    first = first_document(task)
    file = tmp_path / "prompts.jsonl"
    log = AuditLog(file, first, task)
    log.append(Round("reject", reason="the first"))
    log.append(Round("reject", reason="the second"))
    lines = file.read_text().splitlines()
    changed = [*lines]
    changed[line] = changed[line].replace('"reason": "the', '"reason": "THE')
    file.write_text("\n".join(changed) + "\n")
    with pytest.raises(InputError, match=f"line {line + 1} of the prompt log"):
        log.active()
    file.write_text(lines[0] + "\n")
    with pytest.raises(InputError, match="cut off"):
        log.active()
    file.write_text("\n".join(lines) + "\n")
    assert log.active() == (0, first)


def test_using_the_agent_changes_no_prompt(
    detector: Make, judge: Make, reply: Make, meter: Make, clip: Make
) -> None:
    """B21: two clips in either order give identical payloads."""
    meter()
    paths = [clip("a.mp4", 1), clip("b.mp4", 2)]
    sent = []
    for order in (paths, paths[::-1]):
        chat = judge([reply()])
        agent = detector(chat)
        for path in order:
            agent.detect(path)
        payloads = [[(type(m).__name__, m.content) for m in p] for p in chat.payloads]
        sent.append(payloads if order == paths else payloads[::-1])
        assert not audit_log(agent.context, agent.task).file.exists()
    assert sent[0] == sent[1]


def test_rewriting_needs_clips_and_a_model_that_sees(
    detector: Make, judge: Make, clips: list[LabelledClip]
) -> None:
    with pytest.raises(InputError, match="at least 5"):
        Rewriter(detector(judge([])), clips[:3]).run()
    with pytest.raises(MissingError, match="reads text only"):
        Rewriter(detector(judge([], images=False)), clips).run()
