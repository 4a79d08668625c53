"""The whole agent with a scripted model, from the command line: nothing else is simulated."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.models.pool import ModelPool

Make = Callable[..., Any]
TASK = """
name: toy_clips
question: Is the clip generated?
definition: ai_generated means synthesised; real means recorded.
positive: ai_generated
negative: real
outcomes: {ai_generated: signs of AI generation, real: no signs found, inconclusive: inconclusive}
label_words: [fake]
tools: [meter, useless]
default_kit: [useless]
motion: [meter]
min_seconds: 0.5
instructions: "Step 0."
fields: [{name: raw_frame_analysis, about: What is seen.}]
"""


def answer(messages: Any) -> str:
    """Judge by the meter where it is given; step 2 of the prompt is obeyed, step 1 halfway."""
    text = messages[-1].text
    if "How useful" in text:
        return '{"meter": 3, "useless": 4}'
    if "JSON Patch" in text:
        step = 1 if "Step 0" in text else 2
        value = f"Step {step}."
        return json.dumps([{"op": "replace", "path": "/instructions", "value": value}])
    shape = text[text.index('{\n "raw_frame_analysis"') :]
    fields = [line.split('"')[1] for line in shape.splitlines() if '_analysis"' in line]
    hit = "meter reads 0.9" in text
    if "meter reads" in text:
        label = "ai_generated" if hit else "real"
        item = {"tool": "meter", "frame": 0, "claim": f"the meter reads {0.9 if hit else 0.1}"}
    else:
        label, item = "real", {"tool": "frames", "frame": 0, "claim": "noise"}
    claims = [{**item, "direction": label, "strength": "moderate"}]
    wrong = {**item, "direction": label, "strength": "weak", "claim": "a score of 777"}
    claims += [wrong] * (2 if "Step 0" in text else 1 if "Step 1" in text else 0)
    body: dict[str, Any] = dict.fromkeys(fields, "Noise.")
    body |= {"evidence": claims, "verdict": label, "confidence": 0.8, "limitations": "Short."}
    return json.dumps(body)


def test_calibrate_select_rewrite_judge_and_replay(
    reelgraph: Make,
    judge: Make,
    meter: Make,
    clip: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Calibrate, select the useful tool, rewrite twice, judge a folder, replay (B18-B21, B25)."""
    monkeypatch.setattr("agent.detection.select.MIN_CLIPS", 6)
    chat = judge(answer)
    monkeypatch.setattr(ModelPool, "_load_chat", lambda self: chat)
    monkeypatch.setattr(ModelPool, "capabilities", lambda self, role="chat": chat.capabilities)
    meter(values=lambda given: {"level": 0.9 if given.video.path.name[0] == "f" else 0.1})
    meter("useless", {"level": 0.5})
    for k in range(10):
        clip(f"set/real/r{k}.mp4", seed=100 + k)
        clip(f"set/fake/f{k}.mp4", seed=200 + k)
    task = tmp_path / "toy.yaml"
    task.write_text(TASK)
    options = ("--task", task)

    done = reelgraph("prompts", "rewrite", tmp_path / "set", *options)
    assert done.code == 0, done.err
    assert "version 2 is in use after 2 rounds: the loss is 0" in done.err
    rounds = json.loads(reelgraph("prompts", "log", "--json", *options).out)
    assert [r["decision"] for r in rounds] == ["start", "accept", "accept"]
    losses = [r["before"]["B"]["loss"] for r in rounds[1:]] + [rounds[-1]["after"]["loss"]]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == 0

    replayed = reelgraph("prompts", "replay", *options).out
    assert json.loads(replayed)["instructions"] == "Step 2."
    reelgraph("prompts", "use", 1, *options)
    assert json.loads(reelgraph("prompts", "replay", *options).out)["instructions"] == "Step 1."
    reelgraph("prompts", "use", 2, *options)
    assert reelgraph("prompts", "replay", *options).out == replayed

    real, fake = tmp_path / "set" / "real", tmp_path / "set" / "fake"
    made = json.loads(reelgraph("calibrate", real, fake, "--json", *options).out)
    assert (made["kit"], made["established"]) == (["meter"], True)
    scores = {score["tool"]: score for score in made["scores"]}
    assert scores["useless"]["why"] == "no gain"
    assert scores["useless"]["usefulness"] == 1.0
    assert scores["meter"]["delta"] == 0.5
    assert made["metrics"]["balanced_accuracy"] == 1.0
    assert made["metrics"]["clips"] == 10

    report = tmp_path / "report.html"
    done = reelgraph("detect", tmp_path / "set", "--json", "--report", report, *options)
    found = json.loads(done.out)
    assert [d["label"] for d in found] == ["ai_generated"] * 10 + ["real"] * 10
    assert {d["kit"]["from"] for d in found} == {"calibrated"}
    assert {d["prompt"]["version"] for d in found} == {2}
    text = report.read_text()
    assert text.count("signs of AI generation") == 10
    assert "percentile" in text
    assert str(tmp_path) not in text + done.out
