"""Cache keys of the library: what a tool run depends on, as plain values and their hash."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from agent.models.identity import reply_identity, tool_weights
from agent.settings import ChatSettings, Settings
from tools.base import Tool
from tools.media.video import Video

MAX_READ = 32 * 2**20  # bytes; larger files are not hashed, as every question does so


def run_settings(
    tool: Tool, video: Video, settings: Settings, phrases: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """Return what a run depends on: tool, version, options, and sampling, sound or model."""
    values: dict[str, Any] = {
        "tool": tool.name,
        "version": tool.version,
        "options": tool.options.model_dump(mode="json"),
    }
    if "file" in tool.needs:
        values["reads"] = [
            [file.name.removeprefix(video.path.stem), _content(file)] for file in tool.reads(video)
        ]
    if "frames" in tool.needs:
        values["sampling"] = sampling_values(video, settings)
    if "audio" in tool.needs and len(video.sounds) > 1:
        values["sound"] = video.sound
    if "vision" in tool.needs:
        values["model"] = reply_identity(captioner_of(settings))
    if weights := tool_weights(tool.models):
        values["weights"] = weights
    if "phrases" in tool.needs:
        values["phrases"] = phrases
    return values


def captioner_of(settings: Settings) -> ChatSettings:
    """Return the settings of the captioner: the chat model unless set."""
    return settings.captioner or settings.chat


def _content(file: Path) -> str:
    """Return the hash of a file, "" if it cannot be read: the tool will report why.

    For a large file, size and modification time take the place of the hash.
    """
    try:
        stat = file.stat()
        if stat.st_size > MAX_READ:
            return f"{stat.st_size} bytes of {stat.st_mtime_ns}"
        return sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def sampling_values(video: Video, settings: Settings) -> dict[str, Any]:
    """Return how a video is sampled: the step grows where `max_frames` would be exceeded."""
    sampling = settings.sampling
    step_s = max(sampling.step_s, video.duration_s / sampling.max_frames)
    values = {"step_s": step_s, "max_side": sampling.max_side, "backend": sampling.backend}
    # Named only where they matter, so that the pictures of other videos stay known.
    if video.flipped:
        values["flipped"] = True
    if max(video.width, video.height) > sampling.max_side < sampling.detail_side:
        values["detail_side"] = sampling.detail_side
    return values


def digest(values: Any) -> str:
    """Return the first 32 hex digits of the SHA-256 of plain values."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False)
    return sha256(text.encode()).hexdigest()[:32]
