"""Key frames: the few pictures of a video in which a detector looks for what a question names.

Pictures are compared with phrases by an image-text encoder. Video-RAG (arXiv 2411.13093v4, section
3.2) keeps the pictures whose similarity exceeds a threshold, and with the published numbers that is
mostly none; here the best few are taken, so that detection is never silently empty.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from agent.frames.sampling import centre_ids
from agent.library.keys import digest
from agent.library.store import Library
from agent.models.image_text import ImageTextEncoder, Vectors, unit
from tools.errors import StoppedError
from tools.media.frames import FrameSet
from tools.media.video import Video

Rule = Literal["best", "published"]
Similarities = npt.NDArray[np.float32]  # [pictures, phrases]

# Of the published code; the paper's appendix says beta 4. They fold into one factor on the mean.
BASE_FRAMES, THRESHOLD, BETA = 16, 0.3, 3.0


@dataclass(frozen=True, slots=True)
class KeyFrames:
    """Positions of the chosen pictures, ascending, and how they were chosen."""

    positions: tuple[int, ...]
    why: str


@dataclass(frozen=True, slots=True)
class KeyFrameRule:
    """How key frames are chosen.

    Attributes:
        most: Pictures, at most; the published rule has no such bound, and with `parity` none holds.
        rule: "best" ranks by cosine; "published" takes what exceeds a multiple of the mean.
        threshold: Of the published rule.
        beta: Of the published rule.
        parity: Raw inner products, and nothing in the place of an empty choice.
    """

    most: int
    rule: Rule = "best"
    threshold: float = THRESHOLD
    beta: float = BETA
    parity: bool = False


def wording(phrases: Sequence[str]) -> list[str]:
    """Return phrases as captions, as which CLIP saw texts (Radford et al. 2021, section 3.1.4)."""
    return [f"A picture of {phrase}" for phrase in phrases]


def choose_key_frames(pictures: Vectors, phrases: Vectors, rule: KeyFrameRule) -> KeyFrames:
    """Return the pictures that resemble the phrases most.

    Args:
        pictures: Raw vectors [n, dimensions], in time order.
        phrases: Raw vectors [m, dimensions].
        rule: How to choose.
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
    """Return pictures spread evenly, for want of an encoder; say why."""
    chosen = centre_ids(total, most) if total else ()
    return KeyFrames(chosen, f"{len(chosen)} of {total} pictures, evenly spread: {because}")


def best_positions(similarities: Similarities, most: int) -> tuple[int, ...]:
    """Return at most `most` pictures, the best of each phrase before the second best of any.

    How near pictures come to a phrase differs from phrase to phrase, so a mean over phrases would
    let one of them choose alone. Ties go to the earlier picture.
    """
    order = np.argsort(-similarities, axis=0, kind="stable")  # [rank, phrase] -> picture
    taken = dict.fromkeys(int(picture) for picture in order.ravel())
    return tuple(sorted(list(taken)[:most]))


def published_positions(
    similarities: Similarities, threshold: float = THRESHOLD, beta: float = BETA
) -> tuple[int, ...]:
    """Return the choice of the published code, without its crashes.

    The mean over phrases is scaled by beta * n / 16 over its sum and must exceed the threshold.
    That is: it exceeds 16 * threshold / beta times the mean of all pictures, whatever n is; at
    most ceil(beta * n / (16 * threshold)) - 1 pictures can. As published, a negative sum turns the
    ranking round, and with a sum of zero nothing is chosen.
    """
    mean = similarities.mean(axis=1) if similarities.size else np.zeros(0, np.float32)
    total = mean.sum()
    if total == 0:
        return ()
    scaled = mean * (beta * len(mean) / BASE_FRAMES) / total
    return tuple(int(i) for i in np.flatnonzero(scaled > threshold))


def picture_vectors(
    video: Video,
    frames: FrameSet,
    encoder: ImageTextEncoder,
    library: Library,
    stopped: Callable[[], bool] = lambda: False,
) -> Vectors:
    """Return the raw vector of each picture, made once per video and encoder.

    They lie beside the pictures and go with them. Pictures are read a batch at a time.
    """
    key = digest([encoder.name, [frame.path.name for frame in frames.frames]])
    file = frames.folder / f"vectors-{key}.npy"
    with library.claim(video, "image vectors", key):
        known = _read(file)
        if known is not None and len(known) == len(frames.frames):
            return known
        parts = []
        for first in range(0, len(frames.frames), encoder.batch):
            if stopped():
                raise StoppedError("Stopped while comparing pictures with the question.")
            batch = frames.frames[first : first + encoder.batch]
            parts.append(encoder.images([frame.image() for frame in batch]))
        vectors = np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
        _write(file, vectors)
        return vectors


def _strongest(similar: Similarities, passed: Sequence[int], most: int) -> tuple[int, ...]:
    mean = similar.mean(axis=1)
    return tuple(sorted(sorted(passed, key=lambda i: (-mean[i], i))[:most]))


def _read(file: Path) -> Vectors | None:
    try:
        return np.asarray(np.load(file), np.float32)
    except (OSError, ValueError, EOFError):  # not there, or cut short
        return None


def _write(file: Path, vectors: Vectors) -> None:
    """Write vectors, whole or not at all."""
    part = file.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as stream:
        np.save(stream, vectors)
    part.replace(file)
