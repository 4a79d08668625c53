"""TS-LLaVA for a model that takes visual tokens: plan them, make them once, cache them.

The plan made before any model call is what `look` then makes, for both call `prepare`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from agent.answering.conversation import messages
from agent.answering.prompt import PromptSection, question_section, section
from agent.frames.files import frames_of, picture_count
from agent.frames.sampling import centre_ids, ts_parity_ids
from agent.library.store import Library
from agent.models.chat_model import MemoryLimitError
from agent.models.chat_transformers import TransformersChat
from agent.models.image_text import ImageTextEncoder
from agent.records import PlannedFrame, Question, Turn, Visual
from agent.text import clock
from agent.visual.budget import Budget, Fitted, fit_layout
from agent.visual.contrast import outlier_tokens
from agent.visual.encoding import CHUNK, TowerSpec, tower_of, visual_tokens
from agent.visual.files import read_picture, square_pixels
from agent.visual.guiding import QuestionGuidance
from agent.visual.layouts import Layout
from agent.visual.merged_spans import Region
from agent.visual.plan import VisualPlan, plan_tokens
from agent.visual.spans import TokenGrid
from agent.visual.thumbnails import thumbnail_shape
from agent.visual.token_cache import TokenCache, token_key
from agent.visual.token_chat import out_of_memory, prompt_ids
from tools.errors import InputError
from tools.media.video import Reading, Video

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Wanted:
    """The request: a layout, a maximum number of frames, and whether to follow parity."""

    layout: Layout
    frames: int
    parity: bool


@dataclass(frozen=True, slots=True)
class TokenForm:
    """A model's visual input, fitted to its context.

    Attributes:
        frames: The sampled frames.
        layout: With samples cut, where the context requires it.
        tower: Vision tower of the model.
        told: Its description in the prompt.
        plan: All of it as plain data.
    """

    frames: tuple[PlannedFrame, ...]
    layout: Layout
    tower: TowerSpec
    told: PromptSection
    plan: VisualPlan


def choose_frames(video: Video, count: int, parity: bool) -> tuple[PlannedFrame, ...]:
    """Return the sampled frames."""
    rule = ts_parity_ids if parity else centre_ids
    return frames_of(video, lambda total: rule(total, count), reading_of(parity))


def reading_of(parity: bool) -> Reading:
    """Return how the video is read: in parity by decord, as in the published code."""
    return "decord" if parity else "player"


def prepare(
    video: Video,
    question: Question,
    chat: TransformersChat,
    wanted: Wanted,
    share: float = 1.0,
) -> TokenForm:
    """Fit a layout into the part of a model's context that the text leaves.

    Args:
        video: The video.
        question: The question; its tokens are counted in the actual prompt.
        chat: A model for which `token_model` holds.
        wanted: The layout.
        share: Share of the visual tokens to keep.

    Raises:
        InputError: The part that cannot be cut is too long.
    """
    tower = tower_of(chat.hf_model.config, chat.hf_processor.image_processor)
    if wanted.parity and wanted.layout.padded:
        tower = replace(tower, padded=True)
    frames = choose_frames(video, wanted.frames, wanted.parity)
    grid = tower.grid(len(frames), wanted.parity)
    told = describe(video, wanted.layout, grid)
    text = f"{told.text}\n\n{question_section(question).text}"
    written = len(prompt_ids(chat, messages([Turn("user", text)]), wanted.parity))
    limit = chat.capabilities.context_tokens or 0
    budget = Budget(limit, written, 0 if wanted.parity else chat.max_new_tokens)
    fitted = _with_share(fit_layout(wanted.layout, grid, budget), grid, share)
    total = picture_count(video, reading_of(wanted.parity))
    planned = plan_tokens(fitted, frames, total, tower, budget, wanted.parity)
    return TokenForm(frames, fitted.layout, tower, told, planned)


def describe(video: Video, layout: Layout, grid: TokenGrid) -> PromptSection:
    """Describe the visual tokens before the text; the published prompts omit the overview."""
    groups = layout.thumbnails.groups(grid) if layout.thumbnails and not grid.parity else ()
    shape = thumbnail_shape(len(groups[0])) if groups else thumbnail_shape(1)
    return section(
        "given_tokens",
        length=clock(video.duration_s),
        grids=len(groups),
        first=layout.spans[0] is layout.thumbnails,
        rows=shape.rows,
        columns=shape.columns,
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """Question and image-text encoder, for a layout that depends on the question."""

    question: Question
    encoder: ImageTextEncoder


def token_file(
    video: Video,
    form: TokenForm,
    squares: tuple[Path, ...],
    chat: TransformersChat,
    library: Library,
    asked: Asked | None = None,
) -> Path:
    """Return the file of a video's visual tokens; the vision tower runs if there is none yet.

    Args:
        video: The video.
        form: The visual input.
        squares: The frames, see `agent.visual.files.square_files`.
        chat: The model.
        library: Stores the file.
        asked: For a layout that depends on the question.

    Raises:
        MemoryLimitError: The tower does not fit, even with one frame at a time.
        StorageError: The library cannot be written.
    """
    times_s, parity = [frame.time_s for frame in form.frames], form.plan.parity
    tokens = TokenCache(library.folder / "frames")  # deleted with the video
    key = token_key(video.sha256, times_s, chat.hf_model, _plain(form.layout), form.tower, parity)
    if asked:
        key = replace(key, layout=repr((form.layout, asked.question.text, asked.encoder.name)))

    @cache
    def pixels() -> "Tensor":
        return square_pixels(squares, form.tower)

    @cache
    def guide() -> QuestionGuidance | None:
        return guide_of(asked, squares, form.tower) if asked else None

    def encode(chunk: int) -> "Tensor":
        with chat.lock, out_of_memory(chat.name):
            return visual_tokens(
                chat.hf_model, pixels(), form.tower, form.layout, parity, guide(), chunk
            )

    with library.claim(video, "tokens", key.digest):
        tokens.get(key, lambda: _smaller_on_demand(encode))
    return tokens.path(key)


def outlier_file(
    video: Video,
    form: TokenForm,
    pictures: tuple[Path, ...],
    chat: TransformersChat,
    library: Library,
) -> Path:
    """Return the file of the tokens for contrastive decoding (`agent.visual.contrast`).

    Args:
        video: The video.
        form: The visual input.
        pictures: Squares for the vision tower.
        chat: The model.
        library: Stores the file.

    Raises:
        MemoryLimitError: The tower does not fit.
        StorageError: The library cannot be written.
    """
    times_s, parity = [frame.time_s for frame in form.frames], form.plan.parity
    key = token_key(video.sha256, times_s, chat.hf_model, _plain(form.layout), form.tower, parity)
    key = replace(key, layout=repr(("outliers", [file.stem for file in pictures])))
    tokens = TokenCache(library.folder / "frames")

    def make() -> "Tensor":
        with chat.lock, out_of_memory(chat.name):
            pixels = square_pixels(pictures, form.tower)
            return outlier_tokens(chat.hf_model, pixels, published=parity)

    with library.claim(video, "tokens", key.digest):
        tokens.get(key, make)
    return tokens.path(key)


def guide_of(asked: Asked, squares: tuple[Path, ...], tower: TowerSpec) -> QuestionGuidance:
    """Compare frames and patches with a question (Free Video-LLM).

    Raises:
        InputError: The encoder is not CLIP, or its patches differ from the chat model's.
    """
    import torch

    encoder, pictures = asked.encoder, [read_picture(file) for file in squares]
    patches = encoder.patches(pictures)
    if patches.shape[1] != tower.patches**2:
        raise InputError(
            f"image_encoder.model={encoder.name} sees {patches.shape[1]} patches and the chat "
            f"model {tower.patches**2}; take the CLIP that the chat model was made with, for LLaVA "
            f"openai/clip-vit-large-patch14-336"
        )
    text, frames = encoder.texts([asked.question.text])[0], encoder.images(pictures)
    return QuestionGuidance(
        torch.from_numpy(text), torch.from_numpy(frames), torch.from_numpy(patches)
    )


def visuals(
    form: TokenForm, squares: tuple[Path, ...], thumbnails: tuple[Path, ...]
) -> tuple[Visual, ...]:
    """Return the pictures for the vision tower, in the order of their tokens."""
    layout, times_s = form.layout, [frame.time_s for frame in form.frames]
    singles = [
        Visual(file, "frame", (time_s,)) for file, time_s in zip(squares, times_s, strict=True)
    ]
    grid = form.tower.grid(len(times_s), form.plan.parity)
    groups = layout.thumbnails.groups(grid) if layout.thumbnails else ()
    overviews = [
        Visual(file, "thumbnail", tuple(times_s[place] for place in group))
        for file, group in zip(thumbnails, groups, strict=True)
    ]
    if not layout.needs_frames:
        return tuple(overviews)
    first = layout.spans[0] is layout.thumbnails
    return tuple(overviews + singles if first else singles + overviews)


def _plain(layout: Layout) -> Layout:
    """Drop the spans that depend on the question; the caller adds them to the key."""
    spans = tuple(span for span in layout.spans if not isinstance(span, Region))
    return replace(layout, spans=spans)


def _with_share(fitted: Fitted, grid: TokenGrid, share: float) -> Fitted:
    """Cut visual tokens to a share, to make room for a longer conversation."""
    if share >= 1:
        return fitted
    layout = fitted.layout.shrunk(grid, fitted.tokens - int(fitted.tokens * share))
    tokens = layout.tokens(grid)
    return Fitted(layout, tokens, fitted.cut + fitted.tokens - tokens)


def _smaller_on_demand(encode: Callable[[int], "Tensor"], chunk: int = CHUNK) -> "Tensor":
    """Encode in chunks of frames, in smaller ones when out of memory."""
    try:
        return encode(chunk)
    except MemoryLimitError:
        if chunk == 1:
            raise
    return _smaller_on_demand(encode, chunk // 2)
