"""What a benchmark is: items with their media, question and truth, and how they are scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agent.answering.time_spans import Span
from agent.records import Question
from tools.speech.cues import Cue

Metric = Literal[
    "choice",  # the option chosen
    "contains",  # one of the true texts occurs in the answer, word for word
    "substring",  # the same, letter for letter (MTVQA)
    "wups",  # Wu-Palmer similarity of the words (NExT-QA, open-ended)
    "spans",  # intersection over union of one time span (Charades-STA)
    "grounded choice",  # the option, and whether the cited evidence lies where it is shown
]
Mean = Literal[
    "questions",  # every question counts the same
    "tasks",  # the mean over the means of the category "task" (MLVU)
    "groups",  # the score of the four questions of a video together (Video-MME-v2)
]


@dataclass(frozen=True, slots=True)
class Media:
    """Where the pictures and words of an item lie.

    Attributes:
        file: A video, a picture, or a folder of pictures; None if it was not found.
        why: Why it was not found, and what to do.
        clip: The part of the video that is asked about.
        frame_rate: Pictures a second, of a folder of pictures.
        subtitles: A subtitle file that is used as it is.
        cues: Returns the subtitles, given the length of the video in seconds; for subtitles in a
            benchmark's own format.
    """

    file: Path | None
    why: str = ""
    clip: Span | None = None
    frame_rate: float = 1.0
    subtitles: Path | None = None
    cues: Callable[[float], Sequence[Cue]] | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """The true answer to an item; all empty where the benchmark hides it.

    Attributes:
        choice: Index of the right option.
        texts: Accepted answers; each a tuple of parts that must all occur.
        spans: Where the answer is shown.
        abstain: The video does not answer the question.
    """

    choice: int | None = None
    texts: tuple[tuple[str, ...], ...] = ()
    spans: tuple[Span, ...] = ()
    abstain: bool = False

    @property
    def hidden(self) -> bool:
        """Whether there is nothing to score against."""
        return self.choice is None and not (self.texts or self.spans or self.abstain)


@dataclass(frozen=True, slots=True)
class Item:
    """A question of a benchmark.

    Attributes:
        id: Unique in the benchmark.
        video: The video's name in the benchmark; questions of one video are correlated.
        media: What is asked about.
        question: The question with its options.
        truth: The true answer.
        categories: Values of each kind of category; a question may have several of one kind.
        labels: For each option, its name in the benchmark's files; differs from A, B, C, ... where
            empty or repeated options were left out.
        note: What is wrong with the item in the benchmark's files; empty if nothing is.
        left_out: Why it is not asked; empty if it is.
    """

    id: str
    video: str
    media: Media
    question: Question
    truth: Truth = Truth()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    note: str = ""
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a benchmark is read from.

    Attributes:
        path: Its question file, or the folder that holds its files.
        videos: Folder of the videos.
        unpacked: Where files inside its files may be unpacked.
        subtitles: Whether its subtitles are given to the methods.
    """

    path: Path
    videos: Path
    unpacked: Path
    subtitles: bool = False


Submit = Callable[[Sequence[Item], Mapping[str, int | None]], Any]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: how its files are read and how its answers are scored.

    Attributes:
        name: Its name on the command line.
        about: What it asks, and its paper or data set, in one line.
        files: What the path on the command line is.
        read: Returns its items.
        metric: What makes an answer right.
        mean: How questions are averaged.
        submit: Turns chosen options by id into the content of a submission file; None where the
            answers are public.
    """

    name: str
    about: str
    files: str
    read: Callable[[Sources], list[Item]]
    metric: Metric = "choice"
    mean: Mean = "questions"
    submit: Submit | None = None
