"""Ask three questions of the demo video: `make demo`.

Everything runs on this machine; `reelgraph models get` fetched the weights beforehand.
"""

import os
import sys
from pathlib import Path
from time import perf_counter

os.environ.setdefault("TQDM_DISABLE", "1")  # the loading bars of libraries

from agent import Session
from agent.cli import report
from agent.settings import parse_pairs

VIDEO = Path(__file__).parent / "tour.mp4"
QUESTIONS: list[tuple[str, list[str]]] = [
    ("Which number do I ring for the course on knots?", []),
    ("How far can the lighthouse be seen?", ["12 sea miles", "22 sea miles", "41 sea miles"]),
    ("Who won the football match last Saturday?", []),
]


def main() -> None:
    """Ask, and show answers, evidence, channels and timings."""
    session = Session("embedded", parse_pairs(sys.argv[2::2]))
    print(f"{VIDEO.name}: the first question waits until the tools have looked at the whole video.")
    for question, options in QUESTIONS:
        start = perf_counter()
        print(f"\n> {question}" + "".join(f"\n    - {option}" for option in options))
        answer = report.watch(
            lambda control, q=question, o=options: session.stream(VIDEO, q, o, control)
        )
        report.print_answer(answer)
        print(f"{perf_counter() - start:.1f} s in all")


if __name__ == "__main__":
    main()
