"""Stored outputs of chat models on a video, by key: captions of clips, and replies."""

from collections.abc import Mapping
from typing import Any

from agent.library.database import Database
from agent.library.rows import CAPTIONS, caption_from, to_json
from agent.library.schema import run_tag
from tools.evidence import Evidence
from tools.media.video import Video


class ModelTables:
    """The part of a library that stores captions and replies."""

    _db: Database

    def captions(self, video: Video) -> dict[str, Evidence | None]:
        """Return the captions of all clips by key, in time order; None for an empty caption."""
        rows = self._db.rows(
            "SELECT * FROM captions WHERE video = ? ORDER BY start_s, end_s, id", (video.sha256,)
        )
        return {row["key"]: caption_from(row) if row["text"] else None for row in rows}

    def has_caption(self, video: Video, key: str) -> bool:
        """Say whether a clip was captioned with these very settings."""
        sql = "SELECT 1 FROM captions WHERE video = ? AND key = ?"
        return self._db.row(sql, (video.sha256, key)) is not None

    def save_caption(
        self,
        video: Video,
        key: str,
        settings: Mapping[str, Any],
        span_s: tuple[float, float],
        text: str,
        seconds: float,
    ) -> None:
        """Store the caption of a clip from start to end in seconds, even an empty one."""
        about = (run_tag(video.sha256, CAPTIONS, key), video.sha256, key, to_json(settings))
        with self._db.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO captions"
                " (tag, video, key, settings, start_s, end_s, text, seconds)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*about, *span_s, text, seconds),
            )

    def reply(self, video: Video, key: str) -> str | None:
        """Return a cached reply, None if there is none."""
        sql = "SELECT text FROM replies WHERE video = ? AND key = ?"
        row = self._db.row(sql, (video.sha256, key))
        return str(row["text"]) if row else None

    def save_reply(
        self, video: Video, key: str, settings: Mapping[str, Any], text: str, seconds: float
    ) -> None:
        """Cache a reply of a chat model, even an empty one."""
        with self._db.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO replies (video, key, settings, text, seconds)"
                " VALUES (?, ?, ?, ?, ?)",
                (video.sha256, key, to_json(settings), text, seconds),
            )
