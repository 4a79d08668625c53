"""The arithmetic of selection and evaluation, exactly."""

import numpy as np
import pytest

from agent.detection.detection import conviction
from agent.detection.probability import fit_probability, signed
from agent.detection.select import select_tools
from agent.detection.statistics import (
    Changes,
    canary_accuracy,
    changes,
    eligible,
    holm,
    mcnemar,
    metric_block,
    precision_at,
    tool_score,
    wilson,
)


def test_score_of_the_worked_example() -> None:
    """B6: 20 clips of each class, fake 4/1, real 3/0, u 0.5."""
    change = Changes(4, 1, 20, 3, 0, 20)
    assert change.delta == pytest.approx(0.15, abs=1e-12)
    assert change.p == 9 / 256
    assert tool_score(change.delta, 0.5) == 0.75


def test_without_data_there_is_no_score() -> None:
    """B6: S is undefined and the tool is not selected."""
    assert changes([True], [True], [True]) is None
    assert eligible(None, 0.0, 0.0) == "no data"
    found = select_tools(["a"], [True] * 3, lambda kit: [True] * 3, {"a": 1.0}, "canary", ("d",))
    assert found.scores[0].score is None
    assert (found.kit, found.established) == (("d",), False)


def test_opinion_never_wins_alone() -> None:
    """B7: a useless tool rated 4 of 4 is rejected."""
    truths = [True] * 60 + [False] * 60
    found = select_tools(["liked"], truths, lambda kit: [True] * 120, {"liked": 1.0}, "canary", ())
    assert (found.scores[0].score, found.scores[0].why) == (0.25, "no gain")
    assert found.kit == ()


def test_noise_selects_almost_nothing() -> None:
    """B8: 15 neutral tools, 70 % base accuracy, 200 seeded simulations: under 0.2 picks a run."""
    generator = np.random.default_rng(8)
    picked = gained = 0
    for _ in range(200):
        truths = [True] * 100 + [False] * 100
        tools = [f"t{k}" for k in range(15)]
        right = {(): generator.random(200) < 0.7, ("canary",): generator.random(200) < 0.7}
        right |= {(tool,): generator.random(200) < 0.7 for tool in tools}
        table = {kit: [bool(x) for x in values] for kit, values in right.items()}

        def of(
            kit: tuple[str, ...], known: dict[tuple[str, ...], list[bool]] = table
        ) -> list[bool]:
            return known[kit] if kit in known else known[kit[-1:]]

        found = select_tools(tools, truths, of, {}, "canary", ())
        picked += len(found.kit)
        gained += sum((s.delta or 0) > 0 for s in found.scores)
    assert picked / 200 < 0.2
    assert gained / 200 > 4  # "gain > 0" alone would pick as many


def test_a_true_gain_is_selected_and_a_second_equal_tool_is_not() -> None:
    """B8: the greedy step asks what a tool adds to the kit."""
    truths = [True] * 100 + [False] * 100
    base, better = [k % 2 == 0 for k in range(200)], [k % 4 != 1 for k in range(200)]
    table = {(): base, ("canary",): base, ("a",): better, ("b",): better, ("a", "b"): better}
    found = select_tools(["a", "b"], truths, lambda kit: table[kit], {}, "canary", ("d",))
    assert (found.kit, found.established) == (("a",), True)
    table[("canary",)] = better
    found = select_tools(["a", "b"], truths, lambda kit: table[kit], {}, "canary", ("d",))
    assert found.kit == ()
    assert found.scores[0].why == "the canary gains as much"


def test_few_clips_fall_back_to_the_default_kit_and_say_so() -> None:
    """B8: below 100 clips the toolkit is not established."""
    truths = [True] * 40 + [False] * 40
    table = {(): [False] * 80, ("canary",): [False] * 80, ("a",): [True] * 80}
    found = select_tools(["a"], truths, lambda kit: table[kit], {}, "canary", ("d",))
    assert found.scores[0].eligible
    assert (found.kit, found.established) == (("d",), False)
    assert "toolkit not established: 80 clips" in found.why


def test_a_fall_of_a_class_excludes() -> None:
    change = Changes(30, 0, 100, 0, 6, 100)
    assert eligible(change, 0.001, 0.0) == "a class's recall falls by more than 5 points"


def test_holm_and_mcnemar() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06}
    )
    assert mcnemar(0, 0) == 1
    assert mcnemar(1, 1) == 0.75


def test_always_fake_has_an_f1_of_two_thirds() -> None:
    """B25: F1 0.667, specificity 0; intervals, coverage, the abstained in the denominator."""
    truths = [True] * 50 + [False] * 50
    block = metric_block(truths, ["ai_generated"] * 100, "ai_generated")
    assert (block["f1_positive"], block["specificity"]) == (0.6667, 0.0)
    assert (block["balanced_accuracy"], block["macro_f1"], block["coverage"]) == (0.5, 0.3333, 1.0)
    assert block["specificity_95"] == pytest.approx([0.0, 0.0713], abs=1e-3)
    low, high = block["f1_positive_95"]
    assert low < 0.6667 < high
    some = ["ai_generated"] * 40 + ["inconclusive"] * 20 + ["real"] * 40
    block = metric_block(truths, some, "ai_generated")
    assert (block["coverage"], block["sensitivity"], block["specificity"]) == (0.8, 0.8, 0.8)


def test_wilson_and_the_canary_baseline() -> None:
    """B25: a set that size alone gives away."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    truths = [True] * 20 + [False] * 20
    telling = [(10.0 + truth, 8.0, 5.0) for truth in truths]
    assert canary_accuracy(telling, truths) == 1.0
    assert canary_accuracy([(1.0, 1.0, 1.0)] * 40, truths) == 0.5
    assert canary_accuracy([(1.0, 1.0, 1.0)] * 6, [True] * 3 + [False] * 3) is None


def test_precision_at_low_prevalence() -> None:
    assert precision_at(0.9, 0.9, 0.01) == pytest.approx(0.0833, abs=1e-4)


@pytest.mark.parametrize("each", [100, 500])
def test_the_probability_is_monotone_and_needs_a_hundred_of_each(each: int) -> None:
    """B16: Platt, isotonic from 1,000 on; below 100 none."""
    generator = np.random.default_rng(16)
    scores = [*generator.beta(4, 2, each), *generator.beta(2, 4, each)]
    truths = [True] * each + [False] * each
    fitted = fit_probability(scores, truths)
    assert fitted is not None
    assert fitted.method == ("platt" if each == 100 else "isotonic")
    shown = [fitted.of("ai_generated", c, "ai_generated") for c in np.linspace(0, 1, 50)]
    assert shown == sorted(shown)
    assert shown[0] < 0.5 < shown[-1]
    assert fit_probability(scores[1:], truths[1:]) is None or each > 100
    assert fit_probability([1 - s for s in scores], truths) is None or each > 100


def test_confidence_words_are_ordered() -> None:
    """B16: what is shown in place of a number."""
    assert [conviction(c) for c in (0.0, 0.59, 0.6, 0.8, 1.0)] == [
        *("weak", "weak", "moderate", "strong", "strong"),
    ]
    assert signed("real", 0.9, "ai_generated") == pytest.approx(0.1)
    assert signed("inconclusive", 0.9, "ai_generated") == 0.5
