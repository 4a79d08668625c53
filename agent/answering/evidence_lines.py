"""Evidence as prompt lines: sorted, merged, cut to a token budget."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from agent.text import clock, quoted
from tools.evidence import Evidence

SENTENCE_ENDS = (".", "!", "?", '"', "\N{RIGHT DOUBLE QUOTATION MARK}")
MAX_SENTENCE_S = 20.0  # ASR output has no full stops: it must not all become one record
SAID_OR_SHOWN = ("speech", "text")  # kinds of records that explain one another
NEIGHBOURS = 6  # of one hit, at most
SEPARATOR = " | "  # between the rows of one record
MAX_NAME = 40  # characters of a video's name in a line


def as_line(evidence: Evidence) -> str:
    """Return evidence as one prompt line, quoted so that it reads as data, not instructions."""
    place = f"{_name(evidence.video)} {clock(evidence.start_s)}".lstrip()
    return f"[{place}] {evidence.kind}: {quoted(evidence.text)}"


def _name(video: str) -> str:
    """Return a video's name on one line, without brackets; of a long one both ends."""
    name = " ".join(re.sub(r"[\[\]\"]", " ", video).split())
    if len(name) <= MAX_NAME:
        return name
    half = MAX_NAME // 2
    return f"{name[: half - 1]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"


def told_by(evidence: Evidence) -> str:
    """Return all that a prompt line tells: the text and, of several videos, the video's name."""
    return f"{_name(evidence.video)}\n{evidence.text}" if evidence.video else evidence.text


def in_time_order(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Return evidence sorted by its start, video by video."""
    return tuple(sorted(evidence, key=lambda e: (e.video, e.start_s, e.end_s, e.tool)))


def merge_neighbours(evidence: Sequence[Evidence], gap_s: float) -> tuple[Evidence, ...]:
    """Join sentences that were split into several speech records; best first, as given.

    Each part was retrieved by itself. A joined record has the rank, the score and the id of its
    best part, and the ids of all of them in `data["joined"]`.

    Args:
        evidence: Any records, best first.
        gap_s: Longest pause within a sentence, in seconds.
    """
    rank = {id(e): i for i, e in enumerate(evidence)}
    joined: list[tuple[int, Evidence]] = []
    for item in in_time_order(evidence):
        if joined and _goes_on(joined[-1][1], item, gap_s):
            place, before = joined[-1]
            best = before if place < rank[id(item)] else item
            joined[-1] = (min(place, rank[id(item)]), _join(best, before, item))
        else:
            joined.append((rank[id(item)], item))
    return tuple(item for _, item in sorted(joined, key=lambda pair: pair[0]))


def with_neighbours(
    hits: Sequence[Evidence], records: Sequence[Evidence], reach_s: float
) -> tuple[Evidence, ...]:
    """Return retrieved records, best first, then what was said or shown around each of them.

    Args:
        hits: Best first.
        records: All evidence of the videos.
        reach_s: Seconds before and after a hit; 0 adds nothing.
    """
    found = {part for hit in hits for part in hit.data.get("joined", [hit.id])}
    order = list(hits)
    for hit in hits if reach_s else ():
        near = [
            record
            for record in records
            if record.id not in found
            and record.video == hit.video
            and record.kind in SAID_OR_SHOWN
            and record.start_s <= hit.end_s + reach_s
            and record.end_s >= hit.start_s - reach_s
        ]
        middle = hit.start_s + hit.end_s
        near.sort(key=lambda record: abs(record.start_s + record.end_s - middle))
        order += near[:NEIGHBOURS]
        found |= {record.id for record in near[:NEIGHBOURS]}
    return tuple(order)


def _join(best: Evidence, before: Evidence, after: Evidence) -> Evidence:
    parts = [*before.data.get("joined", [before.id]), after.id]
    return replace(
        best,
        start_s=before.start_s,
        end_s=after.end_s,
        text=f"{before.text} {after.text}",
        data={**best.data, "joined": parts},
    )


def _goes_on(before: Evidence, after: Evidence, gap_s: float) -> bool:
    places = [(each.video, each.tool, each.kind) for each in (before, after)]
    same = places[0] == places[1] and before.kind == "speech"
    near = 0 <= after.start_s - before.end_s <= gap_s
    open_end = not before.text.rstrip().endswith(SENTENCE_ENDS)
    return same and near and open_end and after.end_s - before.start_s <= MAX_SENTENCE_S


def spread_order(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Reorder records so that every prefix is spread evenly over the whole.

    Positions are sorted by their bit-reversed index (van der Corput sequence).
    """
    digits = max(1, (len(evidence) - 1).bit_length())
    order = sorted(range(len(evidence)), key=lambda i: f"{i:0{digits}b}"[::-1])
    return tuple(evidence[i] for i in order)


def within_budget(
    evidence: Sequence[Evidence], tokens: int, count: Callable[[str], int]
) -> tuple[Evidence, ...]:
    """Return the records, best first, whose prompt lines fit the token budget; none is truncated.

    A record that does not fit is skipped, and a smaller one after it may still be taken.
    """
    kept, used = [], 0
    for item in evidence:
        cost = count(as_line(item)) + 1  # the line break
        if used + cost <= tokens:
            kept.append(item)
            used += cost
    return tuple(kept)
