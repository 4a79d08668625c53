"""The image-text encoder on a tiny CLIP and a tiny SigLIP, built and saved by the tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.models.image_text import ImageTextEncoder, unit
from agent.session import Session
from tools.errors import InputError, MissingError

Open = Callable[..., Session]
LAYERS = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
LAYERS |= {"num_attention_heads": 2}
SIZE = {"height": 32, "width": 32}


def save_clip(folder: Path) -> Path:
    """CLIP with random weights and a vocabulary of single letters."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    end = len(words) - 1
    text = {"vocab_size": len(words), "bos_token_id": end - 1, "eos_token_id": end}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**LAYERS, **text, "pad_token_id": end, "max_position_embeddings": 77},
        vision_config={**LAYERS, "image_size": 32, "patch_size": 16},
        projection_dim=24,
    )
    CLIPModel(config).save_pretrained(folder)
    pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SIZE)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    CLIPProcessor(image_processor=pictures, tokenizer=tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("encoders") / "clip")


def pictures(number: int) -> list[Any]:
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(number)]


def load(folder: Path, batch: int = 2) -> ImageTextEncoder:
    return ImageTextEncoder(str(folder), "cpu", offline=True, batch=batch)


def test_pictures_and_texts_meet_in_one_space(clip: Path) -> None:
    encoder = load(clip)
    seen, said = encoder.images(pictures(5)), encoder.texts(["a picture of a cat", "a dog"])
    assert (seen.shape, said.shape) == ((5, 24), (2, 24))
    assert seen.dtype == said.dtype == np.float32
    assert not np.allclose(np.linalg.norm(seen, axis=1), 1)  # raw, as the model makes them
    assert encoder.memory_bytes > 10_000
    assert encoder.images([]).size == 0


def test_the_numbers_are_those_of_transformers(clip: Path) -> None:
    import torch
    from transformers import CLIPModel, CLIPProcessor

    model, processor = CLIPModel.from_pretrained(clip), CLIPProcessor.from_pretrained(clip)
    inputs = processor(
        text=["a cat", "a dog"], images=pictures(3), padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        expected = model(**inputs).logits_per_image / model.logit_scale.exp()
    encoder = load(clip)
    cosines = unit(encoder.images(pictures(3))) @ unit(encoder.texts(["a cat", "a dog"])).T
    assert cosines == pytest.approx(expected.numpy(), abs=1e-5)


def test_a_vector_does_not_depend_on_its_company(clip: Path) -> None:
    alone = np.concatenate([load(clip).images([picture]) for picture in pictures(4)])
    assert load(clip, batch=3).images(pictures(4)) == pytest.approx(alone, abs=1e-5)
    encoder, texts = load(clip), ["a", "a long text of many words"]
    one_by_one = np.concatenate([encoder.texts([text]) for text in texts])
    assert encoder.texts(texts) == pytest.approx(one_by_one, abs=1e-5)


def test_no_gradient_is_kept(clip: Path) -> None:
    import torch

    encoder, modes = load(clip), list[bool]()
    for part in (encoder._model.vision_model, encoder._model.text_model):
        part.register_forward_hook(lambda *_: modes.append(torch.is_grad_enabled()))
    encoder.images(pictures(1))
    encoder.texts(["a cat"])
    assert modes == [False, False]
    assert not encoder._model.training


def test_a_text_that_is_too_long_is_cut(clip: Path) -> None:
    encoder = load(clip)
    long = " ".join(["cat"] * 500)
    assert np.isfinite(encoder.texts([long])).all()
    assert np.array_equal(encoder.texts([long]), encoder.texts([f"{long} dog"]))


def test_siglip_is_given_texts_of_full_length(tiny_model: Callable[[str], Path]) -> None:
    encoder = load(tiny_model("siglip"))
    lengths: list[int] = []
    encoder._model.text_model.register_forward_pre_hook(
        lambda module, args, kwargs: lengths.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    assert encoder.texts(["cat"]).shape == (1, 32)
    assert lengths == [16]
    assert encoder.images(pictures(2)).shape == (2, 32)


def test_weights_that_are_not_there_name_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"image_encoder\.model=none"):
        ImageTextEncoder("openai/clip-vit-base-patch32", "cpu", offline=True, batch=1)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(MissingError, match="cannot be loaded"):
        load(tmp_path)


def test_half_a_file_of_weights_is_named(clip: Path, tmp_path: Path) -> None:
    for file in clip.iterdir():
        content = file.read_bytes()
        half = file.suffix == ".safetensors"
        (tmp_path / file.name).write_bytes(content[: len(content) // 2] if half else content)
    with pytest.raises(MissingError, match="cannot be loaded"):
        load(tmp_path)


def test_a_model_that_compares_nothing_is_the_users_input(tiny_llama: Path) -> None:
    with pytest.raises(InputError, match="expected a model that"):
        load(tiny_llama)


def test_the_pool_loads_it_once_or_not_at_all(open_session: Open, clip: Path) -> None:
    assert open_session().context.pool.image_encoder() is None
    pool = open_session(**{"image_encoder.model": str(clip), "device": "cpu"}).context.pool
    encoder = pool.image_encoder()
    assert encoder is not None
    assert encoder is pool.image_encoder()
    assert encoder.batch == 16


def test_unit_vectors_of_nothing_stay_nothing() -> None:
    vectors = unit(np.array([[3, 4], [0, 0]], np.float32))
    assert vectors.tolist() == [pytest.approx([0.6, 0.8]), [0, 0]]
