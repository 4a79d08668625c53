import io

import numpy as np
from PIL import Image

from tools.media.jpeg import encode_jpeg

Y, X = np.mgrid[:120, :160]
REDDISH = np.stack([200 + 0 * X, 40 + X // 4, Y // 3], axis=2).astype(np.uint8)


def test_what_is_written_has_the_true_colours() -> None:
    written = np.asarray(Image.open(io.BytesIO(encode_jpeg(REDDISH))), np.float64)
    assert np.abs(written - REDDISH).mean() < 3
    assert np.abs(written - REDDISH).mean() < np.abs(written - REDDISH[..., ::-1]).mean() / 10


def test_a_limit_of_the_sides_is_kept_and_no_picture_grows() -> None:
    sizes = [Image.open(io.BytesIO(encode_jpeg(REDDISH, max_side=n))).size for n in (80, 999)]
    assert sizes == [(80, 60), (160, 120)]


def test_a_lower_quality_takes_less_room() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    assert len(encode_jpeg(noise, 60)) < len(encode_jpeg(noise)) / 2
