"""The file of the packed multilingual-e5-small: its tokenizer and its weights of 4 bits.

The file (`E5S1`, little endian) holds in this order: the sizes of the model, a unigram tokenizer
with its map of normalised characters, a directory of tensors, the tensors. Matrices are in blocks
of 32 weights ("Q4_0"): a scale of 16 bits, then 16 bytes of which the lower halves are the first 16
weights and the upper halves the others, each less 8 and times the scale.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MAGIC = b"E5S1"
BLOCK_BYTES = 18  # of 32 weights


class Sizes(NamedTuple):
    """The head of the file."""

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float
    block: int


class Special(NamedTuple):
    """Numbers of the tokenizer's special pieces."""

    bos: int
    eos: int
    pad: int
    unknown: int


@dataclass(frozen=True)
class Packed:
    """The content of the file.

    Attributes:
        sizes: Of the model.
        special: Pieces with a meaning.
        pieces: Pieces with their log-probabilities.
        normal: What each character that is not normal is replaced by.
        tensors: Bytes of each tensor, by name.
    """

    sizes: Sizes
    special: Special
    pieces: list[tuple[str, float]]
    normal: dict[int, str]
    tensors: dict[str, npt.NDArray[np.uint8]]


class _Reader:
    """Reads one value after the other."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def values(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self.content, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def array(self, kind: str, count: int) -> npt.NDArray[Any]:
        found = np.frombuffer(self.content, kind, count, self.at)
        self.at += found.nbytes
        return found

    def text(self, size: int) -> bytes:
        self.at += size
        return self.content[self.at - size : self.at]


def read_packed(path: Path) -> Packed:
    """Read the file. `ValueError` if it is something else or cut."""
    reader = _Reader(path.read_bytes())
    if reader.text(4) != MAGIC:
        raise ValueError(f"{path} is no file of multilingual-e5-small: it does not begin as one")
    try:
        reader.values("I")  # version
        sizes = Sizes(*reader.values("7ifi"))
        (count,) = reader.values("i")
        special = Special(*reader.values("4i"))
        (size,) = reader.values("Q")
        ends = reader.array("<u4", count + 1)
        scores = reader.array("<f4", count).tolist()
        blob = reader.text(size)
        words = [blob[a:b].decode() for a, b in pairwise(ends.tolist())]
        pieces = list(zip(words, scores, strict=True))
        return Packed(sizes, special, pieces, _normal(reader), _tensors(reader))
    except (struct.error, ValueError) as error:  # the latter by NumPy
        raise ValueError(f"{path} was cut: {error}") from error


def _normal(reader: _Reader) -> dict[int, str]:
    count, _ = reader.values("iI")
    found = {}
    for _ in range(count):
        character, length = reader.values("IB")
        found[character] = "".join(map(chr, reader.values(f"{length}I")))
    return found


def _tensors(reader: _Reader) -> dict[str, npt.NDArray[np.uint8]]:
    (count,) = reader.values("i")
    found = {}
    for _ in range(count):
        name = reader.text(reader.values("H")[0]).decode()
        _, _, start, size = reader.values("BIQQ")
        found[name] = np.frombuffer(reader.content, np.uint8, size, start)
    return found
