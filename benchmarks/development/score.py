"""Answer the development questions and report how many are right, by split.

    python benchmarks/development/score.py --videos videos --split tune
    python benchmarks/development/score.py --videos videos --split tune --fit
    python benchmarks/development/score.py --videos videos --split held

The key is opened only after the last answer was given. `--fit` prints the intercept and slope for
`chat.calibration`, fitted on these answers; fit on "tune" alone. The log-odds are read off the
probabilities and answers are withheld by them, so fit with `--set "chat.calibration=[0, 1]"` and
`--set chat.abstain_below=0`.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from math import inf, log
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from agent import Answer, Session
from agent.settings import parse_pairs

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1] / "examples"))
from score import is_right, plain, read_lines  # noqa: E402

SURE = 0.8  # a wrong answer above this probability is counted by itself
Row = dict[str, Any]


def main() -> None:
    """Answer, score, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, required=True, help="folder of the built videos")
    parser.add_argument("--split", choices=("tune", "held"), default="tune")
    parser.add_argument("--only", default="", help="start of the ids to ask")
    parser.add_argument("--every", type=int, default=1, help="ask every n-th question")
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="pairs")
    parser.add_argument("--json", type=Path, help="also write every answer there")
    parser.add_argument("--fit", action="store_true", help="fit chat.calibration on the answers")
    given = parser.parse_args()
    asked = [one for one in read_lines(FOLDER / "questions.jsonl") if one["split"] == given.split]
    asked = [one for one in asked if one["id"].startswith(given.only)][:: given.every]
    rows = ask_all(Session(given.profile, parse_pairs(given.pairs)), asked, given.videos)
    keys = {key["id"]: key for key in read_lines(FOLDER / "answers.jsonl")}
    for row in rows:
        judge(row, keys[row["id"]], show=given.split == "tune")
    report(rows)
    if given.fit:
        intercept, slope = fit([row for row in rows if row["odds"] is not None])
        sys.stdout.write(f"chat.calibration: [{intercept:.2f}, {slope:.2f}]\n")
    if given.json:
        given.json.write_text(json.dumps(rows, default=str, indent=1), encoding="utf-8")


def ask_all(session: Session, asked: Sequence[Row], videos: Path) -> list[Row]:
    """Return a row with answer and seconds for each question."""
    rows = []
    for number, one in enumerate(asked, start=1):
        start = perf_counter()
        answer = session.ask(videos / one["video"], one["question"], one.get("options") or ())
        seconds = perf_counter() - start
        rows.append({**one, "result": answer, "seconds": seconds, "odds": odds_of(answer)})
        sys.stderr.write(f"\r{number}/{len(asked)} answered")
    sys.stderr.write("\n")
    return rows


def odds_of(answer: Answer) -> float | None:
    """Return the log-odds behind a calibrated probability under the identity calibration."""
    if answer.measured_by != "calibrated" or not 0 < answer.confidence < 1:
        return None
    return log(answer.confidence / (1 - answer.confidence))


def judge(row: Row, key: Row, show: bool) -> None:
    """Add to a row whether it is right, and for a right answer whether a cited line holds it."""
    answer: Answer = row["result"]
    row |= {"kind": key["kind"], "answerable": key["answerable"], "right": is_right(answer, key)}
    row["abstained"], row["confidence"] = answer.abstained, answer.confidence
    row["measured_by"], row["answer"] = answer.measured_by, answer.answer
    cited = plain(" ".join(line.text for line in answer.evidence))
    wanted = [[each] if isinstance(each, str) else each for each in key.get("answer", [])]
    row["cited"] = any(all(plain(part) in cited for part in parts) for parts in wanted)
    if show:
        mark = "right" if row["right"] else "WRONG"
        said = answer.answer or f"(abstained) {answer.reason}"
        sys.stdout.write(
            f"{row['id']} {row['kind']:12} {mark} {row['seconds']:5.1f} s "
            f"{answer.confidence:.2f} {said[:90]!r} | {wanted or key.get('choice')!s:.50}\n"
        )


def report(rows: Sequence[Row]) -> None:
    """Print the shares, each with its 95 % interval."""
    answerable = [row for row in rows if row["answerable"]]
    kinds = Counter(row["kind"] for row in rows)
    groups = {kind: [row for row in rows if row["kind"] == kind] for kind in kinds}
    groups["ANSWERABLE"] = answerable
    groups["multiple choice"] = [row for row in answerable if row.get("options")]
    for name, group in groups.items():
        print_share(name, sum(row["right"] for row in group), len(group))
    given = [row for row in rows if not row["abstained"]]
    print_share("right of those given", sum(row["right"] for row in given), len(given))
    open_right = [row for row in answerable if row["right"] and not row.get("options")]
    print_share("cited line holds it", sum(row["cited"] for row in open_right), len(open_right))
    sure = [row for row in given if not row["right"] and row["confidence"] > SURE]
    sys.stdout.write(f"wrong with a confidence above {SURE}: {len(sure)}\n")
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = [r for r in given if low <= r["confidence"] < low + 0.2 + (low == 0.8)]
        measured = [r for r in inside if r["measured_by"] in ("calibrated", "likelihood")]
        print_share(
            f"probability {low:.1f}-{low + 0.2:.1f}",
            sum(r["right"] for r in measured),
            len(measured),
        )
    print_risks(rows)
    seconds = [row["seconds"] for row in rows]
    sys.stdout.write(f"seconds a question: median {median(seconds):.1f}, most {max(seconds):.1f}\n")


def print_risks(rows: Sequence[Row]) -> None:
    """Print how many answers are wrong if only the surest are given (risk and coverage)."""
    surest = sorted(rows, key=lambda row: (row["abstained"], -row["confidence"]))
    given = sum(not row["abstained"] for row in rows)
    for share in (0.1, 0.2, 0.3, 0.4, 0.5, 1.0):
        count = min(given, round(share * len(rows)))
        wrong = sum(not row["right"] for row in surest[:count])
        print_share(f"wrong at coverage {count / len(rows):.0%}", wrong, count)
        if count == given:
            return


def print_share(name: str, right: int, count: int) -> None:
    """Print a share with its Wilson interval."""
    if not count:
        return
    sides = binomtest(right, count).proportion_ci(method="wilson")
    interval = f"{sides.low:.0%} to {sides.high:.0%}"
    sys.stdout.write(f"{name:22} {right:3} of {count:3}  {right / count:4.0%}  ({interval})\n")


def fit(rows: Sequence[Row]) -> tuple[float, float]:
    """Fit intercept and slope of the probability that an answer is right (Platt, 1999)."""
    odds, right = [[row["odds"]] for row in rows], [row["right"] for row in rows]
    fitted = LogisticRegression(C=inf).fit(odds, right)
    return float(fitted.intercept_[0]), float(fitted.coef_[0][0])


if __name__ == "__main__":
    main()
