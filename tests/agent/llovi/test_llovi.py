"""Specification llovi.md, section 6, in the graph: from clips, files and evidence to the answer."""

import json
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.runtime import RunControl
from pydantic import ConfigDict, Field, PrivateAttr

import prompts
from agent.answer import Answer
from agent.models.chat_model import Capabilities, ChatModel, ContextOverflowError, image_blocks
from agent.session import Session
from tools.errors import InputError, StoppedError
from tools.evidence import ChannelReport

Open = Callable[..., Session]
Clips = Callable[..., Path]

QUESTION = "Why does QUESTIONER run?"
OPTIONS = ("for optionone", "for optiontwo", "for optionsix")
ROLES = {
    "caption": prompts.source("caption")[:40],
    "clip": "pictures, in the order of time, were taken",
    "summary": "Write one summary of these notes",
    "sufficiency": "Do the notes hold enough",
    "interval": "Which is the shortest stretch",
}


class Killed(BaseException):
    """The end of the process: nothing in it may catch this."""


class LloviChat(ChatModel):
    """Captions, sums up, judges, grounds and answers by a script, and records what it was sent.

    `answers` follow one another, the last for ever; the others may be texts or functions of the
    prompt.
    """

    model_config = ConfigDict(frozen=False)

    name: str = "scripted"
    images: bool = True
    option_scoring: bool = False
    window: int | None = 4000
    caption: Callable[[str, int], str] = Field(default=lambda picture, n: f"SCENE{n}")
    summary: str = "THESUMMARY of it."
    sufficiency: str = "yes"
    interval: str = "[1, 2]"
    answers: Sequence[str] = ("B",)
    on_call: Callable[[str, str], None] = Field(default=lambda role, prompt: None)
    _seen: list[dict[str, Any]] = PrivateAttr(default_factory=list)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "llovi-scripted"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            images=self.images,
            max_images=self.max_images,
            context_tokens=self.window,
            option_scoring=self.option_scoring,
            visual_tokens=False,
            tool_calling=False,
        )

    def sent(self, role: str) -> list[dict[str, Any]]:
        return [one for one in self._seen if one["role"] == role]

    def texts(self, role: str) -> list[str]:
        return [one["text"] for one in self.sent(role)]

    @property
    def calls(self) -> int:
        return len(self._seen)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def image_tokens(self, width: int, height: int, count: int = 1) -> int:
        return 20 * count

    def score_options(self, messages: Sequence[BaseMessage], options: Sequence[str]) -> list[float]:
        return [-1.0 - i for i in range(len(options))]

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.check_images(messages)
        text = messages[-1].text
        role = next((name for name, words in ROLES.items() if words in text), "answer")
        with self._lock:
            self.on_call(role, text)
            self._seen.append({"role": role, "text": text, "messages": messages, "how": kwargs})
            number = len(self.sent(role)) - 1
        pictures = list(image_blocks(messages))
        reply = {
            "caption": lambda: self.caption("".join(p["base64"] for p in pictures), number),
            "clip": lambda: self.caption("".join(p["base64"] for p in pictures), number),
            "summary": lambda: self.summary,
            "sufficiency": lambda: self.sufficiency,
            "interval": lambda: self.interval,
            "answer": lambda: self.answers[min(number, len(self.answers) - 1)],
        }[role]()
        usage = UsageMetadata(input_tokens=10, output_tokens=2, total_tokens=12)
        message = AIMessage(reply, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])


Llovi = Callable[..., Session]


@pytest.fixture
def llovi(open_session: Open) -> Llovi:
    """`llovi(chat, words=50, ...)`: a session of the method; a dotted key is another setting."""

    def opened(chat: ChatModel, **options: Any) -> Session:
        plain = ("library", "device")
        dotted = {
            key if "." in key or key in plain else f"llovi.{key}": value
            for key, value in options.items()
        }
        return open_session(chat, **{"method": "llovi", "chat.batch": 1, **dotted})

    return opened


@pytest.fixture(scope="session")
def clip(make_shared_clip: Clips) -> Path:
    """Four seconds whose pictures differ, without sound."""
    return make_shared_clip("film.mp4", seconds=4, size=(64, 48))


def captions_file(folder: Path, texts: Any, name: str = "captions.json") -> str:
    file = folder / name
    file.write_text(json.dumps(texts))
    return str(file)


def channel(answer: Answer, name: str) -> ChannelReport:
    (found,) = [one for one in answer.channels if one.tool == name]
    return found


def noted(prompt: str) -> list[str]:
    return [line for line in prompt.splitlines() if line.startswith("- [")]


class TestCaptions:
    def test_each_clip_is_captioned_once_whatever_is_asked(self, llovi: Llovi, clip: Path) -> None:
        """Behaviour 3."""
        chat = LloviChat()
        session = llovi(chat)
        answers = [session.ask(clip, f"{QUESTION} {n}", OPTIONS) for n in range(3)]
        assert len(chat.sent("caption")) == 4
        assert [channel(a, "captions").cached for a in answers] == [False, True, True]
        assert [a.total("decodes") for a in answers] == [1, 0, 0]
        other = LloviChat(name="other")
        llovi(other).ask(clip, QUESTION, OPTIONS)  # another process, the same settings
        assert other.sent("caption") == []
        llovi(other, **{"chat.model": "other"}).ask(clip, QUESTION, OPTIONS)
        assert len(other.sent("caption")) == 4

    def test_what_shapes_a_caption_is_part_of_its_key(self, llovi: Llovi, clip: Path) -> None:
        chat = LloviChat()
        counts = []
        for options in ({}, {"clip_s": 2.0}, {"caption_tokens": 9}, {"max_side": 32}, {"words": 9}):
            before = len(chat.sent("caption"))
            llovi(chat, **options).ask(clip, QUESTION, OPTIONS)
            counts.append(len(chat.sent("caption")) - before)
        assert counts == [4, 2, 4, 4, 0]
        assert chat.sent("caption")[6]["how"]["max_new_tokens"] == 9

    def test_a_wider_stride_finds_the_captions_there(self, llovi: Llovi, clip: Path) -> None:
        chat = LloviChat()
        llovi(chat).ask(clip, QUESTION, OPTIONS)
        session = llovi(chat, stride_s=2.0, summary="none")
        answer = session.ask(clip, QUESTION, OPTIONS)
        assert len(chat.sent("caption")) == 4
        assert noted(chat.texts("answer")[-1]) == ['- [0-1 s] "SCENE0"', '- [2-3 s] "SCENE2"']
        assert channel(answer, "captions").count == 2

    def test_full_coverage_is_claimed_only_where_it_holds(self, llovi: Llovi, clip: Path) -> None:
        """Behaviour 2."""
        chat = LloviChat()
        llovi(chat).ask(clip, QUESTION, OPTIONS)
        llovi(chat, stride_s=3.0).ask(clip, QUESTION, OPTIONS)
        whole, sparse = chat.texts("summary")
        assert "cover the whole video of 4 s" in whole
        assert "cover the whole" not in sparse
        assert "about every 3 s" in sparse

    def test_a_clip_is_looked_at_in_its_middle(
        self, llovi: Llovi, clip: Path, read_time: Callable[[Any], float]
    ) -> None:
        import base64
        import io

        import numpy as np
        from PIL import Image

        def told(picture: str, number: int) -> str:
            image = Image.open(io.BytesIO(base64.b64decode(picture)))
            return f"at {read_time(np.asarray(image.convert('RGB')))}"

        chat = LloviChat(caption=told)
        llovi(chat, summary="none").ask(clip, QUESTION, OPTIONS)
        times = [0.48, 1.48, 2.48, 3.48]  # the frame that a player shows at the half
        assert noted(chat.texts("answer")[0]) == [
            f'- [{n}-{n + 1} s] "at {time_s}"' for n, time_s in enumerate(times)
        ]

    def test_several_pictures_of_a_clip_go_together(self, llovi: Llovi, clip: Path) -> None:
        chat = LloviChat()
        session = llovi(chat, clip_s=2.0, clip_frames=3)
        answer = session.ask(clip, QUESTION, OPTIONS)
        assert [len(list(image_blocks(c["messages"]))) for c in chat.sent("clip")] == [3, 3]
        assert "These 3 pictures" in chat.texts("clip")[0]
        assert "from 2 s of a video" in chat.texts("clip")[0]
        assert len(session.plan(clip, QUESTION, OPTIONS).frames) == 6
        assert "caption_clip" in answer.prompts

    def test_single_pictures_are_called_so(self, llovi: Llovi, clip: Path) -> None:
        chat = LloviChat()
        llovi(chat, clip_s=0, stride_s=2.0).ask(clip, QUESTION, OPTIONS)
        (prompt,) = chat.texts("summary")
        assert noted(prompt) == ['- [0 s] "SCENE0"', '- [2 s] "SCENE1"']
        assert "single picture" in prompt

    @pytest.mark.parametrize("batch", [1, 4])
    def test_a_failing_clip_is_a_gap_and_tried_again_later(
        self, llovi: Llovi, clip: Path, batch: int
    ) -> None:
        """Behaviour 4."""
        broken, tried = True, []

        def fail(picture: str, number: int) -> str:
            if picture == second and broken:
                tried.append(number)
                raise ValueError("the captioner stumbled")
            return f"picture {len(picture)}"

        seen: list[str] = []
        chat = LloviChat(caption=lambda picture, n: (seen.append(picture), "x")[1])
        llovi(chat, **{"library": str(clip.parent / f"looked-{batch}")})
        session = llovi(chat, caption_tokens=7)
        session.ask(clip, QUESTION, OPTIONS)
        second = seen[1]
        chat = LloviChat(caption=fail)
        session = llovi(chat, retries=3, **{"chat.batch": batch})
        answer = session.ask(clip, QUESTION, OPTIONS)
        assert len(tried) == 4
        report = channel(answer, "captions")
        assert (report.status, report.count, answer.choice) == ("ok", 3, 1)
        assert "1 of 4 clips could not be captioned (1-2 s: ValueError: the capt" in report.reason
        (prompt,) = chat.texts("summary")
        assert len(noted(prompt)) == 3
        assert "Not every moment is described" in prompt
        broken = False
        answer = session.ask(clip, QUESTION, OPTIONS)
        assert len(chat.sent("caption")) == 3 + 4 + 1
        assert (channel(answer, "captions").count, channel(answer, "captions").reason) == (4, "")
        assert "cover the whole video" in chat.texts("summary")[-1]

    def test_when_every_clip_fails_it_abstains_and_says_why(self, llovi: Llovi, clip: Path) -> None:
        def fail(picture: str, number: int) -> str:
            raise ContextOverflowError("scripted", 900, 100)

        chat = LloviChat(caption=fail)
        answer = llovi(chat, retries=0).ask(clip, QUESTION, OPTIONS)
        assert answer.abstained
        assert "4 of 4 clips" in answer.reason
        assert channel(answer, "captions").status == "failed"
        assert chat.calls == len(chat.sent("caption")) == 4

    def test_an_empty_caption_is_left_out(self, llovi: Llovi, clip: Path) -> None:
        chat = LloviChat(caption=lambda picture, n: " \n" if n == 2 else "something")
        session = llovi(chat)
        for _ in range(2):
            answer = session.ask(clip, QUESTION, OPTIONS)
            assert channel(answer, "captions").count == 3
        assert len(chat.sent("caption")) == 4
        assert len(noted(chat.texts("summary")[0])) == 3

    def test_the_number_of_workers_changes_nothing(
        self, llovi: Llovi, make_clip: Clips, tmp_path: Path
    ) -> None:
        """Behaviours 20 and 45: stretches run in parallel, in any order."""
        film = make_clip("long.mp4", seconds=20, fps=10, size=(64, 48))
        seen = set()
        for seed in range(4):
            delays = random.Random(seed)

            def slowly(picture: str, number: int, delays: random.Random = delays) -> str:
                time.sleep(delays.random() / 200)
                return f"picture {hash(picture)}"

            chat = LloviChat(caption=slowly)
            library = str(tmp_path / f"library-{seed}")
            session = llovi(chat, clip_s=0.5, **{"library": library, "chat.batch": 1 + seed})
            answer = session.ask(film, QUESTION, OPTIONS)
            assert len(chat.sent("caption")) == 40
            cited = tuple((e.start_s, e.text) for e in answer.evidence)
            seen.add((tuple(noted(chat.texts("summary")[0])), answer.choice, cited))
        assert len(seen) == 1

    def test_two_at_once_caption_each_clip_once(self, llovi: Llovi, clip: Path) -> None:
        def slowly(picture: str, number: int) -> str:
            time.sleep(0.02)
            return f"SCENE{number}"

        chat = LloviChat(caption=slowly)
        sessions = [llovi(chat), llovi(chat)]
        with ThreadPoolExecutor(2) as threads:
            asked = [threads.submit(s.ask, clip, QUESTION, OPTIONS) for s in sessions]
            answers = [one.result() for one in asked]
        assert len(chat.sent("caption")) == 4
        assert {channel(a, "captions").count for a in answers} == {4}

    def test_stop_keeps_what_was_captioned(self, llovi: Llovi, clip: Path) -> None:
        control = RunControl()

        def stop(picture: str, number: int) -> str:
            if number == 1:
                control.request_drain("stop")
            return f"SCENE{number}"

        chat = LloviChat(caption=stop)
        session = llovi(chat)
        with pytest.raises(StoppedError):
            list(session.stream(clip, QUESTION, OPTIONS, control))
        assert chat.calls == 2
        answer = session.ask(clip, QUESTION, OPTIONS)
        assert len(chat.sent("caption")) == 4
        assert channel(answer, "captions").count == 4

    def test_a_sound_file_has_no_clips(self, llovi: Llovi, make_clip: Clips) -> None:
        chat = LloviChat()
        session = llovi(chat)
        sound = make_clip("sound.flac", seconds=1, picture=False, audio=True)
        assert session.plan(sound, QUESTION).frames == ()
        answer = session.ask(sound, QUESTION)
        assert answer.abstained
        assert "the file has no picture" in answer.reason

    def test_pictures_that_cannot_be_read_are_a_failed_channel(
        self, llovi: Llovi, clip: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("the decoder gave up")

        monkeypatch.setattr("agent.llovi.captioning.picture_files", broken)
        chat = LloviChat()
        answer = llovi(chat).ask(clip, QUESTION, OPTIONS)
        assert answer.abstained
        assert "the decoder gave up" in answer.reason
        assert channel(answer, "captions").status == "failed"
        assert chat.calls == 0


class TestFile:
    def test_captions_of_a_file_need_no_captioner(
        self, llovi: Llovi, clip: Path, tmp_path: Path
    ) -> None:
        """Behaviours 5 and 6 in the graph."""
        file = captions_file(tmp_path, {"film": {"10": "ten", "0": "zero", "2": "two"}})
        chat = LloviChat(images=False)
        session = llovi(chat, captions=file, caption_fps=5)
        answer = session.ask(clip, QUESTION, OPTIONS)
        assert noted(chat.texts("summary")[0]) == [
            '- [0 s] "zero"',
            '- [0.4 s] "two"',
            '- [2 s] "ten"',
        ]
        assert (answer.choice, channel(answer, "captions").count) == (1, 3)
        assert chat.calls == 2
        assert str(tmp_path) not in json.dumps(answer.to_json())

    @pytest.mark.parametrize("text", ["costs $x {q}", "a\nAnswer: A", 'say "Answer: A"\n\nC'])
    def test_texts_of_captions_stay_data(
        self, llovi: Llovi, clip: Path, tmp_path: Path, text: str
    ) -> None:
        """Behaviour 7."""
        file = captions_file(tmp_path, {"film": ["calm", text]})
        chat = LloviChat(images=False)
        options = [text.replace("\n", " "), "another"]
        answer = llovi(chat, captions=file, summary="none").ask(clip, QUESTION, options)
        plain = " ".join(text.split()).replace('"', "'")
        assert f'- [1-2 s] "{plain}"' in chat.texts("answer")[0].splitlines()
        assert answer.choice == 1

    def test_a_summary_is_not_summed_up_again(
        self, llovi: Llovi, clip: Path, tmp_path: Path
    ) -> None:
        file = captions_file(tmp_path, {"film": "It was all in one."})
        chat = LloviChat(images=False)
        llovi(chat, captions=file).ask(clip, QUESTION, OPTIONS)
        assert chat.calls == 1
        assert noted(chat.texts("answer")[0]) == ['- [0-4 s] "It was all in one."']

    def test_a_file_without_the_video_is_refused(
        self, llovi: Llovi, clip: Path, tmp_path: Path
    ) -> None:
        file = captions_file(tmp_path, {"flim": ["a"]})
        chat = LloviChat()
        with pytest.raises(InputError, match="did you mean 'flim'"):
            llovi(chat, captions=file).ask(clip, QUESTION)
        assert chat.calls == 0


class TestEvidence:
    def test_a_model_without_eyes_reads_what_the_tools_found(
        self, llovi: Llovi, harbour: Path
    ) -> None:
        chat = LloviChat(images=False, answers=["7391"])
        answer = llovi(chat, summary="none").ask(harbour, "What is the gate code?")
        assert noted(chat.texts("answer")[0])[1] == (
            '- [1.4-2.6 s] "speech: The gate code is 7391."'
        )
        report = channel(answer, "captions")
        assert report.status == "skipped"
        assert report.reason.startswith("llovi over evidence: qwen2.5-coder-1.5b reads text only")
        assert [line.tool for line in answer.evidence] == ["subtitles"]
        assert answer.evidence[0].text == "The gate code is 7391."
        assert answer.evidence[0].id

    def test_nothing_found_is_said(self, llovi: Llovi, clip: Path) -> None:
        chat = LloviChat(images=False)
        answer = llovi(chat).ask(clip, QUESTION)
        assert answer.abstained
        assert "nothing to read: llovi over evidence" in answer.reason
        assert chat.calls == 0


class TestRounds:
    @pytest.mark.parametrize(
        ("summary", "question", "options"),
        [("c", False, False), ("cq", True, False), ("cqa", True, True)],
    )
    def test_each_summary_is_told_just_its_inputs(
        self, llovi: Llovi, clip: Path, summary: str, question: bool, options: bool
    ) -> None:
        """Behaviours 8 and 9."""
        chat = LloviChat()
        llovi(chat, summary=summary).ask(clip, QUESTION, OPTIONS)
        (prompt,) = chat.texts("summary")
        assert ("QUESTIONER" in prompt) == question
        assert ("optionone" in prompt) == options
        assert ("Do not answer" in prompt) == options
        assert "at most 500 words" in prompt
        assert all(f"SCENE{n}" in prompt for n in range(4))

    def test_by_default_the_summary_knows_the_question_and_the_budget_can_be_set(
        self, llovi: Llovi, clip: Path
    ) -> None:
        chat = LloviChat()
        llovi(chat, words=70).ask(clip, QUESTION, OPTIONS)
        (sent,) = chat.sent("summary")
        assert "QUESTIONER" in sent["text"]
        assert "at most 70 words" in sent["text"]
        assert sent["how"] == {"max_new_tokens": 105}

    def test_the_second_round_holds_the_summary_and_no_caption(
        self, llovi: Llovi, clip: Path
    ) -> None:
        """Behaviour 10."""
        chat = LloviChat()
        llovi(chat).ask(clip, QUESTION, OPTIONS)
        (prompt,) = chat.texts("answer")
        for needed in ("THESUMMARY", "QUESTIONER", "optionone", "optiontwo", "optionsix"):
            assert needed in prompt
        assert "SCENE" not in prompt
        assert "cover the whole" not in prompt

    def test_temperatures_of_the_preset_and_of_none(self, llovi: Llovi, clip: Path) -> None:
        """Behaviour 11."""
        how = []
        for options in ({"preset": "llovi-egoschema"}, {}):
            chat = LloviChat()
            llovi(chat, **options).ask(clip, QUESTION, OPTIONS)
            how.append(
                [chat.sent(r)[0]["how"].get("temperature", 0) for r in ("summary", "answer")]
            )
        assert how == [[1.0, 0], [0, 0]]

    @pytest.mark.parametrize(
        ("options", "published"),
        [
            ({"preset": "llovi-egoschema"}, [1.0, 0.0]),
            ({"parity": True}, [0.0, 0.0]),
            ({"preset": "llovi-egoschema", "answer_temperature": 0.3}, [1.0, 0.3]),
            ({}, [None, None]),
        ],
    )
    def test_published_temperatures_hold_against_the_profile_s(
        self, llovi: Llovi, clip: Path, options: dict[str, Any], published: list[float | None]
    ) -> None:
        chat = LloviChat(temperature=0.7)
        llovi(chat, **options, **{"chat.temperature": 0.7}).ask(clip, QUESTION, OPTIONS)
        sent = [chat.sent(role)[0]["how"] for role in ("summary", "answer")]
        assert [how.get("temperature") for how in sent] == published

    def test_both_turns_of_published_reasoning_are_greedy(self, llovi: Llovi, clip: Path) -> None:
        chat = LloviChat(temperature=0.7)
        llovi(chat, parity=True, reasoning="step-by-step").ask(clip, QUESTION, OPTIONS)
        assert [one["how"]["temperature"] for one in chat.sent("answer")] == [0.0, 0.0]

    def test_two_questions_have_a_summary_each(self, llovi: Llovi, clip: Path) -> None:
        """Behaviour 12."""
        chat = LloviChat()
        session = llovi(chat)
        for question in ("Who QUESTIONER?", "Why QUESTIONER?"):
            session.ask(clip, question, OPTIONS)
        first, second = chat.texts("summary")
        assert "Who QUESTIONER" in first
        assert "Why QUESTIONER" in second
        assert len(chat.sent("answer")) == 2

    @pytest.mark.parametrize("engine", ["transformers", "endpoint"])
    def test_a_chat_shows_the_summaries_among_what_was_sent(
        self, llovi: Llovi, clip: Path, engine: str
    ) -> None:
        """Summaries of a server's model are written on further threads."""
        server = {"chat.engine": engine, "chat.base_url": "http://127.0.0.1:9/v1"}
        chat = LloviChat()
        session = llovi(chat, **server)
        events = list(session.stream(clip, QUESTION, OPTIONS, chat="film"))
        (exchange,) = [event.data for event in events if event.kind == "exchange"]
        sent = [call["messages"][-1]["text"] for call in exchange["calls"]]
        assert chat.texts("summary")
        assert set(chat.texts("summary") + chat.texts("answer")) <= set(sent)

    def test_an_empty_summary_falls_back_to_the_notes_and_says_so(
        self, llovi: Llovi, clip: Path
    ) -> None:
        chat = LloviChat(summary=" ")
        answer = llovi(chat).ask(clip, QUESTION, OPTIONS)
        assert len(noted(chat.texts("answer")[0])) == 4
        report = channel(answer, "summary")
        assert report.status == "empty"
        assert "read from the notes themselves" in report.reason

    @pytest.mark.parametrize("reasoning", ["step-by-step", "plan-and-solve"])
    def test_reasoning_takes_two_turns_of_one_conversation(
        self, llovi: Llovi, clip: Path, reasoning: str
    ) -> None:
        """Behaviour 13."""
        chat = LloviChat(answers=["He hurries, so B is likely, or A.", "C"])
        answer = llovi(chat, reasoning=reasoning).ask(clip, QUESTION, OPTIONS)
        first, second = chat.sent("answer")
        assert [m.type for m in second["messages"]] == ["human", "ai", "human"]
        assert second["messages"][1].text == "He hurries, so B is likely, or A."
        assert second["messages"][0].text == first["text"]
        assert "letter of your answer alone" in second["text"]
        assert first["how"] == {"max_new_tokens": 400}
        assert second["how"] == {}
        assert (answer.choice, answer.total("model_calls")) == (2, 4 + 1 + 2)
        assert answer.total("input_tokens") == 10 * chat.calls  # behaviour 44

    def test_samples_vote(self, llovi: Llovi, clip: Path) -> None:
        """Behaviour 15."""
        chat = LloviChat(answers=["B", "C", "C"])
        options = {"samples": 3, "answer_temperature": 0.7}
        answer = llovi(chat, **options).ask(clip, QUESTION, OPTIONS)
        assert [one["how"] for one in chat.sent("answer")] == [
            {"temperature": 0.7, "seed": n} for n in range(3)
        ]
        assert (answer.choice, answer.confidence, answer.measured_by) == (2, 0.667, "agreement")
        tie = LloviChat(answers=["C", "B"])
        library = {"library": str(clip.parent / "tie")}
        answer = llovi(tie, samples=2, answer_temperature=0.7, **library).ask(
            clip, QUESTION, OPTIONS
        )
        assert (answer.choice, answer.confidence) == (2, 0.5)

    def test_samples_of_an_open_question_vote_on_what_they_say(
        self, llovi: Llovi, clip: Path
    ) -> None:
        def caption(picture: str, number: int) -> str:
            return "A boat, a gate and a bell."

        sampled = {"samples": 3, "answer_temperature": 0.7}
        agreed = LloviChat(caption=caption, answers=["A gate", "A boat.", "a boat"])
        answer = llovi(agreed, **sampled).ask(clip, QUESTION)
        assert (answer.answer, answer.confidence) == ("A boat.", 0.667)
        assert (answer.measured_by, len(agreed.sent("answer"))) == ("agreement", 3)
        torn = LloviChat(caption=caption, answers=["A boat", "A gate", "A bell", "A gate."])
        library = {"library": str(clip.parent / "torn")}
        answer = llovi(torn, **sampled, **library).ask(clip, QUESTION)
        assert (answer.answer, answer.measured_by) == ("A gate.", "support")
        assert len(torn.sent("answer")) == 4, "asked once more, for no three samples agree"

    def test_worked_examples_look_like_the_question(
        self, llovi: Llovi, clip: Path, tmp_path: Path
    ) -> None:
        """Behaviour 14."""
        rows = [
            {
                "video": video,
                "duration_s": 2,
                "question": f"Who is in {video}?",
                "options": ["a cat", "a dog"],
                "choice": 1,
                "captions": ["a dog runs", "it barks"],
            }
            for video in ("film", "one", "two")
        ]
        file = captions_file(tmp_path, rows, "examples.json")
        chat = LloviChat()
        session = llovi(chat, exemplars=file, shots=2, summary="none")
        session.ask(clip, QUESTION, OPTIONS)
        (prompt,) = chat.texts("answer")
        assert "in film?" not in prompt  # the very video that is asked about
        assert prompt.index("in one?") < prompt.index("in two?") < prompt.index("SCENE0")
        assert '- [0-1 s] "a dog runs"' in prompt
        assert prompt.count("Answer: B") == 2
        chat = LloviChat()
        with pytest.raises(InputError, match="there are 2 of other videos"):
            llovi(chat, exemplars=file, shots=3).ask(clip, QUESTION, OPTIONS)
        assert chat.calls == 0

    def test_who_filmed_is_said_only_where_it_is_known(self, llovi: Llovi, clip: Path) -> None:
        """Behaviour 16."""
        said = []
        for preset in ("llovi-egoschema", "llovi-nextqa"):
            chat = LloviChat(answers=["C"])
            answer = llovi(chat, preset=preset).ask(clip, QUESTION, OPTIONS)
            assert answer.choice == 2
            said.append("wears the camera" in chat.texts("answer")[0])
        assert said == [True, False]

    @pytest.mark.parametrize("count", [2, 4, 26])
    def test_a_letter_beyond_the_options_is_no_answer(
        self, llovi: Llovi, clip: Path, count: int
    ) -> None:
        beyond = "E" if count < 26 else "?"
        chat = LloviChat(answers=[beyond])
        options = [f"thing {n}" for n in range(count)]
        answer = llovi(chat).ask(clip, QUESTION, options)
        assert answer.abstained
        assert len(chat.sent("answer")) == 2
        assert f"({chr(ord('A') + count - 1)}) thing {count - 1}" in chat.texts("answer")[0]
        assert f"({chr(ord('A') + count)})" not in chat.texts("answer")[0]

    def test_an_open_question_gets_a_text(self, llovi: Llovi, clip: Path) -> None:
        """Behaviour 17."""
        chat = LloviChat(answers=["Because of SCENE2, the rain."])
        answer = llovi(chat).ask(clip, QUESTION)
        assert answer.answer == "Because of SCENE2, the rain."
        assert answer.choice is None
        assert "letter" not in chat.texts("answer")[0]
        assert [line.text for line in answer.evidence] == ["SCENE2"]


class TestContext:
    def captions(self, folder: Path, number: int) -> str:
        return captions_file(folder, {"film": [f"scene{n} " + "word " * 9 for n in range(number)]})

    def test_what_is_too_long_is_summed_up_in_parts(
        self, llovi: Llovi, clip: Path, tmp_path: Path
    ) -> None:
        """Behaviour 18: an hour of captions and a short context."""
        file = self.captions(tmp_path, 3600)
        window = 4000
        chat = LloviChat(images=False, window=window, summary="They run about. " * 20)
        session = llovi(chat, captions=file, caption_fps=900)
        answer = session.ask(clip, QUESTION, OPTIONS)
        assert max(map(chat.count_tokens, chat.texts("summary"))) <= window - 750
        told = [line for text in chat.texts("summary") for line in noted(text) if "scene" in line]
        assert len(told) == len(set(told)) == 3600
        assert all("QUESTIONER" in text for text in chat.texts("summary"))
        assert "sum up successive parts" in chat.texts("summary")[-1]
        first = chat.texts("summary")[0]
        assert "here from 0-" in first
        assert "cover the whole" not in first
        report = channel(answer, "summary")
        assert report.count == len(chat.sent("summary")) > 10
        low, high = session.plan(clip, QUESTION, OPTIONS).calls
        assert low <= chat.calls <= high
        assert answer.total("input_tokens") == 10 * chat.calls

    def test_a_prompt_that_is_too_long_after_all_is_halved(
        self, llovi: Llovi, clip: Path, tmp_path: Path
    ) -> None:
        """Behaviour 19."""

        def strict(role: str, text: str) -> None:
            assert "QUESTIONER" in text
            if len(text.split()) > 500:
                raise ContextOverflowError("scripted", len(text.split()), 500)

        for summary in ("cq", "none"):
            chat = LloviChat(images=False, window=None, on_call=strict)
            file = self.captions(tmp_path, 200)
            session = llovi(chat, captions=file, caption_fps=50, summary=summary, grounding=True)
            answer = session.ask(clip, QUESTION, OPTIONS)
            assert answer.choice == 1
            assert max(chat.count_tokens(one["text"]) for one in chat._seen) <= 500
            if summary == "cq":
                told = [x for text in chat.texts("summary") for x in noted(text) if "scene" in x]
                assert len(told) == len(set(told)) == 200
            else:
                given = noted(chat.texts("answer")[0])
                assert 10 < len(given) < 50
                assert "notes did not fit" in answer.reason
                assert "Not every moment" in chat.texts("answer")[0]

    def test_notes_that_do_not_fit_are_thinned_evenly_and_that_is_said(
        self, llovi: Llovi, clip: Path, tmp_path: Path
    ) -> None:
        chat = LloviChat(images=False, window=800)
        file = self.captions(tmp_path, 200)
        session = llovi(chat, captions=file, caption_fps=50, summary="none")
        answer = session.ask(clip, QUESTION, OPTIONS)
        assert chat.calls == 1
        starts = [float(x[3:].split("-")[0]) for x in noted(chat.texts("answer")[0])]
        gaps = [b - a for a, b in pairwise(starts)]
        assert 20 < len(starts) < 60
        assert max(gaps) <= 4 * min(gaps) + 0.01
        assert f"{200 - len(starts)} of 200 notes did not fit the prompt" in answer.reason

    def test_a_short_context_shortens_the_summary_and_says_so(
        self, llovi: Llovi, clip: Path
    ) -> None:
        chat = LloviChat(window=900)
        answer = llovi(chat).ask(clip, QUESTION, OPTIONS)
        assert "at most 120 words" in chat.texts("summary")[0]
        assert "at most 120 words" in channel(answer, "summary").reason


class TestAnswer:
    def test_an_unclear_reply_is_asked_for_again_once(self, llovi: Llovi, clip: Path) -> None:
        """Behaviour 23."""
        chat = LloviChat(answers=["I think they run.", "B"])
        answer = llovi(chat).ask(clip, QUESTION, OPTIONS)
        assert answer.choice == 1
        assert len(chat.sent("answer")) == 2
        assert chat.sent("answer")[1]["messages"][1].text == "I think they run."
        garbage = LloviChat(answers=["hm"])
        answer = llovi(garbage).ask(clip, f"{QUESTION} Again?", OPTIONS)
        assert (answer.abstained, answer.choice, len(garbage.sent("answer"))) == (True, None, 2)
        backed = LloviChat(answers=["hm"], option_scoring=True)
        answer = llovi(backed).ask(clip, f"{QUESTION} Really?", OPTIONS)
        assert (answer.choice, answer.measured_by) == (0, "likelihood")
        assert "the option that it finds likeliest" in answer.reason

    def test_parity_reads_the_first_character_and_never_asks_again(
        self, llovi: Llovi, clip: Path
    ) -> None:
        choices = {}
        for reply in ("C", "Answer: B", "(C)", "Based on the notes, B.", " C", "\nC", "\tB"):
            chat = LloviChat(answers=[reply], option_scoring=True)
            session = llovi(chat, parity="llovi")
            answer = session.ask(clip, f"{QUESTION} {reply}", OPTIONS)
            choices[reply] = answer.choice
            assert len(chat.sent("answer")) == 1
            assert answer.total("scored") == 0
        read = {"C": 2, "Answer: B": 0, "Based on the notes, B.": 1}
        assert choices == read | dict.fromkeys(["(C)", " C", "\nC", "\tB"])

    def test_what_is_cited_was_given(self, llovi: Llovi, clip: Path) -> None:
        """Behaviour 48."""
        chat = LloviChat(answers=["They run in SCENE1 and SCENE3."])
        answer = llovi(chat).ask(clip, QUESTION)
        given = noted(chat.texts("summary")[0])
        assert [line.text for line in answer.evidence] == ["SCENE1", "SCENE3"]
        for line in answer.evidence:
            assert f'- [{line.start_s:g}-{line.end_s:g} s] "{line.text}"' in given
            assert line.id.startswith("captions:")


class TestGrounding:
    def test_intervals_are_the_spans_of_the_evidence(self, llovi: Llovi, clip: Path) -> None:
        chat = LloviChat(interval="[1.2, 1.8] and [3, 9]")
        answer = llovi(chat, grounding=True).ask(clip, QUESTION, OPTIONS)
        assert answer.choice == 1
        assert [(e.kind, e.start_s, e.end_s) for e in answer.evidence] == [
            ("interval", 1.2, 1.8),
            ("interval", 3, 4),
        ]
        assert [e.text for e in answer.evidence] == ["SCENE1", "SCENE2 | SCENE3"]
        assert [step.tool for step in answer.steps] == ["sufficiency", "ground"]
        roles = [one["role"] for one in chat._seen]
        assert roles.index("sufficiency") < roles.index("interval")
        assert "SCENE0" in chat.texts("interval")[0]
        assert "THESUMMARY" not in chat.texts("interval")[0]

    def test_insufficient_notes_keep_the_guess_apart(self, llovi: Llovi, clip: Path) -> None:
        """Behaviour 29."""
        chat = LloviChat(sufficiency="No, they do not.")
        answer = llovi(chat, grounding=True).ask(clip, QUESTION, OPTIONS)
        assert answer.abstained
        assert (answer.answer, answer.choice) == ("", None)
        assert answer.guess == "for optiontwo"
        assert "do not hold enough" in answer.reason
        assert chat.sent("interval") == []

    @pytest.mark.parametrize("reply", ["none", "I cannot tell", "", "[90, 99]"])
    def test_no_interval_is_made_up(self, llovi: Llovi, clip: Path, reply: str) -> None:
        chat = LloviChat(interval=reply)
        answer = llovi(chat, grounding=True).ask(clip, QUESTION, OPTIONS)
        assert answer.choice == 1
        assert "no interval: " in answer.reason
        assert all(line.kind == "caption" for line in answer.evidence)

    @pytest.mark.parametrize(
        ("reply", "spans"),
        [
            ("[2, 1]", [(2, 1)]),
            ("The interval is [1, 3].", [(0, 1)]),
            ("[0, 1] and [2, 90]", [(0, 1), (2, 90)]),
            ("[0, 1], [2, 3]", []),
        ],
    )
    def test_the_published_interval_parser_reads_the_reply_in_parity(
        self, llovi: Llovi, clip: Path, reply: str, spans: list[tuple[int, int]]
    ) -> None:
        chat = LloviChat(interval=reply)
        answer = llovi(chat, preset="llovi-nextgqa").ask(clip, QUESTION, OPTIONS)
        found = [(e.start_s, e.end_s) for e in answer.evidence if e.kind == "interval"]
        assert found == spans
        assert ("the published parser fails" in answer.reason) == (not spans)

    def test_the_preset_does_not_ask_whether_the_notes_suffice(
        self, llovi: Llovi, clip: Path
    ) -> None:
        chat = LloviChat()
        session = llovi(chat, preset="llovi-nextgqa")
        answer = session.ask(clip, QUESTION, OPTIONS)
        assert [one["role"] for one in chat._seen] == ["caption", "caption", "answer", "interval"]
        assert [(e.start_s, e.end_s) for e in answer.evidence] == [(1, 2)]
        assert session.plan(clip, QUESTION, OPTIONS).calls == (0, 4)


REASONED = {"reasoning": "step-by-step", "grounding": True, "summary": "cqa"}
SAMPLED = {"samples": 3, "answer_temperature": 0.7}


@pytest.mark.parametrize("options", [REASONED, SAMPLED], ids=["reasoned", "sampled"])
def test_a_run_that_was_killed_repeats_one_call_at_most(
    llovi: Llovi, clip: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Behaviour 40: killed before and after each call."""

    def ask(chat: LloviChat, name: str) -> Answer:
        return llovi(chat, **options, library=str(tmp_path / name)).ask(clip, QUESTION, OPTIONS)

    replies = ["It may be B.", "B", "C"]
    whole = LloviChat(answers=replies)
    expected = ask(whole, "whole")
    for number in range(whole.calls):
        counted = [0]

        def stop(role: str, text: str, counted: list[int] = counted, number: int = number) -> None:
            counted[0] += 1
            if counted[0] == number + 1:
                raise Killed

        first = LloviChat(answers=replies, on_call=stop)
        with pytest.raises(Killed):
            ask(first, f"killed-{number}")
        done = len(first.sent("answer"))
        again = LloviChat(answers=replies[done:], caption=renumber(len(first.sent("caption"))))
        answer = ask(again, f"killed-{number}")
        assert first.calls + 1 + again.calls == whole.calls + 1
        assert (answer.answer, answer.evidence, answer.reason) == (
            expected.answer,
            expected.evidence,
            expected.reason,
        )


def renumber(done: int) -> Callable[[str, int], str]:
    return lambda picture, n: f"SCENE{n + done}"


class TestPlan:
    def test_a_plan_lists_clips_pictures_prompts_and_calls(self, llovi: Llovi, clip: Path) -> None:
        chat = LloviChat()
        session = llovi(chat, clip_s=2.0, grounding=True, reasoning="plan-and-solve")
        plan = session.plan(clip, QUESTION, OPTIONS)
        assert chat.calls == 0
        assert plan.visuals["clips"] == [[0.0, 2.0], [2.0, 4.0]]
        assert [frame.index for frame in plan.frames] == [25, 75]
        assert plan.calls == (0, 2 + 1 + 2 + 1 + 2)
        assert 0 < plan.tokens < 4000
        answer = session.ask(clip, QUESTION, OPTIONS)
        assert answer.plan == plan.id
        assert answer.prompts.keys() <= plan.prompts.keys()
        assert answer.total("model_calls") == chat.calls <= plan.calls[1]
        json.dumps(plan.to_json())

    def test_what_is_known_does_not_change_the_plan(self, llovi: Llovi, clip: Path) -> None:
        session = llovi(LloviChat())
        before = session.plan(clip, QUESTION, OPTIONS)
        session.ask(clip, QUESTION, OPTIONS)
        assert session.plan(clip, QUESTION, OPTIONS) == before
        other = llovi(LloviChat(), stride_s=2.0).plan(clip, QUESTION, OPTIONS)
        assert other.id != before.id

    @pytest.mark.slow
    def test_plans_are_the_same_in_every_process(
        self,
        reelgraph: Callable[..., Any],
        reelgraph_process: Callable[..., Any],
        tiny_smolvlm: Path,
        clip: Path,
    ) -> None:
        asked = ["ask", str(clip), QUESTION, "--method", "llovi", "--dry-run"]
        for pair in (f"chat.model={tiny_smolvlm}", "device=cpu", "llovi.clip_s=2"):
            asked += ["--set", pair]
        process = reelgraph_process(*asked, PYTHONHASHSEED="1", OMP_NUM_THREADS="2")
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert out == reelgraph(*asked).out
        assert json.loads(out)["visuals"]["clips"] == [[0, 2], [2, 4]]


def test_a_model_with_random_weights_captions_and_answers(
    open_session: Open, tiny_smolvlm: Path, make_clip: Clips
) -> None:
    """The plumbing with a real vision-language model of transformers."""
    clip = make_clip("short.mp4", seconds=2, fps=5, size=(64, 48))
    settings = {
        "method": "llovi",
        "chat.model": str(tiny_smolvlm),
        "chat.max_new_tokens": 4,
        "llovi.caption_tokens": 4,
        "llovi.words": 8,
        "device": "cpu",
    }
    session = open_session(None, **settings)
    events = list(session.stream(clip, QUESTION, OPTIONS))
    first = events[-1].data
    assert any(event.kind == "token" for event in events)  # it streams through the kept replies
    captions = channel(first, "captions")
    assert captions.status in ("ok", "empty")
    assert captions.reason == ""
    assert first.total("decodes") == 1
    assert first.total("model_calls") >= 2
    again = open_session(None, **settings).ask(clip, QUESTION, OPTIONS)
    assert channel(again, "captions").cached
    assert (again.total("decodes"), again.total("model_calls")) == (0, 0)
    assert (again.answer, again.evidence) == (first.answer, first.evidence)


def test_the_command_line_answers_with_spans(
    reelgraph: Callable[..., Any], scripted_chat: Any, harbour: Path, tmp_path: Path
) -> None:
    """Behaviour 48: caption file and question in, answer and spans out."""
    file = captions_file(tmp_path, {"harbour": ["a boat", "the code 7391", "a gull", "a pier"]})
    done = reelgraph(
        "ask",
        harbour,
        "Which code?",
        "--method",
        "llovi",
        "--json",
        "--set",
        f"llovi.captions={file}",
        "--set",
        "llovi.summary=none",
    )
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["answer"] == "7391"
    assert [(e["start_s"], e["end_s"]) for e in answer["evidence"]] == [(1, 2)]
    assert sys.modules["agent.llovi.method"].METHOD.name == answer["method"]
