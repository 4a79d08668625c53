"""JPEG: the one way in which pictures are written, kept and sent."""

import io

from PIL import Image

from tools.media.video import RGBImage

QUALITY = 95
"""IG-VLM, section "gridview": what GPT-4V was sent."""


def encode_jpeg(image: RGBImage, quality: int = QUALITY, max_side: int | None = None) -> bytes:
    """Return a picture [height, width, RGB] as JPEG, no side above `max_side` pixels."""
    picture = Image.fromarray(image)
    if max_side:
        picture.thumbnail((max_side, max_side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()
