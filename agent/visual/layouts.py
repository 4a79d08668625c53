"""Token layouts: which spans of visual tokens a method puts into the prompt, and in which order.

The published short names are parsed only here; everything else works with the spans.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from agent.visual.key_frame_spans import KeyTokens, MergedFrames
from agent.visual.merged_spans import Averaged, Paired, Pooled, PooledInTime, Pruned, Region
from agent.visual.spans import (
    EveryNth,
    Interleaved,
    Sampled,
    Thumbnails,
    TokenGrid,
    TokenSpan,
    Whole,
)
from tools.errors import InputError

FRAMES = 50  # TS-LLaVA, SlowFast-LLaVA and Free Video-LLM
SAMPLES = 2880  # TS-LLaVA: with one thumbnail of 576, as many tokens as six frames
PLLAVA_FRAMES, STORM_FRAMES, INTP_FRAMES = 16, 16, 32
DYTO_TOKENS = 3680  # as many as SlowFast-LLaVA
FREEVA_FRAMES = 4  # the best of 1, 2, 4 and 8 (FreeVA, table 1)
MANY_GRIDS = {"1": (4, 2), "2": (4, 3), "3": (6, 2), "4": (6, 3)}  # cells, thumbnails
CELLS = {"1": 4, "2": 6, "3": 8}
FIXED_SAMPLES = {"a": 1728, "b": 2304}


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a video's visual tokens.

    Attributes:
        name: Short name, as published where there is one.
        spans: Spans of tokens in the order of the prompt, without separators.
        frames: Maximum number of sampled frames.
        padded: Whether it was published with frames padded to squares instead of squashed.
        rope_factor: By how much it was published with the model's context stretched.
    """

    name: str
    spans: tuple[TokenSpan, ...]
    frames: int = FRAMES
    padded: bool = False
    rope_factor: float = 1.0

    def tokens(self, grid: TokenGrid) -> int:
        """Return the number of visual tokens, M."""
        return sum(span.tokens(grid) for span in self.spans)

    @property
    def thumbnails(self) -> Thumbnails | None:
        """The span of thumbnails, if there is one."""
        found = [span for span in self.spans if isinstance(span, Thumbnails)]
        return found[0] if found else None

    @property
    def needs_frames(self) -> bool:
        """Whether the frames themselves go through the vision tower, not only thumbnails."""
        return any(not isinstance(span, Thumbnails) for span in self.spans)

    @property
    def depends_on_question(self) -> bool:
        """Whether the tokens depend on the question, so that they cannot be cached."""
        return any(isinstance(span, Region) for span in self.spans)

    @property
    def needs_attention(self) -> bool:
        """Whether tokens are pruned by the vision tower's attention."""
        return any(isinstance(span, (Pruned, KeyTokens)) for span in self.spans)

    @property
    def interleaved(self) -> Interleaved | None:
        """The span whose frames the vision tower takes in interleaved passes, if there is one."""
        found = [span for span in self.spans if isinstance(span, Interleaved)]
        return found[0] if found else None

    def shrunk(self, grid: TokenGrid, excess: int) -> "Layout":
        """Return the layout with `excess` tokens cut, or as many as can be."""
        spans = list(self.spans)
        for number, span in enumerate(spans):
            tokens = span.tokens(grid)
            spans[number] = span.shrunk(grid, tokens - excess) if excess > 0 else span
            excess -= tokens - spans[number].tokens(grid)
        return replace(self, spans=tuple(spans))


def ts_llava(name: str = "V2", samples: int = SAMPLES) -> Layout:
    """Return a layout of TS-LLaVA by its name.

    V: samples, then one thumbnail of 4, 6 or 8 frames (1, 2, 3). Y: the thumbnail first. X: the
    thumbnail alone. Z: consecutive thumbnails of all frames. U: samples, then several thumbnails
    (1 to 4: two or three of four, two or three of six frames). W: these first, then 1728 (a) or
    2304 (b) samples. The shuffled forms (a final z) are left out: they are not reproducible.

    Raises:
        InputError: There is no such name.
    """
    kind, size, end = name[:1], name[1:2], name[2:]
    if kind in "VYXZ" and size in CELLS and not end:
        one, sampled = Thumbnails(CELLS[size]), Sampled(samples)
        every = Thumbnails(CELLS[size], None)
        rows = {"V": (sampled, one), "Y": (one, sampled), "X": (one,), "Z": (every,)}
        return Layout(name, rows[kind])
    if kind == "U" and size in MANY_GRIDS and not end:
        return Layout(name, (Sampled(samples), Thumbnails(*MANY_GRIDS[size])))
    if kind == "W" and size in MANY_GRIDS and end in FIXED_SAMPLES:
        return Layout(name, (Thumbnails(*MANY_GRIDS[size]), Sampled(FIXED_SAMPLES[end])))
    raise InputError(
        f"there is no layout {name!r}; take V, Y, X or Z with 1 to 3 (V2 is the published "
        f"default), U1 to U4, W1a to W4b, {', '.join(PRESETS)}, or with other numbers "
        f"{', '.join(NUMBERED)}"
    )


def slowfast() -> Layout:
    """SlowFast-LLaVA: 10 frames in detail (24 x 12 tokens), all frames as 4 x 4 tokens."""
    return Layout("slowfast", (Paired(10), Pooled(4, 4)), rope_factor=2.0)


def freeva() -> Layout:
    """FreeVA, dense: every token of four frames, one frame after the other."""
    return Layout("freeva", (Whole(),), FREEVA_FRAMES, padded=True)


def freeva_pooled() -> Layout:
    """FreeVA, dense with pooling: twice the frames, neighbours max-pooled."""
    return Layout("freeva-pooled", (Paired(),), 2 * FREEVA_FRAMES, padded=True)


def freeva_sparse() -> Layout:
    """FreeVA, sparse: the mean over the frames."""
    return Layout("freeva-sparse", (Averaged(),), FREEVA_FRAMES, padded=True)


def free_video_llm() -> Layout:
    """Free Video-LLM: regions of 3 frames near the question and 5 even ones, all as 4 x 4."""
    near, even = Region(3, 0.8, guided=True), Region(5, 0.8, guided=False)
    return Layout("free-video-llm", (near, even, Pooled(4, 4)), rope_factor=2.0)


def fopru(share: float = 0.25, rows: bool = False) -> Layout:
    """FoPru on four frames: a share of each frame's tokens, by received attention."""
    return Layout("fopru", (Pruned(share, rows),), FREEVA_FRAMES)


def pllava(frames: int = 16, rows: int = 12, columns: int = 12) -> Layout:
    """PLLaVA: 16 frames pooled to 16 x 12 x 12 tokens, or to other numbers."""
    return Layout("pllava", (PooledInTime(frames, rows, columns),), PLLAVA_FRAMES)


def storm(step: int = 4) -> Layout:
    """STORM's test-time sampling: every n-th of 16 frames; the numbers are ours."""
    return Layout("storm", (EveryNth(step),), STORM_FRAMES)


def intp(per_pass: int = 8) -> Layout:
    """INTP: 32 frames for a model that takes 8 (Video-LLaVA), in four interleaved passes."""
    return Layout("intp", (Interleaved(per_pass),), INTP_FRAMES)


def ktv(kept: int = 84) -> Layout:
    """KTV: 84 tokens of each of six key frames, 504 in all; also published: 156 and 312."""
    return Layout("ktv", (KeyTokens(6, kept),))


def dyto(frames: int = 12) -> Layout:
    """DyTo: frames of 12 clusters in time, merged to 3680 tokens."""
    return Layout("dyto", (MergedFrames(frames, DYTO_TOKENS),))


NUMBERED: Mapping[str, Callable[..., Layout]] = {
    "pllava-16x12x12": pllava,
    "storm-4": storm,
    "intp-8": intp,
    "ktv-84": ktv,
    "dyto-12": dyto,
}
PRESETS: Mapping[str, Callable[[], Layout]] = {
    "slowfast": slowfast,
    "freeva": freeva,
    "freeva-pooled": freeva_pooled,
    "freeva-sparse": freeva_sparse,
    "free-video-llm": free_video_llm,
    "fopru": fopru,
    "pllava": pllava,
    "storm": storm,
    "intp": intp,
    "ktv": ktv,
    "dyto": dyto,
}


def parse_layout(name: str, samples: int = SAMPLES) -> Layout:
    """Return a preset or a layout of TS-LLaVA by its name. Raises `InputError` for others."""
    if numbered := _numbered(name):
        return numbered
    preset = PRESETS.get(name)
    return preset() if preset else ts_llava(name, samples)


def _numbered(name: str) -> Layout | None:
    """Return a layout with numbers of its own, as in `storm-2`; None for other names."""
    for example, layout in NUMBERED.items():
        form = re.sub(r"\d+", r"([1-9]\\d{0,3})", example)
        if found := re.fullmatch(form, name):
            return replace(layout(*map(int, found.groups())), name=name)
    return None
