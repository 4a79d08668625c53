"""Behaviours 17 and 18: visual tokens in the prompt, and generating from them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.language_models.chat_models import generate_from_stream

from agent.models.chat_model import Decoding
from agent.models.chat_transformers import TransformersChat
from agent.visual.encoding import pixels_of, visual_tokens
from agent.visual.injection import (
    PromptIds,
    generate,
    inputs_as_embeddings,
    inputs_as_ids,
    inputs_for,
    tokenise,
)
from agent.visual.layouts import ts_llava
from agent.visual.prefix import VisualPrefix
from tools.errors import InputError
from tools.media.video import RGBImage

TEXT = (
    "USER: <image>\nThe gate code is seven. Which ferry leaves at nine?\nASSISTANT: Best option:("
)
SMALL = ts_llava(samples=100)


@pytest.fixture(scope="module")
def prompt(llava: Any) -> PromptIds:
    return tokenise(llava.processor.tokenizer, TEXT, "<image>")


@pytest.fixture(scope="module")
def visual(llava: Any, pictures: Callable[[int], list[RGBImage]]) -> torch.Tensor:
    pixels = pixels_of(pictures(12), llava.tower)
    return visual_tokens(llava.model, pixels, llava.tower, SMALL)


def rows(model: Any, prompt: PromptIds, visual: torch.Tensor) -> torch.Tensor:
    """The embeddings one by one, [1, length, D]."""
    table = model.get_input_embeddings().weight
    parts = [table[number] for number in prompt.before]
    parts += list(visual)
    parts += [table[number] for number in prompt.after]
    return torch.stack(parts)[None]


def greedy(model: Any, embedded: torch.Tensor, count: int) -> list[int]:
    """Decode greedily without a cache, the whole sequence again for every token."""
    table, new = model.get_input_embeddings().weight, []
    with torch.inference_mode():
        for _ in range(count):
            logits = model(inputs_embeds=embedded, use_cache=False).logits
            new.append(int(logits[0, -1].argmax()))
            embedded = torch.cat([embedded, table[new[-1]][None, None]], dim=1)
    return new


def test_embeddings_stand_where_the_tokens_were(llava: Any) -> None:
    visual = torch.randn(3456, 48)
    prompt = PromptIds(tuple(range(10, 62)), tuple(range(20, 80)))
    embedded = inputs_as_embeddings(llava.model, prompt, visual)["inputs_embeds"]
    assert embedded.shape == (1, 52 + 3456 + 60, 48)
    assert torch.equal(embedded, rows(llava.model, prompt, visual))


def test_both_routes_say_what_decoding_by_hand_says(
    llava: Any, prompt: PromptIds, visual: torch.Tensor
) -> None:
    expected = greedy(llava.model, rows(llava.model, prompt, visual), 8)
    by_hand = llava.model(inputs_embeds=rows(llava.model, prompt, visual)).logits
    for route in (inputs_as_ids, inputs_as_embeddings, inputs_for):
        inputs = route(llava.model, prompt, visual)
        assert torch.equal(llava.model(**inputs).logits, by_hand)
        assert generate(llava.model, inputs, 8, eos_token_id=-1) == expected


@pytest.mark.parametrize("name", ["llava_next", "onevision"])
def test_both_routes_agree_on_other_families(
    load_tiny: Callable[[str], Any], pictures: Callable[[int], list[RGBImage]], name: str
) -> None:
    model, tower = load_tiny(name).model, load_tiny(name).tower
    tokenizer = load_tiny(name).processor.tokenizer
    visual = visual_tokens(model, pixels_of(pictures(7), tower), tower, SMALL)
    prompt = tokenise(tokenizer, TEXT, "<image>")
    by_ids = generate(model, inputs_as_ids(model, prompt, visual), 8)
    by_embeddings = generate(model, inputs_as_embeddings(model, prompt, visual), 8)
    assert by_ids == by_embeddings
    assert 0 < len(by_ids) <= 8
    routes = (inputs_as_ids, inputs_as_embeddings)
    every = [model(**route(model, prompt, visual)).logits for route in routes]
    assert torch.equal(*every)
    other = visual_tokens(model, pixels_of(pictures(3), tower), tower, SMALL)
    logits = [
        model(**inputs_as_ids(model, prompt, shown), logits_to_keep=1).logits
        for shown in (visual, other)
    ]
    assert not torch.allclose(*logits)  # the video makes a difference


@pytest.mark.parametrize("name", ["llava", "llava_next", "onevision"])
def test_a_wrong_number_of_placeholders_is_an_error(
    load_tiny: Callable[[str], Any], name: str
) -> None:
    model = load_tiny(name).model
    inputs = inputs_as_ids(model, PromptIds((5,), (6, 7)), torch.randn(30, 48))
    inputs["input_ids"] = inputs["input_ids"][:, [0, *range(11, 33)]]
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    with pytest.raises(ValueError, match="do not match"):
        generate(model, inputs, 4)


class Listener:
    """A streamer that notes every token it is given after the prompt."""

    def __init__(self) -> None:
        self.heard: list[list[int]] = []
        self.ended = False

    def put(self, value: torch.Tensor) -> None:
        self.heard.append(value.flatten().tolist())

    def end(self) -> None:
        self.ended = True


@pytest.mark.parametrize("route", [inputs_as_ids, inputs_as_embeddings])
def test_answers_stream_token_by_token(
    llava: Any, prompt: PromptIds, visual: torch.Tensor, route: Any
) -> None:
    listener = Listener()
    new = generate(llava.model, route(llava.model, prompt, visual), 5, streamer=listener)
    assert listener.heard[1:] == [[number] for number in new]
    assert listener.ended


def test_the_prompt_is_split_at_the_video(llava: Any) -> None:
    tokenizer = llava.processor.tokenizer
    prompt = tokenise(tokenizer, TEXT, "<image>")
    whole = tokenizer(TEXT)["input_ids"]
    assert prompt.ids(tokenizer.image_token_id, 1) == whole
    assert tokenizer.decode(prompt.after).startswith("\nThe gate")
    assert len(prompt) == len(whole) - 1


def test_parity_tokenises_each_side_alone_and_begins_once(load_tiny: Any) -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    tokenizer = load_tiny("llava").processor.tokenizer
    inner = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    inner.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    begins = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    prompt = tokenise(begins, TEXT, "<image>", parity=True)
    before, after = TEXT.split("<image>")
    assert list(prompt.before) == begins(before)["input_ids"]
    assert list(prompt.after) == begins(after, add_special_tokens=False)["input_ids"]
    assert prompt.before[0] == 0
    assert 0 not in prompt.after
    opened = tokenise(begins, "<s>" + TEXT, "<image>", parity=True)
    assert opened == prompt


@pytest.mark.parametrize("text", ["no video here", "<image> and <image>"])
def test_a_prompt_has_one_place_for_the_video(llava: Any, text: str) -> None:
    with pytest.raises(InputError, match="must hold it once"):
        tokenise(llava.processor.tokenizer, text, "<image>")


def test_a_chat_model_streams_an_answer_to_visual_tokens(
    tiny_llava: Path, visual: torch.Tensor, prompt: PromptIds
) -> None:
    chat = TransformersChat(name="tiny", source=str(tiny_llava))
    decoding, model = Decoding(max_new_tokens=6), chat.hf_model
    prefix = VisualPrefix(model, prompt.before, visual)
    with prefix.asked(prompt.after) as inputs:
        (written,) = chat.write(inputs, decoding)
    assert (written.input_tokens, written.output_tokens) == (len(prompt) + len(visual), 6)
    for route in (inputs_as_ids, inputs_as_embeddings):
        chunks = chat.stream_written(route(model, prompt, visual), decoding)
        said = generate_from_stream(chunks).generations[0].message
        assert (said.text, said.usage_metadata) == (written.text, written.usage)
