"""Answer the questions of the demo video, then score the answers with the key.

    python examples/score.py                    the questions on which the program was tuned
    python examples/score.py --heldout          questions that were held out

The key is opened only after the last answer was given.
"""

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from agent import Answer, Session
from agent.settings import parse_pairs

FOLDER = Path(__file__).parent


def main() -> None:
    """Answer, score, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heldout", action="store_true", help="the questions kept aside")
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="pairs")
    given = parser.parse_args()
    name = "_heldout" if given.heldout else ""
    session = Session(given.profile, parse_pairs(given.pairs))
    answers = answer_all(session, read_lines(FOLDER / f"questions{name}.jsonl"))
    print_scores(answers, read_lines(FOLDER / f"answers{name}.jsonl"))


def answer_all(session: Session, questions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return question, answer and seconds by the question's id."""
    answered = {}
    for number, asked in enumerate(questions, start=1):
        start = perf_counter()
        answer = session.ask(FOLDER / asked["video"], asked["question"], asked.get("options") or ())
        answered[asked["id"]] = {
            "question": asked["question"],
            "answer": answer,
            "seconds": perf_counter() - start,
        }
        sys.stderr.write(f"\r{number}/{len(questions)} answered")
    sys.stderr.write("\n")
    return answered


def is_right(answer: Answer, key: dict[str, Any]) -> bool:
    """Return whether an answer agrees with the key.

    An unanswerable question is right if abstained; a multiple choice by its index; an open answer
    if it contains all parts of one of the accepted alternatives.
    """
    if not key["answerable"]:
        return answer.abstained
    if "choice" in key:
        return answer.choice == key["choice"]
    text = plain(answer.answer)
    alternatives = [[a] if isinstance(a, str) else a for a in key["answer"]]
    return any(all(plain(part) in text for part in parts) for parts in alternatives)


def plain(text: str) -> str:
    """Return a text in lower case with single spaces between its words and numbers."""
    return " " + " ".join(re.findall(r"\w+(?:[.:]\w+)*", text.lower())) + " "


def print_scores(answered: dict[str, Any], keys: list[dict[str, Any]]) -> None:
    """Print one row a question and the shares of right answers."""
    table = Table("id", "kind", "question", "answer", "right", "s", box=None)
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for key in keys:
        entry = answered[key["id"]]
        answer = entry["answer"]
        good = is_right(answer, key)
        for group in (key["kind"], "answerable" if key["answerable"] else "abstained rightly"):
            asked[group] += 1
            right[group] += good
        said = "(abstained) " + answer.reason if answer.abstained else answer.answer
        mark = "[green]yes[/]" if good else "[red]no[/]"
        table.add_row(
            key["id"], key["kind"], entry["question"], said, mark, f"{entry['seconds']:.1f}"
        )
    console = Console(highlight=False)
    console.print(table)
    for group in asked:
        share = right[group] / asked[group]
        console.print(f"{group:18} {right[group]:2} of {asked[group]:2}  {share:.0%}")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


if __name__ == "__main__":
    main()
