"""The sampled frames of a video: decoded once for all visual tools, then taken from the library."""

from collections.abc import Callable

from langgraph.runtime import Runtime

from agent.answer import Meter
from agent.library.keys import digest, sampling_values
from agent.state import Context
from tools.media.frames import FrameSet, load_frames, sample_frames
from tools.media.readers import open_video
from tools.media.video import Video


def ensure_frames(video: Video, runtime: Runtime[Context], meter: Meter) -> FrameSet:
    """Return the sampled frames of a video, decoding it only if they are not in the library."""
    context = runtime.context
    values = sampling_values(video, context.settings)
    folder = context.library.frames_folder(video, digest(values))
    if found := load_frames(folder):
        return found
    with context.library.claim(video, "frames", digest(values)):
        if found := load_frames(folder):
            return found
        meter.decodes += 1
        side = max(values["max_side"], values.get("detail_side", 0))
        reader = open_video(video, values["backend"], side)
        return sample_frames(
            reader,
            folder,
            video.duration_s,
            values["step_s"],
            progress=progress_of("sample_frames", runtime),
            stopped=lambda: runtime.drain_requested,
            max_side=values["max_side"],
        )


def progress_of(stage: str, runtime: Runtime[Context]) -> Callable[[float, float], None]:
    """Return a callback that streams the progress of a stage."""

    def send(done_s: float, total_s: float) -> None:
        runtime.stream_writer({"stage": stage, "done_s": done_s, "total_s": total_s})

    return send
