import numpy as np
import pytest

from agent.evaluation.compare import compare_runs
from agent.evaluation.scores import score_run
from tools.errors import InputError


def outcomes(items, answered, choices):
    results = {i.id: answered(i, c) for i, c in zip(items, choices, strict=True) if c is not None}
    return score_run(items, results, "choice").outcomes


def test_difference_is_paired_by_question_and_clustered(item, answered) -> None:
    items = [item(str(n), f"v{n // 2}", choice=0) for n in range(8)]
    first = outcomes(items, answered, [0, 0, 0, 0, 1, 1, 1, 1])
    second = outcomes(items, answered, [0, 0, 0, 1, 1, 0, 0, 0])

    found = compare_runs(first, second)

    gains = np.array([0, 0, 0, -1, 0, 1, 1, 1])
    sums = (gains - gains.mean()).reshape(4, 2).sum(axis=1)
    assert found.difference.mean == gains.mean()
    assert found.difference.error == pytest.approx(np.sqrt(4 / 3 * (sums**2).sum()) / 8)
    assert (found.better, found.worse, found.unpaired) == (3, 1, 0)


def test_hard_questions_cancel_out(item, answered) -> None:
    items = [item(str(n), f"v{n}", choice=0) for n in range(40)]
    first = outcomes(items, answered, [n % 2 for n in range(40)])
    second = outcomes(items, answered, [0, *(n % 2 for n in range(1, 38)), 0, 0])

    found = compare_runs(first, second)

    assert found.difference.high - found.difference.low < 0.2
    assert found.first.high - found.first.low > 0.25


def test_questions_of_one_run_alone_are_left_out(item, answered) -> None:
    items = [item(str(n), f"v{n}", choice=0) for n in range(3)]

    found = compare_runs(
        outcomes(items, answered, [0, 0, None]), outcomes(items, answered, [0, None, 0])
    )

    assert (found.difference.count, found.unpaired) == (1, 2)


def test_runs_without_a_common_question_are_refused(item, answered) -> None:
    one, other = item("1", choice=0), item("2", choice=0)

    with pytest.raises(InputError, match="share no question"):
        compare_runs(outcomes([one], answered, [0]), outcomes([other], answered, [0]))
