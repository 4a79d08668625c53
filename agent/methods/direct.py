"""The visual baseline: frames sampled evenly from the video, as single pictures.

START -> look -> reason -> ...
"""

from time import perf_counter

from langgraph.runtime import Runtime
from pydantic import Field

from agent.answer import Meter
from agent.answering.method import Method, MethodPlan, Subgraph, build_asking, read_options
from agent.answering.prompt import ask_for, pictures_section, prompt_names
from agent.frames.files import frames_of, picture_files, shown
from agent.frames.sampling import centre_ids, thinned
from agent.frames.saved import frame_visuals
from agent.records import Plan, PlannedFrame, Question, Visual
from agent.settings import Section, Settings
from agent.state import Context, State
from tools.media.video import Video, fit


class Options(Section):
    """Settings of the baseline."""

    frames: int = Field(16, gt=0, le=512, description="pictures, evenly over the video")
    max_side: int = Field(768, gt=0, description="pixels of the longer side, at most")


def build(settings: Settings) -> Subgraph:
    """Build the subgraph."""
    read_options("direct", Options, settings)
    return build_asking("direct", look)


def look(state: State, runtime: Runtime[Context]) -> State:
    """Decode the frames and write the prompt."""
    start, meter, context = perf_counter(), Meter(), runtime.context
    video, options = state["video"], read_options("direct", Options, context.settings)
    frames = thinned(state["plan"].frames, state.get("context_share", 1.0))
    files = picture_files(video, frames, context.library, meter, options.max_side)
    meter.seconds = perf_counter() - start
    given = pictures_section(video, frames)
    asked = ask_for("look", state["question"], given, images=files)
    return {**asked, "lines": shown(frames), "usage": {"look": meter.usage()}}


def draw(video: Video, question: Question, plan: Plan, context: Context) -> tuple[Visual, ...]:
    """Return the pictures of a plan."""
    side = read_options("direct", Options, context.settings).max_side
    files = picture_files(video, plan.frames, context.library, Meter(), side)
    return frame_visuals(files, plan.frames)


def choose_frames(video: Video, context: Context) -> tuple[PlannedFrame, ...]:
    """Return the frames for the model: as many as configured and as the model can take."""
    wanted = read_options("direct", Options, context.settings).frames
    most = min(wanted, context.pool.capabilities().max_images or wanted)
    return frames_of(video, lambda total: centre_ids(total, most))


def plan(video: Video, question: Question, context: Context) -> MethodPlan:
    """Return the plan with its frames."""
    frames = choose_frames(video, context)
    options = read_options("direct", Options, context.settings)
    width, height = fit(video.width, video.height, options.max_side)
    tokens = len(frames) * context.pool.chat().image_tokens(width, height)
    visuals = {"images": len(frames), "width": width, "height": height, "image_tokens": tokens}
    names = prompt_names(question, "given_pictures")
    return MethodPlan(names, calls=(1, 2), tokens=tokens, frames=frames, visuals=visuals)


METHOD = Method(
    "direct",
    "pictures spread evenly over the video, sent one by one",
    Options,
    build,
    plan,
    needs=frozenset({"images"}),
    draw=draw,
)
