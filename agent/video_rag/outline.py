"""A short outline of a whole video: what is on its screen, part by part.

It lets a model answer what no single record holds: order, before and after, how many. It is the
same for all questions on a video, so a model that keeps what it has read reads it once.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log

from agent.answering.evidence_lines import SEPARATOR, within_budget
from tools.evidence import Evidence

PART_S = 40.0  # of a video, at least
MOST_PARTS = 24
MOST_CHARACTERS = 90  # of one part
BULLETS = " \N{BULLET}\N{BLACK CIRCLE}-"


@dataclass
class Row:
    """One row of text on the screen.

    Attributes:
        record: The first record that shows it.
        seconds: How long it is shown, by part.
    """

    record: Evidence
    seconds: dict[int, float]

    def weight(self, part: int, parts: int) -> float:
        """Return its time in a part, weighted by how few of the parts show it (TF-IDF)."""
        return self.seconds.get(part, 0.0) * log(parts / len(self.seconds))


def outline(
    records: Sequence[Evidence], duration_s: float, tokens: int, count: Callable[[str], int]
) -> tuple[Evidence, ...]:
    """Return one line a part, in time order.

    A part is described by the rows of text that are on the screen longest and in few other parts;
    where there are none, by the longest sentence that is said. Each line is a record with the text
    and time of the part and the id of the record where its first row comes from.

    Args:
        records: All evidence of a video.
        duration_s: Its length.
        tokens: Of all lines together, at most; 0 makes no outline.
        count: Counts the tokens of a line.
    """
    if not (tokens and duration_s):
        return ()
    parts = int(min(MOST_PARTS, max(2, duration_s // PART_S)))
    size, rows = duration_s / parts, _rows(records, duration_s, parts)
    lines = [_line(part, parts, size, rows, records) for part in range(parts)]
    told = [line for line in lines if line]
    different = [a for a, b in zip(told, [None, *told], strict=False) if not b or a.text != b.text]
    return within_budget(different, tokens, count)


def _rows(records: Sequence[Evidence], duration_s: float, parts: int) -> Mapping[str, Row]:
    size, rows = duration_s / parts, dict[str, Row]()
    for record in records:
        if record.kind != "text":
            continue
        for text in filter(None, (row.strip(BULLETS) for row in record.text.split(SEPARATOR))):
            row = rows.setdefault(text, Row(record, defaultdict(float)))
            first = min(parts - 1, int(record.start_s // size))
            last = min(parts - 1, int(max(record.start_s, record.end_s - 0.01) // size))
            for part in range(first, last + 1):
                shown = min(record.end_s, (part + 1) * size) - max(record.start_s, part * size)
                row.seconds[part] += max(shown, 0.5)
    return rows


def _line(
    part: int, parts: int, size: float, rows: Mapping[str, Row], records: Sequence[Evidence]
) -> Evidence | None:
    start_s, order = part * size, list(rows)
    shown = [(row.weight(part, parts), text) for text, row in rows.items() if part in row.seconds]
    ranked = sorted((each for each in shown if each[0] > 0), key=lambda each: -each[0])
    chosen: list[str] = []
    for _, text in ranked:
        if chosen and len("".join(chosen)) + len(text) > MOST_CHARACTERS:
            break
        chosen.append(text)
    if chosen:
        chosen.sort(key=order.index)
        text = SEPARATOR.join(chosen)[:MOST_CHARACTERS]
        return replace(rows[chosen[0]].record, start_s=start_s, end_s=start_s + size, text=text)
    said = [r for r in records if r.kind == "speech" and start_s <= r.start_s < start_s + size]
    longest = max(said, key=lambda record: len(record.text), default=None)
    return replace(longest, text=longest.text[:MOST_CHARACTERS]) if longest else None
