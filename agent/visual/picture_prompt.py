"""TS-LLaVA for a model that takes pictures but no visual tokens: an overview grid, then frames.

It approximates the sampling of tokens (coverage by the grid, detail by the frames) and does not
reproduce it; plan and answer say so. Over the budget, frames are dropped from the middle outward,
down to the grid alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.answering.prompt import grid_part, question_section
from agent.frames.files import picture_count
from agent.frames.grids import GridShape, caption_height
from agent.models.chat_model import ChatModel
from agent.records import PlannedFrame, Question
from agent.visual.plan import PlannedPicture, VisualPlan, planned_grid
from agent.visual.sampling import sampled_ids
from agent.visual.thumbnails import thumbnail_shape
from agent.visual.visual_token_prompt import Wanted, choose_frames, reading_of
from tools.media.video import Video, fit

NOTE = "pictures stand in for visual tokens, which this model does not take"
CELLS = 6  # of the grid for a layout without thumbnails


@dataclass(frozen=True, slots=True)
class Sizes:
    """The number and sizes of pictures.

    Attributes:
        pictures: Maximum single pictures besides the grid.
        max_side: Maximum pixels of their longer side.
        grid_side: Maximum pixels of the grid's longer side.
        numbered: Whether number and time are drawn above each cell.
    """

    pictures: int
    max_side: int
    grid_side: int
    numbered: bool


@dataclass(frozen=True, slots=True)
class PictureForm:
    """The model's visual input: the grid's frames and the single ones, in time order."""

    cells: tuple[PlannedFrame, ...]
    singles: tuple[PlannedFrame, ...]
    shape: GridShape
    plan: VisualPlan

    @property
    def frames(self) -> tuple[PlannedFrame, ...]:
        """All frames, each once."""
        return in_order([*self.cells, *self.singles])


def prepare(
    video: Video,
    question: Question,
    chat: ChatModel,
    wanted: Wanted,
    sizes: Sizes,
    share: float = 1.0,
) -> PictureForm:
    """Choose the grid's cells and as many single frames as the model can take."""
    looked_at = choose_frames(video, wanted.frames, wanted.parity)
    count = wanted.layout.thumbnails.cells if wanted.layout.thumbnails else CELLS
    cells = in_order([looked_at[i] for i in sampled_ids(len(looked_at), count).tolist()])
    shape = thumbnail_shape(len(cells))
    height = video.height + (caption_height(video.height) if sizes.numbered else 0)
    grid = planned_grid((), shape, (video.width, height), sizes.grid_side)
    grid = replace(grid, tokens=chat.image_tokens(grid.width, grid.height))
    most = sizes.pictures if wanted.layout.needs_frames else 0
    singles = choose_frames(video, most, wanted.parity) if most else ()
    told = grid_part(video, cells, shape, singles, numbered=sizes.numbered, timed=True)
    written = chat.count_tokens(f"{told.text}\n\n{question_section(question).text}")
    kept = _fitting(len(singles), video, chat, sizes, written + (grid.tokens or 0))
    singles = ends_of(singles, int(kept * share))
    return PictureForm(
        cells, singles, shape, _plan(video, chat, wanted, sizes, grid, cells, singles, written)
    )


def ends_of(frames: Sequence[PlannedFrame], count: int) -> tuple[PlannedFrame, ...]:
    """Drop frames from the middle outward until `count` are left."""
    left = (count + 1) // 2
    return (*frames[:left], *frames[len(frames) - (count - left) :])


def in_order(frames: Sequence[PlannedFrame]) -> tuple[PlannedFrame, ...]:
    """Return frames in time order, each once."""
    return tuple(sorted(set(frames), key=lambda frame: frame.index))


def _fitting(wanted: int, video: Video, chat: ChatModel, sizes: Sizes, taken: int) -> int:
    """Return how many single pictures fit besides the grid and the text, by the model's limits."""
    limits = chat.capabilities
    most = wanted if limits.max_images is None else min(wanted, limits.max_images - 1)
    if limits.context_tokens is None:
        return max(0, most)
    left = limits.context_tokens - taken - chat.max_new_tokens
    width, height = fit(video.width, video.height, sizes.max_side)
    while most > 0 and chat.image_tokens(width, height, most) > left:
        most -= 1
    return max(0, most)


def _plan(
    video: Video,
    chat: ChatModel,
    wanted: Wanted,
    sizes: Sizes,
    grid: PlannedPicture,
    cells: tuple[PlannedFrame, ...],
    singles: tuple[PlannedFrame, ...],
    written: int,
) -> VisualPlan:
    frames = in_order([*cells, *singles])
    width, height = fit(video.width, video.height, sizes.max_side)
    tokens = chat.image_tokens(width, height, len(singles)) if singles else 0
    pictures = [
        PlannedPicture(width, height, 1, 1, (frames.index(one),), tokens // len(singles))
        for one in singles
    ]
    shown = replace(grid, frames=tuple(frames.index(one) for one in cells))
    left_out = sizes.pictures - len(singles) if wanted.layout.needs_frames else 0
    cut = (f"{left_out} single pictures fewer than wanted",) if left_out > 0 else ()
    return VisualPlan(
        layout=wanted.layout.name,
        parity=wanted.parity,
        total=picture_count(video, reading_of(wanted.parity)),
        frames=frames,
        pictures=(shown, *pictures),
        visual_tokens=(grid.tokens or 0) + tokens,
        text_tokens=written,
        new_tokens=chat.max_new_tokens,
        limit=chat.context_tokens,
        notes=(NOTE, *cut),
    )
