from pathlib import Path

import pytest

from agent.answering.time_spans import Span
from agent.evaluation.scores import score_run


def test_json_and_the_original_text_say_the_same(save, videos, read, folder: Path) -> None:
    videos("3MSZA.mp4")
    rows = [("3MSZA", 24.3, 30.4, "person turn a light on."), ("0A8CF", 9.9, 2.0, "a person sits.")]
    listed = save(
        "charades.json",
        [{"video": f"{v}.mp4", "caption": c, "timestamp": [a, b], "x": 0} for v, a, b, c in rows],
    )
    text = folder / "charades_sta_test.txt"
    text.write_text("".join(f"{v} {a} {b}##{c}\n" for v, a, b, c in rows))

    from_json, from_text = (read("charades-sta", path) for path in (listed, text))

    assert from_json == from_text
    assert from_json[0].truth.spans == (Span(24.3, 30.4),)
    assert from_json[1].truth.spans == (Span(2.0, 9.9),)
    assert from_json[1].media.file is None
    assert '"person turn a light on"' in from_json[0].question.text


def test_one_span_is_scored_and_evidence_stands_in_for_an_answer_without_times(
    save, read, answered
) -> None:
    rows = [{"video": "a.mp4", "caption": "c.", "timestamp": [10, 20]} for _ in range(3)]
    items = read("charades-sta", save("charades.json", rows))
    results = {
        items[0].id: answered(items[0], text="From 12 to 20 s, then 30 to 40 s."),
        items[1].id: answered(items[1], text="In the kitchen.", spans=[(10, 40)]),
        items[2].id: answered(items[2], text="I cannot tell."),
    }

    run = score_run(items, results, "spans")

    assert [outcome.kind for outcome in run.outcomes] == ["answered", "answered", "unparsed"]
    assert run.overall.strict.mean == pytest.approx((0.8 + 1 / 3) / 3)
    assert run.overall.extra["r1@0.5"].mean == pytest.approx(1 / 3)
    assert run.overall.extra["from evidence"].mean == pytest.approx(1 / 3)
