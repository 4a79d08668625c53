"""Split a video into shots and describe each: samples of a FrameSet -> evidence of kind "shots".

It uses only measurements taken during sampling, so it costs nothing. The resolution of a cut is one
sampling step: it lies between the first sample of a shot and the sample before. A fade over more
than a few samples, a pan or a moving object is not a cut.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean, median
from typing import ClassVar

from pydantic import Field

from tools.base import Need, Tool, ToolInput, ToolOptions
from tools.evidence import Evidence
from tools.media.frames import COLOUR_NAMES, Sample

SURE_RATIO = 2.0
NEIGHBOURS = 3  # samples on each side, for the median change around a sample
DARK, BRIGHT = 0.3, 0.6  # mean luma
STILL, LIVELY = 0.01, 0.06  # mean luma difference from sample to sample
MAIN_COLOUR = 0.2  # share of the picture from which a colour is named


class ShotsOptions(ToolOptions):
    """Options of `Shots`.

    Change is half the difference of the colour shares plus the mean luma difference, 0 to 2.

    Attributes:
        min_change: Minimum change of a cut that is also `min_ratio` times the median change of the
            samples around it.
        min_ratio: See above.
        sure_change: Change from which twice the median change suffices, as amid motion.
        min_shot_s: Of two cuts closer than this, the weaker is dropped.
    """

    min_change: float = Field(0.25, ge=0)
    min_ratio: float = Field(4.5, ge=1)
    sure_change: float = Field(0.5, ge=0)
    min_shot_s: float = Field(1.5, ge=0)


class Shots(Tool):
    """Where the picture cuts, and the light, colours and motion of each shot."""

    name: ClassVar[str] = "shots"
    kind: ClassVar[str] = "shots"
    version: ClassVar[str] = "1"
    Options: ClassVar[type[ToolOptions]] = ShotsOptions
    options: ShotsOptions

    @property
    def needs(self) -> frozenset[Need]:
        """The samples that come with the frames."""
        return frozenset({"frames"})

    @property
    def reentrant(self) -> bool:
        """Runs share no mutable state."""
        return True

    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Yield one record per shot, in time order; together they cover the whole video."""
        assert given.frames is not None  # promised by `needs`
        samples, duration_s = given.frames.samples, given.frames.duration_s
        if not samples:
            return
        bounds = [0, *find_cuts(samples, self.options), len(samples)]
        for index, (first, end) in enumerate(pairwise(bounds), start=1):
            start_s = samples[first].time_s if first else 0.0
            end_s = samples[end].time_s if end < len(samples) else duration_s
            yield self._describe(index, start_s, end_s, samples[first:end])
            given.progress(end_s, duration_s)

    def _describe(
        self, index: int, start_s: float, end_s: float, samples: Sequence[Sample]
    ) -> Evidence:
        brightness = fmean(sample.brightness for sample in samples)
        motion = fmean([sample.motion for sample in samples[1:]] or [0.0])  # not the cut itself
        shares = [fmean(share) for share in zip(*(one.colours for one in samples), strict=True)]
        colours = dict(zip(COLOUR_NAMES, shares, strict=True))
        text = (
            f"Shot {index}, {end_s - start_s:.3g} s long: {say_light(brightness)}, "
            f"{say_colours(colours)}, {say_motion(motion)}"
        )
        data = {
            "index": index,
            "brightness": round(brightness, 4),
            "motion": round(motion, 4),
            "colours": {name: round(share, 4) for name, share in colours.items() if share > 0},
        }
        return Evidence(self.name, self.kind, start_s, end_s, text, data=data)


def find_cuts(samples: Sequence[Sample], options: ShotsOptions) -> list[int]:
    """Return the positions of the samples that begin a new shot, the first sample excepted."""
    changes = [0.0, *(change(before, after) for before, after in pairwise(samples))]
    strongest_first = sorted(range(1, len(samples)), key=lambda at: -changes[at])
    cuts: list[int] = []
    for at in strongest_first:
        time_s = samples[at].time_s
        apart = all(abs(time_s - samples[cut].time_s) >= options.min_shot_s for cut in cuts)
        if apart and _stands_out(changes, at, options):
            cuts.append(at)
    return sorted(cuts)


def _stands_out(changes: Sequence[float], at: int, options: ShotsOptions) -> bool:
    around = [*changes[max(1, at - NEIGHBOURS) : at], *changes[at + 1 : at + 1 + NEIGHBOURS]]
    usual = median(around) if around else 0.0  # with a mean, another cut nearby would hide this one
    calm = changes[at] >= max(options.min_change, options.min_ratio * usual)
    sure = changes[at] >= max(options.sure_change, SURE_RATIO * usual)
    return calm or sure


def change(before: Sample, after: Sample) -> float:
    """Return how much the picture changed: 0 for none, about 1 for another scene."""
    pairs = zip(before.colours, after.colours, strict=True)
    return sum(abs(one - other) for one, other in pairs) / 2 + after.motion


def say_light(brightness: float) -> str:
    """Return dark, bright or in between."""
    return "dark" if brightness < DARK else "bright" if brightness > BRIGHT else "medium light"


def say_motion(motion: float) -> str:
    """Return still, some motion or much motion."""
    return "still" if motion < STILL else "much motion" if motion > LIVELY else "some motion"


def say_colours(colours: dict[str, float]) -> str:
    """Return "mostly blue and white": at most three colours, the largest first."""
    ordered = sorted(colours, key=lambda name: -colours[name])
    main = [name for name in ordered[:3] if colours[name] >= MAIN_COLOUR]
    if not main:
        return "many colours"
    return "mostly " + " and ".join([", ".join(main[:-1]), main[-1]] if main[1:] else main)
