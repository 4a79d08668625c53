"""Say how often the records retrieved for a development question hold its answer, by language.

    python benchmarks/development/recall.py --videos videos --set library=DIR
    python benchmarks/development/recall.py --videos videos --set embedder.model=all-MiniLM-L6-v2

The videos have to be in the library (`reelgraph index`). A record holds an answer if it was said or
shown while the key says so and, where the key's words were recognised at all, tells them.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from agent import Session
from agent.library.retrieval import retrieve
from agent.settings import parse_pairs
from tools.evidence import Evidence

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1] / "examples"))
from score import plain, read_lines  # noqa: E402

DEPTHS = (1, 3, 6, 12)
GERMAN = {"werkstatt.mp4"}
Row = dict[str, Any]


def main() -> None:
    """Retrieve for every answerable question of a split and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, required=True, help="folder of the built videos")
    parser.add_argument("--split", choices=("tune", "held"), default="tune")
    parser.add_argument("--show", action="store_true", help="name what was not found (tune alone)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="pairs")
    given = parser.parse_args()
    session = Session("embedded", {**parse_pairs(given.pairs), "retrieval.top_k": "40"})
    keys = {key["id"]: key for key in read_lines(FOLDER / "answers.jsonl")}
    asked = [one for one in read_lines(FOLDER / "questions.jsonl") if one["split"] == given.split]
    ranks: dict[str, list[int | None]] = defaultdict(list)
    start = perf_counter()
    for one in asked:
        key = keys[one["id"]]
        if not key["answerable"]:
            continue
        rank = rank_of(one, key, given.videos, session)
        for group in ("all", language(one), key["kind"]):
            ranks[group].append(rank)
        if given.show and given.split == "tune":
            sys.stdout.write(f"{one['id']} {key['kind']:10} {rank} {one['question']}\n")
    for group, found in ranks.items():
        shares = [sum(rank is not None and rank < k for rank in found) for k in DEPTHS]
        told = "  ".join(f"@{k} {n / len(found):4.0%}" for k, n in zip(DEPTHS, shares, strict=True))
        sys.stdout.write(f"{group:20} of {len(found):2}  {told}\n")
    sys.stdout.write(f"{(perf_counter() - start) / len(asked):.3f} s a question\n")


def language(one: Row) -> str:
    """Return the languages of a question and its video."""
    video = "German" if one["video"] in GERMAN else "English"
    asked = "German" if video == "German" and is_german(one["question"]) else "English"
    return f"{asked} on {video}"


def is_german(question: str) -> bool:
    """Say whether a question of the German video is in German: no English word opens those."""
    return question.split()[0].lower() not in {"what", "which", "how", "until", "from", "who"}


def rank_of(one: Row, key: Row, videos: Path, session: Session) -> int | None:
    """Return the place, from 0, of the first record that holds the answer; None if none does."""
    library, video = session.library, session.probe(videos / one["video"])
    runs = [run for run, of in library.latest_runs().items() if of == video.sha256]
    embedder = session.context.pool.embedder()
    queries = [one["question"], *(one.get("options") or ())]
    hits = retrieve(library, embedder, runs, queries, session.settings.retrieval)
    during = [record for record in library.view(runs).records if is_during(record, key)]
    holding = [record for record in during if holds(record, one, key)] or during
    ids = {record.id for record in holding}
    return next((n for n, record in enumerate(hits.evidence) if record.id in ids), None)


def is_during(record: Evidence, key: Row) -> bool:
    """Say whether a record was said or shown while the key says so."""
    kinds = {"text": {"text"}, "speech": {"speech"}, "paraphrase": {"speech"}}
    if record.kind not in kinds.get(key["kind"], {"text", "speech"}):
        return False
    return any(start < record.end_s and record.start_s < end for start, end in key["evidence"])


def holds(record: Evidence, one: Row, key: Row) -> bool:
    """Say whether a record tells the answer in the words of the key."""
    wanted: Sequence[Any] = key.get("answer") or [one["options"][key["choice"]]]
    told = plain(record.text)
    return any(
        all(plain(part) in told for part in ([each] if isinstance(each, str) else each))
        for each in wanted
    )


if __name__ == "__main__":
    main()
