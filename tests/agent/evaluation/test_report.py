import json
import re
from pathlib import Path

import pytest

from agent.evaluation.key import Key, write_key
from agent.evaluation.plots import coverage_curve
from agent.evaluation.report import key_beside, report_text
from agent.evaluation.scores import score_run

USAGE = {"seconds": {"retrieve": 0.5, "reason 1": 2.0}, "input_tokens": 90, "output_tokens": 10}


@pytest.fixture
def results(item, answered, tmp_path: Path):
    """Two results files with their items."""
    items = [
        item(str(n), f"v{n // 2}", choice=0, categories={"kind": ("text" if n < 2 else "speech",)})
        for n in range(4)
    ]
    files = []
    for name, choices in (("video-rag", (0, 0, 1, 0)), ("blind", (1, 0, 2, 1))):
        lines = [
            json.dumps(
                answered(
                    one,
                    choice,
                    one.question.options[choice],
                    spans=[(61.25, 70.0)],
                    usage=USAGE,
                    confidence=0.9 - 0.1 * choice,
                    measured_by="likelihood",
                    models={"chat": "tiny <model>"},
                ).to_json()
            )
            for one, choice in zip(items, choices, strict=True)
        ]
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_text("\n".join(lines) + "\n")
    return items, files


def test_page_has_scores_plots_and_links_and_loads_nothing(results, tmp_path: Path) -> None:
    items, files = results
    write_key(tmp_path, Key("mlvu", "choice", "questions", False, tuple(items)))

    page = report_text(files, key_beside(files))

    assert "mlvu, without the benchmark" in page
    assert "75.0 %" in page
    assert page.count("<svg") == 5
    assert "kind: speech" in page
    assert f"{(Path.cwd() / 'v0').as_uri()}#t=61.25" in page
    assert "tiny &lt;model&gt;" in page
    loaded = re.findall(r"(?:src|@import|url\()\s*=?\s*[\"']?(\S{0,30})", page)
    assert all(one.startswith("#") for one in loaded), loaded
    assert not re.search(r"<(?:script|link|img|iframe)\b", page)
    assert set(re.findall(r'href="(\w+):', page)) == {"file"}


def test_page_without_a_key_has_no_scores(results) -> None:
    _, files = results

    page = report_text(files, key_beside(files))

    assert "Score by category" not in page
    assert "Time by stage" in page
    assert page.count("<svg") == 3
    assert "hidden" in page


def test_plots_are_the_same_each_time(results, tmp_path: Path) -> None:
    items, files = results
    write_key(tmp_path, Key("mlvu", "choice", "questions", False, tuple(items)))

    assert report_text(files, key_beside(files)) == report_text(files, key_beside(files))


def test_coverage_curve_adds_answers_of_one_confidence_together(item, answered) -> None:
    items = [item(str(n), f"v{n}", choice=0) for n in range(4)]
    sure = [(0, 0.9), (1, 0.5), (0, 0.5)]
    results = {
        one.id: answered(one, choice, confidence=confidence, measured_by="likelihood")
        for one, (choice, confidence) in zip(items, sure, strict=False)
    }

    points = coverage_curve(score_run(items, results, "choice").outcomes)

    assert points == [(25.0, 100.0), (75.0, pytest.approx(200 / 3))]
