"""The context shared by all tabs of the page."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import Lock

from agent.library.chats import Chats
from agent.library.exchange import Exchange, Seen
from agent.library.store import Library
from agent.page.files import ChosenFiles
from agent.page.running import Running
from agent.page.sessions import Sessions
from agent.page.uploads import MAX_SUM, Uploads
from agent.search.search import VideoSearch
from agent.session import Session
from agent.text import clock
from tools.errors import InputError
from tools.media.video import Video


@dataclass
class PageContext:
    """Sessions, the files that may be served, and the runs in progress.

    Attributes:
        max_hours: Maximum length of a video on the page; the command line takes any length.
        max_uploads: Maximum bytes of all uploaded videos together.
        open_to_all: Files that everybody may open by path.
        named: Whether people sign in with names; each then has a library of their own.
        user: Whose context it is; empty for the page's own.
    """

    sessions: Sessions
    files: ChosenFiles = field(default_factory=ChosenFiles)
    running: Running = field(default_factory=Running)
    max_hours: float = 12.0
    max_uploads: int = MAX_SUM
    open_to_all: frozenset[Path] = frozenset()
    named: bool = False
    user: str = ""
    _of_users: dict[str, "PageContext"] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def of(self, user: str) -> "PageContext":
        """Return the context of a user: this one, unless people sign in with names.

        Raises:
            InputError: Nobody has signed in where people have names.
        """
        if not self.named:
            return self
        if not user:
            raise InputError("sign in first")
        with self._lock:
            if user not in self._of_users:
                sessions = self.sessions.for_library(self.library.folder / "users" / user)
                self._of_users[user] = replace(
                    self, sessions=sessions, named=False, user=user, _of_users={}
                )
            return self._of_users[user]

    def path(self, text: str) -> Path:
        """Return the path of a chosen video.

        Raises:
            InputError: None is chosen, or a person with a name chose a file that they have not
                uploaded: a path would open whatever the owner of the page can read.
        """
        if not text.strip():
            raise InputError("no video is chosen: upload one, give its path or take a known one")
        path = Path(text.strip()).expanduser()
        if self.user and path not in self.uploads and path.resolve() not in self.open_to_all:
            raise InputError("on a page with several users files are uploaded, not named by path")
        return path

    @property
    def library(self) -> Library:
        """The library of the profile with which the page was started."""
        return self.sessions.first.library

    @property
    def chats(self) -> Chats:
        """The chats of that library."""
        return self.library.chats

    @cached_property
    def search(self) -> VideoSearch:
        """The search over the videos of that library."""
        return VideoSearch(self.sessions.first.context)

    @cached_property
    def uploads(self) -> Uploads:
        """The videos that were uploaded to that library."""
        return Uploads(self.library, self.max_uploads)

    def open(self, session: Session, path: str) -> Video:
        """Probe a chosen video and allow it to be served.

        Raises:
            InputError: It has neither pictures nor sound, or it is too long.
        """
        file = self.path(path)
        try:
            video = session.probe(file)
        except InputError as error:
            raise InputError(str(error).replace(path, Path(path).name)) from error
        if video.duration_s > self.max_hours * 3600:
            raise InputError(
                f"{video.path.name} lasts {clock(video.duration_s)}, the page takes at most "
                f"{clock(self.max_hours * 3600)}; use the command line, or cut it"
            )
        self.files.add(video)
        return video

    def video_of(self, exchange: Exchange) -> Video | None:
        """Return the video of an exchange; None if its file no longer exists."""
        video = self.library.video(exchange["sha256"])
        return video if video and video.path.is_file() else None

    def pictures_of(self, seen: Sequence[Seen]) -> list[str]:
        """Return the URLs of the pictures given to a model; "" for one that is gone."""
        return [self.files.add_picture(self.library.folder, item["file"]) for item in seen]
