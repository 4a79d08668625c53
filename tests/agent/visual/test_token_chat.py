"""Behaviours 18, 30, 31: a chat model that looks at visual tokens in place of pictures."""

import gc
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from safetensors.torch import save_file

from agent.models.chat_model import ContextOverflowError
from agent.models.chat_transformers import TransformersChat
from agent.visual.injection import inputs_as_embeddings
from agent.visual.token_cache import read_tokens
from agent.visual.token_chat import KeptPrefix, TokenChat, prompt_ids, token_model
from tools.errors import InputError, StorageError

TALK: list[BaseMessage] = [
    SystemMessage("Be brief."),
    HumanMessage("Which ferry leaves at nine?"),
    AIMessage("The first."),
    HumanMessage("Reply with a letter."),
]


def load(folder: Path, **options: Any) -> TransformersChat:
    return TransformersChat(name="tiny", source=str(folder), max_new_tokens=8, **options)


@pytest.fixture(scope="module")
def chat(tiny_model: Callable[[str], Path]) -> TransformersChat:
    return load(tiny_model("llava"))


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.safetensors"
    save_file({"tokens": torch.randn(300, 48, generator=torch.Generator().manual_seed(0))}, file)
    return file


def by_hand(chat: TransformersChat, talk: list[BaseMessage], tokens: Path) -> torch.Tensor:
    """Logits of the whole conversation, read at once from embeddings, [length, vocabulary]."""
    from safetensors.torch import load_file

    prompt = prompt_ids(chat, talk)
    inputs = inputs_as_embeddings(chat.hf_model, prompt, load_file(tokens)["tokens"])
    with torch.inference_mode():
        logits: torch.Tensor = chat.hf_model(**inputs).logits[0]
    return logits


@pytest.mark.parametrize("name", ["llava", "llava_next", "onevision"])
def test_replies_and_likelihoods_are_those_of_the_whole_prompt(
    name: str, tiny_model: Callable[[str], Path], tokens: Path
) -> None:
    chat = load(tiny_model(name))
    seeing = TokenChat(name="tiny", chat=chat, tokens=tokens, kept=KeptPrefix())
    for talk in (TALK[:2], TALK, TALK[:2]):
        likely = by_hand(chat, talk, tokens)[-1].log_softmax(dim=-1)
        first = chat.tokenizer.decode([int(likely.argmax())], skip_special_tokens=True)
        assert seeing.invoke(talk, max_new_tokens=1).text == first.strip()
        letters = [chat.tokenizer(one)["input_ids"][0] for one in "ABC"]
        scores = seeing.score_options(talk, list("ABC"))
        assert scores == pytest.approx([float(likely[i]) for i in letters], abs=1e-5)


def test_streamed_pieces_are_the_reply_and_usage_is_told(
    chat: TransformersChat, tokens: Path
) -> None:
    seeing = TokenChat(name="tiny", chat=chat, tokens=tokens, kept=KeptPrefix())
    whole = seeing.invoke(TALK)
    chunks = list(seeing.stream(TALK))
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["input_tokens"] == 300 + len(prompt_ids(chat, TALK))
    assert whole.response_metadata["finish_reason"] in ("length", "stop")


def test_words_are_never_read_as_the_place_of_the_video(chat: TransformersChat) -> None:
    plain = prompt_ids(chat, [HumanMessage("a <image> b")])
    assert chat.tokenizer.image_token_id not in (*plain.before, *plain.after)
    assert "a <image> b" in chat.tokenizer.decode(plain.after)
    with pytest.raises(InputError, match="take it out of the question"):
        prompt_ids(chat, [HumanMessage("a <image> b")], parity=True)


def test_in_parity_the_text_is_tokenised_in_two_parts(chat: TransformersChat) -> None:
    whole, parts = prompt_ids(chat, TALK), prompt_ids(chat, TALK, parity=True)
    decode = chat.tokenizer.decode
    assert decode(parts.before) == decode(whole.before)
    assert decode(parts.before).endswith("user: ")
    assert decode(parts.after) == decode(whole.after)
    assert decode(parts.after).startswith("Which ferry")


def test_two_conversations_at_once_do_not_mix(chat: TransformersChat, tokens: Path) -> None:
    kept = KeptPrefix()
    seeing = TokenChat(name="tiny", chat=chat, tokens=tokens, kept=kept)
    talks = [[HumanMessage(f"Question number {number}?")] for number in range(6)]
    expected = [seeing.invoke(talk).text for talk in talks]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda talk: seeing.invoke(talk).text, talks)) == expected


def test_a_reply_that_is_broken_off_spoils_nothing(chat: TransformersChat, tokens: Path) -> None:
    seeing = TokenChat(name="tiny", chat=chat, tokens=tokens, kept=KeptPrefix())
    expected = seeing.invoke(TALK).text
    for _ in range(3):
        pieces = seeing.stream(TALK, max_new_tokens=200)
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]
        assert seeing.invoke(TALK).text == expected


def test_what_was_read_goes_with_its_model(tiny_model: Callable[[str], Path], tokens: Path) -> None:
    kept, chat = KeptPrefix(), load(tiny_model("llava"))
    TokenChat(name="tiny", chat=chat, tokens=tokens, kept=kept).invoke(TALK)
    assert kept._prefix is not None
    read = len(kept._prefix)
    network = chat.hf_model.config.text_config
    width = network.num_key_value_heads * network.hidden_size // network.num_attention_heads
    assert kept.memory_bytes == 2 * network.num_hidden_layers * read * width * 4  # keys and values
    del chat
    gc.collect()
    assert kept._prefix is None
    assert kept.memory_bytes == 0


def test_a_conversation_that_is_too_long_is_refused_before_the_model_runs(
    tiny_model: Callable[[str], Path], tokens: Path
) -> None:
    chat = load(tiny_model("llava"), context_limit=320)
    seeing = TokenChat(name="tiny", chat=chat, tokens=tokens, kept=KeptPrefix())
    with pytest.raises(ContextOverflowError):
        seeing.invoke(TALK)
    with pytest.raises(ContextOverflowError):
        seeing.score_options(TALK, ["A", "B"])


def test_beyond_the_trained_length_the_prompt_is_read_whole(
    tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    file = tmp_path / "many.safetensors"
    save_file({"tokens": torch.randn(5000, 48, generator=torch.Generator().manual_seed(0))}, file)
    chat = load(tiny_model("llava"), rope_factor=2.0)
    assert chat.capabilities.context_tokens == 8192
    kept = KeptPrefix()
    seeing = TokenChat(name="tiny", chat=chat, tokens=file, kept=kept)
    likely = by_hand(chat, TALK, file)[-1].log_softmax(dim=-1)
    assert torch.isfinite(likely).all()
    letter = chat.tokenizer("A")["input_ids"][0]
    assert seeing.score_options(TALK, ["A"]) == pytest.approx([float(likely[letter])], abs=1e-5)
    assert kept._prefix is None


def test_a_rope_that_is_no_plain_one_is_not_stretched(tiny_model: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=r"leave chat\.rope_factor at 1"):
        load(tiny_model("qwen_vl"), rope_factor=2.0)


def test_models_without_token_access_are_told_apart(
    chat: TransformersChat, tiny_model: Callable[[str], Path]
) -> None:
    assert token_model(chat) is chat
    assert token_model(load(tiny_model("smolvlm"))) is None


def test_tokens_that_vanished_are_named(chat: TransformersChat, tmp_path: Path) -> None:
    seeing = TokenChat(name="tiny", chat=chat, tokens=tmp_path / "gone", kept=KeptPrefix())
    with pytest.raises(StorageError, match="ask again to make them anew"):
        seeing.invoke(TALK)


def test_replies_are_contrasted_with_the_outliers(chat: TransformersChat, tokens: Path) -> None:
    """Behaviour 25, DAMRO."""
    few = tokens.with_name("few.safetensors")
    save_file({"tokens": read_tokens(tokens)[:10]}, few)
    plain, same, contrasted = (
        TokenChat(name="tiny", chat=chat, tokens=tokens, kept=KeptPrefix(), outliers=file)
        for file in (None, tokens, few)
    )
    assert same.invoke(TALK).text == plain.invoke(TALK).text
    scores, against = by_hand(chat, TALK, tokens)[-1], by_hand(chat, TALK, few)[-1]
    likely = (3 * scores - 2 * against).where(scores >= scores.max() + math.log(0.1), -math.inf)
    first = chat.tokenizer.decode([int(likely.argmax())], skip_special_tokens=True)
    assert contrasted.invoke(TALK, max_new_tokens=1).text == first.strip()
    drawn = [contrasted.invoke(TALK, temperature=2.0, seed=1).text for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert contrasted.score_options(TALK, ["A"]) == plain.score_options(TALK, ["A"])
