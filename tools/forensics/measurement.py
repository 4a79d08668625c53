"""The base of a measurement: a tool that measures one normalised clip and says what it means.

A subclass implements `measure`; `run` does the rest: it opens the shared clip, times the
work without the decoding, and yields exactly one record, whatever the outcome.
"""

import base64
import hashlib
import json
import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tools.base import Need, Tool, ToolInput, ToolOptions
from tools.errors import MissingError, ReelgraphError, StoppedError
from tools.evidence import Evidence
from tools.forensics.clip import Clip, ClipOptions, open_clip
from tools.media.video import Video

log = logging.getLogger(__name__)

Outcome = Literal["ok", "not_applicable", "unavailable", "error"]
"""ok; the clip does not allow the measurement; weights or a package are missing; it failed."""


@dataclass(frozen=True)
class View:
    """What a measurement shows: one contact sheet.

    Attributes:
        jpeg: The sheet.
        legend: What the colours mean; their scale is fixed, never that of the clip.
        frames: Numbers of the frames shown; they are burned in.
    """

    jpeg: bytes
    legend: str
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Reading:
    """What a measurement found.

    Attributes:
        status: Whether the values count.
        values: The numbers and facts, by name.
        card: One to three lines: what is measured, the values with their units, and to what they
            apply.
        view: The contact sheet, if there is one.
    """

    status: Outcome
    values: Mapping[str, float | str | bool]
    card: str
    view: View | None = None


class Measurement(Tool):
    """Measures one clip. A subclass sets `name` and `version` and implements `measure`."""

    kind: ClassVar[str] = "measurement"
    version: ClassVar[str] = "2"
    Options: ClassVar[type[ToolOptions]] = ClipOptions
    options: ToolOptions
    pictures: ClassVar[bool] = True
    """Whether it measures frames; otherwise the file as such, which needs no picture."""

    @property
    def needs(self) -> frozenset[Need]:
        """The file; the frames are those of the shared clip."""
        return frozenset({"file"})

    @property
    def reentrant(self) -> bool:
        """Runs share nothing but read-only frames and weights."""
        return True

    @abstractmethod
    def measure(self, clip: Clip) -> Reading:
        """Measure a clip.

        Raises:
            MissingError: Weights or a package are missing; becomes the status "unavailable".
        """

    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Yield one record over the clip's span.

        Raises:
            StoppedError: The user pressed Stop.
        """
        if given.stopped():
            raise StoppedError
        options = self.options if isinstance(self.options, ClipOptions) else ClipOptions()
        clip = open_clip(given.video, options)
        yield self._evidence(clip, self._reading(clip))
        given.progress(given.video.duration_s, given.video.duration_s)

    def _reading(self, clip: Clip) -> Reading:
        """Measure; a failure is a status of its own, never a crash nor an empty result."""
        found = self.available()
        if not found.ok:
            return self._without(f"{found.reason}; {found.remedy}", "unavailable")
        if self.pictures and not clip.video.has_picture:
            return self._without("the file holds no picture", "not_applicable")
        try:
            return self.measure(clip)
        except StoppedError:
            raise
        except MissingError as error:
            return self._without(_told(error, clip.video), "unavailable")
        except Exception as error:
            log.debug("%s failed", self.name, exc_info=error)
            return self._without(_told(error, clip.video), "error")

    def _without(self, reason: str, status: Outcome) -> Reading:
        said = {"unavailable": "Not run", "not_applicable": "Not applicable"}.get(status, "Failed")
        return Reading(status, {}, f"{said}: {reason}.")

    def _evidence(self, clip: Clip, reading: Reading) -> Evidence:
        framed = self.pictures and reading.status in {"ok", "not_applicable"}
        framed = framed and clip.video.has_picture
        times_s = clip.times_s if framed else ()
        start_s, end_s = (clip.start_s, clip.end_s) if framed else (0.0, clip.video.duration_s)
        data = {
            "status": reading.status,
            "values": dict(reading.values),
            "version": self.version,
            "params_hash": params_hash(self.options),
            "view": _plain(reading.view),
            "frames": [{"number": n, "t_s": time_s} for n, time_s in enumerate(times_s)],
        }
        return Evidence(self.name, self.kind, start_s, end_s, reading.card, data=data)


def params_hash(options: ToolOptions) -> str:
    """Return 16 hex digits that identify the values of all options."""
    plain = json.dumps(options.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def _plain(view: View | None) -> dict[str, Any] | None:
    if view is None:
        return None
    jpeg = base64.b64encode(view.jpeg).decode("ascii")
    return {"jpeg": jpeg, "legend": view.legend, "frames": list(view.frames)}


def _told(error: Exception, video: Video) -> str:
    """Return the reason in one line, without the file's name: a card may be sent to a model."""
    reason = str(error) if isinstance(error, ReelgraphError) else f"{type(error).__name__}: {error}"
    for name in (str(video.path), str(video.path.parent), video.path.name):
        reason = reason.replace(name, "the file")
    return " ".join(reason.split()).rstrip(".")
