"""`reelgraph eval`, `compare-runs` and `report` from the command line, on real files."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from agent.batch import engine
from agent.batch.records import Job
from agent.batch.work import JobControl, WorkSettings, answer_job

QUESTIONS = [
    ("What is the gate code?", ["1234", "7391", "5050", "8888"], "B"),
    ("When does the last ferry leave?", ["at six", "at nine", "at ten", "at noon"], "B"),
    ("Where does the tour begin?", ["the harbour", "the mill", "the tower", "the fort"], "A"),
]


class HereEngine:
    """Answers in this process, where the scripted model is."""

    def __init__(self, workers: int = 1) -> None:
        assert workers == 2

    def run(self, jobs: Iterable[Job], settings: WorkSettings, stopped: Any) -> Any:
        session = settings.open()
        for job in jobs:
            yield from answer_job(session, job, settings, JobControl())


@pytest.fixture
def benchmark(
    make_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """MLVU's `1_plotQA.json` with two videos, of which one is missing, and subtitles inside."""
    monkeypatch.setattr(engine, "LocalEngine", HereEngine)
    cues = [(0.2, 2.0, "The gate code is 7391."), (2.2, 3.8, "The last ferry leaves at nine.")]
    make_clip("set/video/harbour.mp4", subtitles=cues, size=(64, 48))
    rows = [
        {
            "video": "gone.mp4" if n == 2 else "harbour.mp4",
            "question": question,
            "candidates": options,
            "answer": options["ABCD".index(answer)],
            "question_type": "plotQA",
        }
        for n, (question, options, answer) in enumerate(QUESTIONS)
    ]
    file = tmp_path / "set/1_plotQA.json"
    file.write_text(json.dumps(rows))
    return file.parent


def evaluated(reelgraph: Callable[..., Any], benchmark: Path, *more: object) -> Any:
    out = benchmark.parent / "out"
    fixed = ("--out", out, "--workers", 2, "--set", "ingest=[subtitles]")
    return reelgraph("eval", "mlvu", benchmark, *fixed, *more)


def test_methods_stand_side_by_side_and_a_missing_video_costs_its_questions(
    reelgraph, scripted_chat, benchmark: Path
) -> None:
    scripted_chat.replies = ("B",)

    done = evaluated(reelgraph, benchmark, "--methods", "subtitles-only,blind,direct", "--json")

    assert done.code == 1  # one question failed
    scores = json.loads(done.out)
    assert scores["overall"]["subtitles-only"]["counts"] == {"answered": 2, "failed": 1}
    assert scores["overall"]["subtitles-only"]["strict"]["mean"] == pytest.approx(2 / 3)
    assert scores["overall"]["subtitles-only"]["answered"]["mean"] == 1.0
    assert scores["categories"]["blind"][0]["name"] == "task: plotQA"
    assert "images" in scores["not run"]["direct"]
    out = benchmark.parent / "out"
    assert {path.name for path in out.glob("*") if not path.name.startswith(".")} == {
        *("key.json", "media", "scores.json", "scores.md"),
        *("subtitles-only.jsonl", "blind.jsonl"),
    }
    assert "direct was not run: it needs" in (out / "scores.md").read_text()
    results = [json.loads(line) for line in (out / "blind.jsonl").read_text().splitlines()]
    assert not any("truth" in result for result in results)
    assert [r["error"] for r in results if r["status"] == "failed"] == [
        f"no video 'gone.mp4' below {benchmark}; put it there"
    ]


def test_grounding_is_a_method_of_the_benchmarks_of_time(
    reelgraph, scripted_chat, benchmark: Path
) -> None:
    """The gate code is said from 0.2 to 2 s, the ferry from 2.2 to 3.8 s."""
    scripted_chat.replies = ("yes",)
    said = [("the gate code", [0.2, 2.0]), ("the last ferry leaves", [0.0, 1.0])]
    rows = [{"video": "harbour.mp4", "caption": c, "timestamp": t} for c, t in said]
    (benchmark / "charades.json").write_text(json.dumps(rows))

    done = reelgraph(
        *("eval", "charades-sta", benchmark / "charades.json", "--videos", benchmark / "video"),
        *("--methods", "ground", "--workers", 2, "--out", benchmark / "out", "--json"),
        *("--set", "ingest=[subtitles]", "--set", "ground.gap_s=0", "--set", "ground.alike=1"),
    )

    assert done.code == 0
    score = json.loads(done.out)["overall"]["ground"]
    assert score["counts"] == {"answered": 2}
    assert score["strict"]["mean"] == pytest.approx(0.5)  # mIoU: one is hit, one is missed
    assert {n: score["extra"][f"r1@{n}"]["mean"] for n in (0.3, 0.5, 0.7)} == {
        **{0.3: 0.5, 0.5: 0.5, 0.7: 0.5}
    }
    assert score["extra"]["from evidence"]["mean"] == 0.0
    assert "Looked for: the gate code\n" in scripted_chat.seen[0]


def test_a_second_run_asks_nothing_again(reelgraph, scripted_chat, benchmark: Path) -> None:
    scripted_chat.replies = ("B",)
    evaluated(reelgraph, benchmark, "--methods", "blind")
    calls = len(scripted_chat.seen)

    done = evaluated(reelgraph, benchmark, "--methods", "blind")

    assert len(scripted_chat.seen) == calls > 0
    assert "66.7 %" in done.out


def test_runs_are_compared_and_reported(
    reelgraph, scripted_chat, benchmark: Path, tmp_path: Path
) -> None:
    scripted_chat.replies = ("B",)
    evaluated(reelgraph, benchmark, "--methods", "subtitles-only,blind")
    files = [tmp_path / f"out/{name}.jsonl" for name in ("subtitles-only", "blind")]

    compared = reelgraph("compare-runs", *files)
    reported = reelgraph("report", *files, "--out", tmp_path / "report.html")

    assert (compared.code, reported.code) == (0, 0)
    assert "difference: +0.0 points" in compared.out
    assert "3 questions (videos: 2)" in compared.out
    page = (tmp_path / "report.html").read_text()
    assert "What is the gate code?" in page
    assert "<svg" in page


def test_report_of_a_batch_without_answers(
    reelgraph, scripted_chat, benchmark: Path, tmp_path: Path
) -> None:
    scripted_chat.replies = ("B",)
    evaluated(reelgraph, benchmark, "--methods", "blind")
    alone = tmp_path / "alone/results.jsonl"
    alone.parent.mkdir()
    alone.write_bytes((tmp_path / "out/blind.jsonl").read_bytes())

    done = reelgraph("report", alone, "--out", tmp_path / "report.html")
    compared = reelgraph("compare-runs", alone, alone)

    assert done.code == 0
    assert "no scores" in done.err
    assert compared.code == 2
    assert "--key" in compared.err


def test_submission_of_hidden_answers(
    reelgraph, scripted_chat, make_clip, tmp_path: Path, benchmark: Path
) -> None:
    scripted_chat.replies = ("C",)
    make_clip("ego/uid-1.mp4", size=(64, 48))
    options = {f"option {n}": f"task {n}" for n in range(5)}
    rows = [{"q_uid": f"uid-{n}", "question": "What?", **options} for n in (1, 2)]
    (tmp_path / "ego/questions.json").write_text(json.dumps(rows))

    done = reelgraph(
        *("eval", "egoschema", tmp_path / "ego", "--methods", "blind", "--workers", 2),
        *("--out", tmp_path / "e", "--submission", tmp_path / "s.json"),
    )

    assert "hidden" in done.out
    assert json.loads((tmp_path / "s.json").read_text()) == {"uid-1": 2, "uid-2": -1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mlvuu", "."), "mlvu"),
        (("mlvu", ".", "--methods", "blnd"), "blind"),
        (("mlvu", ".", "--methods", "blind,blind"), "twice"),
        (("mlvu", ".", "--methods", "direct"), "no method can run"),
        (("mlvu", ".", "--submission", "s.json", "--methods", "blind"), "holds none of"),
        (("lvbench", ".", "--submission", "s.json"), "answers are public"),
    ],
)
def test_bad_input_is_one_line_with_the_remedy(
    reelgraph, scripted_chat, tmp_path: Path, monkeypatch, arguments, said
) -> None:
    monkeypatch.chdir(tmp_path)

    done = reelgraph("eval", *arguments)

    assert done.code == 2
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_benchmarks_are_listed(reelgraph) -> None:
    assert "longvideobench" in reelgraph("benchmarks").out
