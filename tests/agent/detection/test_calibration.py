"""Labelled clips, splits, the artefact, and a calibration with a scripted model."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.detection.audit_log import Round
from agent.detection.calibrate import Calibrator
from agent.detection.clips import LabelledClip, assign, from_folders, from_manifest
from agent.detection.jobs import audit_log, calibration_file
from agent.detection.kit import Calibration, age_note, load_calibration
from agent.detection.outcomes import Outcome
from agent.detection.prompt_document import first_document
from agent.graph import find_video
from agent.models.identity import reply_identity
from tools.errors import InputError

Make = Callable[..., Any]


@pytest.fixture
def folders(clip: Make, tmp_path: Path) -> tuple[Path, Path]:
    """Four real clips and four fakes, all different."""
    for k in range(4):
        clip(f"set/real/r{k}.mp4", seed=10 + k)
        clip(f"set/fake/f{k}.mp4", seed=50 + k)
    return tmp_path / "set" / "real", tmp_path / "set" / "fake"


def always(reply: Make) -> Callable[[Any], str]:
    """A model that says "ai_generated" of everything and rates every tool 4."""

    def answer(messages: Any) -> str:
        text = messages[-1].text
        if "How useful" in text:
            return '{"meter": 4}'
        extra = {"canary_analysis": "Size."} if "canary" in text else {}
        body = json.loads(reply(**extra))
        if "meter_analysis" not in text:
            del body["meter_analysis"]
            item = {"tool": "frames", "frame": 0, "claim": "a wall", "strength": "weak"}
            body["evidence"] = [{**item, "direction": "ai_generated"}]
        return json.dumps(body)

    return answer


def test_calibration_keeps_percentiles_metrics_and_its_keys(
    detector: Make, judge: Make, reply: Make, meter: Make, folders: tuple[Path, Path], clip: Make
) -> None:
    """B9 and B25: the artefact, always-fake metrics; a percentile in the next detection."""
    levels = iter(range(100))
    ran = meter(values=lambda given: {"level": next(levels) / 100})
    chat = judge(always(reply))
    agent = detector(chat)
    stages: list[str] = []
    made = Calibrator(agent, from_folders(*folders), lambda s, *_: stages.append(s)).run()
    assert made.counts == {"ai_generated": 4, "real": 4}
    assert made.negatives["meter"]["level"] == [0.0, 0.01, 0.02, 0.03]
    assert (made.established, made.kit) == (False, ("meter",))
    assert "toolkit not established: 4 clips" in made.why
    assert (made.metrics["f1_positive"], made.metrics["specificity"]) == (0.0, 0.0)
    assert made.metrics["always_positive_f1"] == 0.6667
    assert made.probability is None
    assert {"measure", "judge with no tool", "judge with canary", "held-out clips"} <= set(stages)
    assert len(ran) == 8
    calls = len(chat.payloads)
    again = Calibrator(detector(chat), from_folders(*folders)).run()
    assert again.data == made.data
    assert len(chat.payloads) == calls + 3  # the ratings alone; no clip is judged again
    assert len(ran) == 8

    found = detector(judge([reply(evidence=[], verdict="inconclusive")])).detect(clip())
    (level,) = [p for p in found.percentiles if p.value == "level"]
    assert (level.percentile, level.clips) == (100.0, 4)
    assert found.kit["calibration"] == again.id
    assert any("toolkit not established" in note for note in found.notes)


def test_an_artefact_for_something_else_refuses_to_load(
    detector: Make, judge: Make, reply: Make, meter: Make, folders: tuple[Path, Path], clip: Make
) -> None:
    """B9: another tool version, model, prompt or set of clips."""
    meter()
    agent = detector(judge(always(reply)))
    made = Calibrator(agent, from_folders(*folders)).run()
    file = calibration_file(agent.context, agent.task)
    model = reply_identity(agent.context.settings.chat)
    assert load_calibration(file, agent.task, model, made.prompt, made.data) == made
    for values, what in (
        ((model | {"seed": 9}, made.prompt, ""), "another model"),
        ((model, "0" * 64, ""), "another prompt"),
        ((model, made.prompt, "0" * 64), "another set of clips"),
    ):
        with pytest.raises(InputError, match=what):
            load_calibration(file, agent.task, *values)
    meter(version="2")
    with pytest.raises(InputError, match="another version of meter; calibrate again"):
        load_calibration(file, agent.task, model, made.prompt)
    found = detector(judge([reply()])).detect(clip())
    assert any("calibration is not used" in note and "meter" in note for note in found.notes)
    assert found.percentiles == ()
    file.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read; calibrate again"):
        load_calibration(file, agent.task, model, made.prompt)


def test_old_artefacts_are_named() -> None:
    """B9 and section 6: kits age."""
    values: dict[str, Any] = {"task": "", "model": {}, "prompt": "", "tools": {}, "data": ""}
    made = Calibration(
        **values, counts={}, kit=(), established=True, why="", created="2026-01-01T00:00:00+00:00"
    )
    assert age_note(made, datetime(2026, 3, 1, tzinfo=UTC)) == ""
    assert "days old" in age_note(made, datetime(2026, 6, 1, tzinfo=UTC))


def test_a_planted_duplicate_aborts(
    detector: Make, judge: Make, folders: tuple[Path, Path], clip: Make, tmp_path: Path
) -> None:
    """B24: the same clip in both classes, and a re-encoded, resized copy in another split."""
    real, fake = folders
    (fake / "copy.mp4").write_bytes((real / "r0.mp4").read_bytes())
    with pytest.raises(InputError, match=r"r0\.mp4 and copy\.mp4 are the same clip in two splits"):
        Calibrator(detector(judge([])), from_folders(real, fake)).run()
    (fake / "copy.mp4").unlink()
    clip("set/small.mp4", seed=10, size=(96, 72), crf=30)
    rows = [("real/r0.mp4", "real", "select"), ("small.mp4", "real", "held_out")]
    rows += [("fake/f0.mp4", "ai_generated", "select")]
    manifest = tmp_path / "set" / "clips.csv"
    manifest.write_text("path,label,split\n" + "\n".join(",".join(row) for row in rows))
    clips = from_manifest(manifest, {"ai_generated": True, "real": False})
    with pytest.raises(InputError, match="nearly the same clip"):
        Calibrator(detector(judge([])), clips).run()


def test_one_class_is_a_clear_error(
    detector: Make, judge: Make, folders: tuple[Path, Path]
) -> None:
    clips = [LabelledClip(path, False) for path in folders[0].glob("*.mp4")]
    with pytest.raises(InputError, match="all clips are negative; calibration needs"):
        Calibrator(detector(judge([])), clips).run()
    with pytest.raises(InputError, match="there is no folder"):
        from_folders(folders[0] / "nowhere", folders[1])


def test_sources_stay_in_one_split() -> None:
    """B24: whole groups, each class by itself."""
    clips = [
        LabelledClip(Path(f"{k}.mp4"), k % 2 == 0, group=f"s{k % 10}", sha256=str(k))
        for k in range(100)
    ]
    placed = assign(clips, {"select": 0.5, "held_out": 0.5})
    groups = {clip.group: {c.split for c in placed if c.group == clip.group} for clip in placed}
    assert all(len(splits) == 1 for splits in groups.values())
    for label in (True, False):
        sizes = [c.split for c in placed if c.positive == label]
        assert 20 <= sizes.count("select") <= 30


def test_manifest_rows_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "clips.jsonl"
    file.write_text('{"path": "a.mp4", "label": "genuine"}\n')
    with pytest.raises(InputError, match=r"row 1 of clips\.jsonl: .* got 'genuine'"):
        from_manifest(file, {"ai_generated": True, "real": False})
    file.write_text('{"path": "a.mp4", "label": "real", "source": "cam", "generator": "k"}\n')
    (clip,) = from_manifest(file, {"ai_generated": True, "real": False})
    assert (clip.group, clip.generator, clip.path) == ("cam/k", "k", tmp_path / "a.mp4")


def test_a_text_model_still_gives_percentiles(
    detector: Make, judge: Make, meter: Make, folders: tuple[Path, Path], clip: Make
) -> None:
    meter()
    chat = judge([], images=False)
    made = Calibrator(detector(chat), from_folders(*folders)).run()
    assert made.negatives["meter"]["level"] == [0.25] * 4
    assert not made.established
    found = detector(chat).detect(clip())
    assert (found.label, found.percentiles[-1].percentile) == ("inconclusive", 50.0)
    assert chat.payloads == []


def test_first_prompt_is_the_task_files(task: Any) -> None:
    document = first_document(task)
    assert document.instructions == task.instructions
    assert document.sha256 == first_document(task).sha256


def test_a_generator_is_scored_with_a_kit_selected_without_it(
    detector: Make, judge: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B24: "alpha" shows the clips of g1 alone, "beta" those of g2; unseen, each is missed."""
    shows = {"g1": "alpha", "g2": "beta"}
    clips = [
        LabelledClip(
            Path(f"{k}"), k % 2 == 0, "", f"g{1 + k // 2 % 2}" if k % 2 == 0 else "", split
        )
        for split in ("select", "held_out")
        for k in range(200)
    ]

    def judged(self: Calibrator, some: list[LabelledClip], kit: tuple[str, ...], stage: str) -> Any:
        seen = [c.positive and shows[c.generator] in kit for c in some]
        return [Outcome("ai_generated" if found else "real") for found in seen]

    monkeypatch.setattr(Calibrator, "_judge", judged)
    calibrator = Calibrator(detector(judge([])), clips)
    calibrator.rated = {}
    tools = ("alpha", "beta")
    kit = calibrator._selected_on([c for c in clips if c.split == "select"], tools).kit
    assert sorted(kit) == ["alpha", "beta"]
    assert calibrator._without_generator(tools) == {"g1": 0.0, "g2": 0.0}
    shows["g2"] = "alpha"  # what shows both is selected from either
    assert calibrator._without_generator(tools) == {"g1": 1.0, "g2": 1.0}


def test_clips_that_shaped_the_prompt_are_told_of(
    detector: Make, judge: Make, reply: Make, meter: Make, folders: tuple[Path, Path], clip: Make
) -> None:
    meter()
    agent = detector(judge(always(reply)))
    clips = from_folders(*folders)
    seen = find_video(clips[0].path, agent.context.library).sha256
    audit_log(agent.context, agent.task).append(Round("reject", "tried", clips=[seen]))
    made = Calibrator(agent, clips).run()
    assert "1 of 8 clips were also used to rewrite the prompt" in made.warning
    found = detector(judge([reply(evidence=[], verdict="inconclusive")])).detect(clip())
    assert made.warning in found.notes
