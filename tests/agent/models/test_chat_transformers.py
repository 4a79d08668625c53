import base64
import gc
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from PIL import Image

from agent.models.chat import ContextOverflowError, TransformersChat, image_block
from agent.models.chat_model import MemoryLimitError
from tools.base import ToolInput
from tools.caption import Caption, CaptionOptions
from tools.errors import InputError, MissingError
from tools.media.frames import FrameSet, StoredFrame
from tools.media.video import Video

SEEING = ["llava", "llava_next", "onevision", "qwen_vl", "smolvlm"]
Talk = list[BaseMessage]


def load(folder: Path, **options: Any) -> TransformersChat:
    values = {"name": "tiny", "dtype": "float32", "max_new_tokens": 8, **options}
    return TransformersChat(source=str(folder), **values)


@pytest.fixture(scope="module")
def reader(tiny_llama: Path) -> TransformersChat:
    return load(tiny_llama)


@pytest.fixture(scope="module")
def viewer(tiny_llava: Path) -> TransformersChat:
    return load(tiny_llava)


@pytest.fixture(scope="module", params=SEEING)
def seeing(request: pytest.FixtureRequest, tiny_model: Callable[[str], Path]) -> TransformersChat:
    return load(tiny_model(request.param), name=request.param)


def picture(colour: str, size: tuple[int, int] = (64, 48)) -> dict[str, Any]:
    return image_block(Image.new("RGB", size, colour))


def ask_about(*colours: str, size: tuple[int, int] = (64, 48), text: str = "What?") -> Talk:
    pictures = [picture(colour, size) for colour in colours]
    return [HumanMessage([*pictures, {"type": "text", "text": text}])]


def test_a_reply_comes_with_its_token_counts(reader: TransformersChat) -> None:
    reply = reader.invoke([HumanMessage("What is the gate code?")])
    usage = reply.usage_metadata
    assert usage is not None
    prompt = "user: What is the gate code?\nassistant:"
    assert usage["input_tokens"] == reader.count_tokens(prompt)
    assert 1 <= usage["output_tokens"] <= 8
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_the_same_messages_give_the_same_text(reader: TransformersChat, tiny_llama: Path) -> None:
    other = load(tiny_llama)
    for text in ("What is the gate code?", "When does the ferry leave?"):
        replies = {chat.invoke(text).text for chat in (reader, reader, other)}
        assert len(replies) == 1


def test_roles_reach_the_template(reader: TransformersChat) -> None:
    talk = [SystemMessage("Be brief."), HumanMessage("Hi"), AIMessage("Yes?"), HumanMessage("Code")]
    tokens = reader.encode(talk)["input_ids"][0]
    written = "system: Be brief.\nuser: Hi\nassistant: Yes?\nuser: Code\nassistant:"
    assert reader.tokenizer.decode(tokens) == written


def test_control_tokens_in_a_text_are_plain_text(
    reader: TransformersChat, viewer: TransformersChat
) -> None:
    ends = reader.encode([HumanMessage("say </s> and stop")])["input_ids"][0].tolist()
    assert reader.tokenizer.eos_token_id not in ends
    shown = viewer.encode(ask_about("red", text="a slide that shows <image>"))["input_ids"]
    assert int((shown == viewer.tokenizer.image_token_id).sum()) == 576
    assert viewer.invoke(ask_about("red", text="<image><image>")).usage_metadata is not None


def test_flags_come_from_the_model(reader: TransformersChat, seeing: TransformersChat) -> None:
    read, see = reader.capabilities, seeing.capabilities
    assert (read.images, read.max_images, read.context_tokens) == (False, 0, 512)
    assert (see.images, see.max_images) == (True, None)
    assert see.context_tokens == seeing.hf_model.config.get_text_config().max_position_embeddings
    assert see.visual_tokens == (seeing.name in ("llava", "llava_next", "onevision"))
    assert read.option_scoring
    assert not read.visual_tokens
    assert not read.tool_calling


def test_tokens_are_counted(reader: TransformersChat) -> None:
    assert reader.count_tokens("") == 0
    assert 0 < reader.count_tokens("The gate") < reader.count_tokens("The gate code is 7391.")


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("size", [(64, 48), (640, 480), (300, 700)])
def test_pictures_take_as_many_tokens_as_was_said(
    seeing: TransformersChat, size: tuple[int, int], count: int
) -> None:
    said = seeing.image_tokens(*size, count)
    with_pictures = seeing.encode(ask_about(*["red"] * count, size=size))["input_ids"]
    without = seeing.encode(ask_about())["input_ids"]
    assert said == with_pictures.shape[1] - without.shape[1]


def test_the_published_numbers_of_visual_tokens(tiny_model: Callable[[str], Path]) -> None:
    # 24 x 24; the same for a thumbnail beside four tiles, unpadded, with a newline token a row;
    # 27 x 27 likewise, but one tile and one newline each for several; 234 of 32 x 32 pixels and
    # two marks; five tiles of 64 and 14 marks around them.
    expected = {
        "llava": (576, 1152),
        "llava_next": (2340, 4680),
        "onevision": (2929, 1460),
        "qwen_vl": (236, 472),
        "smolvlm": (334, 668),
    }
    for name, counts in expected.items():
        chat = load(tiny_model(name))
        assert (chat.image_tokens(640, 480), chat.image_tokens(640, 480, 2)) == counts, name


def test_a_model_that_reads_text_refuses_pictures(reader: TransformersChat) -> None:
    with pytest.raises(InputError, match=r"tiny reads text only.*--set chat\.model="):
        reader.invoke(ask_about("red"))


def test_more_pictures_than_allowed_are_refused(tiny_llava: Path) -> None:
    chat = load(tiny_llava, max_images=1)
    assert chat.capabilities.max_images == 1
    assert chat.invoke(ask_about("red")).usage_metadata is not None
    with pytest.raises(InputError, match="at most 1 pictures and was sent 2"):
        chat.invoke(ask_about("red", "blue"))


@pytest.mark.parametrize("data", ["", "bm90IGFuIGltYWdl", "%%%"])
def test_a_picture_that_is_none_is_refused(viewer: TransformersChat, data: str) -> None:
    block = {"type": "image", "base64": data, "mime_type": "image/png"}
    with pytest.raises(InputError, match="image block that cannot be read"):
        viewer.invoke([HumanMessage([block])])


def test_pictures_reach_every_model_that_sees(seeing: TransformersChat) -> None:
    replies = {
        colour: seeing.score_options(ask_about(colour), ["red"]) for colour in ("red", "blue")
    }
    assert replies["red"] != replies["blue"]
    one, two = (seeing.invoke(ask_about(*["red"] * n)).usage_metadata for n in (1, 2))
    assert one is not None
    assert two is not None
    assert two["input_tokens"] - one["input_tokens"] == (
        seeing.image_tokens(64, 48, 2) - seeing.image_tokens(64, 48)
    )
    assert seeing.invoke("What is the gate code?").usage_metadata is not None


def test_pictures_keep_their_colours(viewer: TransformersChat) -> None:
    pixels = viewer.encode(ask_about("red"))["pixel_values"][0]
    assert float(pixels[0].mean()) > float(pixels[2].mean())


def test_pictures_take_the_models_number_type(tiny_llava: Path) -> None:
    chat = load(tiny_llava, dtype="bfloat16")
    assert str(chat.encode(ask_about("red"))["pixel_values"].dtype) == "torch.bfloat16"
    assert chat.invoke(ask_about("red")).usage_metadata is not None


def test_a_stream_is_the_reply_in_pieces(
    seeing: TransformersChat, reader: TransformersChat
) -> None:
    for chat, talk in ((seeing, ask_about("red")), (reader, [HumanMessage("The gate code")])):
        whole = chat.invoke(talk, max_new_tokens=20)
        parts = list(chat.stream(talk, max_new_tokens=20))
        assert "".join(part.text for part in parts) == whole.text
        total = sum(parts[1:], parts[0])
        assert total.usage_metadata == whole.usage_metadata
        assert total.response_metadata["finish_reason"] == "length"


def test_a_stream_comes_while_it_is_written(reader: TransformersChat) -> None:
    steps: list[str] = []
    hook = reader.hf_model.register_forward_hook(lambda *_: steps.append("step"))
    try:
        for part in reader.stream("The gate code", max_new_tokens=200):
            if part.text:
                steps.append("text")
    finally:
        hook.remove()
    assert steps.count("text") > 3
    assert steps.index("text") < len(steps) - 20


def test_a_stream_that_nobody_reads_ends(reader: TransformersChat) -> None:
    written = reader.stream("The gate code", max_new_tokens=480)
    assert isinstance(written, Iterator)
    next(written)
    written.close()  # type: ignore[attr-defined]
    assert reader.lock.acquire(timeout=20)
    reader.lock.release()
    steps: list[int] = []
    hook = reader.hf_model.register_forward_hook(lambda *_: steps.append(1))
    assert reader.invoke("Code?", max_new_tokens=2).text is not None
    hook.remove()
    assert len(steps) <= 2


def test_a_reply_ends_before_a_stop(reader: TransformersChat) -> None:
    whole = reader.invoke("The gate code", max_new_tokens=20).text
    stop = whole[3:5]
    before = whole[: whole.find(stop)].strip()
    cut = reader.invoke("The gate code", stop=[stop], max_new_tokens=20)
    assert cut.text == before
    assert cut.response_metadata["finish_reason"] == "stop"
    streamed = list(reader.stream("The gate code", stop=[stop], max_new_tokens=20))
    assert "".join(part.text for part in streamed) == before
    bound = reader.bind(stop=[stop], max_new_tokens=20)
    assert bound.invoke("The gate code").text == before


def test_the_end_token_ends_a_reply(reader: TransformersChat) -> None:
    reader.hf_model.generation_config.suppress_tokens = None
    allowed = lambda batch, tokens: [reader.tokenizer.eos_token_id]  # noqa: E731
    inputs = reader.encode([HumanMessage("Hi")])
    (written,) = reader.write(inputs, reader.decoding(None, {}), prefix_allowed_tokens_fn=allowed)
    assert (written.text, written.output_tokens, written.finish_reason) == ("", 1, "stop")


def test_the_length_is_set_with_the_call(reader: TransformersChat) -> None:
    reply = reader.invoke("The gate code", max_new_tokens=3)
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["output_tokens"] == 3
    assert reply.response_metadata["finish_reason"] == "length"
    with pytest.raises(InputError, match="'max_tokens', expected any of max_new_tokens"):
        reader.invoke("The gate code", max_tokens=3)
    with pytest.raises(InputError, match="at least 1"):
        reader.invoke("The gate code", max_new_tokens=0)


def test_a_temperature_draws_by_its_seed(reader: TransformersChat) -> None:
    def drawn(seed: int, temperature: float = 1.0) -> str:
        return reader.invoke("The gate code", temperature=temperature, seed=seed).text

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(5)}) > 1
    cold = {drawn(seed, temperature=1e-6) for seed in range(3)}
    assert cold == {reader.invoke("The gate code").text}
    together = reader.batch(["The gate code", "Code?"], temperature=1.0, seed=1)
    assert together[0].text == drawn(1)


def test_draws_follow_the_models_distribution(reader: TransformersChat) -> None:
    import torch

    from agent.models.decoding import GumbelNoise

    scores = torch.log(torch.tensor([[0.6, 0.3, 0.1]])) * 2
    noise = GumbelNoise(2.0, seed=0)
    drawn = [int(noise(None, scores).argmax()) for _ in range(4000)]
    shares = [drawn.count(i) / 4000 for i in range(3)]
    assert shares == pytest.approx([0.6, 0.3, 0.1], abs=0.03)  # 4 standard deviations


def test_at_the_deadline_the_reply_so_far_is_given(reader: TransformersChat) -> None:
    hook = reader.hf_model.register_forward_hook(lambda *_: time.sleep(0.02))
    try:
        late = reader.invoke("The gate code", max_new_tokens=400, deadline_s=0.3)
        parts = list(reader.stream("The gate code", max_new_tokens=400, deadline_s=0.3))
    finally:
        hook.remove()
    assert late.response_metadata["finish_reason"] == "deadline"
    assert late.usage_metadata is not None
    assert 1 <= late.usage_metadata["output_tokens"] < 400
    whole = reader.invoke("The gate code", max_new_tokens=400).text
    assert whole.startswith(late.text.rstrip("\ufffd"))  # it may end within a character
    assert sum(parts[1:], parts[0]).response_metadata["finish_reason"] == "deadline"


def test_a_deadline_counts_the_wait_for_another_call(reader: TransformersChat) -> None:
    import threading

    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with reader.lock:
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    late = reader.invoke("The gate code", deadline_s=0.05)
    done.set()
    thread.join()
    assert (late.text, late.response_metadata["finish_reason"]) == ("", "deadline")


def test_what_exceeds_the_context_never_runs(
    reader: TransformersChat, viewer: TransformersChat
) -> None:
    ran: list[int] = []
    hooks = [c.hf_model.register_forward_hook(lambda *_: ran.append(1)) for c in (reader, viewer)]
    long = "The last ferry leaves at nine. " * 100
    with pytest.raises(ContextOverflowError) as text:
        reader.invoke(long)
    with pytest.raises(ContextOverflowError) as pictures:
        viewer.invoke(ask_about(*["red"] * 8))
    with pytest.raises(ContextOverflowError):
        list(reader.stream(long))
    with pytest.raises(ContextOverflowError):
        reader.score_options([HumanMessage(long)], ["nine"])
    for hook in hooks:
        hook.remove()
    assert not ran
    assert text.value.allowed == 512
    assert text.value.needed == reader.encode([HumanMessage(long)])["input_ids"].shape[1] + 8
    assert pictures.value.needed is not None
    assert pictures.value.needed > 8 * 576
    assert "less evidence" in str(text.value)


def test_the_reply_counts_in_the_context(reader: TransformersChat) -> None:
    prompt = reader.encode([HumanMessage("Code?")])["input_ids"].shape[1]
    with pytest.raises(ContextOverflowError) as error:
        reader.invoke("Code?", max_new_tokens=512 - prompt + 1)
    assert (error.value.needed, error.value.allowed) == (513, 512)
    assert reader.invoke("Code?", max_new_tokens=512 - prompt).usage_metadata is not None


def test_settings_may_shorten_the_context(tiny_llama: Path) -> None:
    assert load(tiny_llama, context_limit=100).capabilities.context_tokens == 100
    assert load(tiny_llama, context_limit=9999).capabilities.context_tokens == 512


def test_a_batch_runs_together_and_changes_nothing(seeing: TransformersChat) -> None:
    talks: list[Any] = [
        ask_about("red"),
        ask_about("green", size=(100, 40)),
        [HumanMessage("no picture at all")],
        ask_about("blue", text="The last ferry?"),
    ]
    alone = [seeing.invoke(talk, max_new_tokens=4).text for talk in talks]
    rows: list[int] = []
    hook = seeing.hf_model.register_forward_hook(
        lambda _, args, kwargs, output: rows.append(output.logits.shape[0]), with_kwargs=True
    )
    counter = UsageMetadataCallbackHandler()
    replies = seeing.batch(talks, {"callbacks": [counter]}, max_new_tokens=4)
    hook.remove()
    assert [reply.text for reply in replies] == alone
    assert [reply.response_metadata["batch_size"] for reply in replies] == [2, 1, 1, 2]
    assert max(rows) == 2
    assert len(rows) <= 3 * 4
    (counted,) = counter.usage_metadata.values()
    assert counted["output_tokens"] == sum(r.usage_metadata["output_tokens"] for r in replies)


def test_a_batch_reports_each_failure_in_its_place(reader: TransformersChat) -> None:
    long = "The last ferry leaves at nine. " * 100
    good, bad, also_good = reader.batch(["Code?", long, "When?"], return_exceptions=True)
    assert isinstance(bad, ContextOverflowError)
    assert [good.text, also_good.text] == [reader.invoke(q).text for q in ("Code?", "When?")]
    with pytest.raises(ContextOverflowError):
        reader.batch(["Code?", long])
    assert reader.batch([]) == []


def limited(chat: TransformersChat, rows: int) -> Any:
    """Let the model raise torch's own error for more rows than a device could hold."""
    import torch

    def refuse(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if kwargs["input_ids"].shape[0] > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    return chat.hf_model.register_forward_pre_hook(refuse, with_kwargs=True)


def test_after_a_lack_of_memory_batches_are_smaller(
    tiny_llava: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chat = load(tiny_llava, batch_size=4)
    talks = [ask_about(colour) for colour in ("red", "blue", "green", "white", "black")]
    alone = [chat.invoke(talk).text for talk in talks]
    limited(chat, rows=1)
    replies = chat.batch(talks)
    assert [reply.text for reply in replies] == alone
    assert replies[0].response_metadata["batch_size"] == 1
    assert replies[0].response_metadata["batch_size_wanted"] == 4
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "batches of 2 from now on",
        "batches of 1 from now on",
    ]
    caplog.clear()
    assert len(chat.batch(talks)) == 5
    assert not caplog.records  # what was learnt stays


def test_a_call_that_does_not_fit_alone_is_said(tiny_llama: Path) -> None:
    chat = load(tiny_llama)
    hook = limited(chat, rows=0)
    for call in (
        lambda: chat.invoke("Code?"),
        lambda: chat.batch(["Code?", "When?"]),
        lambda: list(chat.stream("Code?")),
        lambda: chat.score_options([HumanMessage("Code?")], ["nine"]),
    ):
        with pytest.raises(MemoryLimitError, match=r"--set chat\.quantization=4bit") as error:
            call()
        assert "\n" not in str(error.value)
    hook.remove()
    assert chat.invoke("Code?").text is not None  # and the lock is free


def log_likelihood(chat: TransformersChat, talk: Talk, option: str) -> float:
    """Teacher forcing over the prompt and the option at once, without any cache."""
    import torch

    inputs = dict(chat.encode(talk))
    length = inputs["input_ids"].shape[1]
    reply = chat.tokenizer(option, add_special_tokens=False, return_tensors="pt")["input_ids"]
    more = {"input_ids": reply, "attention_mask": 1, "mm_token_type_ids": 0}
    for name, values in more.items():
        if name in inputs:
            added = reply * 0 + values
            inputs[name] = torch.cat([inputs[name], added.to(inputs[name].dtype)], dim=1)
    with torch.inference_mode():
        logits = chat.hf_model(**inputs, use_cache=False).logits[0, length - 1 : -1].double()
    return float(torch.log_softmax(logits, dim=-1).gather(1, reply[0, :, None]).mean())


@pytest.mark.parametrize("colours", [(), ("red",), ("red", "blue")])
def test_options_are_scored_by_their_mean_log_likelihood(
    seeing: TransformersChat, reader: TransformersChat, colours: tuple[str, ...]
) -> None:
    options = ["7391", "The last ferry", "at ten"]
    seeing.invoke(ask_about("green", size=(300, 200)))  # what it leaves behind must not count
    talks = [(seeing, ask_about(*colours))]
    if not colours:
        talks.append((reader, [HumanMessage("What is the gate code?")]))
    for chat, talk in talks:
        scores = chat.score_options(talk, options)
        direct = [log_likelihood(chat, talk, option) for option in options]
        assert scores == pytest.approx(direct, abs=1e-4)
        assert len(set(scores)) == 3


def test_captions_of_a_video_run_together(tiny_smolvlm: Path, tmp_path: Path) -> None:
    frames = []
    for number, colour in enumerate(["red", "green", "blue", "white", "black"]):
        file = tmp_path / f"{number}.jpg"
        Image.new("RGB", (320, 180), colour).save(file)
        frames.append(StoredFrame(number, number * 10, number * 10 + 10, file))
    chat = load(tiny_smolvlm, max_new_tokens=99)
    runs: list[int] = []
    hook = chat.hf_model.register_forward_hook(
        lambda _, args, kwargs, output: runs.append(output.logits.shape[0]), with_kwargs=True
    )
    video = Video(Path("a.mp4"), "0" * 64, 50, 320, 180, 0, None, False, ())
    given = ToolInput(video, FrameSet(tmp_path, 50, tuple(frames), ()), chat=chat)
    tool = Caption(CaptionOptions(batch=4, max_new_tokens=3))
    assert len(list(tool.run(given))) <= 5  # random weights may say nothing
    hook.remove()
    assert runs == [4, 4, 4, 1, 1, 1]


def test_the_prompt_is_read_once_for_all_options(viewer: TransformersChat) -> None:
    lengths: list[int] = []
    hook = viewer.hf_model.register_forward_pre_hook(
        lambda module, args, kwargs: lengths.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    viewer.score_options(ask_about("red"), ["7391", "nine o'clock", "The last ferry"])
    hook.remove()
    assert sum(length > 500 for length in lengths) == 1
    assert len(lengths) <= 4


def test_an_empty_option_is_refused(reader: TransformersChat) -> None:
    with pytest.raises(InputError, match="without any text"):
        reader.score_options([HumanMessage("Code?")], ["7391", ""])


def test_prompts_may_be_put_together_by_hand(viewer: TransformersChat) -> None:
    import torch

    talk = ask_about("red")
    inputs = viewer.encode(talk)
    with viewer.lock, torch.inference_mode():
        ids = inputs["input_ids"]
        embeds = viewer.hf_model.get_input_embeddings()(ids)
        seen = viewer.hf_model.get_image_features(pixel_values=inputs["pixel_values"])
        vectors = torch.cat(list(getattr(seen, "pooler_output", seen)))
        embeds[ids == viewer.tokenizer.image_token_id] = vectors
    by_hand = {"inputs_embeds": embeds, "attention_mask": inputs["attention_mask"]}
    (written,) = viewer.write(by_hand, viewer.decoding(None, {}))
    assert written.text == viewer.invoke(talk).text
    assert written.usage == viewer.invoke(talk).usage_metadata
    chunks = viewer.stream_written(by_hand, viewer.decoding(None, {}))
    streamed = generate_from_stream(chunks).generations[0].message
    assert (streamed.text, streamed.usage_metadata) == (written.text, written.usage)


def test_a_freed_model_gives_its_memory_back(tiny_llama: Path) -> None:
    import weakref

    chat = load(tiny_llama)
    size = sum(p.numel() * p.element_size() for p in chat.hf_model.parameters())
    assert chat.memory_bytes >= size
    list(chat.stream("Code?"))
    weights = weakref.ref(chat.hf_model)
    del chat
    gc.collect()
    assert weights() is None


def test_the_embedded_block_is_lossless() -> None:
    colours = Image.effect_noise((20, 10), 90).convert("RGB")
    data = base64.b64decode(image_block(colours)["base64"])
    assert Image.open(io.BytesIO(data)).tobytes() == colours.tobytes()


def remove(folder: Path, pattern: str) -> None:
    for file in folder.glob(pattern):
        file.unlink()


BREAK: dict[str, Callable[[Path], object]] = {
    "no file at all": lambda folder: remove(folder, "*"),
    "no weights": lambda folder: remove(folder, "model.safetensors"),
    "cut weights": lambda folder: (folder / "model.safetensors").write_bytes(b"\x10" + b"\0" * 20),
    "broken config": lambda folder: (folder / "config.json").write_text("{"),
    "unknown kind": lambda folder: (folder / "config.json").write_text('{"model_type": "x"}'),
    "no tokenizer": lambda folder: remove(folder, "tokenizer*"),
}


@pytest.mark.parametrize("damage", BREAK.values(), ids=BREAK.keys())
def test_a_broken_folder_is_named(
    tiny_llama: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    for file in tiny_llama.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    damage(tmp_path)
    with pytest.raises(MissingError, match="cannot be loaded") as error:
        load(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_few_bits_need_a_package_and_a_gpu(
    tiny_llama: Path, quantization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.models.loading.find_spec", lambda name: None)
    with pytest.raises(MissingError, match="pip install 'bitsandbytes"):
        load(tiny_llama, quantization=quantization)
    monkeypatch.setattr("agent.models.loading.find_spec", lambda name: name)
    with pytest.raises(MissingError, match="needs a CUDA device and this is cpu"):
        load(tiny_llama, quantization=quantization)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_attention_is_that_of_the_settings(tiny_llama: Path, attention: str) -> None:
    chat = load(tiny_llama, attention=attention)
    assert chat.hf_model.config._attn_implementation == attention
    assert load(tiny_llama).hf_model.config._attn_implementation == "sdpa"
