"""The visual part of a plan: the model's visual input, fixed before any model call.

Plain data, the same bytes on every machine: frames with their times, thumbnails or grids, spans
of tokens, and a digest of the sampled token ids.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from agent.frames.grids import GridShape, grid_shape
from agent.visual.budget import Budget, Fitted
from agent.visual.encoding import TowerSpec
from agent.visual.layouts import Layout
from agent.visual.sampling import ids_digest
from agent.visual.spans import Sampled, TokenGrid
from agent.visual.thumbnails import fits_patches, thumbnail_shape
from tools.media.video import fit


class ShownFrame(Protocol):
    """A frame: its index in the video and its time; a dataclass."""

    @property
    def index(self) -> int:
        """Index among the frames of the video."""

    @property
    def time_s(self) -> float:
        """Its time in seconds."""


@dataclass(frozen=True, slots=True)
class PlannedPicture:
    """A picture made of frames: a thumbnail for the vision tower, or a grid for a message.

    Attributes:
        width: Pixels.
        height: Pixels.
        rows: Rows of cells.
        columns: Columns of cells.
        frames: Frames of the cells, as positions in the plan's frames.
        tokens: Its tokens; None where only the server knows.
    """

    width: int
    height: int
    rows: int
    columns: int
    frames: tuple[int, ...]
    tokens: int | None


@dataclass(frozen=True, slots=True)
class PlannedSpan:
    """A span of visual tokens.

    Attributes:
        kind: How they are made ("Sampled", "Thumbnails", "Paired", ...).
        start: Position of the first among the visual tokens.
        tokens: Number of tokens.
        frames: Positions of the frames that they show.
    """

    kind: str
    start: int
    tokens: int
    frames: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VisualPlan:
    """The plan of a model's visual input.

    Attributes:
        layout: Name of the layout.
        parity: Whether the published code is followed to the bit.
        total: Number of frames of the video.
        frames: The sampled frames.
        pictures: Thumbnails or grids.
        spans: Spans of visual tokens; none where pictures are sent.
        visual_tokens: Total visual tokens; None where only the server knows.
        cut: Number of visual tokens cut.
        text_tokens: Tokens of text; None while unknown.
        new_tokens: Tokens reserved for the answer; None while unknown.
        limit: Context window of the model in tokens; None while unknown.
        token_ids: First 16 hex digits of the SHA-256 of the sampled ids (int64, little endian);
            None where nothing is sampled.
        notes: Notes for the user.
    """

    layout: str
    parity: bool
    total: int
    frames: tuple[ShownFrame, ...]
    pictures: tuple[PlannedPicture, ...]
    spans: tuple[PlannedSpan, ...] = ()
    visual_tokens: int | None = None
    cut: int = 0
    text_tokens: int | None = None
    new_tokens: int | None = None
    limit: int | None = None
    token_ids: str | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a plain dictionary."""
        frames = [{"index": frame.index, "time_s": frame.time_s} for frame in self.frames]
        return asdict(replace(self, frames=())) | {"frames": frames}

    def laid_out(self) -> dict[str, Any]:
        """Return all but the frames, for a plan that already names them."""
        values = self.to_json()
        del values["frames"]
        return values

    def dumps(self) -> str:
        """Return the plan as JSON text, the same bytes every time."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False)


def plan_tokens(
    fitted: Fitted,
    frames: tuple[ShownFrame, ...],
    total: int,
    tower: TowerSpec,
    budget: Budget,
    parity: bool = False,
) -> VisualPlan:
    """Plan a layout of visual tokens.

    Args:
        fitted: See `agent.visual.budget.fit_layout`.
        frames: The sampled frames.
        total: Number of frames of the video.
        tower: Vision tower of the model.
        budget: The budget that `fitted` fits.
        parity: Follow the published code to the bit.
    """
    layout, grid = fitted.layout, tower.grid(len(frames), parity)
    return VisualPlan(
        layout=layout.name,
        parity=parity,
        total=total,
        frames=frames,
        pictures=_thumbnails(layout, grid, tower),
        spans=_spans(layout, grid),
        visual_tokens=fitted.tokens,
        cut=fitted.cut,
        text_tokens=budget.text,
        new_tokens=budget.new,
        limit=budget.limit,
        token_ids=_token_ids(layout, grid),
        notes=_notes(fitted, grid, tower, budget),
    )


def plan_grid(
    frames: tuple[ShownFrame, ...],
    total: int,
    width: int,
    height: int,
    tokens: int | None = None,
    parity: bool = False,
) -> VisualPlan:
    """Plan an image grid (IG-VLM); `width` and `height` are those of one frame.

    Args:
        frames: The sampled frames.
        total: Number of frames of the video.
        width: Width of a frame in pixels.
        height: Height of a frame in pixels.
        tokens: Tokens of the grid, where known.
        parity: Whether the frames were chosen as the published code does.
    """
    cells = tuple(range(len(frames)))
    picture = planned_grid(cells, grid_shape(len(frames)), (width, height), tokens=tokens)
    return VisualPlan("ig-vlm", parity, total, frames, (picture,), visual_tokens=tokens)


def planned_grid(
    cells: tuple[int, ...],
    shape: GridShape,
    cell: tuple[int, int],
    max_side: int | None = None,
    tokens: int | None = None,
) -> PlannedPicture:
    """Plan one grid.

    Args:
        cells: Their frames, as positions in the plan's frames.
        shape: Rows and columns.
        cell: Width and height of a cell in pixels.
        max_side: Maximum pixels of the grid's longer side; None keeps the size.
        tokens: Its tokens, where known.
    """
    size = fit(shape.columns * cell[0], shape.rows * cell[1], max_side)
    return PlannedPicture(*size, shape.rows, shape.columns, cells, tokens)


def _thumbnails(layout: Layout, grid: TokenGrid, tower: TowerSpec) -> tuple[PlannedPicture, ...]:
    if layout.thumbnails is None:
        return ()
    groups = layout.thumbnails.groups(grid)
    shapes = [thumbnail_shape(len(group), grid.parity) for group in groups]
    return tuple(
        PlannedPicture(tower.side, tower.side, shape.rows, shape.columns, group, grid.tokens)
        for group, shape in zip(groups, shapes, strict=True)
    )


def _spans(layout: Layout, grid: TokenGrid) -> tuple[PlannedSpan, ...]:
    planned: list[PlannedSpan] = []
    start = 0
    for span in layout.spans:
        tokens = span.tokens(grid)
        frames = tuple(span.frames(grid).tolist())
        planned.append(PlannedSpan(type(span).__name__, start, tokens, frames))
        start += tokens
    return tuple(planned)


def _token_ids(layout: Layout, grid: TokenGrid) -> str | None:
    sampled = [span for span in layout.spans if isinstance(span, Sampled)]
    return ids_digest(sampled[0].ids(grid)) if sampled else None


def _notes(fitted: Fitted, grid: TokenGrid, tower: TowerSpec, budget: Budget) -> tuple[str, ...]:
    notes = []
    if fitted.cut:
        notes.append(
            f"{fitted.cut} of {fitted.tokens + fitted.cut} visual tokens were left out, for the "
            f"model takes {budget.limit} tokens in all"
        )
    for shape in sorted({_shape(picture) for picture in _thumbnails(fitted.layout, grid, tower)}):
        if not fits_patches(GridShape(*shape), tower.side, tower.patch):
            notes.append(
                f"the cells of a thumbnail of {shape[0]} x {shape[1]} cut through patches of the "
                f"vision tower ({tower.patches} x {tower.patches}): some tokens mix two frames"
            )
    return tuple(notes)


def _shape(picture: PlannedPicture) -> tuple[int, int]:
    return picture.rows, picture.columns
