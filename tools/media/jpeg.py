"""JPEG encoding of all pictures that are stored or sent."""

import io

from PIL import Image

from tools.media.video import RGBImage

QUALITY = 95
"""As sent to GPT-4V in IG-VLM, section "gridview"."""


def encode_jpeg(image: RGBImage, quality: int = QUALITY, max_side: int | None = None) -> bytes:
    """Return a picture [height, width, RGB] as JPEG, no side above `max_side` pixels."""
    picture = Image.fromarray(image)
    if max_side:
        picture.thumbnail((max_side, max_side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()
