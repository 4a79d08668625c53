"""Time the retrieval of evidence for a question, as medians of one run.

    python benchmarks/retrieval.py --records 2500

Budget: below 50 ms for the evidence of an hour. The eleven minutes of the demo video have 245
records with the embedded profile, so an hour has about 1,400. The records are synthesized from the
words of the demo's script; the time includes the embedding of the question.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from agent import Session
from agent.library.retrieval import retrieve
from tools.evidence import ChannelReport, Evidence

EXAMPLES = Path(__file__).parents[1] / "examples"


def main() -> None:
    """Fill a library, then retrieve for every demo question."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=2500)
    given = parser.parse_args()
    lines = (EXAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        session = Session("embedded", {"library": folder})
        runs = [fill(session, given.records)]
        embedder, settings = session.context.pool.embedder(), session.settings.retrieval
        session.library.view(runs).index(embedder, keep=True)
        seconds = []
        for question in questions:
            start = time.perf_counter()
            retrieve(session.library, embedder, runs, [question], settings)
            seconds.append(time.perf_counter() - start)
    sys.stdout.write(
        f"{given.records} records: median {1000 * median(seconds):.0f} ms, "
        f"slowest {1000 * max(seconds):.0f} ms of {len(seconds)} questions\n"
    )


def fill(session: Session, count: int) -> int:
    """Store synthetic speech for the demo video and return the run's number."""
    video = session.probe(EXAMPLES / "tour.mp4")
    script = (EXAMPLES / "script.yaml").read_text(encoding="utf-8")
    words, chance = script.split(), random.Random(0)
    evidence = [
        Evidence("made-up", "speech", i * 0.2, i * 0.2, " ".join(chance.choices(words, k=14)))
        for i in range(count)
    ]
    report = ChannelReport("made-up", "ok", count=count)
    return session.library.save_run(video, "benchmark", {}, report, evidence).id


if __name__ == "__main__":
    main()
