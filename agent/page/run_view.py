"""The view of a run in progress: events in, HTML out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from agent.library.exchange import Exchange
from agent.page.markup import render
from agent.records import Understood
from agent.session import Event
from agent.text import clock
from tools.evidence import ChannelReport
from tools.media.video import Video

QUIET_S = 0.2  # seconds between two redraws of the progress; more would only keep the browser busy


@dataclass(slots=True)
class Bar:
    """The progress of a stage."""

    stage: str
    done_s: float
    total_s: float
    begun: float
    waits: bool = False  # for another run that has the tool

    @property
    def percent(self) -> int:
        """Whole percent, 0 to 100."""
        return min(100, int(100 * self.done_s / self.total_s)) if self.total_s > 0 else 0

    @property
    def left(self) -> str:
        """Estimated remaining time; empty while unknown."""
        spent = monotonic() - self.begun
        if self.percent < 3 or spent < 1:
            return ""
        return clock(spent * (self.total_s - self.done_s) / self.done_s)


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to the user in place of an answer: kind is "error" or "info"."""

    kind: str
    text: str


@dataclass
class RunView:
    """The state of the answer, the progress and the evidence on the page.

    Attributes:
        question: The question as asked; empty before the first.
        asked: Whether a person put it as a question, that can be asked again.
        busy: Current activity before the first token of an answer; empty if there is none.
        token: Token of the chosen video; empty if it is not served.
        sha256: Its identity.
        pictures: Whether the video has pictures.
        understood: The standalone question, for a follow-up.
        text: The model's reply so far.
        exchange: The question with its answer, when there is one.
        notice: Message in place of an answer.
        channels: Reports of the tools.
    """

    question: str = ""
    asked: bool = True
    busy: str = ""
    token: str = ""
    sha256: str = ""
    pictures: bool = False
    understood: Understood | None = None
    text: str = ""
    exchange: Exchange | None = None
    notice: Notice | None = None
    channels: list[ChannelReport] = field(default_factory=list)
    _replied: bool = False
    _bars: dict[str, Bar] = field(default_factory=dict)
    _shown: float = 0.0

    def take(self, event: Event) -> bool:
        """Process an event and say whether the page should be redrawn now."""
        if event.kind == "progress":
            return self._progress(event.data)
        if event.kind == "channel":
            self._bars.pop(event.data.tool, None)
            self.channels.append(event.data)
        elif event.kind == "stage":
            self._bars.pop(event.data, None)
            self._replied |= event.data == "reason"
        elif event.kind == "understood":
            self.understood = event.data
        elif event.kind == "token":
            self.text = event.data if self._replied else self.text + event.data
            self._replied = False  # another reply replaces the previous one
        elif event.kind == "answer":
            self.channels = list(event.data.channels) or self.channels
            self._bars.clear()
        elif event.kind == "exchange":
            self.exchange = event.data
        return True

    def recall(self, exchange: Exchange) -> None:
        """Show a question and its answer from a resumed chat."""
        self.question, self.exchange = exchange["asked"], exchange
        self.channels = [ChannelReport(**channel) for channel in exchange["answer"]["channels"]]
        if exchange["how"]:
            self.understood = Understood(exchange["understood"], exchange["how"])

    def watch(self, token: str, video: Video) -> None:
        """Show moments of the video served under a token."""
        self.token, self.sha256, self.pictures = token, video.sha256, video.has_picture

    def fail(self, error: Exception, kind: str = "error") -> None:
        """Show an error in place of the answer; the evidence stays on the page."""
        self.notice = Notice(kind, str(error))
        self._bars.clear()

    def _progress(self, data: dict[str, Any]) -> bool:
        stage, now = str(data["stage"]), monotonic()
        if "shrunk_to" in data:
            self.text = ""  # the reply so far is discarded: the prompt was too long
        if "waits" in data:
            self._bars[stage] = Bar(stage, 0, 0, now, waits=True)
        if "total_s" in data:
            known = self._bars.get(stage)
            begun = known.begun if known and not known.waits else now
            self._bars[stage] = Bar(stage, data["done_s"], data["total_s"], begun)
        due = now - self._shown >= QUIET_S
        self._shown = now if due else self._shown
        return due

    @property
    def _answer(self) -> Mapping[str, Any] | None:
        return self.exchange["answer"] if self.exchange else None

    def turn_html(self) -> str:
        """Return the question, its progress, its answer even if incomplete, and the evidence."""
        return render(
            "turn",
            question=self.question,
            asked=self.asked,
            understood=self.understood.question if self.understood else "",
            how=self.understood.how if self.understood else "",
            answer=self._answer,
            text=self.text,
            busy=self.busy,
            error=self.notice,
            bars=list(self._bars.values()),
            channels=self.channels,
            sha=self.sha256,
            token=self.token,
            pictures=self.pictures,
        )

    def progress_html(self) -> str:
        """Return the progress bars of running stages and the badges of finished ones."""
        bars = list(self._bars.values())
        return render("progress", bars=bars, channels=self.channels, answer=None)

    def details_html(self, pictures: Sequence[str] = ()) -> str:
        """Return the model's input.

        Args:
            pictures: URL of each picture given to it; "" for one that is gone.
        """
        return render("details", exchange=self.exchange, pictures=pictures)
