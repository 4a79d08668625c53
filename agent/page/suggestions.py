"""Questions to begin with, made from what was found in the video itself."""

import re
from collections import Counter
from collections.abc import Sequence

from agent.answering.evidence_lines import SEPARATOR
from agent.text import STOP_WORDS, stem, stems
from agent.video_rag.outline import BULLETS, MOST_CHARACTERS, MOST_PARTS, outline
from tools.evidence import Evidence

MOST = 4
WORDS = range(1, 6)  # of a heading on the screen
LEAST_LETTERS = 3  # of a word that is a topic


def suggest(found: Sequence[Evidence], duration_s: float) -> list[str]:
    """Return a few questions about a video, in the order of its parts; [] if little was found.

    The headings of the parts of its outline are asked about if somebody speaks of them; where
    there are none, the words that are said most often.
    """
    said = [record for record in found if record.kind == "speech"]
    headings = [h for h in _headings(found, duration_s) if _spoken(h, said)]
    topics = headings or _frequent(said)
    step = max(1, len(topics) // MOST)
    return [f"What is said about \u201c{topic}\u201d?" for topic in topics[::step][:MOST]]


def _headings(found: Sequence[Evidence], duration_s: float) -> list[str]:
    """Return one row of text on the screen for each part, the longest that is like a heading."""
    lines = outline(found, duration_s, MOST_PARTS * MOST_CHARACTERS, len)
    rows = [
        [row.strip(BULLETS) for row in line.text.split(SEPARATOR)]
        for line in lines
        if line.kind == "text"
    ]
    chosen = (max(filter(_is_heading, row), key=len, default="") for row in rows)
    return list(dict.fromkeys(heading for heading in chosen if heading))


def _is_heading(row: str) -> bool:
    parts = row.split()
    plain = re.fullmatch(r"[^\W\d_][^\d<>{}|]*[^\W\d_]", row)
    return bool(plain) and len(parts) in WORDS and len(row) < MOST_CHARACTERS // 2


def _spoken(heading: str, said: Sequence[Evidence]) -> bool:
    wanted = stems(heading)
    return bool(wanted) and any(wanted <= stems(record.text) for record in said)


def _frequent(said: Sequence[Evidence]) -> list[str]:
    """Return the longer words that are said in more than one record, most frequent first."""
    forms: dict[str, Counter[str]] = {}
    for record in said:
        written = set(re.findall(r"[^\W\d_]+", record.text.lower())) - STOP_WORDS
        for word in written:
            if len(word) > LEAST_LETTERS:
                forms.setdefault(stem(word), Counter())[word] += 1
    often = [(form.total(), form.most_common(1)[0][0]) for form in forms.values()]
    ranked = sorted((each for each in often if each[0] > 1), key=lambda each: (-each[0], each[1]))
    return [word for _, word in ranked[:MOST]]
