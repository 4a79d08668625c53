"""Read script.yaml and lay it out in time: what is said, what can be read, where the view cuts.

The lengths of the spoken lines come from outside (the voice that was synthesised, or the subtitle
track of the finished video), so the same layout serves the making and the checking.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

WIDTH, HEIGHT = 1280, 720


@dataclass(frozen=True)
class Line:
    """One spoken sentence group: one subtitle cue."""

    text: str
    voice: str
    rest_s: float
    sound: str | None


@dataclass(frozen=True)
class Scene:
    """One place of the tour, as written."""

    id: str
    chapter: str | None
    lead_s: float
    tail_s: float
    lead_sound: str | None
    sound: str | None
    fade: bool
    lines: tuple[Line, ...]
    text: dict[str, dict[str, Any]]
    views: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Span:
    """Seconds from the start of the video."""

    start_s: float
    end_s: float

    def holds(self, t_s: float) -> bool:
        """Return whether the time lies inside."""
        return self.start_s <= t_s < self.end_s


@dataclass(frozen=True)
class View:
    """What the camera shows from a time on; zoom 1 is the whole picture."""

    from_s: float
    x: float = WIDTH / 2
    y: float = HEIGHT / 2
    zoom: float = 1.0


@dataclass(frozen=True)
class Take:
    """A scene laid out in time; all times count from the start of the video."""

    scene: Scene
    span: Span
    lines: tuple[Span, ...]
    text: dict[str, Span] = field(default_factory=dict)
    views: tuple[View, ...] = ()

    def words(self, key: str) -> str:
        """Return the written words of a key."""
        return str(self.scene.text[key]["show"])


def read_screenplay(path: Path) -> tuple[Scene, ...]:
    """Read the scenes of a script file, defaults filled in."""
    script = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(_scene(entry, script["defaults"]) for entry in script["scenes"])


def _scene(entry: dict[str, Any], defaults: dict[str, float]) -> Scene:
    said = [item if isinstance(item, dict) else {"line": item} for item in entry["say"]]
    shown = entry.get("text", {})
    return Scene(
        id=entry["id"],
        chapter=entry.get("chapter"),
        lead_s=entry.get("lead_s", defaults["lead_s"]),
        tail_s=entry.get("tail_s", defaults["tail_s"]),
        lead_sound=entry.get("lead_sound"),
        sound=entry.get("sound"),
        fade=entry.get("fade", False),
        lines=tuple(
            Line(
                item["line"],
                item.get("voice", "nora"),
                item.get("rest_s", defaults["rest_s"]),
                item.get("sound"),
            )
            for item in said
        ),
        text={k: v if isinstance(v, dict) else {"show": v} for k, v in shown.items()},
        views=tuple(entry.get("views", ())),
    )


def lay_out(scenes: Sequence[Scene], seconds: Sequence[float]) -> tuple[Take, ...]:
    """Assign a time to every line, text and view.

    Args:
        scenes: the screenplay.
        seconds: how long each spoken line takes, over all scenes, in order.
    """
    clock, spoken, takes = 0.0, iter(seconds), []
    for scene in scenes:
        start, clock, lines = clock, clock + scene.lead_s, []
        for line in scene.lines:
            lines.append(Span(clock, clock + next(spoken)))
            clock = lines[-1].end_s + line.rest_s
        clock += scene.tail_s
        takes.append(_timed(scene, Span(start, clock), tuple(lines)))
    return tuple(takes)


def _timed(scene: Scene, span: Span, lines: tuple[Span, ...]) -> Take:
    text = {
        key: Span(
            _moment(item, span, lines),
            lines[item["until"]].start_s if "until" in item else span.end_s,
        )
        for key, item in scene.text.items()
    }
    views = [View(span.start_s)]
    for item in scene.views:
        x, y, zoom = item["look"]
        half_w, half_h = WIDTH / 2 / zoom, HEIGHT / 2 / zoom
        x = min(max(x, half_w), WIDTH - half_w)
        y = min(max(y, half_h), HEIGHT - half_h)
        views.append(View(_moment(item, span, lines), x, y, zoom))
    return Take(scene, span, lines, text, tuple(views))


def _moment(item: dict[str, Any], span: Span, lines: tuple[Span, ...]) -> float:
    moment = span.start_s
    if "from" in item:
        moment = lines[item["from"]].start_s
    elif "after" in item:
        moment = lines[item["after"]].end_s
    return moment + float(item.get("plus_s", 0.0))
