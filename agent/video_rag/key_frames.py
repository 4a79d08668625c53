"""Key frames: the few frames of a video on which the entities of a question are detected.

Frames are compared with phrases by an image-text encoder. Video-RAG (arXiv 2411.13093v4, section
3.2) keeps the frames whose similarity exceeds a threshold, with the published numbers mostly none;
here the top k are taken, so that detection is never silently empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from agent.frames.sampling import centre_ids
from agent.models.image_text import Vectors, unit

Rule = Literal["best", "published"]
Similarities = npt.NDArray[np.float32]  # [pictures, phrases]

# Published code; the paper's appendix has beta 4. Together they are one factor on the mean.
BASE_FRAMES, THRESHOLD, BETA = 16, 0.3, 3.0


@dataclass(frozen=True, slots=True)
class KeyFrames:
    """Positions of the chosen frames, ascending, and how they were chosen."""

    positions: tuple[int, ...]
    why: str


@dataclass(frozen=True, slots=True)
class KeyFrameRule:
    """The rule for the choice of key frames.

    Attributes:
        most: Maximum number of frames; the published rule has no such bound, nor has `parity`.
        rule: "best" ranks by cosine; "published" takes all above a multiple of the mean.
        threshold: Threshold of the published rule.
        beta: Beta of the published rule.
        parity: Use raw inner products, and no fallback for an empty choice.
    """

    most: int
    rule: Rule = "best"
    threshold: float = THRESHOLD
    beta: float = BETA
    parity: bool = False


def wording(phrases: Sequence[str]) -> list[str]:
    """Put phrases into CLIP's caption template (Radford et al. 2021, section 3.1.4)."""
    return [f"A picture of {phrase}" for phrase in phrases]


def choose_key_frames(pictures: Vectors, phrases: Vectors, rule: KeyFrameRule) -> KeyFrames:
    """Return the frames most similar to the phrases.

    Args:
        pictures: Raw vectors [n, dimensions], in time order.
        phrases: Raw vectors [m, dimensions].
        rule: The rule.
    """
    total = len(pictures)
    similar = pictures @ phrases.T if rule.parity else unit(pictures) @ unit(phrases).T
    if rule.rule == "best" and not rule.parity:
        chosen = best_positions(similar, rule.most)
        return KeyFrames(chosen, f"the {len(chosen)} of {total} pictures nearest to the phrases")
    passed = published_positions(similar, rule.threshold, rule.beta)
    if passed or rule.parity:
        kept = passed if rule.parity else _strongest(similar, passed, rule.most)
        return KeyFrames(kept, f"{len(kept)} of {total} pictures above the published threshold")
    chosen = best_positions(similar, rule.most)
    return KeyFrames(
        chosen,
        f"none of {total} pictures is above the published threshold; the {len(chosen)} nearest to "
        f"the phrases are taken instead",
    )


def spread_key_frames(total: int, most: int, because: str) -> KeyFrames:
    """Return evenly spread frames, where there is no encoder; `because` says why."""
    chosen = centre_ids(total, most) if total else ()
    return KeyFrames(chosen, f"{len(chosen)} of {total} pictures, evenly spread: {because}")


def best_positions(similarities: Similarities, most: int) -> tuple[int, ...]:
    """Return at most `most` frames, the best of each phrase before the second best of any.

    The range of similarities differs from phrase to phrase, so a mean over phrases would let one
    phrase dominate. Ties go to the earlier frame.
    """
    order = np.argsort(-similarities, axis=0, kind="stable")  # [rank, phrase] -> picture
    taken = dict.fromkeys(int(picture) for picture in order.ravel())
    return tuple(sorted(list(taken)[:most]))


def published_positions(
    similarities: Similarities, threshold: float = THRESHOLD, beta: float = BETA
) -> tuple[int, ...]:
    """Return the choice of the published code, without its crashes.

    The mean over phrases is scaled by beta * n / 16 over its sum and must exceed the threshold.
    That is: it exceeds 16 * threshold / beta times the mean of all frames, for any n; at most
    ceil(beta * n / (16 * threshold)) - 1 frames can. As published, a negative sum reverses the
    ranking, and with a sum of zero nothing is chosen.
    """
    mean = similarities.mean(axis=1) if similarities.size else np.zeros(0, np.float32)
    total = mean.sum()
    if total == 0:
        return ()
    scaled = mean * (beta * len(mean) / BASE_FRAMES) / total
    return tuple(int(i) for i in np.flatnonzero(scaled > threshold))


def _strongest(similar: Similarities, passed: Sequence[int], most: int) -> tuple[int, ...]:
    mean = similar.mean(axis=1)
    return tuple(sorted(sorted(passed, key=lambda i: (-mean[i], i))[:most]))
