"""IG-VLM (Kim et al., arXiv 2403.18406): one image with a grid of frames as input.

START -> look -> reason -> ...

What differs from the published code: the frames cover the tail of the video, a video with fewer
frames gets a smaller grid, colours are true RGB for every model, and the prompt says how to read
the grid. `ig-vlm.parity` takes moviepy's frames and colours, gives a local model the lossless grid,
leaves the times out and reads one reply by the published parser.
"""

from dataclasses import replace
from fractions import Fraction
from time import perf_counter

from langgraph.runtime import Runtime
from pydantic import Field

from agent.answer import Meter
from agent.answering.method import Method, MethodPlan, Subgraph, build_asking, read_options
from agent.answering.prompt import as_published, ask_for, grid_part, prompt_names
from agent.frames.files import (
    GridStyle,
    frames_of,
    frames_on_grid,
    grid_file,
    picture_count,
    shown,
)
from agent.frames.grids import GridShape, caption_height, grid_shape
from agent.frames.sampling import centre_ids, ig_parity_times, thinned
from agent.models.chat_transformers import TransformersChat
from agent.records import Plan, PlannedFrame, Question, Visual
from agent.settings import Section, Settings
from agent.state import Context, State
from agent.visual.plan import VisualPlan, plan_grid, planned_grid
from tools.media.container import stated
from tools.media.video import Video

FRAMES = 6  # 3 rows of 2: the best of 4 to 20 frames (IG-VLM, ablation)


class Options(Section):
    """Settings of the method."""

    frames: int = Field(FRAMES, gt=0, le=64, description="cells of the grid")
    numbered: bool = Field(False, description="a strip above each cell with its number and time")
    max_side: int | None = Field(
        None, gt=0, description="pixels of the grid's longer side; none keeps frames as they are"
    )
    parity: bool = Field(
        False, description="the published code's frames, colours and parser; the tail is not seen"
    )


def build(settings: Settings) -> Subgraph:
    """Build the subgraph."""
    read_options("ig-vlm", Options, settings)
    return build_asking("ig-vlm", look)


def look(state: State, runtime: Runtime[Context]) -> State:
    """Compose the grid and write the prompt; with fewer cells where it was too long."""
    start, meter, context = perf_counter(), Meter(), runtime.context
    video, options = state["video"], read_options("ig-vlm", Options, context.settings)
    frames = thinned(state["plan"].frames, state.get("context_share", 1.0))
    shape = grid_shape(len(frames))
    visual = compose(video, frames, options, context, meter)
    meter.seconds = perf_counter() - start
    told = grid_part(video, frames, shape, numbered=options.numbered, timed=not options.parity)
    made = ask_for("look", state["question"], told, images=[visual.file])
    note = "" if len(frames) == len(state["plan"].frames) else _shrunk(len(frames))
    asked = replace(made["ask"], visuals=(visual,), note=note)
    return {
        **made,
        "ask": as_published(asked, "ig-vlm") if options.parity else asked,
        "lines": shown(frames),
        "usage": {"look": meter.usage()},
    }


def compose(
    video: Video,
    frames: tuple[PlannedFrame, ...],
    options: Options,
    context: Context,
    meter: Meter,
) -> Visual:
    """Return the grid of some frames."""
    style = GridStyle(options.numbered, options.max_side)
    if options.parity:
        local = isinstance(context.pool.chat(), TransformersChat)
        style = replace(style, reading="ffmpeg", lossless=local)
    file = grid_file(video, frames, grid_shape(len(frames)), context.library, meter, style)
    return Visual(file, "grid", tuple(frame.time_s for frame in frames))


def draw(video: Video, question: Question, plan: Plan, context: Context) -> tuple[Visual, ...]:
    """Return the grid of a plan."""
    options = read_options("ig-vlm", Options, context.settings)
    return (compose(video, plan.frames, options, context, Meter()),)


def choose_frames(video: Video, options: Options) -> tuple[PlannedFrame, ...]:
    """Return the frames of the grid."""
    if options.parity and video.has_picture:
        said = stated(video.path)  # FFmpeg takes 25 frames a second where a file states no rate
        length_s, fps = said.duration_s or video.duration_s, said.fps or video.fps or Fraction(25)
        return frames_on_grid(video, ig_parity_times(length_s, fps, options.frames), fps)
    return frames_of(video, lambda total: centre_ids(total, options.frames))


def plan(video: Video, question: Question, context: Context) -> MethodPlan:
    """Return the plan of the grid."""
    options = read_options("ig-vlm", Options, context.settings)
    frames = choose_frames(video, options)
    planned = plan_visuals(video, frames, options, context)
    return MethodPlan(
        prompts=prompt_names(question, "given_grid", once=options.parity),
        calls=(1, 1 if options.parity else 2),
        tokens=planned.visual_tokens or 0,
        frames=frames,
        visuals=planned.laid_out(),
    )


def plan_visuals(
    video: Video, frames: tuple[PlannedFrame, ...], options: Options, context: Context
) -> VisualPlan:
    """Plan the grid and its cost in tokens."""
    height = video.height + (caption_height(video.height) if options.numbered else 0)
    planned = plan_grid(frames, picture_count(video), video.width, height, parity=options.parity)
    (whole,) = planned.pictures
    shape = GridShape(whole.rows, whole.columns)
    grid = planned_grid(whole.frames, shape, (video.width, height), options.max_side)
    chat = context.pool.chat()
    tokens = chat.image_tokens(grid.width, grid.height)
    return replace(
        planned,
        pictures=(replace(grid, tokens=tokens),),
        visual_tokens=tokens,
        new_tokens=chat.max_new_tokens,
        limit=chat.context_tokens,
    )


def _shrunk(cells: int) -> str:
    return f"the grid was cut to {cells} cells, for the model takes no more"


METHOD = Method(
    "ig-vlm",
    "one picture with a grid of frames",
    Options,
    build,
    plan,
    needs=frozenset({"images"}),
    draw=draw,
)
