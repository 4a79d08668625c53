"""The manifest: every model whose files are fetched and checked, read from manifest.yaml."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Part:
    """A member of a package of the Python package index that holds a file, or a piece of one.

    Attributes:
        package: With its version, as in `name==1.0.0`.
        member: Path inside the wheel.
        bytes: Its size.
        sha256: Its hash.
        platform: Whose wheel holds it; "" for a wheel that is the same for all. No code of it runs.
    """

    package: str
    member: str
    bytes: int
    sha256: str
    platform: str = ""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model.

    Attributes:
        name: Path inside the model's folder, and in the hub's repository.
        bytes: Its size.
        sha256: Its hash; only a file that has it is used.
        parts: What to join, in order, where it comes from the package index.
    """

    name: str
    bytes: int
    sha256: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model of the manifest.

    Attributes:
        name: What profiles call it.
        what: One line for people.
        licence: Of its weights.
        repository: On the model hub; "" where the hub does not hold these files.
        revision: Of the repository.
        files: All that it needs.
    """

    name: str
    what: str
    licence: str
    repository: str
    revision: str
    files: tuple[ModelFile, ...]

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files)


@cache
def manifest() -> dict[str, ModelEntry]:
    """Return all models, by name."""
    text = files("tools.model_files").joinpath("manifest.yaml").read_text(encoding="utf-8")
    return read_manifest(text)


def read_manifest(text: str) -> dict[str, ModelEntry]:
    """Return the models of a manifest in YAML, by name."""
    return {name: _entry(name, values) for name, values in yaml.safe_load(text).items()}


def _entry(name: str, values: dict[str, Any]) -> ModelEntry:
    hub = values.get("hub", {"repository": "", "revision": ""})
    return ModelEntry(
        name=name,
        what=values["what"],
        licence=values["licence"],
        repository=hub["repository"],
        revision=hub["revision"],
        files=tuple(_file(one) for one in values["files"]),
    )


def _file(values: dict[str, Any]) -> ModelFile:
    whole = {"bytes": values["bytes"], "sha256": values["sha256"]}
    parts = tuple(Part(**(whole | part)) for part in values["parts"])  # a single part is the file
    return ModelFile(values["name"], **whole, parts=parts)
