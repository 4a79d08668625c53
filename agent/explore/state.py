"""The state of the exploration, the messages sent from it, and its limits.

The state holds text, ids and times; pictures are inserted into the messages when they are sent.
"""

import json
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Annotated, Any

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from pydantic import Field

import prompts
from agent.answer import Meter
from agent.answering.conversation import messages as as_messages
from agent.answering.evidence_lines import as_line
from agent.frames.files import PICTURE, picture_files
from agent.frames.sampling import centre_ids
from agent.records import PlannedFrame, Turn
from agent.settings import Section
from agent.state import Context, State, merge
from agent.text import clock
from tools.evidence import Evidence
from tools.media.video import Video, fit

LEFT_OUT = "(left out, for the conversation has grown too long)"
MESSAGE_TOKENS = 8  # role and separators that a chat template adds to a message
TAIL_CALLS = 2  # of the model, for the answer after the exploration: one, and one retry
EXPLORING_SHARE = 0.75  # of all tokens; the rest is reserved for the answer


class Options(Section):
    """Settings of the method."""

    frames: int = Field(5, ge=0, le=64, description="pictures to begin with, both ends included")
    max_frames: int = Field(32, ge=0, le=512, description="pictures in all")
    max_calls: int = Field(12, gt=TAIL_CALLS, description="calls of the model, in all")
    max_tokens: int = Field(120_000, ge=256, description="tokens read and written, in all")
    max_rounds: int = Field(3, gt=0, description="answers, after which the last one stands")
    patience: int = Field(2, gt=0, description="replies in a row that bring nothing new")
    max_side: int = Field(768, gt=0, description="pixels of a picture's longer side, at most")
    reply_tokens: int = Field(512, gt=0, description="of one reply, tool calls included")
    result_tokens: int = Field(600, gt=0, description="of what one tool call brings back")
    overview_tokens: int = Field(400, ge=0, description="of notes that a blind model begins with")


@dataclass(frozen=True, slots=True)
class Proposal:
    """An answer proposed during the exploration.

    Attributes:
        text: Its text.
        confidence: Self-reported, 1 to 3; 0 where there is none.
        cited: Cited ids that the model was given.
        dropped: Cited ids that it was never given.
        stale: Whether new evidence followed.
    """

    text: str
    confidence: int = 0
    cited: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    stale: bool = False


class Exploring(State, total=False):
    """The state of the exploration."""

    messages: Annotated[list[AnyMessage], operator.add]
    """The conversation, without pictures. The `artifact` of a tool's message holds its evidence."""
    given: Annotated[Mapping[str, Evidence], merge]
    """By id, all that the model was shown or told, in that order."""
    proposal: Proposal
    """Its last answer."""
    rounds: int
    """Answers so far."""
    idle: int
    """Replies in a row that brought nothing new."""
    spent: int
    """Tokens read and written so far."""
    last_input: int
    """Tokens that the last call read."""
    last_output: int
    """Tokens that the last call wrote."""
    stopped: str
    """Why the exploring has ended."""


def options_of(context: Context) -> Options:
    """Return the settings of the method, validated when the graph was built."""
    return Options.model_validate(dict(context.settings.methods.get("explore", {})))


def sees(video: Video, context: Context) -> bool:
    """Say whether the model is given pictures."""
    return video.has_picture and context.pool.capabilities().images


def end_ids(total: int, count: int) -> tuple[int, ...]:
    """Return frame ids spread evenly, both ends included (VideoAgent's first frames)."""
    if count >= total:
        return tuple(range(total))
    if count < 2:
        return (total // 2,)[:count]
    return tuple(round(i * (total - 1) / (count - 1)) for i in range(count))


def picture_id(frame: PlannedFrame) -> str:
    """Return the id by which the model may cite a frame."""
    return f"{PICTURE}:{frame.index}"


def captions(frames: Sequence[PlannedFrame]) -> list[str]:
    """Return ids and times of frames, as captions."""
    return [f"{picture_id(frame)} at {clock(frame.time_s)}" for frame in frames]


def cited_as(evidence: Evidence) -> str:
    """Return the short id by which the model may cite evidence: without the run.

    A question has one run of each tool, and a short id is the same in every library.
    """
    return re.sub(r"^([^:]+):[0-9a-f]+:(?=\d)", r"\1:", evidence.id)


def numbered(evidence: Evidence) -> str:
    """Return evidence as a line with its short id."""
    return f"{cited_as(evidence)} {as_line(evidence)}"


def evidence_in(message: BaseMessage) -> list[Evidence]:
    """Return the evidence of a tool message."""
    artifact = message.artifact if isinstance(message, ToolMessage) else None
    return [Evidence(**values) for values in (artifact or {}).get("evidence", ())]


def frames_in(message: BaseMessage) -> tuple[PlannedFrame, ...]:
    """Return the frames of a tool message."""
    return pictures_among(evidence_in(message))


def pictures_among(evidence: Sequence[Evidence]) -> tuple[PlannedFrame, ...]:
    """Return the frames among records, in time order."""
    found = [PlannedFrame(e.data["frame"], e.start_s) for e in evidence if e.kind == PICTURE]
    return tuple(sorted(found, key=lambda frame: frame.index))


def last_round(messages: Sequence[AnyMessage]) -> tuple[AIMessage, list[ToolMessage]]:
    """Return the model's last reply and the messages of its tool calls, in order."""
    place = max(i for i, message in enumerate(messages) if isinstance(message, AIMessage))
    reply = messages[place]
    assert isinstance(reply, AIMessage)
    results = {m.tool_call_id: m for m in messages[place + 1 :] if isinstance(m, ToolMessage)}
    return reply, [results[str(call["id"])] for call in reply.tool_calls]


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of a conversation that is sent.

    Attributes:
        frames: Frames that follow a message (or begin the first one), by its position.
        left_out: Positions of tool messages that are dropped as too old.
    """

    frames: Mapping[int, tuple[PlannedFrame, ...]]
    left_out: frozenset[int]


def choose_shown(state: Exploring, most: int | None) -> Shown:
    """Choose what fits: the newest tool results first, then as many frames as allowed.

    Args:
        state: Its `context_share` is the share of the results that fits the model's context.
        most: Maximum pictures that the model takes; None for any number.
    """
    share, talk = state.get("context_share", 1.0), state["messages"]
    places = [i for i, message in enumerate(talk) if isinstance(message, ToolMessage)]
    old = places[: len(places) - int(len(places) * share)]
    begun = state["plan"].frames
    left = sum(len(frames_in(m)) for m in talk) + len(begun) if most is None else most
    chosen: dict[int, tuple[PlannedFrame, ...]] = {}
    for place in reversed([place for place in places if place not in old]):
        chosen[place] = frames_in(talk[place])[:left]
        left -= len(chosen[place])
    first = begun[:: ceil(1 / share)]
    kept = centre_ids(len(first), left) if first and left else ()
    chosen[0] = tuple(first[i] for i in kept)
    return Shown(chosen, frozenset(old))


def transcript(state: Exploring, context: Context, meter: Meter) -> list[BaseMessage]:
    """Return the messages to send, with pictures.

    Pictures follow the tool messages of a whole round, for few servers take them in between.
    """
    shown = choose_shown(state, context.pool.capabilities().max_images)
    talk, sent = state["messages"], list[BaseMessage]()
    waiting: tuple[PlannedFrame, ...] = ()
    for place, message in enumerate(talk):
        frames = shown.frames.get(place, ())
        if isinstance(message, ToolMessage):
            sent.append(_plain(message, left_out=place in shown.left_out))
            waiting += frames
            if waiting and not isinstance((*talk, None)[place + 1], ToolMessage):
                told = prompts.render("explore_shown", pictures=captions(waiting))
                sent.append(_with_pictures(told, waiting, state["video"], context, meter))
                waiting = ()
        elif frames:
            sent.append(_with_pictures(message.text, frames, state["video"], context, meter))
        else:
            sent.append(message)
    return sent


def _plain(message: ToolMessage, *, left_out: bool) -> ToolMessage:
    return ToolMessage(
        LEFT_OUT if left_out else message.content,
        tool_call_id=message.tool_call_id,
        name=message.name,
        status=message.status,
    )


def _with_pictures(
    text: str, frames: Sequence[PlannedFrame], video: Video, context: Context, meter: Meter
) -> HumanMessage:
    files = picture_files(video, frames, context.library, meter, options_of(context).max_side)
    (message,) = as_messages([Turn("user", text, files)])
    assert isinstance(message, HumanMessage)
    return message


def expected_tokens(state: Exploring, context: Context, tools: Sequence[Any]) -> int:
    """Estimate the maximum tokens of the next call, prompt and reply."""
    chat, options = context.pool.chat(), options_of(context)
    shown = choose_shown(state, context.pool.capabilities().max_images)
    texts = [tool_text(tools)]
    for place, message in enumerate(state["messages"]):
        texts.append(LEFT_OUT if place in shown.left_out else message.text)
        texts += [json.dumps(c["args"]) for c in getattr(message, "tool_calls", ())]
    words = sum(chat.count_tokens(text) + MESSAGE_TOKENS for text in texts)
    pictures = sum(map(len, shown.frames.values()))
    return words + pictures * picture_tokens(state["video"], context) + options.reply_tokens


def picture_tokens(video: Video, context: Context) -> int:
    """Return the tokens of one picture; 0 for a text-only model."""
    if not sees(video, context):
        return 0
    width, height = fit(video.width, video.height, options_of(context).max_side)
    return context.pool.chat().image_tokens(width, height)


def tool_text(tools: Sequence[Any]) -> str:
    """Return the tool schemas about as the model reads them, to count tokens."""
    return "\n".join(
        f"{tool.name} {tool.description} {json.dumps(tool.tool_call_schema.model_json_schema())}"
        for tool in tools
    )


def limit(state: Exploring, context: Context, tools: Sequence[Any]) -> str:
    """Return the limit that the next call would exceed, or "" if none."""
    options = options_of(context)
    used = state["usage"].get("explore")
    if used and used.model_calls >= options.max_calls - TAIL_CALLS:
        return f"the limit of {options.max_calls} calls of the model"
    needed = state.get("spent", 0) + expected_tokens(state, context, tools)
    if needed > options.max_tokens * EXPLORING_SHARE:
        return f"the limit of {options.max_tokens} tokens"
    return ""


def artifact(
    evidence: Sequence[Evidence], *, seconds: float = 0.0, decodes: int = 0, **values: Any
) -> dict[str, Any]:
    """Return the artifact of a tool message, as plain data."""
    found = [asdict(e) for e in evidence]
    return {"evidence": found, "seconds": seconds, "decodes": decodes, **values}
