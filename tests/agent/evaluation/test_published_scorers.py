"""Our figures against those of the published scorers, run on the same predictions.

The scorers were run apart from this program on whole benchmarks. Here are the smallest cases that
tell their rules from near ones, with the figures that they gave.
"""

import pytest

from agent.answering.time_spans import Span
from agent.evaluation.scores import score_run

# get_tIoU of NExT-GQA's eval_ground.py: true span, predicted span, intersection over union and
# over the prediction.
GROUNDED = [
    ((12.1, 17.1), (13.0, 19.0), 4.1 / 6.9, 4.1 / 6.0),
    ((0.0, 4.0), (1.0, 2.0), 0.25, 1.0),
    ((5.0, 6.0), (0.0, 10.0), 0.1, 0.1),
]


@pytest.mark.parametrize(("true", "said", "iou", "iop"), GROUNDED)
def test_spans_as_nextgqa(item, answered, true, said, iou, iop) -> None:
    asked = item("q", choice=1, spans=(Span(*true),))

    run = score_run([asked], {"q": answered(asked, 1, spans=[said])}, "grounded choice")

    extra = {name: found.mean for name, found in run.overall.extra.items()}
    assert extra["miou"] == pytest.approx(iou)
    assert extra["miop"] == pytest.approx(iop)
    assert extra["acc@gqa"] == float(iop >= 0.5)


def test_a_type_before_counts_with_after_as_in_nextqa(read_nextqa, answered) -> None:
    items = read_nextqa
    chosen = {"CW": 1, "CH": 0, "TN": 1, "TP": 0, "TC": 1, "DC": 1, "DL": 0, "DO": 1}
    results = {
        item.id: answered(item, choice) for item, choice in zip(items, chosen.values(), strict=True)
    }

    run = score_run(items, results, "choice")

    # eval_mc.py on the same eight rows, whose answer is always the second option.
    assert run.overall.strict.mean * 100 == pytest.approx(62.5)
    assert {s.name: round(s.strict.mean * 100, 2) for s in run.categories} == {
        "type: CW": 100.0,
        "type: CH": 0.0,
        "type: TN": 50.0,
        "type: TC": 100.0,
        "type: DC": 100.0,
        "type: DL": 0.0,
        "type: DO": 100.0,
        "group: causal": 50.0,
        "group: temporal": 66.67,
        "group: descriptive": 66.67,
    }


@pytest.fixture
def read_nextqa(tmp_path):
    from agent.evaluation.task import Sources
    from agent.tasks import find_benchmark

    head = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
    types = ("CW", "CH", "TN", "TP", "TC", "DC", "DL", "DO")
    rows = [f"10{n},1,2,3,why,1,{n},{kind},a,b,c,d,e\n" for n, kind in enumerate(types)]
    path = tmp_path / "val.csv"
    path.write_text(head + "".join(rows))
    return find_benchmark("nextqa").read(Sources(path, tmp_path, tmp_path))
