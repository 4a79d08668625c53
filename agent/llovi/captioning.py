"""Captioning of short clips by a vision-language model, stored in the library per clip (LLoVi).

    cut_clips -> caption, caption, ... (one for each stretch of clips) -> collect_captions

A caption depends only on its clip, the captioner, the prompt and the decoding: later questions,
other processes and other choices of clips reuse it. A clip that fails leaves a gap, which is
reported and retried with the next question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Annotated, Any, TypeVar, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.errors import GraphDrained
from langgraph.runtime import Runtime
from langgraph.types import Send

import prompts
from agent.answer import Meter, Usage
from agent.answering.conversation import messages, usage_of
from agent.answering.time_spans import Span, format_span
from agent.frames.files import frames_at, picture_files
from agent.library.keys import captioner_of as captioner_settings
from agent.library.keys import digest
from agent.library.rows import CAPTIONS
from agent.llovi.clips import Clip, plan_clips
from agent.llovi.options import LloviOptions
from agent.models.chat_model import ChatModel
from agent.models.identity import reply_identity
from agent.records import PlannedFrame, Turn
from agent.state import Context, State, merge
from tools.errors import MissingError
from tools.evidence import ChannelReport, Evidence, Status
from tools.media.video import Video

STRETCH = 16  # clips that one node captions, and that one process claims at a time
MAX_NAMED = 3  # gaps that a report lists
T = TypeVar("T")


class Captioning(State, total=False):
    """The state of a method that captions clips."""

    stretches: tuple[tuple[Clip, ...], ...]
    """With a clip that the library does not know, set by `cut_clips`."""
    stretch: tuple[Clip, ...]
    """What one `caption` node is given."""
    spent: Annotated[Mapping[int, Usage], merge]
    """By the number of a stretch's first clip."""
    gaps: Annotated[Mapping[int, str], merge]
    """Why a clip has no caption, by its number."""
    notes: tuple[Evidence, ...]
    """What is to be read, in time order: captions, or what stands in for them."""


@dataclass(frozen=True, slots=True)
class View:
    """A clip and its frames for the captioner."""

    clip: Clip
    frames: tuple[PlannedFrame, ...]


@dataclass(frozen=True, slots=True)
class Captioner:
    """The captioner and its settings: all that a caption depends on besides its clip.

    Attributes:
        model: Identity of the chat model.
        frames: Frames per clip.
        max_side: Maximum pixels of their longer side.
        tokens: Maximum length of a caption.
    """

    model: Mapping[str, Any]
    frames: int
    max_side: int
    tokens: int

    @property
    def prompt(self) -> str:
        """Name of the prompt."""
        return "caption_clip" if self.frames > 1 else "caption"

    def settings(self, view: View) -> dict[str, Any]:
        """Return the settings that make up the key of a caption."""
        return {
            "clip": [view.clip.start_s, view.clip.end_s],
            "frames": [frame.index for frame in view.frames],
            "captioner": dict(self.model),
            "prompt": [self.prompt, prompts.version(self.prompt)],
            "params": {"max_side": self.max_side, "max_new_tokens": self.tokens},
        }

    def ask(self, clip: Clip) -> str:
        """Return the prompt of a clip."""
        if self.frames == 1:
            return prompts.render("caption")
        length = f"{clip.end_s - clip.start_s:.4g}"
        return prompts.render("caption_clip", count=self.frames, length=length)


def captioner_of(options: LloviOptions, context: Context) -> Captioner:
    """Return the captioner of these options; a clip has no more frames than the model takes."""
    most = context.pool.capabilities("captioner").max_images or options.clip_frames
    frames = 1 if not options.clip_s else min(options.clip_frames, most)
    known = reply_identity(captioner_settings(context.settings))
    known.pop("max_new_tokens")
    return Captioner(known, frames, options.max_side, options.caption_tokens)


def clips_of(video: Video, options: LloviOptions) -> tuple[Clip, ...]:
    """Return the clips to caption; with a length of 0 they are single moments."""
    stride_s = options.stride_s or options.clip_s or 1.0
    if options.clip_s:
        return plan_clips(video.duration_s, options.clip_s, stride_s)
    clips = plan_clips(video.duration_s, stride_s)
    return tuple(Clip(clip.number, clip.start_s, clip.start_s) for clip in clips)


def views_of(video: Video, clips: Sequence[Clip], frames: int) -> tuple[View, ...]:
    """Return each clip with its frames: the middles of `frames` equal parts."""
    times = [
        clip.start_s + (clip.end_s - clip.start_s) * (2 * n + 1) / (2 * frames)
        for clip in clips
        for n in range(frames)
    ]
    shown = _batches(frames_at(video, times), frames)
    return tuple(View(clip, some) for clip, some in zip(clips, shown, strict=True))


def cut_clips(state: Captioning, runtime: Runtime[Context], options: LloviOptions) -> Captioning:
    """Cut the video into clips and decode the frames of those without caption in one pass."""
    start, meter, context, video = perf_counter(), Meter(), runtime.context, state["video"]
    captioner, clips = captioner_of(options, context), clips_of(video, options)
    views = views_of(video, clips, captioner.frames)
    known = context.library.captions(video)
    new = [v for v in views if digest(captioner.settings(v)) not in known]
    frames = {frame.index: frame for view in new for frame in view.frames}
    ordered = [frames[index] for index in sorted(frames)]
    picture_files(video, ordered, context.library, meter, options.max_side)
    missing = {view.clip.number for view in new}
    stretches = [s for s in _batches(clips, STRETCH) if any(c.number in missing for c in s)]
    meter.seconds = perf_counter() - start
    return {"stretches": tuple(stretches), "usage": {"cut_clips": meter.usage()}}


def fan_out(state: Captioning) -> list[Send] | str:
    """Caption every stretch that needs it, in parallel."""
    stretches = state.get("stretches", ())
    given = {"video": state["video"]}
    return [Send("caption", {**given, "stretch": s}) for s in stretches] or "collect_captions"


def caption(state: Captioning, runtime: Runtime[Context], options: LloviOptions) -> Captioning:
    """Caption the clips of a stretch that are not in the library, and store each at once.

    Raises:
        GraphDrained: Stop was pressed; finished captions are stored.
        MissingError: The captioner is missing.
    """
    video, clips, context = state["video"], state["stretch"], runtime.context
    captioner = captioner_of(options, context)
    views = views_of(video, clips, captioner.frames)
    work = _Work(video, captioner, context)
    key = digest([captioner.settings(view) for view in views])
    with context.library.claim(video, CAPTIONS, key):  # after waiting, the captions are there
        left = [view for view in views if not work.is_known(view)]
        for attempt in range(options.retries + 1):
            for some in _batches(left, work.batch if attempt == 0 else 1):
                if runtime.drain_requested:
                    raise GraphDrained("stop")
                work.caption(some)
                done_s = some[-1].clip.end_s
                told = {"stage": "caption", "done_s": done_s, "total_s": video.duration_s}
                runtime.stream_writer(told)
            left = [view for view in left if view.clip.number in work.failed]
    return {"spent": {clips[0].number: work.spent}, "gaps": work.failed}


class _Work:
    """The captioning of one stretch: its cost and failures so far."""

    def __init__(self, video: Video, captioner: Captioner, context: Context) -> None:
        self.video, self.captioner, self.context = video, captioner, context
        settings = captioner_settings(context.settings)
        self.batch = settings.batch if settings.engine == "transformers" else 1
        self.spent = Usage()
        self.failed: dict[int, str] = {}

    def is_known(self, view: View) -> bool:
        key = digest(self.captioner.settings(view))
        return self.context.library.has_caption(self.video, key)

    def caption(self, views: Sequence[View]) -> None:
        """Caption a batch of clips and store each caption."""
        start, captioner = perf_counter(), self.captioner
        meter, library = Meter(), self.context.library
        talks = []
        for view in views:
            files = picture_files(self.video, view.frames, library, meter, captioner.max_side)
            talks.append(messages([Turn("user", captioner.ask(view.clip), files)]))
        replies = _send(self.context.pool.chat("captioner"), talks, captioner.tokens)
        seconds = (perf_counter() - start) / len(views)
        self.spent += Usage(decodes=meter.decodes)
        for view, reply in zip(views, replies, strict=True):
            if isinstance(reply, AIMessage):
                self._keep(view, reply, seconds)
            else:
                self.failed[view.clip.number] = f"{type(reply).__name__}: {reply}"

    def _keep(self, view: View, reply: AIMessage, seconds: float) -> None:
        clip, text = view.clip, " ".join(reply.text.split())
        settings, span_s = self.captioner.settings(view), (clip.start_s, clip.end_s)
        key, library = digest(settings), self.context.library
        library.save_caption(self.video, key, settings, span_s, text, seconds)
        self.spent += usage_of(reply, seconds)
        self.failed.pop(clip.number, None)


def _send(
    chat: ChatModel, talks: Sequence[list[BaseMessage]], tokens: int
) -> Sequence[AIMessage | BaseException]:
    """Return a reply to each conversation, or the exception in its place.

    Any exception of a captioner is a gap, so LangChain's `return_exceptions` is used.

    Raises:
        MissingError: The captioner is missing: every clip would fail.
    """

    def send(given: list[LanguageModelInput]) -> list[Any]:
        limit = RunnableConfig(max_concurrency=len(given))
        return chat.batch(given, limit, return_exceptions=True, max_new_tokens=tokens)

    whole: Any = RunnableLambda(send).batch([list(talks)], return_exceptions=True)[0]
    replies = [whole] * len(talks) if isinstance(whole, BaseException) else whole
    for reply in replies:
        if isinstance(reply, MissingError):
            raise reply
    return cast("Sequence[AIMessage | BaseException]", replies)


def collect_captions(
    state: Captioning, runtime: Runtime[Context], options: LloviOptions
) -> Captioning:
    """Take all captions from the library, in time order, and say which are missing."""
    start, context, video = perf_counter(), runtime.context, state["video"]
    if CAPTIONS in state.get("channels", {}):  # the frames could not be decoded
        return {"notes": ()}
    captioner = captioner_of(options, context)
    views = views_of(video, clips_of(video, options), captioner.frames)
    known = context.library.captions(video)
    said = (known.get(digest(captioner.settings(view))) for view in views)
    notes = tuple(sorted(filter(None, said), key=lambda e: (e.start_s, e.end_s)))
    spent = sum(state.get("spent", {}).values(), Usage())
    report = _report(notes, views, state.get("gaps", {}), spent)
    looked = Usage(seconds=perf_counter() - start) + spent
    return {
        "notes": notes,
        "channels": {CAPTIONS: report},
        "prompts": {captioner.prompt: prompts.version(captioner.prompt)},
        "usage": {"caption": looked},
    }


def _report(
    notes: Sequence[Evidence], views: Sequence[View], gaps: Mapping[int, str], spent: Usage
) -> ChannelReport:
    """Say how many clips have captions, and why others have none."""
    spans = {v.clip.number: format_span(Span(v.clip.start_s, v.clip.end_s)) for v in views}
    named = [f"{spans[number]}: {gaps[number]}" for number in sorted(gaps)]
    more = ["..."] if len(named) > MAX_NAMED else []
    told = "; ".join([*named[:MAX_NAMED], *more])
    reason = f"{len(gaps)} of {len(views)} clips could not be captioned ({told})" if gaps else ""
    status: Status = "ok" if notes else "failed" if gaps else "empty"
    cached = not spent.model_calls and not gaps
    return ChannelReport(CAPTIONS, status, len(notes), round(spent.seconds, 3), reason, cached)


def _batches(items: Sequence[T], size: int) -> list[tuple[T, ...]]:
    """Split a sequence into batches of a size; the last may be shorter."""
    return [tuple(items[first : first + size]) for first in range(0, len(items), size)]
