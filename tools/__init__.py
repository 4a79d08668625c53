"""Tools that find evidence in a video: the Tool contract, one module per tool, and decoding.

A plug-in takes what it needs from here: `from tools import tool, StoredFrame, Finding`.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Telemetry off. Libraries read these variables once, at import, so they are set before any other
# import of this package; child processes inherit them. ONNX Runtime reports every process, and
# `disable_telemetry_events` comes too late; huggingface_hub requests a list even where only local
# files are allowed; Ray's head process reports a cluster.
os.environ |= {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}

if TYPE_CHECKING:
    from tools.base import Availability, Tool, ToolInput, ToolOptions, ToolRuntime
    from tools.evidence import Evidence
    from tools.function_tool import Finding, Phrases, Question, tool
    from tools.media.audio import AudioBlock
    from tools.media.frames import FrameSet, StoredFrame
    from tools.media.video import Video

__all__ = [
    "AudioBlock",
    "Availability",
    "Evidence",
    "Finding",
    "FrameSet",
    "Phrases",
    "Question",
    "StoredFrame",
    "Tool",
    "ToolInput",
    "ToolOptions",
    "ToolRuntime",
    "Video",
    "tool",
]
_PLACES = {
    "tools.base": ("Availability", "Tool", "ToolInput", "ToolOptions", "ToolRuntime"),
    "tools.evidence": ("Evidence",),
    "tools.function_tool": ("Finding", "Phrases", "Question", "tool"),
    "tools.media.audio": ("AudioBlock",),
    "tools.media.frames": ("FrameSet", "StoredFrame"),
    "tools.media.video": ("Video",),
}


def __getattr__(name: str) -> Any:
    """Import what a plug-in asks for on first use; `import tools` alone loads nothing."""
    for module, members in _PLACES.items():
        if name in members:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
