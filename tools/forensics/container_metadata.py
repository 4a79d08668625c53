"""What the container says: how a file was written, which is not who made it."""

from typing import ClassVar

import numpy as np
from av.container import InputContainer

from tools.base import ToolOptions
from tools.forensics.clip import Clip
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.readings import say
from tools.media.container import audio_stream, open_container, picture_times, video_stream

TAG = 80  # characters of a tag that are kept


class ContainerMetadata(Measurement):
    """Container, codecs, size, rate, bit rate, encoder tag, and how regular the frame times are."""

    name: ClassVar[str] = "container_metadata"
    pictures: ClassVar[bool] = False
    Options: ClassVar[type[ToolOptions]] = ToolOptions

    def measure(self, clip: Clip) -> Reading:
        """Read the headers and the times of the packets; nothing is decoded."""
        video = clip.video
        with open_container(video.path) as container:
            values = _headers(container)
        values |= {"duration_s": round(video.duration_s, 3), "audio": video.has_audio}
        if video.has_picture:
            values |= {"width": float(video.width), "height": float(video.height)}
            values |= {"rotation_deg": float(video.rotation)}
            values |= _regularity(picture_times(video.path, video.shifts_s))
        said = ", ".join(
            say(name, value) if isinstance(value, float) else f"{name.replace('_', ' ')} {value}"
            for name, value in values.items()
        )
        card = f"Container: {said}.\nApplies to how the file was written; converting changes it."
        return Reading("ok", values, card)


def _headers(container: InputContainer) -> dict[str, float | str | bool]:
    picture, sound = video_stream(container), audio_stream(container)
    values: dict[str, float | str | bool] = {"container": container.format.name}
    if container.bit_rate:
        values["rate_kbps"] = round(container.bit_rate / 1000, 1)
    if picture is not None:
        values["video_codec"] = picture.codec_context.codec.name
        values["pixel_format"] = str(picture.pix_fmt)
        values["video_encoder"] = _tag(picture.metadata)
    if sound is not None:
        values["audio_codec"] = sound.codec_context.codec.name
    values["encoder"] = _tag(container.metadata)
    return values


def _tag(metadata: dict[str, str]) -> str:
    """Return the encoder that a track or file names, "none" without one."""
    named = {key.lower(): value for key, value in metadata.items()}
    text = named.get("encoder") or named.get("encoding_tool") or "none"
    return " ".join(text.split())[:TAG]


def _regularity(times_s: list[float]) -> dict[str, float | str | bool]:
    """Return the native rate and the share of frame distances off the usual one by over 10 %."""
    if len(times_s) < 2:
        return {"native_frames": float(len(times_s))}
    gaps = np.diff(times_s)
    usual = float(np.median(gaps))
    off = float((np.abs(gaps - usual) > 0.1 * usual).mean())
    return {
        "native_frames": float(len(times_s)),
        "native_fps": round(1 / usual, 3),
        "uneven_share": round(off, 4),
    }
