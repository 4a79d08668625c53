"""Loading of a transformers checkpoint: dtype, quantisation, attention, device."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from agent.models.context_window import stretch_rope
from tools.errors import MissingError

INSTALL_QUANTIZED = "pip install 'bitsandbytes>=0.46'"


@dataclass(frozen=True)
class Loaded:
    """A loaded model with its processor and tokenizer.

    Attributes:
        model: In evaluation mode, on its device.
        processor: Processor of a vision-language model; else the same as the tokenizer.
        tokenizer: Pads on the left.
        sees_images: Messages may contain pictures.
        takes_video: Its processor and chat template take videos.
        dtype: Dtype of its activations.
        end_tokens: Tokens that end a reply.
    """

    model: Any
    processor: Any
    tokenizer: Any
    sees_images: bool
    dtype: Any
    end_tokens: frozenset[int]
    takes_video: bool = False


def load_model(
    source: str,
    device: str,
    dtype: str,
    quantization: str,
    attention: str,
    offline: bool,
    rope_factor: float = 1.0,
) -> Loaded:
    """Load a checkpoint from a folder or the hub.

    Raises:
        InputError: The checkpoint's RoPE cannot be scaled.
        MissingError: It is missing or incomplete, or a dependency is not installed.
    """
    from safetensors import SafetensorError

    options: dict[str, Any] = {"dtype": dtype, "local_files_only": offline}
    if attention != "auto":
        options["attn_implementation"] = attention
    if device != "cpu":
        options["device_map"] = {"": device}  # straight to the device, not via the CPU
    if quantization != "none":
        options["quantization_config"] = _quantized(quantization, device)
    try:
        config = read_config(source, offline, rope_factor)
        if rope_factor > 1:
            options["config"] = config
        model_class, processor_class = _classes(config)
        model = model_class.from_pretrained(source, **options)
        processor = processor_class.from_pretrained(source, local_files_only=offline)
    except (OSError, ValueError, ImportError, SafetensorError) as error:  # last: half a file
        raise _unusable(source, error) from error
    return _prepared(model.eval(), processor)


def read_config(source: str, offline: bool, rope_factor: float = 1.0) -> Any:
    """Return the configuration of a checkpoint, for its capabilities, without its weights.

    Raises:
        InputError: The checkpoint's RoPE cannot be scaled.
        MissingError: It is missing.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(source, local_files_only=offline)
    except (OSError, ValueError, ImportError) as error:
        raise _unusable(source, error) from error
    return stretch_rope(config, rope_factor) if rope_factor > 1 else config


def takes_images(config: Any) -> bool:
    """Whether a model of this configuration is loaded with an image processor."""
    from transformers import AutoModelForImageTextToText

    return type(config) in AutoModelForImageTextToText._model_mapping


def has_video(config: Any) -> bool:
    """Whether a model of this configuration is loaded with a video processor."""
    from transformers.models.auto.video_processing_auto import VIDEO_PROCESSOR_MAPPING

    return type(config) in VIDEO_PROCESSOR_MAPPING


def weight_bytes(source: str, quantization: str, dtype: str) -> int:
    """Estimate the memory of a local checkpoint in bytes; 0 when unknown."""
    folder = Path(source)
    if not folder.is_dir():
        return 0
    stored = sum(f.stat().st_size for f in folder.glob("*.safetensors"))
    if quantization != "none":  # from 16 bits per weight
        return stored * {"4bit": 5, "8bit": 9}[quantization] // 16
    return stored * 2 if dtype == "float32" else stored


def needs_quantized(quantization: str, device: str) -> str:
    """Return why quantised loading is impossible here, "" if it is possible."""
    if quantization != "none" and find_spec("bitsandbytes") is None:
        return f"bitsandbytes is not installed: {INSTALL_QUANTIZED}"
    if quantization != "none" and not device.startswith("cuda"):
        return f"it needs a CUDA device and this is {device}: --set chat.quantization=none"
    return ""


def _quantized(quantization: str, device: str) -> Any:
    if against := needs_quantized(quantization, device):
        raise MissingError(f"the chat model cannot be loaded in {quantization}: {against}")
    import torch
    from transformers import BitsAndBytesConfig

    if quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )


def _classes(config: Any) -> tuple[Any, Any]:
    """Return the classes that load a configuration's model and its processor or tokenizer."""
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        AutoProcessor,
        AutoTokenizer,
    )

    if takes_images(config):
        return AutoModelForImageTextToText, AutoProcessor
    return AutoModelForCausalLM, AutoTokenizer


def _prepared(model: Any, processor: Any) -> Loaded:
    tokenizer = getattr(processor, "tokenizer", processor)
    tokenizer.padding_side = "left"  # replies follow their prompts without a gap
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    ends = model.generation_config.eos_token_id
    ends = {ends} if isinstance(ends, int) else set(ends or ())
    if tokenizer.eos_token_id is not None:
        ends.add(tokenizer.eos_token_id)
    sees = hasattr(processor, "image_processor")
    video = sees and has_video(model.config) and _writes_video(processor)
    return Loaded(model, processor, tokenizer, sees, model.dtype, frozenset(ends), video)


def _writes_video(processor: Any) -> bool:
    """Whether a chat template has a place for a video, which that of a fine-tune may lack."""
    if not hasattr(processor, "video_processor"):
        return False
    talk = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "."}]}]
    try:
        return str(processor.video_token) in processor.apply_chat_template(talk, tokenize=False)
    except (ValueError, TypeError, TemplateError):
        return False


def _unusable(source: str, error: Exception) -> MissingError:
    return MissingError(
        f"the chat model {source!r} cannot be loaded: {_first_line(error)}; give a folder in "
        f"the format of transformers or a hub name"
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
