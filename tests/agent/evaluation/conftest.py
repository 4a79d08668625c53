"""Items and tiny WordNet files made by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.evaluation.task import Item, Media, Truth
from agent.records import Question


@pytest.fixture(scope="session")
def item() -> Callable[..., Item]:
    """`item(id, video, choice=, ...)`: an item with three options, or an open one."""

    def made(
        id: str = "q",
        video: str = "v",
        options: tuple[str, ...] = ("net", "rope", "map"),
        **of: Any,
    ) -> Item:
        categories = of.pop("categories", {})
        question = Question("Which one?", options)
        labels = tuple("ABC"[: len(options)])
        return Item(id, video, Media(None), question, Truth(**of), categories, labels)

    return made


# Synsets by part of speech: name, words, hypernym.
SYNSETS = {
    "noun": [
        ("entity", ("entity",), None),
        ("animal", ("animal",), "entity"),
        ("dog", ("dog",), "animal"),
        ("cat", ("cat",), "animal"),
        ("home", ("home", "house"), "entity"),
    ],
    "verb": [("move", ("move",), None), ("walk", ("walk",), "move")],
}
TYPES = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}


@pytest.fixture
def wordnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of nltk's data with a WordNet of seven senses, in its file format (wndb(5WN))."""
    import nltk

    from agent.evaluation import wups

    folder = tmp_path / "nltk_data/corpora/wordnet"
    folder.mkdir(parents=True)
    for name in ("lexnames", "index.sense", "cntlist.rev"):
        (folder / name).write_text("00 adj.all 3\n" if name == "lexnames" else "")
    for part, kind in TYPES.items():
        data, index = _files(SYNSETS.get(part, []), kind)
        (folder / f"data.{part}").write_bytes(data)
        (folder / f"index.{part}").write_text(index)
        (folder / f"{part}.exc").write_text("")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk_data")])
    for cached in (wups._wordnet, wups._alike, wups._lemma):
        cached.cache_clear()
    return folder


def _files(synsets: list[tuple[str, tuple[str, ...], str | None]], kind: str) -> tuple[bytes, str]:
    """Return data and index; a synset's name is its offset in bytes, so lines have fixed widths."""
    lines = [_line(0, kind, words, 0 if above else None) for _, words, above in synsets]
    offsets, position = {}, 0
    for (name, _, _), line in zip(synsets, lines, strict=True):
        offsets[name] = position
        position += len(line)
    data = b"".join(
        _line(offsets[name], kind, words, offsets[above] if above else None)
        for name, words, above in synsets
    )
    index = "".join(
        f"{word} {kind} 1 1 @ 1 0 {offsets[name]:08}  \n"
        for name, words, _ in synsets
        for word in words
    )
    return data, index


def _line(offset: int, kind: str, words: tuple[str, ...], above: int | None) -> bytes:
    pointers = "000" if above is None else f"001 @ {above:08} {kind} 0000"
    named = " ".join(f"{word} 0" for word in words)
    frames = " 00" if kind == "v" else ""
    return f"{offset:08} 00 {kind} {len(words):02x} {named} {pointers}{frames} | made up\n".encode()
