"""Write questions.jsonl and answers.jsonl from questions.yaml and the times of a build.

Every question names what its answer rests on: "said" quotes spoken words, "shown" words on the
screen. The quotes give the evidence its times, and the answer has to occur in them.

    python benchmarks/development/check.py --times DIR
"""

import argparse
import json
import re
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
KINDS = ("text", "speech", "both", "order", "count", "paraphrase", "unanswerable")
Entry = dict[str, Any]


def tell(line: str) -> None:
    """Write a line to the console."""
    sys.stdout.write(line + "\n")


def plain(text: str) -> str:
    """Return a text in lower case with single spaces between its words, as the score does."""
    return " " + " ".join(re.findall(r"\w+(?:[.:]\w+)*", str(text).lower())) + " "


def spans(quote: str, told: list[list[Any]]) -> list[list[Any]]:
    """Find where a quote occurs: sentences (text) or views (list of texts)."""
    wanted, found = plain(quote), []
    for number, (start_s, end_s, words) in enumerate(told):
        texts = [words] if isinstance(words, str) else words
        pair = words
        if isinstance(words, str) and number + 1 < len(told):
            pair = f"{words} {told[number + 1][2]}"
        if any(wanted in plain(text) for text in texts):
            found.append([start_s, end_s, " / ".join(texts)])
        elif (
            isinstance(words, str)
            and wanted in plain(pair)
            and wanted not in plain(pair[len(words) :])
        ):
            found.append([start_s, told[number + 1][1], pair])
    return found


def shuffle(question: Entry) -> None:
    """Put the options in an order that is always the same and tells nothing."""
    right = question["options"][question["choice"]]
    question["options"].sort(key=lambda o: sha256((question["q"] + o).encode()).hexdigest())
    question["choice"] = question["options"].index(right)


def evidence(question: Entry, times: Entry) -> tuple[list[list[float]], str]:
    """Return the spans of a question's quotes and all that is told there."""
    found = []
    for source in ("said", "shown"):
        quotes = question.get(source, [])
        for quote in [quotes] if isinstance(quotes, str) else quotes:
            hits = spans(quote, times[source])
            if not hits:
                raise SystemExit(f"{question['id']}: {source} nowhere: {quote!r}")
            if len(hits) > 3 and source == "said":
                raise SystemExit(f"{question['id']}: said too often: {quote!r}")
            found += hits
    joined: list[list[float]] = []
    for start_s, end_s, _ in sorted(found, key=lambda hit: (hit[0], hit[1])):
        if joined and start_s <= joined[-1][1] + 0.3:
            joined[-1][1] = max(end_s, joined[-1][1])
        else:
            joined.append([start_s, end_s])
    return joined, " ".join(str(hit[2]) for hit in found)


def check(question: Entry, told: str, times: Entry) -> None:
    """Compare the answer with what is told at the evidence, and options with the whole video."""
    name, text = question["id"], plain(told)
    if "options" in question:
        everything = plain(" ".join(str(entry[2]) for entry in times["said"] + times["shown"]))
        for option in question["options"]:
            if plain(option) not in everything and not question.get("loose"):
                tell(f"{name}: option occurs nowhere: {option!r}")
        right = question["options"][question["choice"]]
        if plain(right) not in text and not question.get("derived"):
            tell(f"{name}: right option not in the evidence: {right!r}")
        return
    groups = [[a] if isinstance(a, str) else a for a in map(_strings, question["answer"])]
    held = any(all(plain(part) in text for part in parts) for parts in groups)
    if not held and not question.get("derived"):
        raise SystemExit(f"{name}: no accepted answer in the evidence: {told!r}")


def _strings(answer: Any) -> Any:
    return [str(part) for part in answer] if isinstance(answer, list) else str(answer)


def split(questions: list[Entry]) -> list[Entry]:
    """Keep every third question of each kind aside; return those last, and number all."""
    for kind in KINDS:
        group = [q for q in questions if q["kind"] == kind]
        for number, question in enumerate(sorted(group, key=lambda q: "options" in q)):
            question["split"] = "held" if number % 3 == 2 else "tune"
    return sorted(questions, key=lambda question: question["split"] == "held")


def lines_of(name: str, questions: list[Entry], times: Entry) -> tuple[list[Entry], list[Entry]]:
    """Return the questions and the key of one video."""
    asked, keys = [], []
    unknown = {question["kind"] for question in questions} - set(KINDS)
    if unknown:
        raise SystemExit(f"{name}: unknown kinds {unknown}")
    for number, question in enumerate(split(questions), start=1):
        question["id"] = f"{name[0]}{number:02}"
        line = {"id": question["id"], "video": f"{name}.mp4", "question": question["q"]}
        if "options" in question:
            shuffle(question)
            line["options"] = question["options"]
        asked.append({**line, "split": question["split"]})
        keys.append(_key(question, times))
    return asked, keys


def _key(question: Entry, times: Entry) -> Entry:
    key: Entry = {"id": question["id"]}
    if question["kind"] == "unanswerable":
        return {**key, "answerable": False, "kind": "unanswerable", "evidence": []}
    where, told = evidence(question, times)
    check(question, told, times)
    if "options" in question:
        key["choice"] = question["choice"]
    else:
        key["answer"] = [_strings(a) for a in question["answer"]]
    return {**key, "answerable": True, "kind": question["kind"], "evidence": where}


def main() -> None:
    """Check all questions, write both files, print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--times", type=Path, required=True, help="the folder of the build")
    wanted = parser.parse_args()
    written = yaml.safe_load((HERE / "questions.yaml").read_text(encoding="utf-8"))
    asked, keys = [], []
    for name, questions in written.items():
        times = json.loads((wanted.times / f"{name}.json").read_text(encoding="utf-8"))
        more_asked, more_keys = lines_of(name, questions, times)
        asked += more_asked
        keys += more_keys
        tell(f"{name}: {len(questions)}, {sum('options' in q for q in questions)} with options")
    for path, entries in (("questions.jsonl", asked), ("answers.jsonl", keys)):
        rows = [json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries]
        (HERE / path).write_text("".join(rows), encoding="utf-8")
    pairs = [(k["kind"], q["split"]) for q, k in zip(asked, keys, strict=True)]
    for (kind, part), count in sorted(Counter(pairs).items()):
        tell(f"{kind:13} {part:5} {count}")


if __name__ == "__main__":
    main()
