"""Specification video-rag.md, section 5: R5, B12, B15 and the key frames' part of R1."""

from math import ceil
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from agent.ingest.picture_vectors import picture_vectors
from agent.library.store import Library
from agent.video_rag.entity_detection import published_frames
from agent.video_rag.key_frames import (
    KeyFrameRule,
    best_positions,
    choose_key_frames,
    published_positions,
    spread_key_frames,
    wording,
)
from tools.errors import StoppedError
from tools.media.frames import FrameSet, StoredFrame
from tools.media.video import Video

BEST = KeyFrameRule(most=4)
PUBLISHED = KeyFrameRule(most=4, rule="published")
PARITY = KeyFrameRule(most=4, parity=True, rule="published")
VIDEO = Video(Path("a.mp4"), "0" * 64, 9, 64, 48, 0, None, False, ())


def scores(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, np.float32)[:, None]


@pytest.mark.parametrize("total", [1, 2, 7, 32, 64, 200])
@pytest.mark.parametrize(("threshold", "beta"), [(0.3, 3.0), (0.3, 4.0), (0.1, 3.0), (0.0, 3.0)])
def test_the_published_rule_is_a_multiple_of_the_mean(
    total: int, threshold: float, beta: float
) -> None:
    random = np.random.default_rng(total)
    for _ in range(50):
        similar = random.gamma(0.7, size=(total, 3)).astype(np.float32)
        mean = similar.astype(float).mean(axis=1)
        cut = 16 * threshold / beta * mean.mean()
        if np.abs(mean - cut).min() < 1e-6:
            continue
        chosen = published_positions(similar, threshold, beta)
        assert chosen == tuple(np.flatnonzero(mean > cut))
        assert published_positions(similar * np.float32(37), threshold, beta) == chosen
        if threshold:
            assert len(chosen) <= max(0, ceil(beta * total / (16 * threshold)) - 1)


def test_the_published_rule_does_not_depend_on_how_many_pictures_there_are() -> None:
    similar = np.random.default_rng(0).gamma(0.7, size=(32, 2)).astype(np.float32)
    once = published_positions(similar)
    twice = published_positions(np.concatenate([similar, similar]))
    assert once
    assert twice == (*once, *(i + 32 for i in once))


@pytest.mark.parametrize(("total", "most"), [(32, 19), (64, 39)])
def test_the_published_rule_has_a_most(total: int, most: int) -> None:
    similar = scores(*[1.0] * most, *[0.0] * (total - most))
    assert len(published_positions(similar)) == most
    assert published_positions(scores(*[1.0] * (most + 1), *[0.0] * (total - most - 1))) == ()


def test_the_published_rule_mostly_chooses_nothing() -> None:
    random = np.random.default_rng(0)
    for spread in (0.10, 0.15):  # the ratio of deviation to mean that the specification tried
        similar = random.normal(1, spread, size=(32, 1)).astype(np.float32)
        assert published_positions(similar) == ()


def test_a_sum_of_zero_chooses_nothing_and_a_negative_one_turns_the_ranking_round() -> None:
    assert published_positions(scores(1, -1, 0)) == ()
    assert published_positions(scores(-1, -1, -4)) == (2,)
    assert published_positions(np.zeros((0, 2), np.float32)) == ()
    assert published_positions(scores(5)) == ()  # a single picture is never 1.6 times the mean


def test_the_best_of_each_phrase_come_before_the_second_best_of_any() -> None:
    similar = np.array([[0.9, 0.1], [0.8, 0.1], [0.7, 0.1], [0.1, 0.3], [0.1, 0.2]], np.float32)
    assert best_positions(similar, 1) == (0,)
    assert best_positions(similar, 2) == (0, 3)
    assert best_positions(similar, 4) == (0, 1, 3, 4)
    assert best_positions(similar, 99) == (0, 1, 2, 3, 4)
    assert best_positions(np.zeros((3, 1), np.float32), 2) == (0, 1)


@pytest.mark.parametrize("rule", [BEST, PUBLISHED])
@pytest.mark.parametrize("sign", [1, -1, 0])
def test_a_choice_is_never_empty_and_says_how_many(rule: KeyFrameRule, sign: int) -> None:
    random = np.random.default_rng(0)
    pictures = (sign * (1 + random.random((30, 8)))).astype(np.float32)
    phrases = np.ones((2, 8), np.float32)
    chosen = choose_key_frames(pictures, phrases, rule)
    assert 0 < len(chosen.positions) <= rule.most
    assert str(len(chosen.positions)) in chosen.why
    assert "of 30 pictures" in chosen.why
    assert chosen.positions == tuple(sorted(set(chosen.positions)))


def test_the_fallback_of_the_published_rule_says_what_it_did() -> None:
    flat = np.ones((30, 3), np.float32)
    assert "taken instead" in choose_key_frames(flat, flat[:1], PUBLISHED).why
    peak = np.array([[1, 0]] + [[0, 1]] * 9, np.float32)
    chosen = choose_key_frames(peak, np.array([[1, 0]], np.float32), PUBLISHED)
    assert (chosen.positions, "instead" in chosen.why) == ((0,), False)
    empty = choose_key_frames(flat, flat[:1], PARITY)
    assert empty.positions == ()
    assert "0 of 30 pictures above" in empty.why


def test_parity_takes_raw_products_and_the_default_cosines() -> None:
    pictures = np.array([[1, 0], [9, 9], [1, 1], [1, 1]], np.float32)  # the second is long
    phrase = np.array([[2, 0]], np.float32)
    assert choose_key_frames(pictures, phrase, PARITY).positions == (1,)
    assert choose_key_frames(pictures, phrase, KeyFrameRule(1)).positions == (0,)


def test_without_an_encoder_pictures_are_spread_evenly() -> None:
    chosen = spread_key_frames(100, 4, "no encoder")
    assert chosen.positions == (12, 37, 62, 87)
    assert chosen.why == "4 of 100 pictures, evenly spread: no encoder"
    assert spread_key_frames(1, 4, "no encoder").positions == (0,)
    assert spread_key_frames(0, 4, "no encoder").positions == ()


def test_phrases_are_worded_as_captions() -> None:
    assert wording(["red boat"]) == ["A picture of red boat"]


@pytest.mark.parametrize("count", [2, 3, 16, 32, 64, 128])
def test_published_frames_are_evenly_spaced_and_truncated(count: int) -> None:
    for total in (1, 2, 10, 30, 31, 1000, 2999, 3000, 5000):
        chosen = published_frames(total, count)
        assert len(chosen) == count
        assert chosen == sorted(chosen)
        assert (chosen[0], chosen[-1]) == (0, total - 1)
        for i, frame in enumerate(chosen):
            exact = i * (total - 1) / (count - 1)
            assert exact - 1 < frame <= exact + 1e-9
    assert len(set(published_frames(10, 32))) == 10
    assert published_frames(3000, 32)[:3] == [0, 96, 193]  # 120 s at 25 frames a second
    assert published_frames(7, 1) == [0]


class Counting:
    """An encoder whose vector of a picture is its mean colour."""

    name, batch = "colours", 4

    def __init__(self) -> None:
        self.batches: list[int] = []

    def images(self, pictures: list[Any]) -> npt.NDArray[np.float32]:
        self.batches.append(len(pictures))
        return np.array([picture.mean(axis=(0, 1)) for picture in pictures], np.float32)


@pytest.fixture
def pictures(tmp_path: Path) -> FrameSet:
    folder = tmp_path / "frames"
    folder.mkdir()
    frames = []
    for number in range(10):
        path = folder / f"{number}.jpg"
        Image.new("RGB", (16, 16), (number * 20, 0, 0)).save(path, quality=100)
        frames.append(StoredFrame(number, number, number + 1, path))
    return FrameSet(folder, 10, tuple(frames), ())


def test_pictures_are_encoded_once_and_a_batch_at_a_time(
    pictures: FrameSet, tmp_path: Path
) -> None:
    library, encoder = Library(tmp_path / "library"), cast("Any", Counting())
    made = picture_vectors(VIDEO, pictures, encoder, library)
    assert encoder.batches == [4, 4, 2]
    again = picture_vectors(VIDEO, pictures, encoder, library)
    assert len(encoder.batches) == 3
    assert np.array_equal(made, again)
    assert made[:, 0] == pytest.approx([number * 20 for number in range(10)], abs=3)


def test_damaged_vectors_are_made_anew_and_other_encoders_have_their_own(
    pictures: FrameSet, tmp_path: Path
) -> None:
    library, encoder = Library(tmp_path / "library"), cast("Any", Counting())
    made = picture_vectors(VIDEO, pictures, encoder, library)
    (file,) = pictures.folder.glob("vectors-*.npy")
    file.write_bytes(file.read_bytes()[:50])
    assert np.array_equal(picture_vectors(VIDEO, pictures, encoder, library), made)
    encoder.name = "others"
    picture_vectors(VIDEO, pictures, encoder, library)
    assert len(encoder.batches) == 9
    assert len(list(pictures.folder.glob("vectors-*.npy"))) == 2


def test_stop_is_heard_between_batches_and_keeps_nothing(
    pictures: FrameSet, tmp_path: Path
) -> None:
    encoder = cast("Any", Counting())
    with pytest.raises(StoppedError):
        picture_vectors(
            VIDEO,
            pictures,
            encoder,
            Library(tmp_path / "library"),
            stopped=lambda: bool(encoder.batches),
        )
    assert list(pictures.folder.glob("vectors-*")) == []
