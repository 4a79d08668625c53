"""Memory of loaded weights, for `Tool.memory_bytes`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def module_bytes(module: Any) -> int:
    """Return the bytes of the parameters and buffers of a torch module."""
    tensors = (*module.parameters(), *module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def file_bytes(*places: Path) -> int:
    """Return the bytes of weight files, for an engine that does not report its memory.

    Args:
        places: Files, or folders of which all files count.
    """
    return sum(file.stat().st_size for place in places for file in _files(place))


def _files(place: Path) -> Iterable[Path]:
    return [file for file in place.rglob("*") if file.is_file()] if place.is_dir() else [place]
