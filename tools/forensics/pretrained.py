"""The base of measurements with weights: a transformers checkpoint that the user names."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from tools.base import Availability, ToolOptions, ToolRuntime
from tools.errors import MissingError
from tools.forensics.clip import ClipOptions
from tools.forensics.measurement import Measurement
from tools.weights import module_bytes


class PretrainedOptions(ClipOptions):
    """Options of a measurement with weights.

    Attributes:
        model: Folder of a transformers checkpoint, or its name on the hub; none by default.
        batch: Pictures given to the model at once.
    """

    model: str = ""
    batch: int = Field(4, ge=1)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        model: In evaluation mode, on its device.
        processor: Turns pictures into the model's input.
    """

    model: Any
    processor: Any


class Pretrained(Measurement):
    """A measurement that is unavailable until `model` names a checkpoint."""

    Options: ClassVar[type[ToolOptions]] = PretrainedOptions
    options: PretrainedOptions
    example: ClassVar[str]
    """Name of a checkpoint that fits, for the remedy."""

    def __init__(self, options: ToolOptions | None = None) -> None:
        super().__init__(options)
        self._loaded: Checkpoint | None = None

    @property
    def models(self) -> Mapping[str, str]:
        """The checkpoint, if one is named."""
        return {self.name: self.options.model} if self.options.model else {}

    @property
    def memory_bytes(self) -> int:
        """Bytes of the loaded weights."""
        return module_bytes(self._loaded.model) if self._loaded else 0

    def available(self) -> Availability:
        """Check that a checkpoint is named and, where it is a folder, that it is there."""
        model, remedy = self.options.model, f"set {self.name}.model={self.example} (or a folder)"
        if not model:
            return Availability(False, "no model is set", remedy)
        if model.startswith(("/", "./", "../", "~")) and not Path(model).expanduser().is_dir():
            return Availability(False, "the folder of the model does not exist", remedy)
        return Availability(ok=True)

    def setup(self, runtime: ToolRuntime) -> None:
        """Load the checkpoint.

        Raises:
            MissingError: None is named, or it is not on disk and must not or cannot be downloaded,
                or it is of another kind.
        """
        from safetensors import SafetensorError

        found = self.available()
        if not found.ok:
            raise MissingError(f"{self.name}: {found.reason}; {found.remedy}")
        source = str(Path(self.options.model).expanduser())
        source = source if Path(source).is_dir() else self.options.model
        try:
            loaded = self.load(source, runtime.offline)
        except (OSError, ValueError, ImportError, SafetensorError) as error:
            raise MissingError(
                f"{self.name}: the model cannot be loaded ({' '.join(str(error).split())[:200]}); "
                f"set {self.name}.model={self.example}, or allow its download with offline=false"
            ) from error
        loaded.model.eval().to(runtime.device)
        self._loaded = loaded

    @abstractmethod
    def load(self, source: str, offline: bool) -> Checkpoint:
        """Load model and processor from a folder or the hub."""

    @property
    def loaded(self) -> Checkpoint:
        """What `setup` loaded. Raises `MissingError` when it did not."""
        if self._loaded is None:
            raise MissingError(f"the weights of {self.name} are not loaded; call setup first")
        return self._loaded
