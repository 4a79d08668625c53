"""TS-LLaVA (Qu et al., arXiv 2411.11066): thumbnail and sampled visual tokens of one video.

START -> look -> reason -> ...

SlowFast-LLaVA, FreeVA, Free Video-LLM, FoPru, PLLaVA, STORM's sampling, INTP, KTV and DyTo are
further layouts of the same tokens (`agent.visual.layouts`). What
differs from the published code: frames do not repeat and reach the end of the video, a prompt that
is too long loses samples and never text, tokens are cached for the next question, and the prompt
mentions the overview. `ts-llava.parity` follows the published code to the bit. A model that takes
pictures but no visual tokens gets a grid and frames instead, and the answer says so.
"""

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Literal

from langgraph.runtime import Runtime
from pydantic import Field

from agent.answer import Meter
from agent.answering.method import Method, MethodPlan, Subgraph, build_asking, read_options
from agent.answering.prompt import as_published, ask_for, grid_part, prompt_names
from agent.frames.files import GridStyle, grid_file, picture_files, shown
from agent.frames.saved import frame_visuals
from agent.models.chat import configured_capabilities
from agent.models.chat_model import ChatModel
from agent.models.chat_transformers import TransformersChat
from agent.records import Ask, Plan, Question, TokenPrompt, Visual
from agent.settings import Section, Settings
from agent.state import Context, State
from agent.visual import picture_prompt, visual_token_prompt
from agent.visual.contrast import require_class_token
from agent.visual.files import square_files, thumbnail_files
from agent.visual.layouts import SAMPLES, fopru, parse_layout
from agent.visual.picture_prompt import PictureForm, Sizes
from agent.visual.token_chat import KeptPrefix, TokenChat, token_model
from agent.visual.visual_token_prompt import Asked, TokenForm, Wanted, reading_of
from tools.errors import InputError, ReelgraphError
from tools.media.video import Video

LABELS = {True: "visual tokens", False: "pictures"}  # by whether the model takes tokens


class Options(Section):
    """Settings of the method."""

    layout: str = Field(
        "V2",
        description="V2, Y3, ..., slowfast, freeva, free-video-llm, fopru, pllava, storm, intp,"
        " ktv, dyto; with other numbers as in pllava-8x12x12, storm-2, intp-8, ktv-156, dyto-6",
    )
    frames: int | None = Field(
        None, gt=0, le=512, description="frames looked at; none takes the layout's own number, 50"
    )
    samples: int = Field(SAMPLES, gt=0, description="visual tokens sampled from all frames")
    fopru_share: float = Field(0.25, gt=0, le=1, description="of a frame's tokens that fopru keeps")
    fopru_strategy: Literal["rank", "row"] = Field(
        "rank", description="fopru keeps the tokens, or the whole rows, attended to most"
    )
    contrast: bool = Field(
        False, description="decode against tokens that only draw attention (DAMRO): half as fast"
    )
    keep_read: bool = Field(
        True, description="keep what the model read of the last video in memory between questions"
    )
    pictures: int = Field(
        8, ge=0, le=64, description="single pictures beside the grid, for a model without tokens"
    )
    max_side: int = Field(768, gt=0, description="pixels of their longer side, at most")
    grid_side: int = Field(1344, gt=0, description="pixels of the grid's longer side, at most")
    numbered: bool = Field(False, description="number and time above each cell of that grid")
    parity: bool = Field(False, description="the published code's frames and roundings")

    @property
    def wanted(self) -> Wanted:
        """The requested layout and frames."""
        layout = parse_layout(self.layout, self.samples)
        if layout.name == "fopru":
            layout = fopru(self.fopru_share, self.fopru_strategy == "row")
        return Wanted(layout, self.frames or layout.frames, self.parity)

    @property
    def sizes(self) -> Sizes:
        """The sizes of pictures for a model that takes no visual tokens."""
        return Sizes(self.pictures, self.max_side, self.grid_side, self.numbered)


def build(settings: Settings) -> Subgraph:
    """Build the subgraph; the pool caches the prefix of the last video."""
    keep = _options(settings).keep_read

    def chat_of(asked: Ask, context: Context) -> ChatModel:
        chat = context.pool.chat()
        if asked.tokens is None or not isinstance(chat, TransformersChat):
            return chat
        return TokenChat(
            name=chat.name,
            chat=chat,
            tokens=asked.tokens.file,
            kept=context.pool.shared("read video", KeptPrefix) if keep else KeptPrefix(),
            parity=asked.tokens.parity,
            outliers=asked.tokens.outliers,
        )

    return build_asking("ts-llava", look, chat_of)


def look(state: State, runtime: Runtime[Context]) -> State:
    """Write the prompt, with the video as visual tokens if the model takes them."""
    start, context, meter = perf_counter(), runtime.context, Meter()
    form = prepare(state["video"], state["question"], context, state.get("context_share", 1.0))
    if isinstance(form, TokenForm):
        made = _as_tokens(form, state, context, meter)
    else:
        made = _as_pictures(form, state, context, meter)
    if form.plan.parity:
        made["ask"] = as_published(made["ask"], "ts-llava")
    meter.seconds = perf_counter() - start
    return {**made, "lines": shown(form.frames), "usage": {"look": meter.usage()}}


def prepare(
    video: Video, question: Question, context: Context, share: float = 1.0
) -> TokenForm | PictureForm:
    """Choose the model's visual input."""
    options, chat = _options(context.settings), context.pool.chat()
    if model := token_model(chat):
        if options.wanted.layout.depends_on_question and no_encoder(context.settings):
            raise InputError(
                f"the layout {options.layout} needs a CLIP that compares frames with the question; "
                f"name the one of the chat model with --set image_encoder.model=NAME"
            )
        if options.contrast:
            require_class_token(model.hf_model)
        return visual_token_prompt.prepare(video, question, model, options.wanted, share)
    if options.contrast:
        raise InputError(
            f"ts-llava.contrast needs a model that takes visual tokens, which {chat.name} does not"
        )
    return picture_prompt.prepare(video, question, chat, options.wanted, options.sizes, share)


def plan(video: Video, question: Question, context: Context) -> MethodPlan:
    """Return the plan with the model's visual input, as plain data."""
    form = prepare(video, question, context)
    tokens, once = isinstance(form, TokenForm), form.plan.parity
    guided = isinstance(form, TokenForm) and form.layout.depends_on_question
    return MethodPlan(
        prompts=prompt_names(question, "given_tokens" if tokens else "given_grid", once=once),
        calls=(1, 1 if once else 2),
        tokens=form.plan.visual_tokens or 0,
        frames=form.frames,
        visuals={"form": LABELS[tokens], **form.plan.laid_out()},
        roles=("image encoder",) if guided else (),
    )


def _as_tokens(form: TokenForm, state: State, context: Context, meter: Meter) -> State:
    """Make the visual tokens, or take them from the cache, and write the prompt."""
    video, library = state["video"], context.library
    chat = token_model(context.pool.chat())
    assert chat is not None  # for `prepare` found it so
    squares, thumbnails = _tower_files(form, video, context, meter)
    encoder = context.pool.image_encoder() if form.layout.depends_on_question else None
    about = Asked(state["question"], encoder) if encoder else None
    file = visual_token_prompt.token_file(video, form, squares, chat, library, about)
    outliers = None
    if _options(context.settings).contrast:
        outliers = visual_token_prompt.outlier_file(
            video, form, thumbnails or squares, chat, library
        )
    made = ask_for("look", state["question"], form.told)
    asked = replace(
        made["ask"],
        tokens=TokenPrompt(file, form.plan.parity, outliers),
        visuals=visual_token_prompt.visuals(form, squares, thumbnails),
        note=form.plan.notes[0] if form.plan.cut else "",
    )
    return {**made, "ask": asked}


def _as_pictures(form: PictureForm, state: State, context: Context, meter: Meter) -> State:
    """Make the grid and the single pictures, and write the prompt."""
    video, sizes = state["video"], _options(context.settings).sizes
    shown = _pictures(form, video, context, meter)
    told = grid_part(
        video, form.cells, form.shape, form.singles, numbered=sizes.numbered, timed=True
    )
    made = ask_for("look", state["question"], told, images=[visual.file for visual in shown])
    asked = replace(made["ask"], visuals=shown, note="; ".join(form.plan.notes))
    return {**made, "ask": asked}


def _tower_files(
    form: TokenForm, video: Video, context: Context, meter: Meter
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the frames and the thumbnails for the vision tower."""
    library, parity = context.library, form.plan.parity
    reading = reading_of(parity)
    squares = square_files(video, form.frames, form.tower, library, meter, reading)
    return squares, thumbnail_files(video, squares, form.layout, form.tower, library, parity)


def _pictures(
    form: PictureForm, video: Video, context: Context, meter: Meter
) -> tuple[Visual, ...]:
    """Return the grid and the single pictures."""
    library, sizes = context.library, _options(context.settings).sizes
    reading = reading_of(form.plan.parity)
    style = GridStyle(sizes.numbered, sizes.grid_side, reading=reading)
    grid = grid_file(video, form.cells, form.shape, library, meter, style)
    files = picture_files(video, form.singles, library, meter, sizes.max_side, reading)
    overview = Visual(grid, "grid", tuple(frame.time_s for frame in form.cells))
    return (overview, *frame_visuals(files, form.singles))


def draw(video: Video, question: Question, plan: Plan, context: Context) -> tuple[Visual, ...]:
    """Return what the vision tower or, without visual tokens, the model is shown."""
    form = prepare(video, question, context)
    if isinstance(form, PictureForm):
        return _pictures(form, video, context, Meter())
    squares, thumbnails = _tower_files(form, video, context, Meter())
    return visual_token_prompt.visuals(form, squares, thumbnails)


def adapt(settings: Settings) -> Settings:
    """Stretch the model's context as the layout was published with, unless the user says how far.

    Only for a model that takes visual tokens; within the trained length nothing changes.
    """
    factor, chat = _options(settings).wanted.layout.rope_factor, settings.chat
    if factor == 1 or "rope_factor" in chat.model_fields_set or chat.engine != "transformers":
        return settings
    try:
        able = configured_capabilities(chat, settings.models.expanduser(), settings.offline)
    except ReelgraphError:  # the run itself names the remedy
        return settings
    stretched = chat.model_copy(update={"rope_factor": factor})
    return settings.model_copy(update={"chat": stretched}) if able.visual_tokens else settings


def no_encoder(settings: Settings) -> bool:
    """Whether no image-text encoder is configured."""
    return settings.image_encoder.model == "none"


def _options(settings: Settings) -> Options:
    """Return the options; `InputError` for a layout that does not exist."""
    options = read_options("ts-llava", Options, settings)
    parse_layout(options.layout)
    return options


METHOD = Method(
    "ts-llava",
    "a thumbnail and sampled visual tokens of the video, put into the prompt",
    Options,
    build,
    plan,
    needs=frozenset({"images"}),
    draw=draw,
    adapt=adapt,
)
