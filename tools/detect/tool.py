"""Detect people and objects on distinct frames: FrameSet -> evidence of kind "objects".

One record counts the objects ("2 persons, 1 car") for as long as the counts stay the same; `data`
holds the boxes of the frame with the highest mean score. Phrases from a question give one record
per frame, since positions then matter. Three engines:

- hog: OpenCV's people detector, no download. It misses most seated and partly hidden people, so its
  text says "at least".
- yolo: a closed-set ultralytics model, detects the classes that it was trained on.
- yolo-world: an open-vocabulary ultralytics model (YOLO-World or YOLOE), detects phrases: those of
  the options, else those of the question.

ultralytics and its weights are AGPL-3.0; nothing of it is loaded unless one of its engines is
chosen.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any, ClassVar, Protocol

from tools.base import Availability, Need, Tool, ToolInput, ToolOptions, ToolRuntime
from tools.detect.detections import Detection, DetectOptions
from tools.errors import StoppedError
from tools.evidence import Evidence
from tools.media.frames import StoredFrame
from tools.media.video import RGBImage


class Detector(Protocol):
    """Detects objects in pictures."""

    def find(self, images: Sequence[RGBImage], phrases: tuple[str, ...]) -> list[list[Detection]]:
        """Return the objects of each picture; a closed-set detector ignores the phrases."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Bytes that its weights take."""
        ...


@dataclass(frozen=True, slots=True)
class Sight:
    """The detections of one frame, and the span over which the counts stayed the same.

    Attributes:
        start_s: When the first frame with these counts appeared.
        end_s: When the last of them disappeared.
        detections: Of the frame with the highest mean score.
        frame: Number of that frame among the distinct frames.
        time_s: When that frame appeared.
    """

    start_s: float
    end_s: float
    detections: tuple[Detection, ...]
    frame: int = 0
    time_s: float = 0.0

    @property
    def counts(self) -> Counter[str]:
        """How many of each label."""
        return Counter(one.label for one in self.detections)

    @property
    def score(self) -> float:
        """Mean score of the detections, 0 without any."""
        scores = [one.score for one in self.detections]
        return sum(scores) / max(len(scores), 1)


class Detect(Tool):
    """People and objects, counted per picture."""

    name: ClassVar[str] = "detect"
    kind: ClassVar[str] = "objects"
    version: ClassVar[str] = "3"
    Options: ClassVar[type[ToolOptions]] = DetectOptions
    options: DetectOptions

    def __init__(self, options: DetectOptions | None = None) -> None:
        super().__init__(options)
        self._detector: Detector | None = None

    @property
    def needs(self) -> frozenset[Need]:
        """Distinct frames; phrases too where the vocabulary is not fixed."""
        if self.options.engine == "yolo-world" and not self.options.phrases:
            return frozenset({"frames", "phrases"})
        return frozenset({"frames"})

    @property
    def models(self) -> Mapping[str, str]:
        """The detector and, for phrases, the text encoder."""
        options = self.options
        if options.engine == "hog":
            return {"detector": "opencv-hog"}
        found = {"detector": options.weights}
        if options.engine == "yolo-world":
            found["text encoder"] = options.text_encoder
        return found

    @property
    def reentrant(self) -> bool:
        """HOG's classifier is read-only; ultralytics models store the classes that are set."""
        return self.options.engine == "hog"

    @property
    def memory_bytes(self) -> int:
        """Bytes of the detector."""
        return self._detector.memory_bytes if self._detector else 0

    def available(self) -> Availability:
        """Check whether the engine's package is installed, without importing it."""
        package, remedy = (
            ("cv2", "pip install 'opencv-python<5'")
            if self.options.engine == "hog"
            else ("ultralytics", "pip install ultralytics")
        )
        if find_spec(package) is None:
            return Availability(False, f"the package {package} is not installed", remedy)
        return Availability(ok=True)

    def setup(self, runtime: ToolRuntime) -> None:
        """Load the detector.

        Raises:
            MissingError: Weights are not on disk and must not or cannot be downloaded.
            InputError: The weights file is not one that the engine loads.
        """
        options = self.options
        if options.engine == "hog":
            from tools.detect.hog import HogPeople

            self._detector = HogPeople(options)
        elif options.engine == "yolo":
            from tools.detect.yolo import Yolo

            self._detector = Yolo(options, runtime)
        else:
            from tools.detect.yolo import YoloWorld

            self._detector = YoloWorld(options, runtime)

    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Yield one record per span of time with the same counts, in time order.

        With phrases from a question, one record per frame.
        """
        sights = self._sights(given)
        for sight in sights if given.phrases else merge_sights(sights):
            if sight.detections:
                yield self._evidence(sight)

    def _sights(self, given: ToolInput) -> Iterator[Sight]:
        assert given.frames is not None  # promised by `needs`
        assert self._detector is not None, "setup() was not called"
        phrases = self.options.phrases or given.phrases
        frames = given.frames.frames
        for first in range(0, len(frames), self.options.batch):
            if given.stopped():
                raise StoppedError("Stopped while looking for objects.")
            batch = frames[first : first + self.options.batch]
            find = partial(self._find, batch, phrases)
            found = given.keep(f"pictures from {batch[0].number}", find)
            yield from map(_sight, batch, found)
            given.progress(batch[-1].end_s, given.frames.duration_s)

    def _find(self, batch: Sequence[StoredFrame], phrases: tuple[str, ...]) -> list[Any]:
        """Return label, score and box of each object, by picture."""
        assert self._detector is not None
        found = self._detector.find([frame.image() for frame in batch], phrases)
        return [[(one.label, one.score, one.box) for one in objects] for objects in found]

    def _evidence(self, sight: Sight) -> Evidence:
        prefix = "at least " if self.options.engine == "hog" else ""
        data: dict[str, Any] = {
            "counts": dict(sight.counts),
            "labels": [one.label for one in sight.detections],
            "boxes": [list(map(float, one.box)) for one in sight.detections],
            "scores": [round(one.score, 4) for one in sight.detections],
            "frame": sight.frame,
            "time_s": sight.time_s,
        }
        text = prefix + say_counts(sight.counts)
        return Evidence(self.name, self.kind, sight.start_s, sight.end_s, text, sight.score, data)


def _sight(frame: StoredFrame, found: Sequence[Any]) -> Sight:
    detections = [Detection(label, score, tuple(box)) for label, score, box in found]
    surest_first = sorted(detections, key=lambda one: -one.score)
    return Sight(frame.start_s, frame.end_s, tuple(surest_first), frame.number, frame.start_s)


def merge_sights(sights: Iterator[Sight]) -> Iterator[Sight]:
    """Merge consecutive frames with the same counts, keeping the best-scored detections.

    Frames with a gap between them stay separate: no detector ran on the gap.
    """
    held: Sight | None = None
    for sight in sights:
        if held and held.counts == sight.counts and held.end_s == sight.start_s:
            best = max(held, sight, key=lambda one: one.score)
            held = replace(best, start_s=held.start_s, end_s=sight.end_s)
            continue
        if held is not None:
            yield held
        held = sight
    if held is not None:
        yield held


def say_counts(counts: Mapping[str, int]) -> str:
    """Return "2 persons, 1 car": the most frequent first, then by name."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(
        f"{count} {label if count == 1 else plural(label)}" for label, count in ordered
    )


def plural(label: str) -> str:
    """Return the English plural of a label, by the regular rules."""
    if label.endswith(("ss", "us", "x", "ch", "sh")):
        return f"{label}es"
    if label.endswith("s"):  # scissors, skis
        return label
    if label.endswith("y") and label[-2:-1] not in "aeiou":
        return f"{label[:-1]}ies"
    return f"{label}s"
