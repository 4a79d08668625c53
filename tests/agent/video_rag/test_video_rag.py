"""Specification video-rag.md, section 5, end to end: what is looked for, retrieved and asked."""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from agent.answer import Answer
from agent.library.retrieval import by_threshold
from agent.models.embedding import SentenceEmbeddings
from agent.session import Session
from tools.base import Tool, ToolInput
from tools.errors import InputError
from tools.evidence import ChannelReport, Evidence

Open = Callable[..., Session]
Scripted = Callable[..., Any]
PlugIn = Callable[..., type[Tool]]
Clips = Callable[..., Path]
Say = Callable[..., Evidence]

COLOURS = {"white": (250, 250, 250), "red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}
CUES = [
    (0.2, 0.9, "Welcome to the harbour tour."),
    (1.1, 1.9, "The gate code is 7391."),
    (2.1, 2.9, "The last ferry leaves at nine."),
]
WHERE = "Where is the red buoy?"
REQUEST = '{"speech": null, "entities": ["red buoy"], "aspects": ["location"]}'
WHOLE = {"method": "video-rag", "video-rag.decouple": True}


def paint(time_s: float, width: int, height: int) -> npt.NDArray[np.uint8]:
    """A second of each colour; they differ in brightness too."""
    colour = list(COLOURS.values())[min(3, int(time_s))]
    return np.full((height, width, 3), colour, np.uint8)


def name_of(picture: npt.NDArray[np.uint8]) -> str:
    mean = picture.mean(axis=(0, 1))
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


@pytest.fixture
def tour(make_clip: Clips) -> Path:
    """Four seconds: white, red, green, blue, with subtitles."""
    return make_clip("tour.mp4", draw=paint, subtitles=CUES)


class ColourEncoder:
    """Vector of a picture: its mean colour; of a text: the colour that it names."""

    name, batch = "colours", 2

    def __init__(self) -> None:
        self.pictures = 0
        self.said: list[str] = []

    def images(self, pictures: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        self.pictures += len(pictures)
        return np.array([picture.mean(axis=(0, 1)) for picture in pictures], np.float32)

    def texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.said += texts
        named = [next((n for n in COLOURS if n in text), "white") for text in texts]
        return np.array([COLOURS[name] for name in named], np.float32)


class Spotter:
    """A detector that sees a buoy in every coloured picture, and a pier below it on the right."""

    def __init__(self) -> None:
        self.looked: list[tuple[tuple[str, ...], list[str]]] = []
        self.error: Exception | None = None

    def __call__(self, given: ToolInput) -> Iterator[Evidence]:
        assert given.frames is not None
        frames = given.frames.frames
        self.looked.append((given.phrases, [name_of(frame.image()) for frame in frames]))
        if self.error:
            raise self.error
        for frame in frames:
            name = name_of(frame.image())
            if name != "white" and any("buoy" in phrase for phrase in given.phrases):
                data = {
                    "labels": [f"{name} buoy", "pier"],
                    "boxes": [[0.1, 0.1, 0.2, 0.2], [0.7, 0.7, 0.9, 0.9]],
                    "frame": frame.number,
                }
                text = f"1 {name} buoy, 1 pier"
                yield Evidence("x", "x", frame.start_s, frame.end_s, text, 0.5, data)


@pytest.fixture
def spotter(plug_in: PlugIn) -> Spotter:
    made = Spotter()
    plug_in(made, name="spotter", kind="objects", needs=frozenset({"frames", "phrases"}))
    return made


@pytest.fixture
def start(open_session: Open) -> Callable[..., Session]:
    """`start(chat, encoder, **settings)`: a session whose spotter looks at one key frame."""

    def started(chat: object, encoder: object | None = None, **settings: Any) -> Session:
        named = {"image_encoder.model": "colours"} if encoder else {}
        values = {"ingest": "[subtitles, spotter]", **WHOLE, "video-rag.key_frames": 1}
        session = open_session(chat, **(values | named | settings))
        pool: Any = session.context.pool
        if encoder:
            pool._load_image_encoder = lambda: encoder
        return session

    return started


def channel(answer: Answer, name: str) -> ChannelReport:
    (found,) = [one for one in answer.channels if one.tool == name]
    return found


def noted(prompt: str) -> list[str]:
    """The lines of evidence in a prompt, without those of the outline."""
    notes = prompt.partition("Notes:\n")[2].partition("\n\n")[0]
    return notes.splitlines()


class TestLooking:
    def test_only_the_picture_nearest_to_the_phrase_is_looked_at(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        chat, encoder = scripted(request=REQUEST), ColourEncoder()
        answer = start(chat, encoder).ask(tour, WHERE)
        assert spotter.looked == [(("red buoy",), ["red"])]
        assert encoder.said == ["A picture of red buoy"]
        report = channel(answer, "spotter")
        assert (report.status, report.count) == ("ok", 1)
        assert report.reason == "looked at the 1 of 4 pictures nearest to the phrases"

    def test_what_was_seen_is_told_with_its_time_its_places_and_all_relations(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        chat = scripted(request=REQUEST)
        start(chat, ColourEncoder()).ask(tour, WHERE)
        (line,) = [line for line in noted(chat.asked[0]) if "objects" in line]
        assert line == (
            '[0:01] objects: "1 red buoy, 1 pier; red buoy at the upper left; '
            'pier at the lower right; red buoy left of and above pier"'
        )

    def test_without_an_encoder_pictures_are_spread_and_that_is_said(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        session = start(scripted(request=REQUEST), **{"video-rag.key_frames": 2})
        report = channel(session.ask(tour, WHERE), "spotter")
        assert spotter.looked == [(("red buoy",), ["red", "blue"])]
        assert "2 of 4 pictures, evenly spread: no image_encoder.model" in report.reason

    def test_an_encoder_that_is_not_there_is_named_and_replaced(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        session = start(scripted(request=REQUEST), **{"image_encoder.model": "some/encoder"})
        report = channel(session.ask(tour, WHERE), "spotter")
        assert report.status == "ok"
        assert "evenly spread: the image-text encoder 'some/encoder'" in report.reason

    def test_the_published_rule_falls_back_and_says_so(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        rule = {"video-rag.key_frame_rule": "published", "video-rag.threshold": 5}
        session = start(scripted(request=REQUEST), ColourEncoder(), **rule)
        report = channel(session.ask(tour, WHERE), "spotter")
        assert spotter.looked == [(("red buoy",), ["red"])]
        assert "taken instead" in report.reason

    @pytest.mark.parametrize(
        ("request_", "why"),
        [
            ('{"speech": null, "entities": [], "aspects": ["location"]}', "nothing to look for"),
            ('{"entities": ["the mood"], "aspects": ["location"]}', "nothing to look for"),
            ('{"entities": ["red buoy"], "aspects": null}', "no place, number"),
        ],
    )
    def test_nothing_to_do_means_no_call_and_the_same_prompt(
        self,
        start: Open,
        scripted: Scripted,
        spotter: Spotter,
        tour: Path,
        request_: str,
        why: str,
    ) -> None:
        chat, plain = scripted(request=request_), scripted(request=request_)
        encoder = ColourEncoder()
        asked = "Which code opens the gate?"
        answer = start(chat, encoder).ask(tour, asked)
        start(plain, ingest="[subtitles]").ask(tour, asked)
        assert (spotter.looked, encoder.pictures) == ([], 0)
        assert chat.asked == plain.asked
        assert noted(chat.asked[0])
        report = channel(answer, "spotter")
        assert report.status == "skipped"
        assert why in report.reason

    def test_a_detector_that_fails_is_said_and_tried_again(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        chat, plain = scripted(request=REQUEST), scripted(request=REQUEST)
        session = start(chat, ColourEncoder())
        spotter.error = RuntimeError("out of film")
        asked = "Where is the gate whose code is 7391?"
        report = channel(session.ask(tour, asked), "spotter")
        assert (report.status, "out of film" in report.reason) == ("failed", True)
        start(plain, ingest="[subtitles]").ask(tour, asked)
        assert chat.asked == plain.asked
        spotter.error = None
        assert channel(session.ask(tour, asked), "spotter").status == "ok"
        assert len(spotter.looked) == 2

    def test_nothing_seen_is_said_and_remembered(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        request = '{"entities": ["green gull"], "aspects": ["number"]}'
        session = start(scripted(request=request), ColourEncoder())
        for _ in range(2):
            report = channel(session.ask(tour, "How many gulls?"), "spotter")
            assert (report.status, report.count) == ("empty", 0)
            assert "1 of 4 pictures" in report.reason
        assert len(spotter.looked) == 1

    def test_what_was_found_is_kept_by_phrases_and_pictures(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        chat, encoder = scripted(request=REQUEST), ColourEncoder()
        session = start(chat, encoder)
        first = session.ask(tour, WHERE)
        known = [session.ask(tour, q) for q in ("Is the red buoy on the left?", WHERE)]
        assert (len(spotter.looked), encoder.pictures) == (1, 4)
        assert (first.total("decodes"), first.total("tool_runs")) == (1, 2)
        for one in known:
            assert (one.total("decodes"), one.total("tool_runs")) == (0, 0)
            assert channel(one, "spotter").cached
        chat.request = REQUEST.replace("red", "blue")
        session.ask(tour, WHERE)
        assert spotter.looked[1:] == [(("blue buoy",), ["blue"])]
        assert encoder.pictures == 4

    def test_the_order_of_entities_does_not_matter(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        chat = scripted(request='{"entities": ["red buoy", "blue buoy"], "aspects": ["number"]}')
        session = start(chat, ColourEncoder(), **{"video-rag.key_frames": 2})
        session.ask(tour, "How many buoys?")
        chat.request = '{"entities": ["blue buoy", "red buoy"], "aspects": ["number"]}'
        session.ask(tour, "How many buoys?")
        assert spotter.looked == [(("blue buoy", "red buoy"), ["red", "blue"])]
        assert chat.asked[0] == chat.asked[1]

    def test_a_video_without_picture_is_skipped(
        self, start: Open, scripted: Scripted, spotter: Spotter, make_clip: Clips
    ) -> None:
        clip = make_clip("radio.mp4", picture=False, audio=True, subtitles=CUES)
        answer = start(scripted(request=REQUEST), ColourEncoder()).ask(clip, WHERE)
        assert channel(answer, "spotter").reason == "the file has no picture"
        assert spotter.looked == []

    def test_one_picture_is_enough(
        self, start: Open, scripted: Scripted, spotter: Spotter, make_clip: Clips
    ) -> None:
        def blue(time_s: float, width: int, height: int) -> npt.NDArray[np.uint8]:
            return paint(3, width, height)

        clip = make_clip("still.mp4", draw=blue, fps=25, seconds=0.04)
        answer = start(scripted(request=REQUEST), ColourEncoder()).ask(clip, WHERE)
        assert "1 of 1 pictures" in channel(answer, "spotter").reason
        assert spotter.looked == [(("red buoy",), ["blue"])]


class TestEvidence:
    def test_every_record_has_channel_time_picture_and_score(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        chat = scripted(request=REQUEST, replies=["1 red buoy, 1 pier, code 7391"])
        answer = start(chat, ColourEncoder()).ask(tour, WHERE + " What is the gate code?")
        kinds = {one.kind: one for one in answer.evidence}
        assert {"objects", "speech"} <= kinds.keys()
        seen, said = kinds["objects"], kinds["speech"]
        assert (seen.tool, seen.data["frame"]) == ("spotter", 1)
        assert seen.id.split(":")[::2] == ["spotter", "0"]
        assert (seen.start_s, seen.end_s) == pytest.approx((1, 2), abs=0.1)
        assert (said.start_s, said.end_s) == pytest.approx((1.1, 1.9), abs=0.1)
        assert all(one.score > 0 for one in answer.evidence)

    def test_a_detector_without_phrases_is_told_with_places_too(
        self, start: Open, scripted: Scripted, plug_in: PlugIn, tour: Path
    ) -> None:
        plug_in(
            lambda given: iter(
                [
                    Evidence(
                        "watcher",
                        "objects",
                        0,
                        1,
                        "1 red buoy",
                        data={"labels": ["red buoy"], "boxes": [[0.8, 0.8, 0.9, 0.9]]},
                    )
                ]
            ),
            name="watcher",
            kind="objects",
            needs=frozenset({"frames"}),
        )
        chat = scripted(request=REQUEST)
        start(chat, ingest="[watcher]").ask(tour, WHERE)
        assert noted(chat.asked[0]) == ['[0:00] objects: "1 red buoy; red buoy at the lower right"']

    def test_the_budget_is_hard_and_records_stay_whole(
        self, start: Open, scripted: Scripted, plug_in: PlugIn, say: Say, tour: Path
    ) -> None:
        random = np.random.default_rng(0)
        texts = [f"The buoy number {i} drifts by, says the pilot." for i in range(200)]
        plug_in(lambda given: iter([say(t, i / 60, i / 60) for i, t in enumerate(texts)]))

        def crowd(given: ToolInput) -> Iterator[Evidence]:
            assert given.frames
            for frame in given.frames.frames:
                boxes = [[x, y, x + 0.02, y + 0.02] for x, y in random.random((50, 2)) * 0.9]
                data = {"labels": ["buoy"] * 50, "boxes": boxes, "frame": frame.number}
                yield Evidence("x", "x", frame.start_s, frame.end_s, "50 buoys", 0.5, data)

        plug_in(crowd, name="crowd", kind="objects", needs=frozenset({"frames", "phrases"}))
        chat = scripted(request='{"entities": ["buoy"], "aspects": ["location", "number"]}')
        values = {"retrieval.token_budget": 500, "retrieval.top_k": 300}
        session = start(chat, ingest="[sensor, crowd]", **values, **{"video-rag.scene_tokens": 300})
        dropped: list[str] = []
        for event in session.stream(tour, "Where is the buoy?"):
            if event.kind == "progress" and event.data.get("stage") == "budget":
                dropped += event.data["dropped"]
        lines = noted(chat.asked[0])
        assert 0 < sum(len(line.split()) + 1 for line in lines) <= 500
        told = [line.split('"')[1] for line in lines]
        assert {text for text in told if "drifts" in text} <= set(texts)
        (crowded,) = [text for text in told if "50 buoys" in text]
        assert len(crowded.split()) <= 300
        assert len(dropped) + len(lines) == 201

    def test_the_prompt_does_not_depend_on_the_state_of_the_library(
        self,
        start: Open,
        scripted: Scripted,
        spotter: Spotter,
        make_clip: Clips,
        tmp_path: Path,
    ) -> None:
        chat = scripted(request=REQUEST)
        one = make_clip("tour.mp4", draw=paint, subtitles=CUES)
        other = tmp_path / "elsewhere" / "another name.mp4"
        other.parent.mkdir()
        other.write_bytes(one.read_bytes())
        session = start(chat, ColourEncoder())
        session.ask(one, WHERE)
        session.ask(one, WHERE)
        cold = start(chat, ColourEncoder(), library=str(tmp_path / "cold"))
        cold.ask(other, WHERE)
        first, second, third = chat.asked
        assert first == second == third

    def test_questions_in_parallel_get_what_they_get_one_by_one(
        self,
        start: Open,
        scripted: Scripted,
        spotter: Spotter,
        make_clip: Clips,
        tmp_path: Path,
    ) -> None:
        def darker(time_s: float, width: int, height: int) -> npt.NDArray[np.uint8]:
            return paint(max(0, 3 - time_s), width, height)

        clips = [
            make_clip("a/tour.mp4", draw=paint, subtitles=CUES),
            make_clip("b/tour.mp4", draw=darker, subtitles=CUES[:2]),
        ]
        jobs = [(clip, q) for clip in clips for q in (WHERE, "Is the red buoy on the left?")]

        def ask(session: Session, clip: Path, question: str) -> list[tuple[str, float, str]]:
            found = session.ask(clip, question).evidence
            return [(one.id, one.start_s, one.text) for one in found]

        chats = [scripted(request=REQUEST, replies=["red buoy above pier"]) for _ in range(2)]
        serial = start(chats[0], ColourEncoder(), library=str(tmp_path / "serial"))
        expected = [ask(serial, *job) for job in jobs]
        parallel = start(chats[1], ColourEncoder(), library=str(tmp_path / "parallel"))
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda job: ask(parallel, *job), jobs))
        assert found == expected
        assert expected[0] != expected[2]
        assert len(spotter.looked) == 4
        assert sorted(chats[0].asked) == sorted(chats[1].asked)


class TestAsking:
    def test_two_calls_of_the_model_and_the_first_sees_nothing(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        chat = scripted(request=REQUEST, images=True)
        seen = record_pictures(chat)
        answer = start(chat, ColourEncoder(), **{"video-rag.frames": 3}).ask(tour, WHERE)
        assert answer.total("model_calls") == 2
        assert seen == [0, 3]
        assert len([one for one in answer.evidence if one.kind == "picture"]) == 3

    def test_where_nothing_was_found_a_model_that_sees_looks_itself(
        self, start: Open, scripted: Scripted, make_clip: Clips
    ) -> None:
        clip, chat = make_clip("silent.mp4", draw=paint), scripted(images=True, replies=["a pier"])
        seen = record_pictures(chat)
        answer = start(chat, ingest="[subtitles]", **{"video-rag.frames": 2}).ask(clip, WHERE)
        assert (answer.answer, seen) == ("a pier", [0, 2])
        assert "Notes" not in chat.asked[0]
        blind = start(scripted(), ingest="[subtitles]").ask(clip, WHERE)
        assert blind.abstained

    def test_what_the_detector_saw_bears_on_the_question_whatever_its_words(
        self, start: Open, scripted: Scripted, spotter: Spotter, make_clip: Clips
    ) -> None:
        clip = make_clip("silent.mp4", draw=paint)
        chat = scripted(request=REQUEST)
        strict = {"retrieval.min_relevance": 0.99}
        start(chat, ColourEncoder(), **strict).ask(clip, WHERE)
        assert len(noted(chat.asked[0])) == 1

    def test_the_plan_names_prompts_pictures_and_calls(
        self, start: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        chat = scripted(images=True)
        plan = start(chat, **{"video-rag.frames": 3}).plan(tour, WHERE)
        assert [frame.index for frame in plan.frames] == [16, 50, 83]
        visuals = {"form": "single pictures", "images": 3, "key_frames_at_most": 1}
        assert plan.visuals == visuals
        assert set(plan.prompts) == {
            *("decouple", "read_system", "read_examples", "given_pictures", "given_outline"),
            *("given_records", "question_open", "ask_again", "ask_again_grounded"),
        }
        assert plan.calls == (2, 3)
        assert chat.seen == []
        other = start(chat, **{"video-rag.frames": 3, "video-rag.scene_tokens": 9})
        assert other.plan(tour, WHERE).id != plan.id

    def test_an_unknown_option_is_named(
        self, start: Open, scripted: Scripted, spotter: Spotter
    ) -> None:
        with pytest.raises(InputError, match="key_frames"):
            start(scripted(), **{"video-rag.key_frame": 3}).mermaid()


def record_pictures(chat: Any) -> list[int]:
    """Return a list that grows by the number of pictures of each call."""
    seen: list[int] = []
    generate = type(chat)._generate

    def counted(self: Any, messages: Any, *args: Any, **kwargs: Any) -> Any:
        content = messages[-1].content
        blocks = [] if isinstance(content, str) else content
        seen.append(sum(block["type"] == "image" for block in blocks))
        return generate(self, messages, *args, **kwargs)

    chat.__class__ = type("Counted", (type(chat),), {"_generate": counted})
    return seen


def _recorded(embed: Callable[..., Any], calls: list[list[str]]) -> Callable[..., Any]:
    def recorded(texts: list[str], *args: Any, **how: Any) -> Any:
        calls.append(list(texts))
        return embed(texts, *args, **how)

    return recorded


class TestParity:
    """What `video-rag.parity` keeps of the published code."""

    @pytest.fixture
    def parity(self, start: Open) -> Callable[..., Session]:
        def started(chat: object, encoder: object | None = None, **settings: Any) -> Session:
            frames = {"video-rag.parity": True, "video-rag.frames": 8}
            return start(chat, encoder, **(frames | settings))

        return started

    def test_the_blocks_of_the_prompt_and_their_order(
        self,
        parity: Open,
        scripted: Scripted,
        spotter: Spotter,
        plug_in: PlugIn,
        tour: Path,
    ) -> None:
        rows = ["Red buoy on the left", "Copyright 1999"]
        plug_in(
            lambda given: iter([Evidence("x", "x", i, i + 1, t) for i, t in enumerate(rows)]),
            name="signs",
            kind="text",
        )
        chat = scripted(
            request='{"ASR": "The gate code is", "DET": ["red buoy"],'
            ' "TYPE": ["location", "number", "relation"]}'
        )
        session = parity(chat, ColourEncoder(), ingest="[subtitles, signs, spotter]")
        session.ask(tour, WHERE)
        assert split(chat.asked[0]) == [
            "OBJECTS",
            # Pictures 3 and 4 of 8: frames 28 and 42, when everything is red.
            "Picture 3: object 0: red buoy [32, 24, 32, 24]; object 1: pier [224, 168, 64, 48]; "
            "object 0 (red buoy) above object 1 (pier); count of red buoy: 1; count of pier: 1",
            "Picture 4: object 0: red buoy [32, 24, 32, 24]; object 1: pier [224, 168, 64, 48]; "
            "object 0 (red buoy) above object 1 (pier); count of red buoy: 1; count of pier: 1",
            'SPEECH "Welcome to the harbour tour. The gate code is 7391."',
            'TEXT "Red buoy on the left"',
            f"QUESTION {WHERE}",
        ]

    def test_empty_blocks_leave_nothing(
        self, parity: Open, scripted: Scripted, spotter: Spotter, make_clip: Clips
    ) -> None:
        clip, chat = make_clip("silent.mp4", draw=paint), scripted(request='{"DET": []}')
        answer = parity(chat).ask(clip, WHERE)
        assert split(chat.asked[0]) == [f"QUESTION {WHERE}"]
        assert not answer.abstained  # the published code always answers

    def test_no_picture_above_the_threshold_means_no_detection(
        self, parity: Open, scripted: Scripted, spotter: Spotter, make_clip: Clips
    ) -> None:
        def red(time_s: float, width: int, height: int) -> npt.NDArray[np.uint8]:
            return paint(1, width, height)

        clip = make_clip("red.mp4", draw=red, subtitles=CUES)
        chat = scripted(request='{"ASR": null, "DET": ["red buoy"], "TYPE": ["location"]}')
        answer = parity(chat, ColourEncoder()).ask(clip, "Where is the gate code?")
        assert spotter.looked == []
        report = channel(answer, "spotter")
        assert report.status == "skipped"
        assert "0 of 8 pictures above the published threshold" in report.reason
        assert "own rules" in report.reason  # spaCy's tagger is not a dependency
        assert [block.split()[0] for block in split(chat.asked[0])] == ["SPEECH", "QUESTION"]

    def test_each_channel_has_its_queries_and_options_are_among_them(
        self,
        parity: Open,
        scripted: Scripted,
        spotter: Spotter,
        plug_in: PlugIn,
        say: Say,
        tour: Path,
        embedder: SentenceEmbeddings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        rows = ["Row one", "Row two", "Row three", "Row four"]
        plug_in(
            lambda given: iter([Evidence("x", "x", i, i + 1, r) for i, r in enumerate(rows)]),
            name="signs",
            kind="text",
        )
        calls: list[list[str]] = []
        for name in ("embed", "embed_queries"):
            monkeypatch.setattr(embedder, name, _recorded(getattr(embedder, name), calls))
        chat = scripted(request='{"ASR": "it is red", "DET": ["red buoy"], "TYPE": null}')
        session = parity(chat, ingest="[subtitles, signs, spotter]")
        session.ask(tour, WHERE)
        assert set(calls[0]) == {*rows, *(text for _, _, text in CUES)}  # once, for the library
        assert calls[1:] == [[WHERE, "it is red"], rows, [WHERE, "red buoy"]]
        calls.clear()
        session.ask(tour, "Who rang?", ["Ann", "Bob"])
        lettered = ["Who rang?", "A. Ann", "B. Bob"]
        assert calls == [[*lettered, "it is red"], rows, [*lettered, "red buoy"]]

    def test_the_prompt_that_decouples_holds_the_options_and_is_greedy(
        self, parity: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        chat = scripted(temperature=0.7)
        how: list[dict[str, Any]] = []
        generate = type(chat)._generate

        def recorded(self: Any, messages: Any, *args: Any, **kwargs: Any) -> Any:
            how.append(kwargs)
            return generate(self, messages, *args, **kwargs)

        chat.__class__ = type("Recorded", (type(chat),), {"_generate": recorded})
        parity(chat).ask(tour, WHERE, ["at sea", "in the harbour"])
        assert f"Question: {WHERE}\nA. at sea\nB. in the harbour" in chat.seen[0]
        assert [one["temperature"] for one in how] == [0.0, 0.0]

    @pytest.mark.parametrize("reply", ["Answer: B", "hm"])
    def test_two_calls_are_made_whatever_the_reply(
        self, parity: Open, scripted: Scripted, spotter: Spotter, tour: Path, reply: str
    ) -> None:
        chat = scripted(replies=[reply, "A"], request="I cannot help")
        session = parity(chat)
        answer = session.ask(tour, WHERE, ["at sea", "in the harbour"])
        assert answer.total("model_calls") == len(chat.seen) == 2
        assert session.plan(tour, WHERE).calls == (2, 2)
        assert answer.choice == (1 if "B" in reply else None)

    def test_frames_are_the_published_ones(
        self, parity: Open, scripted: Scripted, spotter: Spotter, tour: Path
    ) -> None:
        chat = scripted(images=True)
        plan = parity(chat, **{"video-rag.frames": 8}).plan(tour, WHERE)
        assert [frame.index for frame in plan.frames] == [0, 14, 28, 42, 56, 70, 84, 99]
        assert "given_channels" in plan.prompts
        default = parity(chat, **{"video-rag.frames": "null"}).plan(tour, WHERE)
        assert len(default.frames) == 32


def split(prompt: str) -> list[str]:
    """Return the lines of a prompt, our wording replaced by markers."""
    markers = {
        "What a detector found in pictures of the video, in their order:": "OBJECTS",
        "What was said in the video:": "SPEECH",
        "What was to be read in the video:": "TEXT",
        "Question:": "QUESTION",
    }
    for wording, marker in markers.items():
        prompt = prompt.replace(wording, marker)
    lines = [line for line in prompt.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith("Answer briefly.")]


class TestThreshold:
    """The published retrieval on random vectors."""

    @pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
    def test_what_is_strictly_above_the_mean_of_the_raw_queries(self, quantile: float) -> None:
        random = np.random.default_rng(0)
        documents = random.normal(size=(120, 16)).astype(np.float32)
        documents /= np.linalg.norm(documents, axis=1, keepdims=True)
        queries = (random.normal(size=(3, 16)) * [[1], [5], [9]]).astype(np.float32)
        mean = queries.astype(float).mean(axis=0)
        cosines = documents.astype(float) @ mean / np.linalg.norm(mean)
        threshold = float(np.quantile(cosines, quantile))
        expected = [i for i, cosine in enumerate(cosines) if cosine > threshold]
        assert by_threshold(documents, queries, threshold) == expected
        assert by_threshold(documents, queries[::-1], threshold) == expected

    def test_nothing_can_be_near_to_nothing(self) -> None:
        documents = np.eye(3, dtype=np.float32)
        assert by_threshold(documents, np.zeros((1, 3), np.float32), -1) == []

    def test_a_trailing_newline_changes_no_embedding(self, embedder: SentenceEmbeddings) -> None:
        plain, broken = embedder.embed(["The gate code is 7391.", "The gate code is 7391.\n"])
        assert np.array_equal(plain, broken)


def load_file(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_real_encoder_and_a_real_detector_work_together(
    open_session: Open, scripted: Scripted, make_clip: Clips, tmp_path: Path
) -> None:
    """CLIP and YOLO-World of their real architectures, tiny and with random weights."""
    tests = Path(__file__).parents[2]
    detectors = load_file(tests / "tools" / "detect" / "test_detect.py")
    detectors.build_weights(tmp_path)
    clip = load_file(tests / "agent" / "models" / "test_image_text.py").save_clip(tmp_path / "clip")
    random = np.random.default_rng(0)
    noises = [random.integers(0, 255, (12, 16, 3), np.uint8) for _ in range(4)]

    def noisy(time_s: float, width: int, height: int) -> npt.NDArray[np.uint8]:
        coarse = noises[min(3, int(time_s))]
        return np.kron(coarse, np.ones((height // 12, width // 16, 1), np.uint8))

    video = make_clip("noise.mp4", draw=noisy)
    chat = scripted(request='{"entities": ["dog", "car"], "aspects": ["number", "relation"]}')
    session = open_session(
        chat,
        **WHOLE,
        **{
            "ingest": "[detect]",
            "device": "cpu",
            "image_encoder.model": str(clip),
            "video-rag.key_frames": 2,
            "retrieval.token_budget": 1500,
            "detect.engine": "yolo-world",
            "detect.model": str(tmp_path / "tiny-world.pt"),
            "detect.image_size": 160,
        },
    )
    answer = session.ask(video, "How many dogs are beside the car?")
    report = channel(answer, "detect")
    assert report.status == "ok"
    assert report.reason == "looked at the 2 of 4 pictures nearest to the phrases"
    lines = noted(chat.asked[0])
    assert 0 < len(lines) <= 2
    assert all("dog" in line or "car" in line for line in lines)
    (run,) = session.library.entries()[0].runs
    assert run.settings["phrases"] == ["car", "dog"]
    assert len(run.settings["pictures"]) == 2
