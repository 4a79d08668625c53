"""Text encoders that turn phrases into the class vectors of an open-vocabulary detector.

ultralytics takes them from packages that are on no package index; transformers has the same CLIP
tokenizer and weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.errors import InputError, MissingError
from tools.weights import module_bytes

CONTEXT = 77  # tokens that CLIP's text encoders take
WIDTH = 512  # dimension of a class vector, as in CLIP ViT-B/32


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """A loaded encoder.

    Attributes:
        vectors: Maps phrases to a float tensor [1, phrases, 512].
        memory_bytes: Bytes that its weights take.
    """

    vectors: Callable[[tuple[str, ...]], Any]
    memory_bytes: int


def load_clip(name: str, offline: bool) -> TextEncoder:
    """Return CLIP's text encoder, for YOLO-World.

    Raises:
        MissingError: It is not on disk and must not or cannot be downloaded.
        InputError: It is not CLIP ViT-B/32.
    """
    import torch
    from transformers import CLIPTextModelWithProjection

    tokenizer = _tokenizer(name, offline)
    try:
        encoder = CLIPTextModelWithProjection.from_pretrained(name, local_files_only=offline).eval()
    except OSError as error:
        raise _no_encoder(name, offline) from error
    except RuntimeError as error:  # mismatched tensor sizes
        raise _another_encoder(name) from error
    if encoder.config.projection_dim != WIDTH:
        raise _another_encoder(name)

    def encode(phrases: tuple[str, ...]) -> Any:
        tokens = tokenizer(list(phrases), padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            vectors = encoder(**tokens).text_embeds
        return torch.nn.functional.normalize(vectors, dim=-1).unsqueeze(0)

    return TextEncoder(encode, module_bytes(encoder))


def load_mobile_clip(file: Path, name: str, offline: bool) -> TextEncoder:
    """Return MobileCLIP's text encoder (TorchScript), for YOLOE; it shares CLIP's tokenizer.

    Raises:
        MissingError: The file or the tokenizer is not on disk and must not or cannot be
            downloaded.
    """
    import torch

    tokenizer = _tokenizer(name, offline)
    encoder = torch.jit.load(str(_fetched(file, offline)), map_location="cpu").eval()

    def encode(phrases: tuple[str, ...]) -> Any:
        tokens = tokenizer(
            list(phrases),
            padding="max_length",
            max_length=CONTEXT,
            truncation=True,
            return_tensors="pt",
        )
        # It was trained with zero padding, where transformers pads with the end token.
        numbers = tokens["input_ids"] * tokens["attention_mask"]
        with torch.no_grad():
            return encoder(numbers).float().unsqueeze(0)

    return TextEncoder(encode, module_bytes(encoder))


def _tokenizer(name: str, offline: bool) -> Any:
    from transformers import CLIPTokenizer

    try:
        return CLIPTokenizer.from_pretrained(name, local_files_only=offline)
    except OSError as error:
        raise _no_encoder(name, offline) from error


def _fetched(file: Path, offline: bool) -> Path:
    if not file.is_file() and not offline:
        from ultralytics.utils.downloads import attempt_download_asset

        try:
            attempt_download_asset(str(file))
        except ConnectionError as error:
            raise MissingError(f"{file.name} could not be downloaded: {error}") from error
    if not file.is_file():
        raise MissingError(
            f"YOLOE needs the text encoder {file.name} for these phrases, and it is not in "
            f"{file.parent}. Put it there (it is an asset of ultralytics' releases), run once "
            "online, or use a checkpoint saved with these phrases as its classes."
        )
    return file


def _no_encoder(name: str, offline: bool) -> MissingError:
    return MissingError(
        f"CLIP's text encoder {name}, which turns phrases into classes, is not on disk"
        f"{'' if offline else ' and could not be downloaded'}. Get it: hf download {name}; or name "
        "a folder that holds it in detect.text_encoder, or use a checkpoint saved with these "
        "phrases as its classes."
    )


def _another_encoder(name: str) -> InputError:
    return InputError(
        f"detect.text_encoder={name} does not give vectors of {WIDTH} numbers, which YOLO-World "
        f"takes; name CLIP ViT-B/32, as openai/clip-vit-base-patch32 is"
    )
