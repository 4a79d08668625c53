"""Compare two ways to choose an option, given the same best lines: which is right more often?

    python benchmarks/choosing.py --set library=.demo

free answer      the model answers without seeing the options, its text is matched to them
likelihood       the model says how likely each option's text is as the reply
whole method     what `ask` does: the free answer, checked, with its fallbacks

Asked are the multiple-choice questions of both sets of the demo video.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage

import agent.video_rag.nodes
from agent import Session
from agent.answering.evidence_lines import as_line, in_time_order
from agent.answering.option_match import match_option
from agent.settings import parse_pairs
from agent.video_rag.nodes import Narrowed
from prompts import render

EXAMPLES = Path(__file__).parents[1] / "examples"


def main() -> None:
    """Ask every question once and choose in each way from the lines that were read."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="pairs")
    session = Session("embedded", parse_pairs(parser.parse_args().pairs))
    read: list[Narrowed] = []
    original = agent.video_rag.nodes.narrow

    def narrow(*given: Any) -> Narrowed:
        read.append(original(*given))
        return read[-1]

    agent.video_rag.nodes.narrow = narrow
    right = {"free answer": 0, "likelihood": 0, "whole method": 0}
    total = 0
    for asked, key in questions():
        read.clear()
        answer = session.ask(EXAMPLES / asked["video"], asked["question"], asked["options"])
        if not read or not read[0].lines:
            continue  # the time line answered, or nothing was found
        total += 1
        chosen = choose(session, asked, read[0]) | {"whole method": answer.choice}
        for way, choice in chosen.items():
            right[way] += choice == key["choice"]
        sys.stderr.write(f"{asked['id']}: {chosen}, right {key['choice']}\n")
    for way, count in right.items():
        sys.stdout.write(f"{way:14} {count} of {total}\n")


def questions() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the multiple-choice questions that the video answers, with their keys."""
    found = []
    for name in ("", "_heldout"):
        asked = (EXAMPLES / f"questions{name}.jsonl").read_text(encoding="utf-8").splitlines()
        keys = (EXAMPLES / f"answers{name}.jsonl").read_text(encoding="utf-8").splitlines()
        found += zip(map(json.loads, asked), map(json.loads, keys), strict=True)
    return [(asked, key) for asked, key in found if "options" in asked and key["answerable"]]


def choose(session: Session, asked: dict[str, Any], read: Narrowed) -> dict[str, int | None]:
    """Choose by the free answer and by likelihood from the same prompt."""
    chat, embedder = session.context.pool.chat(), session.context.pool.embedder()
    told = [as_line(e) for e in in_time_order(read.lines)]
    prompt = [HumanMessage(render("answer", evidence=told, question=asked["question"]))]
    scores = chat.score_options(prompt, asked["options"])
    free = match_option(chat.invoke(prompt).text, asked["options"], embedder)
    return {"free answer": free.choice, "likelihood": scores.index(max(scores))}


if __name__ == "__main__":
    main()
