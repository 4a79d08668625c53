"""GGUF files: where one lies, and the context that its model was made for."""

import struct
from pathlib import Path
from typing import Any, BinaryIO

from tools.errors import MissingError
from tools.model_files.manifest import manifest
from tools.model_files.store import ModelStore

MAX_TEXT = 1 << 24  # bytes of a text in a header; more means a broken file


def is_gguf(name: str) -> bool:
    """Say whether a chat model's name means a GGUF file, which llama.cpp runs."""
    entry = manifest().get(name)
    return name.endswith(".gguf") or bool(entry and entry.files[0].name.endswith(".gguf"))


def gguf_file(name: str, models: Path) -> Path:
    """Return the GGUF file behind a chat model's name.

    Args:
        name: A model of the manifest or a path.
        models: Folder of fetched weights.

    Raises:
        MissingError: It is not there.
    """
    if name in manifest():
        return ModelStore(models).find(name) / manifest()[name].files[0].name
    file = Path(name).expanduser()
    if not file.is_file():
        raise MissingError(
            f"there is no file {name}; name another with --set chat.model=FILE.gguf, or one of "
            f"`reelgraph models list`"
        )
    return file


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
    except (OSError, ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
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
    if length > MAX_TEXT:
        raise ValueError(f"a text of {length} bytes")
    return stream.read(length).decode("utf-8", "replace")


def _unreadable(file: Path, error: Exception) -> MissingError:
    return MissingError(
        f"{file} is no GGUF file that can be read ({type(error).__name__}); fetch it again, or "
        f"name another model with --set chat.model=DIR"
    )
