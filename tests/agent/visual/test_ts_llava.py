"""TS-LLaVA from the command line to the tokens, on tiny LLaVA models, and its form in pictures."""

import gc
import hashlib
import json
import subprocess
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import prompts
from agent.answer import Answer
from agent.frames.sampling import centre_ids
from agent.models.chat_model import ContextOverflowError
from agent.records import PlannedFrame
from agent.session import Session
from agent.visual.encoding import picture_of, tower_of
from agent.visual.files import square_pixels
from agent.visual.picture_prompt import NOTE, ends_of
from agent.visual.token_cache import read_tokens
from agent.visual.token_chat import KeptPrefix
from tools.errors import InputError

Open = Callable[..., Session]
MakeClip = Callable[..., Path]
Command = Callable[..., Any]
Start = Callable[..., subprocess.Popen[str]]

QUESTION = "What happens?"
EXACT = "0d829d3436ef6a6c"  # of 2880 ids of 28800, where the published code rounds one otherwise
OPTIONS = ("a boat leaves", "a gate opens", "a bell rings")


@pytest.fixture
def session(tiny_llava: Path) -> Callable[..., Session]:
    """`session(**settings)`: TS-LLaVA on a tiny LLaVA-1.5, replies of four tokens."""

    def opened(model: Path = tiny_llava, **settings: Any) -> Session:
        usual = {"method": "ts-llava", "chat.model": str(model), "chat.max_new_tokens": 4}
        return Session(settings={**usual, **settings})

    return opened


@pytest.fixture
def clip(make_clip: MakeClip) -> Path:
    """Two seconds, 50 pictures."""
    return make_clip(seconds=2, size=(64, 48))


def decides(answer: Answer) -> bool:
    """Say whether a model of random weights chose an option, or was split between them all."""
    split = "no option is likelier than the others together" in answer.reason
    return answer.abstained and split if answer.choice is None else not answer.abstained


def plan_of(session: Session, clip: Path, question: str = QUESTION) -> dict[str, Any]:
    return session.plan(clip, question).to_json()


def ids_hash(plan: dict[str, Any]) -> str:
    ids = np.array([frame["index"] for frame in plan["frames"]], "<i8")
    return hashlib.sha256(ids.tobytes()).hexdigest()[:16]


@contextmanager
def tower_inputs(session: Session) -> Iterator[list[torch.Tensor]]:
    """What the vision tower is given meanwhile."""
    seen: list[torch.Tensor] = []
    tower = session.context.pool.chat().hf_model.model.vision_tower  # type: ignore[attr-defined]
    hook = tower.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        hook.remove()


# Plans


def test_the_published_numbers_are_reached_through_the_method(
    session: Callable[..., Session], make_clip: MakeClip
) -> None:
    clip = make_clip(seconds=40, size=(48, 32))
    planned = plan_of(session(**{"ts-llava.parity": True}), clip)
    visuals = planned["visuals"]
    assert ids_hash(planned) == "4e0c7a51d153b4e7"  # (1000, 50)
    assert [frame["index"] for frame in planned["frames"]][:2] == [10, 30]
    assert visuals["token_ids"] == "128c1e018d5559cb"  # (28800, 2880)
    assert visuals["visual_tokens"] == planned["tokens"] == 3456
    (thumbnail,) = visuals["pictures"]
    assert (thumbnail["rows"], thumbnail["columns"]) == (3, 2)
    assert thumbnail["frames"] == (0, 10, 20, 29, 39, 49)
    assert [(span["kind"], span["tokens"]) for span in visuals["spans"]] == [
        ("Sampled", 2880),
        ("Thumbnails", 576),
    ]
    assert (visuals["form"], visuals["total"], visuals["limit"]) == ("visual tokens", 1000, 4096)
    few = {"ts-llava.parity": True, "ts-llava.frames": 16, "ts-llava.samples": 1728}
    assert plan_of(session(**few), clip)["visuals"]["token_ids"] == "cc870296cac94bd2"


@pytest.mark.parametrize(
    ("layout", "tokens"),
    [
        ("V1", 3456),
        ("Y3", 3456),
        ("X2", 576),
        ("W3b", 3456),
        ("slowfast", 3680),
        ("freeva", 2304),
        ("freeva-pooled", 2304),
        ("freeva-sparse", 576),
        ("fopru", 576),
    ],
)
def test_every_layout_answers_with_as_many_tokens_as_planned(
    session: Callable[..., Session], clip: Path, layout: str, tokens: int
) -> None:
    opened = session(**{"ts-llava.layout": layout})
    planned = plan_of(opened, clip)
    assert planned["tokens"] == tokens
    answer = opened.ask(clip, QUESTION)
    text = planned["visuals"]["text_tokens"]
    assert answer.total("input_tokens") == (tokens + text) * answer.total("model_calls")
    assert not answer.reason


def test_unknown_layouts_and_missing_guides_are_refused(
    session: Callable[..., Session], clip: Path
) -> None:
    with pytest.raises(InputError, match="there is no layout 'V9'"):
        session(**{"ts-llava.layout": "V9"}).ask(clip, QUESTION)
    with pytest.raises(InputError, match=r"image_encoder\.model"):
        session(**{"ts-llava.layout": "free-video-llm"}).plan(clip, QUESTION)


def test_a_plan_names_everything_before_any_call(
    reelgraph: Command, tiny_llava: Path, clip: Path
) -> None:
    command = ("ask", clip, QUESTION, "--method", "ts-llava", "--set", f"chat.model={tiny_llava}")
    done = reelgraph(*command, "--dry-run", "--json")
    planned = json.loads(done.out)
    assert [frame["index"] for frame in planned["frames"]] == list(range(50))
    assert planned["frames"][1] == {"index": 1, "time_s": 0.04}
    assert planned["prompts"] == {
        name: prompts.version(name) for name in ("given_tokens", "question_open", "ask_again")
    }
    assert planned["calls"] == [1, 2]
    assert planned["visuals"]["token_ids"] == EXACT
    text = planned["visuals"]["text_tokens"]
    answer = json.loads(reelgraph(*command, "--json").out)
    assert answer["plan"] == planned["plan"]
    assert answer["usage"]["input_tokens"] >= 3456 + text
    if answer["usage"]["model_calls"] == 1:
        assert answer["usage"]["input_tokens"] == 3456 + text


PLAN_AND_ASK = """
import sys
asked = sys.argv
for arguments in ([*asked, "--dry-run"], asked):
    sys.argv = arguments
    try:
        main()
    except SystemExit:
        print("ended")
"""


@pytest.mark.slow
def test_plans_and_tokens_are_the_same_bytes_in_another_process_with_other_threads(
    reelgraph: Command, reelgraph_process: Start, tiny_llava: Path, clip: Path, tmp_path: Path
) -> None:
    def kept(library: Path) -> tuple[str, bytes]:
        (file,) = library.rglob("*.safetensors")
        return file.name, file.read_bytes()

    here, there = tmp_path / "here", tmp_path / "there"
    command = (
        *("ask", clip, QUESTION, "--method", "ts-llava", "--json"),
        *("--set", f"chat.model={tiny_llava}", "--set", "chat.max_new_tokens=1"),
    )
    threads = str(torch.get_num_threads() + 1)
    alone = {"OMP_NUM_THREADS": threads, "REELGRAPH_LIBRARY": str(there)}
    process = reelgraph_process(*command, code=f"exec({PLAN_AND_ASK!r})", **alone)
    printed, _ = process.communicate()
    plan = reelgraph(*command, "--dry-run", "--set", f"library={here}").out
    assert json.loads(plan)["visuals"]["token_ids"] == EXACT
    assert printed.split("ended\n")[0] == plan
    reelgraph(*command, "--set", f"library={here}")
    assert kept(here) == kept(there)


# Answers


@pytest.mark.parametrize("name", ["llava", "llava_next", "onevision"])
def test_a_second_question_decodes_nothing_and_runs_no_tower(
    session: Callable[..., Session], tiny_model: Callable[[str], Path], clip: Path, name: str
) -> None:
    first = session(tiny_model(name))
    with tower_inputs(first) as seen:
        assert first.ask(clip, QUESTION).total("decodes") == 1
    assert sum(map(len, seen)) == 51
    later = session(tiny_model(name))  # as another process would open it
    for opened in (first, later):
        with tower_inputs(opened) as seen:
            answer = opened.ask(clip, "And what then?", OPTIONS)
        assert not seen
        assert answer.total("decodes") == 0
        assert decides(answer)


def test_the_video_is_read_once_by_the_language_model_too(
    session: Callable[..., Session], clip: Path
) -> None:
    def read(opened: Session, question: str) -> tuple[str, int]:
        chat: Any = opened.context.pool.chat()
        lengths: list[int] = []
        hook = chat.hf_model.model.language_model.register_forward_pre_hook(
            lambda module, args, kwargs: lengths.append(kwargs["inputs_embeds"].shape[1]),
            with_kwargs=True,
        )
        answer = opened.ask(clip, question, OPTIONS)
        hook.remove()
        return f"{answer.answer} {answer.confidence}", sum(length > 3000 for length in lengths)

    kept, anew = session(), session(**{"ts-llava.keep_read": False})
    first, again = read(kept, QUESTION), read(kept, "And then?")
    assert (first[1], again[1]) == (1, 0)
    assert read(anew, QUESTION)[0] == first[0]
    assert read(anew, "And then?")[0] == again[0]
    assert read(anew, QUESTION)[1] > 0


def test_what_was_read_counts_among_the_models_and_makes_room(
    session: Callable[..., Session], clip: Path
) -> None:
    opened = session(memory_gb=0.2)
    pool, first = opened.context.pool, opened.ask(clip, QUESTION, OPTIONS).answer
    read = weakref.ref(pool.shared("read video", KeptPrefix))
    kept = read()
    assert kept is not None
    assert kept.memory_bytes > 1e6
    del kept
    chat_bytes = pool.chat().memory_bytes  # type: ignore[attr-defined]
    pool.shared("large", lambda: SimpleNamespace(memory_bytes=int(0.2e9) - chat_bytes - 10))
    assert pool.evicted == ["read video"]
    gc.collect()
    assert read() is None
    assert opened.ask(clip, QUESTION, OPTIONS).answer == first


def test_an_answer_streams_as_it_is_written(session: Callable[..., Session], clip: Path) -> None:
    opened = session(**{"chat.max_new_tokens": 40})
    chat: Any = opened.context.pool.chat()
    said = "The last ferry leaves at nine."
    script = iter([*chat.tokenizer(said, add_special_tokens=False)["input_ids"], 1, 1])

    def follow(module: Any, given: Any, logits: torch.Tensor) -> torch.Tensor:
        """Find the next token of the script likeliest; reading the video alone uses none up."""
        if reading:
            logits[0, -1, next(script)] = 1e4
        return logits

    reading: list[int] = []
    generate = chat.hf_model.generate
    chat.hf_model.generate = lambda *args, **kwargs: (reading.append(1), generate(*args, **kwargs))[
        1
    ]
    hook = chat.hf_model.lm_head.register_forward_hook(follow)
    events = list(opened.stream(clip, QUESTION))
    hook.remove()
    tokens = [event.data for event in events if event.kind == "token" and event.data]
    assert len(tokens) == 6
    assert "".join(tokens) == events[-1].data.answer == said


def test_what_does_not_fit_is_cut_from_the_samples_and_said(
    session: Callable[..., Session], clip: Path
) -> None:
    whole = plan_of(session(), clip)["visuals"]
    limit = whole["text_tokens"] + 4 + 3456 - 48
    opened = session(**{"chat.context_tokens": limit})
    visuals = plan_of(opened, clip)["visuals"]
    assert visuals["text_tokens"] == whole["text_tokens"]
    assert (visuals["visual_tokens"], visuals["cut"]) == (3408, 48)
    assert [span["tokens"] for span in visuals["spans"]] == [2832, 576]
    answer = opened.ask(clip, QUESTION)
    assert "48 of 3456 visual tokens were left out" in answer.reason
    assert not answer.abstained
    tight = session(**{"chat.context_tokens": 600})
    with pytest.raises(InputError, match="needs at least 576 visual tokens"):
        tight.ask(clip, QUESTION)


@pytest.mark.parametrize(("text", "visual"), [(591, 3456), (640, 3456), (641, 3455)])
def test_parity_keeps_no_room_for_the_reply(
    session: Callable[..., Session], clip: Path, text: int, visual: int
) -> None:
    """591 tokens of text and 256 to write: 4047 of 4096 are taken, and the reply runs beyond."""
    settings = {"chat.max_new_tokens": 256, "ts-llava.parity": True}
    parity = session(**settings)
    short = plan_of(parity, clip, "7")["visuals"]["text_tokens"]
    question = "7" * (1 + text - short)  # a token each
    visuals = plan_of(parity, clip, question)["visuals"]
    assert (visuals["text_tokens"], visuals["limit"]) == (text, 4096)
    assert (visuals["visual_tokens"], visuals["new_tokens"]) == (visual, 0)
    assert plan_of(session(**{"chat.max_new_tokens": 256}), clip, question)["visuals"]["cut"]


def test_a_reply_runs_beyond_the_context_in_parity(
    session: Callable[..., Session], clip: Path
) -> None:
    plan = plan_of(session(**{"ts-llava.parity": True}), clip)["visuals"]
    exact = {"chat.context_tokens": plan["text_tokens"] + 3456}
    answer = session(**exact, **{"ts-llava.parity": True}).ask(clip, QUESTION)
    assert answer.total("input_tokens") == exact["chat.context_tokens"]
    assert answer.total("output_tokens") > 0


def test_parity_counts_frames_as_decord_does(
    session: Callable[..., Session], make_cut_clip: Callable[..., Path]
) -> None:
    clip = make_cut_clip(185, left_out=33)
    parity = plan_of(session(**{"ts-llava.parity": True}), clip)
    assert [frame["index"] for frame in parity["frames"][:6]] == [2, 5, 9, 13, 16, 20]
    assert parity["visuals"]["total"] == 185
    default = plan_of(session(), clip)
    assert default["visuals"]["total"] == 152
    assert [frame["index"] for frame in default["frames"]] == list(centre_ids(152, 50))


@pytest.mark.parametrize(("layout", "padded"), [("freeva", True), ("V2", False)])
def test_parity_pads_the_frames_of_freeva_alone(
    session: Callable[..., Session],
    make_clip: MakeClip,
    tmp_path: Path,
    layout: str,
    padded: bool,
) -> None:
    settings = {"ts-llava.layout": layout, "ts-llava.parity": True}
    wide = make_clip(seconds=0.4, size=(128, 64))
    list(session(**settings).stream(wide, QUESTION, save_visuals=tmp_path / "seen"))
    with Image.open(min((tmp_path / "seen").glob("*frame*"))) as picture:
        top = np.asarray(picture)[40]
    assert ((top == (122, 116, 104)).all()) == padded


def test_asking_again_makes_room_by_leaving_samples_out(
    session: Callable[..., Session], clip: Path
) -> None:
    asked = plan_of(session(), clip)["visuals"]
    exact = asked["text_tokens"] + 3456 + 4 + 30
    opened = session(**{"chat.context_tokens": exact})
    answer = opened.ask(clip, QUESTION, OPTIONS)  # the letters make the first prompt longer
    assert answer.total("model_calls") == 2
    assert "visual tokens were left out" in answer.reason
    assert decides(answer)


def test_freeva_s_eight_frames_are_reduced_to_what_the_model_takes(
    session: Callable[..., Session], clip: Path
) -> None:
    opened = session(**{"ts-llava.layout": "freeva", "ts-llava.frames": 8})
    visuals = plan_of(opened, clip)["visuals"]
    assert (visuals["visual_tokens"], visuals["cut"]) == (6 * 576, 2 * 576)
    assert "were left out" in opened.ask(clip, QUESTION).reason


@pytest.mark.parametrize(
    ("layout", "own", "factor"),
    [("slowfast", None, 2), ("free-video-llm", None, 2), ("slowfast", 1, 1), ("V2", None, 1)],
)
def test_layouts_stretch_the_rope_as_published_unless_the_user_says_otherwise(
    session: Callable[..., Session], layout: str, own: int | None, factor: int
) -> None:
    settings = {"ts-llava.layout": layout} | ({"chat.rope_factor": own} if own else {})
    opened = session(**settings)
    assert opened.settings.chat.rope_factor == factor
    assert opened.context.pool.capabilities().context_tokens == 4096 * factor


def test_slowfast_is_whole_beside_a_long_text(session: Callable[..., Session], clip: Path) -> None:
    """249 tokens of text and 256 to write: 3680 as published, 3392 in a context of 4096."""
    settings = {"ts-llava.layout": "slowfast", "chat.max_new_tokens": 256}
    opened = session(**settings)
    short = plan_of(opened, clip, "7")["visuals"]["text_tokens"]
    question = "7" * (1 + 249 - short)
    whole = plan_of(opened, clip, question)["visuals"]
    assert (whole["text_tokens"], whole["visual_tokens"], whole["cut"]) == (249, 3680, 0)
    plain = plan_of(session(**settings, **{"chat.rope_factor": 1}), clip, question)["visuals"]
    assert plain["visual_tokens"] == 3392


def test_no_layout_stretches_a_model_without_visual_tokens(
    open_session: Open, watching: Any
) -> None:
    opened = open_session(watching(), **{"method": "ts-llava", "ts-llava.layout": "slowfast"})
    assert opened.settings.chat.rope_factor == 1


@pytest.mark.parametrize(
    ("options", "tokens"),
    [({}, 4 * 144), ({"fopru_share": 0.1}, 4 * 58), ({"fopru_strategy": "row"}, 4 * 144),
     ({"fopru_share": 0.1, "fopru_strategy": "row"}, 4 * 48)],
)  # fmt: skip
def test_share_and_strategy_of_fopru_are_options(
    session: Callable[..., Session], clip: Path, options: dict[str, Any], tokens: int
) -> None:
    named = {f"ts-llava.{name}": value for name, value in options.items()}
    opened = session(**{"ts-llava.layout": "fopru"}, **named)
    assert plan_of(opened, clip)["visuals"]["visual_tokens"] == tokens


def test_the_strategies_of_fopru_keep_other_tokens(
    session: Callable[..., Session], clip: Path
) -> None:
    files = []
    for strategy in ("rank", "row"):
        opened = session(**{"ts-llava.layout": "fopru", "ts-llava.fopru_strategy": strategy})
        assert not opened.ask(clip, QUESTION).abstained
        files.append(set((opened.library.folder / "frames").rglob("*.safetensors")))
    (ranked,), (rows,) = files[0], files[1] - files[0]
    assert not torch.equal(read_tokens(ranked), read_tokens(rows))


def test_a_stretched_rope_takes_longer_prompts_and_changes_no_shorter_ones(
    session: Callable[..., Session], clip: Path
) -> None:
    stretched = {"chat.rope_factor": 2, "ts-llava.samples": 5000}
    visuals = plan_of(session(**stretched), clip)["visuals"]
    assert (visuals["limit"], visuals["visual_tokens"], visuals["cut"]) == (8192, 5576, 0)
    assert not session(**stretched).ask(clip, QUESTION, OPTIONS).reason.count("left out")
    short = [session(**{"chat.rope_factor": f}).ask(clip, QUESTION, OPTIONS) for f in (1, 2)]
    assert short[0].confidence == short[1].confidence
    assert short[0].answer == short[1].answer


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_clip_of_a_few_frames_is_answered(
    session: Callable[..., Session], make_clip: MakeClip, count: int
) -> None:
    clip = make_clip(times=[number / 5 for number in range(count)], fps=5, size=(48, 32))
    opened = session()
    planned = plan_of(opened, clip)
    (thumbnail,) = planned["visuals"]["pictures"]
    assert len(thumbnail["frames"]) == count
    assert planned["visuals"]["spans"][0]["tokens"] == min(2880, count * 576)
    assert decides(opened.ask(clip, QUESTION, OPTIONS))
    parity = session(**{"ts-llava.parity": True})
    assert parity.ask(clip, QUESTION).total("model_calls") == 1


def test_what_is_saved_is_what_the_tower_was_shown(
    session: Callable[..., Session], clip: Path, tmp_path: Path
) -> None:
    opened, folder = session(**{"ts-llava.frames": 7}), tmp_path / "seen"
    with tower_inputs(opened) as seen:
        list(opened.stream(clip, QUESTION, save_visuals=folder))
    saved = sorted(folder.iterdir())
    chat: Any = opened.context.pool.chat()
    tower = tower_of(chat.hf_model.config, chat.hf_processor.image_processor)
    pixels = torch.cat(seen)
    assert len(saved) == len(pixels) == 8
    assert torch.equal(square_pixels(saved[:7], tower), pixels[:7])
    assert np.array_equal(np.asarray(Image.open(saved[7])), picture_of(pixels[7], tower))
    assert saved[0].name == "001-frame-0.120s.png"
    assert saved[7].name == "008-thumbnail-0.120s-1.840s.png"
    again = tmp_path / "again"
    list(opened.stream(clip, "And then?", save_visuals=again))  # from the library, no decode
    assert [f.read_bytes() for f in sorted(again.iterdir())] == [f.read_bytes() for f in saved]


def test_deleting_a_video_deletes_its_tokens(
    session: Callable[..., Session], clip: Path, own_library: Path
) -> None:
    opened = session()
    opened.ask(clip, QUESTION)
    assert len(list(own_library.rglob("*.safetensors"))) == 1
    opened.library.delete(opened.probe(clip))
    assert not list(own_library.rglob("*.safetensors"))
    assert not list(own_library.rglob("*.png"))
    assert opened.ask(clip, "And then?").total("decodes") == 1


def test_the_question_cannot_bring_a_picture_of_its_own(
    session: Callable[..., Session], clip: Path
) -> None:
    answer = session().ask(clip, "Is <image> in it?", OPTIONS)
    assert decides(answer)
    with pytest.raises(InputError, match="take it out of the question"):
        session(**{"ts-llava.parity": True}).ask(clip, "Is <image> in it?")


# A layout that depends on the question


def test_free_video_llm_looks_where_the_question_points(
    session: Callable[..., Session], clip: Path, tmp_path: Path
) -> None:
    guide = save_clip_encoder(tmp_path / "clip", side=336)
    settings = {"ts-llava.layout": "free-video-llm", "image_encoder.model": str(guide)}
    opened = session(**settings)
    assert plan_of(opened, clip)["tokens"] == 2648
    with tower_inputs(opened) as seen:
        first = opened.ask(clip, "a b c", OPTIONS)
        opened.ask(clip, "x y z", OPTIONS)
    assert sum(map(len, seen)) == 100  # once for each question
    assert decides(first)
    wrong = save_clip_encoder(tmp_path / "other", side=224)
    other = session(**{**settings, "image_encoder.model": str(wrong)})
    with pytest.raises(InputError, match="sees 256 patches and the chat model 576"):
        other.ask(clip, "a b c")


def save_clip_encoder(folder: Path, side: int) -> Path:
    """A CLIP with random weights, patches of 14 pixels and a vocabulary of single letters."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    letters = [chr(code) for code in range(97, 123)]
    symbols = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = [*symbols, "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({s: i for i, s in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tower = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    ends = {"bos_token_id": len(symbols), "eos_token_id": len(symbols) + 1}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config=tower | ends | {"vocab_size": len(vocabulary)},
        vision_config=tower | {"image_size": side, "patch_size": 14},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)
    size = {"height": side, "width": side}
    pictures = CLIPImageProcessor(size={"shortest_edge": side}, crop_size=size)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    CLIPProcessor(image_processor=pictures, tokenizer=tokenizer).save_pretrained(folder)
    return folder


# The form in pictures


def test_a_model_without_token_access_gets_a_grid_and_frames_and_the_answer_says_so(
    open_session: Open, watching: Any, clip: Path, tmp_path: Path
) -> None:
    chat = watching()
    opened = open_session(chat, **{"method": "ts-llava", "ts-llava.pictures": 3})
    planned = plan_of(opened, clip)
    assert planned["visuals"]["form"] == "pictures"
    assert planned["visuals"]["notes"] == (NOTE,)
    assert planned["visuals"]["token_ids"] is None
    answer = next(
        event.data
        for event in opened.stream(clip, QUESTION, save_visuals=tmp_path / "seen")
        if event.kind == "answer"
    )
    assert NOTE in answer.reason
    saved = sorted((tmp_path / "seen").iterdir())
    assert [file.read_bytes() for file in saved] == chat.pictures
    assert [file.name for file in saved] == [
        "001-grid-0.000s-1.960s.jpg",
        "002-frame-0.320s.jpg",
        "003-frame-1.000s.jpg",
        "004-frame-1.640s.jpg",
    ]
    (prompt,) = chat.asked
    assert "in 3 rows and 2 columns" in prompt
    assert prompt.count("0:00") + prompt.count("0:01") == 6 + 3
    assert "3 single pictures of the same video" in prompt
    assert opened.ask(clip, "And then?").total("decodes") == 0


@pytest.mark.parametrize(("limit", "sent"), [(1, 1), (2, 2), (4, 4), (None, 9)])
def test_no_more_pictures_are_sent_than_the_model_takes(
    open_session: Open, watching: Any, clip: Path, limit: int | None, sent: int
) -> None:
    chat = watching(max_images=limit)
    opened = open_session(chat, method="ts-llava")
    assert len(plan_of(opened, clip)["visuals"]["pictures"]) == sent
    opened.ask(clip, QUESTION)
    assert len(chat.pictures) == sent


def test_frames_go_before_the_grid_does(open_session: Open, watching: Any, clip: Path) -> None:
    narrow = watching(context=700)  # a picture is 100 tokens, the reply 64
    opened = open_session(narrow, method="ts-llava")
    visuals = plan_of(opened, clip)["visuals"]
    kept = len(visuals["pictures"]) - 1
    assert 0 < kept < 8
    assert f"{8 - kept} single pictures fewer than wanted" in visuals["notes"]
    left = [1, 1, 1, 1]

    def refuse(prompt: str) -> None:
        if left:
            left.pop()
            raise ContextOverflowError("scripted", 9000, 8192)

    chat = watching(on_call=refuse)
    answer = open_session(chat, method="ts-llava").ask(clip, QUESTION)
    assert len(chat.pictures) == 1
    assert answer.answer == "7391"
    assert len(answer.evidence) == 6


def test_frames_are_left_out_from_the_middle_outward() -> None:
    frames = tuple(PlannedFrame(number, float(number)) for number in range(6))
    kept = [[frame.index for frame in ends_of(frames, count)] for count in range(7)]
    assert kept[6] == [0, 1, 2, 3, 4, 5]
    assert kept[4] == [0, 1, 4, 5]
    assert kept[3] == [0, 1, 5]
    assert kept[1] == [0]
    assert kept[0] == []


def test_replies_may_be_contrasted_with_outliers(
    session: Callable[..., Session], clip: Path
) -> None:
    asked = session(**{"ts-llava.contrast": True})
    assert plan_of(asked, clip)["plan"] != plan_of(session(), clip)["plan"]
    first = asked.ask(clip, QUESTION)
    with tower_inputs(asked) as seen:
        again = asked.ask(clip, QUESTION)
    assert seen == []
    assert again.answer == first.answer
    folder = asked.library.folder / "frames" / asked.probe(clip).sha256
    counts = sorted(len(read_tokens(file)) for file in folder.glob("*.safetensors"))
    assert counts == [10, 3456]  # of the one thumbnail


def test_contrast_is_refused_where_it_cannot_be(
    session: Callable[..., Session], clip: Path, tiny_model: Callable[[str], Path]
) -> None:
    contrast = {"ts-llava.contrast": True}
    with pytest.raises(InputError, match="class token"):
        session(tiny_model("onevision"), **contrast).plan(clip, QUESTION)
    with pytest.raises(InputError, match="takes visual tokens"):
        session(tiny_model("smolvlm"), **contrast).plan(clip, QUESTION)
