"""Your own questions with answers: a `.jsonl`, `.csv` or `.parquet` file.

Columns as in `reelgraph batch` (question, video, options, id) and

    answer       the letter, number from 0 or text of the right option; for an open question the
                 text that the answer must hold, or a list of accepted texts, of which one that is
                 itself a list must occur part by part
    choice       the number of the right option, from 0, in place of `answer`
    answerable   false where the video does not answer the question: right is to abstain
    evidence     [[start, end], ...] in seconds: where the answer is shown
    kind         any category

Without these columns, the file of the same name with `answers` in place of `questions` is read as
the key, if it is there: one line an `id`. So a key can be kept apart from the questions.
"""

from collections.abc import Sequence
from pathlib import Path

from agent.answering.time_spans import Span
from agent.batch.questions import read_questions
from agent.batch.records import Row
from agent.batch.videos import find_videos
from agent.evaluation.task import Benchmark, Item, Media, Sources, Truth
from agent.tasks.choices import choices_of
from agent.tasks.files import Values, read_rows
from tools.errors import InputError

TRUTHS = frozenset({"answer", "choice", "answerable"})


def read(sources: Sources) -> list[Item]:
    """Return the questions with what is known of their answers."""
    try:
        videos = find_videos([sources.videos])
    except InputError:  # each question says which video is missing
        videos = []
    rows = read_questions(sources.path, videos)
    known = _key(sources.path)
    return [_item(row, known.get(row.id, {})) for row in rows]


def _key(file: Path) -> dict[str, Values]:
    """Return the lines with answers by id: of the file itself, or of the key beside it."""
    lines = read_rows(file)
    apart = file.with_name(file.name.replace("questions", "answers"))
    if apart != file and apart.is_file() and not any(TRUTHS & set(line) for line in lines):
        lines = read_rows(apart)
    for line in lines:
        if TRUTHS & set(line) and line.get("id") in (None, ""):
            raise InputError(f"{file.name} has an answer without an id; give each question an id")
    return {str(line.get("id")): line for line in lines}


def _item(row: Row, known: Values) -> Item:
    options = row.question.options
    note = "" if known.keys() & TRUTHS else "no answer is known; it is not scored"
    truth = Truth() if note else _truth(known, options)
    if options and truth == Truth():
        note = note or f"the answer {known.get('answer')!r:.60} is none of the options"
    kind = known.get("kind")
    return Item(
        row.id,
        str(row.video),
        Media(None, row.error) if row.error else Media(row.video),
        row.question,
        truth,
        {"kind": (str(kind),)} if kind else {},
        choices_of(options).labels,
        note,
    )


def _truth(known: Values, options: Sequence[str]) -> Truth:
    spans = tuple(Span(float(a), float(b)) for a, b in known.get("evidence") or ())
    if str(known.get("answerable", True)).lower() in ("false", "0", "no"):
        return Truth(abstain=True)
    if options:
        choice = choices_of(options).find(known.get("choice", known.get("answer")))
        return Truth(choice, spans=spans) if choice is not None else Truth()
    answer = known.get("answer")
    if answer in (None, ""):
        return Truth()
    accepted = answer if isinstance(answer, list) else [answer]
    texts = tuple(
        tuple(map(str, one)) if isinstance(one, list) else (str(one),) for one in accepted
    )
    return Truth(texts=texts, spans=spans)


BENCHMARK = Benchmark(
    "questions",
    "your own questions with a column `answer`",
    "FILE.jsonl, .csv or .parquet; a key may lie beside it as answers*.jsonl",
    read,
    metric="contains",
)
