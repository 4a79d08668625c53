"""Ask a model that sees, picture by picture, whether it shows what is looked for (LLM4VG's VQA)."""

from collections.abc import Sequence
from time import perf_counter

from langgraph.errors import GraphDrained
from langgraph.runtime import Runtime

import prompts
from agent.answer import Meter, Usage
from agent.answering.conversation import messages, option_likelihoods, usage_of
from agent.answering.replies import parse_yes_no
from agent.answering.time_spans import Span
from agent.frames.files import frames_at, picture_files
from agent.grounding.options import Options
from agent.grounding.spans import Second
from agent.ingest.frames import progress_of
from agent.library.keys import captioner_of, digest
from agent.library.reply_cache import ReplyCache
from agent.models.chat_model import ChatModel
from agent.models.identity import reply_identity
from agent.records import PlannedFrame, Turn
from agent.state import Context
from tools.media.video import Video

PROMPT = "ground_second"
REPLIES = ("yes", "no")


def stretches(duration_s: float, options: Options) -> tuple[Span, ...]:
    """Cut a video into equal stretches of 1 / fps seconds, of more where these are too many."""
    count = max(1, min(round(duration_s * options.fps), options.pictures))
    ends = [duration_s * number / count for number in range(count + 1)]
    return tuple(Span(ends[n], ends[n + 1]) for n in range(count))


def middle_frames(video: Video, options: Options) -> tuple[PlannedFrame, ...]:
    """Return the frame in the middle of each stretch; none is decoded."""
    middles = [(one.start_s + one.end_s) / 2 for one in stretches(video.duration_s, options)]
    return frames_at(video, middles)


class Watcher:
    """Asks about pictures of a video; replies are kept in the library, so a stopped run goes on."""

    def __init__(self, video: Video, description: str, context: Context) -> None:
        self.usage = Usage()
        self._library, self._video = context.library, video
        self._prompt = prompts.render(PROMPT, what=" ".join(description.split()))
        self._identity = reply_identity(captioner_of(context.settings))
        cache = ReplyCache(video, context.library, self._identity)
        self._chat: ChatModel = context.pool.chat("captioner").model_copy(update={"cache": cache})
        self._side = context.settings.sampling.max_side

    def watch(
        self, frames: Sequence[PlannedFrame], spans: Sequence[Span], runtime: Runtime[Context]
    ) -> tuple[Second, ...]:
        """Return what the model says of each stretch.

        Args:
            frames: The picture of each stretch.
            spans: The stretches, in time order.
            runtime: Hears of the progress; Stop ends it between two pictures.
        """
        start, meter, tell = perf_counter(), Meter(), progress_of("watch", runtime)
        files = picture_files(self._video, _each_once(frames), self._library, meter, self._side)
        shown = dict(zip([frame.index for frame in _each_once(frames)], files, strict=True))
        found = []
        for frame, span in zip(frames, spans, strict=True):
            if runtime.drain_requested:
                raise GraphDrained("stop")
            turn = Turn("user", self._prompt, (shown[frame.index],))
            found.append(Second(span.start_s, span.end_s, self._ask(turn, frame)))
            tell(span.end_s, spans[-1].end_s)
        meter.seconds = perf_counter() - start - self.usage.seconds
        self.usage += meter.usage()
        return tuple(found)

    def _ask(self, turn: Turn, frame: PlannedFrame) -> float | None:
        if self._chat.capabilities.option_scoring:
            return self._scored(turn, frame)
        start = perf_counter()
        reply = self._chat.invoke(messages([turn]))
        self.usage += usage_of(reply, perf_counter() - start)
        yes = parse_yes_no(reply.text)
        return None if yes is None else float(yes)

    def _scored(self, turn: Turn, frame: PlannedFrame) -> float:
        """Return the probability of a yes; the likelihoods are kept as a reply."""
        asked = {"scored": REPLIES, "prompt": turn.text, "frame": frame.index, "side": self._side}
        settings = {"asked": asked, "chat": dict(self._identity)}
        key = digest(settings)
        if (kept := self._library.reply(self._video, key)) is not None:
            return float(kept)
        (yes, _), usage = option_likelihoods([turn], REPLIES, self._chat)
        self.usage += usage
        self._library.save_reply(self._video, key, settings, f"{yes:.4f}", usage.seconds)
        return round(yes, 4)


def _each_once(frames: Sequence[PlannedFrame]) -> list[PlannedFrame]:
    return list(dict.fromkeys(frames))
