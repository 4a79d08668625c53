"""Search the moments of many videos: what was said, written or seen in them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from agent.library.rows import across_videos
from agent.models.embedding import SentenceEmbeddings
from agent.search.index import Ranking, VectorIndex, rank
from agent.search.moments import Collected, Moment
from agent.search.thumbnails import with_thumbnails
from agent.search.videos import names, runs_of
from agent.state import Context
from agent.text import is_text
from tools.errors import InputError
from tools.media.video import Video

TOP, PER_VIDEO = 10, 3
MAX_TOP = 200
MAX_QUERY = 1000  # characters
AT_ONCE = 100  # records that are read from the library together


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search.

    Attributes:
        query: What was searched for.
        moments: Best first.
        videos: How many videos were searched.
        seconds: Wall time without thumbnails.
        note: What was done otherwise than usual; empty if nothing.
        unknown: Files that were named and are not in the library.
    """

    query: str
    moments: tuple[Moment, ...]
    videos: int
    seconds: float
    note: str = ""
    unknown: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        return {
            "query": self.query,
            "moments": [moment.to_json() for moment in self.moments],
            "videos": self.videos,
            "seconds": round(self.seconds, 4),
            "note": self.note,
            "unknown": [str(file) for file in self.unknown],
        }


class VideoSearch:
    """Searches the videos of a session's library; keep one for many queries. Thread-safe.

    Example:
        >>> session = Session()
        >>> found = VideoSearch(session.context).search("the gate code")
        >>> [(m.evidence.video, m.evidence.start_s, m.evidence.text) for m in found.moments]
    """

    def __init__(self, context: Context) -> None:
        """Take a session's context; vectors are read with the first query."""
        self.context = context
        self._indexes: dict[str, VectorIndex] = {}  # by embedding model

    def search(
        self,
        query: str,
        videos: Collection[str] | None = None,
        kinds: Collection[str] = (),
        top: int = TOP,
        per_video: int = PER_VIDEO,
        *,
        pictures: bool = True,
    ) -> Found:
        """Return the moments that a query is about, best first.

        A moment is near the query in meaning (`retrieval.min_relevance`) or has one of its words.

        Args:
            query: What is looked for, in words.
            videos: Hashes of the videos to search; None for the whole library.
            kinds: Only these kinds of evidence, as speech or text; empty for all.
            top: Moments, at most.
            per_video: Moments of one video, at most; 0 for no limit.
            pictures: Whether thumbnails are made.

        Raises:
            InputError: The query, `top` or `per_video` cannot be used.
        """
        start, query = perf_counter(), _checked(query, top, per_video)
        latest = self.context.library.latest_runs()
        runs = list(latest) if videos is None else runs_of(videos, latest)
        ranking, note = self.rank([query], runs, kinds)
        rows = [row for row in ranking.rows if self._fits(row, ranking)]
        collected = Collected(top, per_video)
        moments = self.read(rows, ranking, collected, names(self.context.library.paths()))
        seconds = perf_counter() - start
        if pictures:
            moments = with_thumbnails(moments, self.context.library)
        searched = len(set(latest.values()) if videos is None else {latest[run] for run in runs})
        return Found(query, tuple(moments), searched, seconds, note)

    def rank(
        self, queries: Sequence[str], runs: Collection[int], kinds: Collection[str] = ()
    ) -> tuple[Ranking, str]:
        """Rank the records of some runs; also say if only words were compared, and why."""
        library = self.context.library
        embedder, note = self.context.pool.embedder_or_why()
        index = self._follow(embedder, runs) if embedder else None
        return rank(library, index, embedder, queries, runs, kinds), note

    def _follow(self, embedder: SentenceEmbeddings, runs: Collection[int]) -> VectorIndex:
        """Return the index of the vectors of some runs, brought up to date."""
        library = self.context.library
        index = self._indexes.setdefault(embedder.name, VectorIndex(library, embedder))
        index.follow(runs, library.latest_runs())
        return index

    def read(
        self,
        rows: Sequence[int],
        ranking: Ranking,
        collected: Collected,
        named: Mapping[str, str],
    ) -> list[Moment]:
        """Read records, best first, until enough moments are collected.

        Args:
            rows: Of the ranking, in its order.
            ranking: Holds their cosines.
            collected: Takes the moments.
            named: Name of each video by its hash.
        """
        library, known = self.context.library, dict[str, Video | None]()
        for start in range(0, len(rows), AT_ONCE):
            records = library.records(rows[start : start + AT_ONCE])
            for row in rows[start : start + AT_ONCE]:
                sha256, record = records.get(row, ("", None))
                if sha256 not in known:
                    known[sha256] = library.video(sha256)
                if record and (video := known[sha256]):
                    score = ranking.cosines.get(row, record.score)
                    found = across_videos(video, record, named.get(sha256, video.path.name))
                    collected.add(video, replace(found, score=score))
            if collected.full:
                break
        return collected.moments

    def _fits(self, row: int, ranking: Ranking) -> bool:
        least = self.context.settings.retrieval.min_relevance
        return row in ranking.with_words or ranking.cosines.get(row, 0.0) >= least


def _checked(query: str, top: int, per_video: int) -> str:
    """Return a query without surrounding space. `InputError` says what cannot be used."""
    if not (query := query.strip()):
        raise InputError("the query is empty; say what you are looking for")
    if not is_text(query):
        raise InputError("the query is not valid UTF-8; check the terminal")
    if len(query) > MAX_QUERY:
        raise InputError(
            f"the query has {len(query):,} characters, at most {MAX_QUERY:,} are read; shorten it"
        )
    if not 1 <= top <= MAX_TOP:
        raise InputError(f"a search returns 1 to {MAX_TOP} moments, {top} were asked for")
    if per_video < 0:
        raise InputError("moments of one video cannot be fewer than 0, which stands for no limit")
    return query
