"""Files served by the page: the videos chosen on it, and pictures of them.

A video is served under a random token that only the choosing page receives; a URL never contains a
path, so path traversal is impossible.
"""

import secrets
from functools import lru_cache
from pathlib import Path
from threading import Lock

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from tools.errors import ReelgraphError
from tools.media.jpeg import encode_jpeg
from tools.media.readers import open_video
from tools.media.video import Video

THUMBNAIL_SIDE = 320  # pixels
THUMBNAIL_QUALITY = 80
KEEP = {"Cache-Control": "private, max-age=3600"}


class ChosenFiles:
    """The videos that may be served."""

    def __init__(self) -> None:
        self._videos: dict[str, Video] = {}
        self._tokens: dict[str, str] = {}
        self._pictures: dict[str, Path] = {}
        self._lock = Lock()

    def add(self, video: Video) -> str:
        """Allow a video to be served and return its token."""
        with self._lock:
            key = f"{video.sha256} {video.path}"
            token = self._tokens.setdefault(key, secrets.token_urlsafe(16))
            self._videos[token] = video
            return token

    def add_picture(self, folder: Path, name: str) -> str:
        """Allow a picture in a folder to be served and return its URL; "" if it does not exist.

        Args:
            folder: Nothing outside it is served.
            name: Path of the picture in it.
        """
        file = (folder / name).resolve()
        if not file.is_relative_to(folder.resolve()) or not file.is_file():
            return ""
        with self._lock:
            token = self._tokens.setdefault(f"picture {file}", secrets.token_urlsafe(16))
            self._pictures[token] = file
        return f"seen/{token}"

    def remove(self, video: Video) -> None:
        """Stop serving a video."""
        with self._lock:
            for token in [t for t, v in self._videos.items() if v.sha256 == video.sha256]:
                del self._videos[token]
            kept = {*self._videos, *self._pictures}
            self._tokens = {key: token for key, token in self._tokens.items() if token in kept}

    def routes(self) -> list[Route]:
        """Return the routes for the web server."""
        return [
            Route("/watch/{token}", self._watch),
            Route("/picture/{token}/{time_ms:int}", self._picture),
            Route("/seen/{token}", self._seen),
        ]

    def _find(self, request: Request) -> Video:
        video = self._videos.get(request.path_params["token"])
        if video is None or not video.path.is_file():
            raise HTTPException(404, "no such video; choose it on the page")
        return video

    def _watch(self, request: Request) -> Response:
        """Send a video; the response supports range requests, so that a player can seek."""
        return FileResponse(self._find(request).path, content_disposition_type="inline")

    def _picture(self, request: Request) -> Response:
        """Send the frame at a time."""
        video = self._find(request)
        time_ms = min(request.path_params["time_ms"], int(video.duration_s * 1000))
        try:
            content = _thumbnail(video, time_ms)
        except ReelgraphError as error:
            raise HTTPException(404, "there is no picture at that time") from error
        return Response(content, media_type="image/jpeg", headers=KEEP)

    def _seen(self, request: Request) -> Response:
        """Send the picture that was given to a model."""
        file = self._pictures.get(request.path_params["token"])
        if file is None or not file.is_file():
            raise HTTPException(404, "no such picture")
        return FileResponse(file, headers=KEEP)


@lru_cache(maxsize=512)
def _thumbnail(video: Video, time_ms: int) -> bytes:
    """Return a small JPEG picture; nothing is written to disk."""
    frame = next(iter(open_video(video, max_side=THUMBNAIL_SIDE).at([time_ms / 1000])))
    return encode_jpeg(frame.image, THUMBNAIL_QUALITY)
