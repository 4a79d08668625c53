"""The visual baseline: frames of the video, evenly spread or chosen by what they show.

They are one video with its times for a model that takes videos, else single pictures.

START -> look -> reason -> ...
"""

from time import perf_counter

from langgraph.runtime import Runtime
from pydantic import Field

from agent.answer import Meter
from agent.answering.method import Method, MethodPlan, Subgraph, build_asking, read_options
from agent.answering.prompt import (
    FORMS,
    ask_for,
    filmed,
    frames_prompt,
    pictures_section,
    prompt_names,
)
from agent.frames.files import frames_of, picture_files, shown
from agent.frames.sampling import centre_ids, thinned
from agent.frames.saved import frame_visuals
from agent.methods.frame_choice import Sampler, check_encoder, choose_by_content
from agent.records import Plan, PlannedFrame, Question, Visual
from agent.settings import Section, Settings
from agent.state import Context, State
from tools.media.video import Video, fit


class Options(Section):
    """Settings of the baseline."""

    frames: int = Field(16, gt=0, le=512, description="pictures, at most")
    sampler: Sampler = Field(
        "even",
        description="even; clusters: one of each kind of picture (KTV); tree: more where the"
        " question is (VideoTree); these two need image_encoder.model",
    )
    max_side: int = Field(768, gt=0, description="pixels of the longer side, at most")


def build(settings: Settings) -> Subgraph:
    """Build the subgraph."""
    read_options("direct", Options, settings)
    return build_asking("direct", look)


def look(state: State, runtime: Runtime[Context]) -> State:
    """Decode the frames and write the prompt."""
    start, meter, context = perf_counter(), Meter(), runtime.context
    video, options = state["video"], read_options("direct", Options, context.settings)
    frames = _frames(state, runtime, meter)
    files = picture_files(video, frames, context.library, meter, options.max_side)
    meter.seconds = perf_counter() - start
    native = context.pool.chat().capabilities.video
    given = pictures_section(video, frames, native)
    asked = ask_for("look", state["question"], given, images=files)
    if native:
        asked = filmed(asked, video, frames)
    return {**asked, "lines": shown(frames), "usage": {"look": meter.usage()}}


def draw(video: Video, question: Question, plan: Plan, context: Context) -> tuple[Visual, ...]:
    """Return the pictures of a plan."""
    side = read_options("direct", Options, context.settings).max_side
    files = picture_files(video, plan.frames, context.library, Meter(), side)
    return frame_visuals(files, plan.frames)


def _frames(state: State, runtime: Runtime[Context], meter: Meter) -> tuple[PlannedFrame, ...]:
    """Return the planned frames, or those that a sampler chooses, fewer if they do not fit."""
    options, share = (
        read_options("direct", Options, runtime.context.settings),
        state.get("context_share", 1.0),
    )
    if options.sampler == "even":
        return thinned(state["plan"].frames, share)
    most = max(1, int(_most(runtime.context) * share))
    video, question = state["video"], state["question"]
    return choose_by_content(video, question, options.sampler, most, runtime, meter)


def _most(context: Context) -> int:
    """Return how many frames are wanted and the model can take."""
    wanted = read_options("direct", Options, context.settings).frames
    return min(wanted, context.pool.capabilities().max_images or wanted)


def choose_frames(video: Video, context: Context) -> tuple[PlannedFrame, ...]:
    """Return evenly spread frames: as many as configured and as the model can take."""
    return frames_of(video, lambda total: centre_ids(total, _most(context)))


def plan(video: Video, question: Question, context: Context) -> MethodPlan:
    """Return the plan with its frames; with a sampler, how many there are at most."""
    frames = choose_frames(video, context)
    options = read_options("direct", Options, context.settings)
    check_encoder(options.sampler, context.settings)
    width, height = fit(video.width, video.height, options.max_side)
    chat = context.pool.chat()
    native = chat.capabilities.video
    if native:
        times_s = [frame.time_s for frame in frames]
        tokens = chat.video_tokens(width, height, times_s, video.duration_s)
    else:
        tokens = len(frames) * chat.image_tokens(width, height)
    visuals = {
        "form": FORMS[native],
        "sampler": options.sampler,
        "images": len(frames),
        "width": width,
        "height": height,
        "image_tokens": tokens,
    }
    names = prompt_names(question, frames_prompt(native))
    if options.sampler == "even":
        return MethodPlan(names, calls=(1, 2), tokens=tokens, frames=frames, visuals=visuals)
    return MethodPlan(names, (1, 2), tokens, visuals=visuals, roles=("image encoder",))


METHOD = Method(
    "direct",
    "pictures spread evenly over the video, sent one by one",
    Options,
    build,
    plan,
    needs=frozenset({"images"}),
    draw=draw,
)
