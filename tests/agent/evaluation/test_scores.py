from dataclasses import replace

import pytest

from agent.batch.records import Result
from agent.evaluation.scores import score_run
from agent.evaluation.table import category_table, results_table
from tools.errors import InputError


def test_strict_answered_and_coverage_stand_apart(item, answered) -> None:
    items = [item(str(n), f"v{n % 3}", choice=0) for n in range(6)]
    failed = Result("5", "v2", "", "Which one?", (), "failed", error="broken")
    results = {
        "0": answered(items[0], 0),
        "1": answered(items[1], 0),
        "2": answered(items[2], 1),
        "3": replace(answered(items[3]), status="abstained"),
        "4": answered(items[4], None, "Hm."),
        "5": failed,
    }

    score = score_run(items, results, "choice").overall

    assert score.counts == {"answered": 3, "abstained": 1, "unparsed": 1, "failed": 1}
    assert score.strict.mean == 2 / 6
    assert score.answered.mean == 2 / 3
    assert score.coverage == 0.5
    assert score.strict.clusters == 3


def test_hidden_answers_have_no_score(item, answered) -> None:
    hidden = item("h")

    run = score_run([hidden], {"h": answered(hidden, 0)}, "choice")

    assert (run.overall, run.hidden) == (None, 1)
    assert run.outcomes[0].choice == 0


def test_results_of_other_questions_are_left_out(item, answered) -> None:
    asked = item("a", choice=0)

    run = score_run([asked], {"a": answered(asked, 0), "old": answered(item("old"), 1)}, "choice")

    assert run.overall.questions == 1


def test_group_of_less_than_four_is_refused(item, answered) -> None:
    asked = item("a", choice=0, categories={"group": ("relevance",)})

    with pytest.raises(InputError, match="multiple of 4"):
        score_run([asked], {"a": answered(asked, 0)}, "choice", "groups")


def test_table_of_two_runs(item, answered) -> None:
    items = [item(str(n), f"v{n}", choice=0, categories={"kind": ("text",)}) for n in range(4)]
    good = score_run(items, {i.id: answered(i, 0) for i in items}, "choice")
    bad = score_run(items, {i.id: answered(i, 1) for i in items}, "choice")

    table = results_table({"video-rag": good, "blind": bad}, {"direct": "no pictures"})
    text = table.markdown()

    cells = {row[0]: row[1:] for row in table.rows}
    assert table.head == ("", "video-rag", "blind")
    assert cells["all questions"][0] == "100.0 % (28.3-100.0)"  # of 4 videos
    assert cells["against the first"] == ("", "-100.0 (-100.0 to -100.0)")
    assert cells["unparsed"] == ("0", "0")
    assert "failed" not in cells
    assert "direct was not run: no pictures." in text
    assert "4 questions, 4 videos; 95 % intervals with errors clustered by video" in text
    assert category_table({"a": good, "b": bad}).rows[0][:2] == ("kind: text", "4")
