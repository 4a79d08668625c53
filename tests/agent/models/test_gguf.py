import struct
from pathlib import Path

import pytest

from agent.models.gguf import context_length, gguf_file, is_gguf
from tools.errors import MissingError

LENGTH = b"llama.context_length"


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def header(*pairs: bytes) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs)


def number(key: bytes, value: int) -> bytes:
    return text(key) + struct.pack("<II", 4, value)


def test_names_of_the_manifest_and_files_mean_gguf() -> None:
    assert is_gguf("qwen2.5-coder-1.5b")
    assert is_gguf("~/mine.gguf")
    assert not is_gguf("all-MiniLM-L6-v2")
    assert not is_gguf("somebody/some-model")


def test_a_file_is_found_by_its_model_or_its_path(models_folder: Path, tmp_path: Path) -> None:
    found = gguf_file("smollm2-135m", models_folder)
    assert found.parent == models_folder / "smollm2-135m"
    (tmp_path / "mine.gguf").symlink_to(found)
    assert gguf_file(str(tmp_path / "mine.gguf"), tmp_path) == tmp_path / "mine.gguf"
    assert context_length(tmp_path / "mine.gguf") == 8192


def test_what_is_not_there_has_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="`reelgraph models get smollm2-135m`"):
        gguf_file("smollm2-135m", tmp_path)
    with pytest.raises(MissingError, match=r"no file nowhere\.gguf.*--set chat\.model="):
        gguf_file("nowhere.gguf", tmp_path)


def test_the_length_is_found_behind_values_of_every_kind(tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    strings = struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"b")
    nested = struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 4, 2) + bytes(8)
    others = [
        text(b"name") + struct.pack("<I", 8) + text(b"tiny"),
        text(b"tokens") + strings,
        text(b"nested") + nested,
        text(b"rope") + struct.pack("<If", 6, 1e4),
        text(b"flag") + struct.pack("<I?", 7, True),
    ]
    file.write_bytes(header(*others, number(LENGTH, 4096)))
    assert context_length(file) == 4096


BROKEN = {
    "empty": b"",
    "foreign": b"PK\x03\x04" + bytes(40),
    "nothing behind its name": b"GGUF",
    "no length": header(number(b"other", 1)),
    "cut": header(number(LENGTH, 4096))[:-3],
    "a text longer than memory": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 62),
    "a list without an end": header(text(b"tokens") + struct.pack("<IIQ", 9, 4, 1 << 60)),
    "lists in lists": header(
        text(b"tokens") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9999
    ),
    "an unknown kind": header(text(LENGTH) + struct.pack("<II", 99, 4096)),
    "a word for a length": header(text(LENGTH) + struct.pack("<I", 8) + text(b"many")),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(content)
    with pytest.raises(MissingError, match=r"mine\.gguf is no GGUF file.*--set chat\.model="):
        context_length(file)
