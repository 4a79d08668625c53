"""The cost of a question on an indexed video besides its models: SQLite statements and seconds.

    python benchmarks/warm.py --set library=.demo

The first question indexes the demo video if it is not in the library. The time of the language
model and of the embedding model is subtracted.
"""

import argparse
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from agent import Session
from agent.settings import parse_pairs

VIDEO = Path(__file__).parents[1] / "examples" / "tour.mp4"
QUESTION = "When does the museum open on Sundays?"
counted: Counter[str] = Counter()


def main() -> None:
    """Ask one question many times and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="pairs")
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    session = Session("embedded", parse_pairs(args.pairs))
    session.ask(VIDEO, QUESTION)
    sqlite3.connect = _counting(sqlite3.connect)
    spent = [0.0]
    chat, embedder = session.context.pool.chat(), session.context.pool.embedder()
    vars(embedder)["embed"] = _timed(embedder.embed, spent)
    object.__setattr__(chat, "score_options", _timed(chat.score_options, spent))
    seconds, statements, connections = [], [], []
    for _ in range(args.rounds):
        counted.clear()
        spent[0], start = 0.0, perf_counter()
        answer = session.ask(VIDEO, QUESTION)
        whole = perf_counter() - start
        seconds.append(whole - spent[0] - answer.total("model_seconds"))
        statements.append(counted["statements"])
        connections.append(counted["connections"])
    sys.stdout.write(
        f"{args.rounds} questions: {median(statements):.0f} statements, "
        f"{median(connections):.0f} connections, {median(seconds):.3f} s without models (median; "
        f"{min(seconds):.3f} to {max(seconds):.3f})\n"
    )


def _timed(call: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Return a function that adds its seconds to `spent`."""

    def timed(*args: Any) -> Any:
        start = perf_counter()
        try:
            return call(*args)
        finally:
            spent[0] += perf_counter() - start

    return timed


def _counting(connect: Any) -> Any:
    """Return a `connect` whose connections count their statements."""

    def opened(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*args, **kwargs)
        counted["connections"] += 1
        # The statements of full-text search on its own tables are traced too, as comments.
        made.set_trace_callback(lambda text: counted.update(statements=not text.startswith("--")))
        return made

    return opened


if __name__ == "__main__":
    main()
