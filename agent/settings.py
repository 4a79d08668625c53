"""Settings of a run: one profile file, then the environment, then the caller's overrides.

A profile is a YAML file whose top-level keys are the fields of `Settings` and the names of tools
and methods.
"""

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import yaml
from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

from tools.errors import InputError
from tools.registry import METHODS, MODELS, broken_tools, explain, names, suggest, tool_classes

PREFIX = "REELGRAPH_"
NO_SETTINGS = ("profile", "test_media")  # further variables: which profile; the tests' clips
ENGINES = ("transformers", "endpoint")  # of chat models; further ones are plug-ins
MEASURED = ("calibration", "abstain_below")  # settings of one chat model, not of the next
PLUG_INS = frozenset({"tools", "methods"})  # fields whose keys stand at the top


class Section(BaseModel):
    """Base of every group of settings: immutable, unknown keys rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sampling(Section):
    """How frames are sampled from a video, once for all visual tools."""

    step_s: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="seconds between sampled pictures"
    )
    max_frames: int = Field(3600, gt=0, description="more would widen the step")
    max_side: int = Field(1280, gt=0, description="pixels of the longer side, at most")
    detail_side: int = Field(
        3840, ge=0, description="the same of pictures with small text, for reading; 0 keeps none"
    )
    backend: Literal["pyav", "decord"] = "pyav"


class TrackSettings(Section):
    """Which of several sound tracks is listened to; `subtitles.track` chooses among subtitles."""

    audio: int | None = Field(
        None, ge=0, description="index of the sound track, as `reelgraph probe` shows it"
    )
    language: str = Field("", description='language of the sound preferred ("en", "eng", English)')


class ChatSettings(Section):
    """The frozen language or vision-language model."""

    engine: str = Field(
        "transformers",
        description="transformers: in this process (a GGUF file by llama.cpp); endpoint: an"
        " OpenAI-compatible server; or the name of a plug-in",
    )
    model: str = Field(
        "qwen2.5-coder-1.5b",
        description="one of `reelgraph models list`, a folder, a GGUF file, a hub or server name",
    )
    max_new_tokens: int = Field(64, gt=0)
    calibration: tuple[float, float] | None = Field(
        None,
        description="intercept and slope that turn the log-odds of an open answer against a refusal"
        " into the probability that it is right; none: not measured for this model",
    )
    abstain_below: float = Field(
        0.0, ge=0, le=1, description="probability below which an open answer is withheld"
    )
    temperature: float = Field(0.0, ge=0, le=10, description="0: the likeliest token each time")
    seed: int = Field(0, ge=0, description="of the draws at a temperature above 0")
    deadline_s: float | None = Field(None, gt=0, description="seconds a reply may take")
    max_images: int | None = Field(None, gt=0, description="pictures in one call, at most")
    context_tokens: int | None = Field(
        None,
        gt=0,
        description="of prompt and reply; for a local model no more than it was made for",
    )
    # In this process.
    rope_factor: float = Field(
        1.0, ge=1, description="stretch the context so many times (dynamic NTK); 1 leaves it"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantization: Literal["none", "4bit", "8bit"] = Field(
        "none", description="by bitsandbytes, on a CUDA device"
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto", description="auto: SDPA wherever the model has it"
    )
    batch: int = Field(4, gt=0, description="conversations that run together, at most")
    native_video: bool = Field(
        True,
        description="frames reach a model that takes videos as one video with their times; false:"
        " as single pictures",
    )
    # On a server. Its capabilities are configured, for few servers report them.
    base_url: str | None = Field(
        None, description="as in http://127.0.0.1:8000/v1; none is OpenAI's own"
    )
    key_variable: str | None = Field(
        None,
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable that holds the server's key; for OpenAI's own server"
        " OPENAI_API_KEY unless set",
    )
    images: bool = Field(False, description="the server's model sees pictures")
    tool_calling: bool = Field(False, description="the server's model calls tools")
    timeout_s: float = Field(120.0, gt=0, description="seconds without a byte from the server")
    max_retries: int = Field(
        4, ge=0, le=20, description="after 429, 5xx or a lost connection; nothing else is retried"
    )
    input_price: float | None = Field(None, ge=0, description="of a million tokens of prompt")
    output_price: float | None = Field(None, ge=0, description="of a million tokens of reply")

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, engine: str) -> str:
        """Reject an engine that is neither built in nor a plug-in."""
        known = (*ENGINES, *names(MODELS))
        if engine not in known:
            raise ValueError(f"expected one of {', '.join(known)}")
        return engine

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, url: str | None) -> str | None:
        """Reject invalid addresses, and credentials inside one, which would end up in results."""
        if url is None:
            return url
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("no key belongs into the address; see key_variable")
        return url

    def endpoint(self) -> dict[str, Any]:
        """Return the fields that only `agent.models.chat_endpoint.EndpointChat` takes."""
        names = (
            "base_url",
            "key_variable",
            "images",
            "timeout_s",
            "max_retries",
            "input_price",
            "output_price",
        )
        return {name: getattr(self, name) for name in names} | {
            "context_limit": self.context_tokens,
            "calls_tools": self.tool_calling,
        }


class EmbedderSettings(Section):
    """The frozen sentence-embedding model for retrieval."""

    model: str = Field(
        "multilingual-e5-small", description="one of `reelgraph models list`, a folder, a hub name"
    )
    batch: int = Field(32, gt=0)


class ImageEncoderSettings(Section):
    """The frozen image-text encoder that matches frames to phrases."""

    model: str = Field(
        "none", description="a CLIP-like dual encoder: a folder or a hub name; none does without"
    )
    batch: int = Field(16, gt=0, description="pictures that are encoded together")


class RetrievalSettings(Section):
    """How evidence is retrieved for a question."""

    rule: Literal["fused", "threshold"] = Field(
        "fused",
        description="fused: reciprocal rank of dense and lexical; threshold: Video-RAG's rule",
    )
    top_k: int = Field(12, gt=0, description="evidence records chosen by the fused rule")
    threshold: float = Field(
        0.3, ge=-1, le=1, description="similarity of the threshold rule, strict"
    )
    merge_gap_s: float = Field(
        1.5, ge=0, description="longest pause within a sentence that is joined again, in seconds"
    )
    token_budget: int = Field(1500, gt=0, description="tokens of evidence in one prompt, at most")
    neighbours_s: float = Field(
        10, ge=0, description="seconds around a retrieved record from which others join it"
    )
    outline_tokens: int = Field(
        450, ge=0, description="tokens of an outline of the whole video in the prompt; 0: none"
    )
    min_relevance: float = Field(
        0.25, ge=0, le=1, description="similarity below which no record is relevant: abstain"
    )


class Settings(Section):
    """Everything that a run depends on, except the question."""

    profile: str = "embedded"
    library: Path = Field(default_factory=lambda: user_data_path("reelgraph"))
    models: Path = Field(
        default_factory=lambda: user_data_path("reelgraph") / "models",
        description="folder of fetched and converted weights, shared by all libraries",
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    memory_gb: float | None = Field(
        None,
        gt=0,
        description="of all loaded models together, those that runs hold included, which are never"
        " let go of; none takes what the device has",
    )
    offline: bool = Field(True, description="true: no download is ever tried")
    method: str = "auto"
    ingest: tuple[str, ...] = Field((), description="tools that look at every new video")
    sampling: Sampling = Sampling()
    tracks: TrackSettings = TrackSettings()
    chat: ChatSettings = ChatSettings()
    captioner: ChatSettings | None = Field(
        None, description="the model that describes pictures; none is the chat model"
    )
    embedder: EmbedderSettings = EmbedderSettings()
    image_encoder: ImageEncoderSettings = ImageEncoderSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    plugins: tuple[str, ...] = Field(
        (),
        description="plug-ins added to the profile: Python files, folders of them, and names of"
        " installed tools; those of the profile, the environment and the command line add up",
    )
    tools: dict[str, dict[str, Any]] = Field(default_factory=dict)
    methods: dict[str, dict[str, Any]] = Field(default_factory=dict)


def profiles() -> list[str]:
    """Return the names of the profiles that ship with the program."""
    folder = files("agent.profiles")
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name[-5:] == ".yaml")


def resolve(
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Merge the settings of a run: overrides > environment > profile > defaults.

    Args:
        profile: A shipped profile's name or a YAML file; None takes REELGRAPH_PROFILE, else
            "embedded".
        overrides: Dotted keys, as in `--set ocr.engine=paddleocr`; text values are read as YAML.
        environ: `REELGRAPH_OCR__ENGINE=paddleocr` is the same as the above.

    Raises:
        InputError: Unknown profile, key or value; the text names the nearest known one.
    """
    name = profile or environ.get(PREFIX + "PROFILE") or "embedded"
    given = {**_from_environment(environ), **(overrides or {})}
    tree = _for_model(_read_profile(name), given.get("chat.model"))
    for key, value in given.items():
        _assign(tree, key, value)
    tree["profile"] = Path(name).stem
    tree["plugins"] = named_plugins(profile, overrides, environ)
    return _validate(tree)


def named_plugins(
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[Any]:
    """Return the plug-ins that the profile, the environment and the caller name together.

    Their settings are unknown until they are loaded, so this comes before `resolve`; arguments and
    errors are the same.
    """
    name = profile or environ.get(PREFIX + "PROFILE") or "embedded"
    sources = (
        _read_profile(name).get("plugins"),
        environ.get(PREFIX + "PLUGINS"),
        (overrides or {}).get("plugins"),
    )
    return list(dict.fromkeys(chain.from_iterable(map(_listed, sources))))


def _listed(given: Any) -> list[str]:
    """Return a list of plug-ins; a text is YAML in brackets, or paths as in PATH."""
    if isinstance(given, str) and given.lstrip().startswith("["):
        given = _from_yaml("plugins", given)
    if isinstance(given, str):
        given = given.split(os.pathsep)
    return [str(part) for part in given or () if part]


def parse_pairs(pairs: list[str]) -> dict[str, str]:
    """Turn `["ocr.engine=paddleocr"]` into a dictionary; `InputError` without an equals sign."""
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--set {pair!r}: expected KEY=VALUE, as in ocr.min_confidence=0.6")
    return dict(pair.split("=", 1) for pair in pairs)


def _read_profile(name: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a profile, merged over the one that it extends."""
    shipped = files("agent.profiles").joinpath(f"{name}.yaml")
    if name in above:
        raise InputError(f"profile {name!r} extends itself; name another one")
    if name not in profiles() and not Path(name).is_file():
        raise InputError(
            f"no profile called {name!r}; shipped: {', '.join(profiles())}; or give a YAML file"
        )
    try:
        file = shipped if name in profiles() else Path(name)
        tree = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"profile {name!r} is not valid YAML in UTF-8: {_place(error)}") from error
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise InputError(f"profile {name!r} must be a YAML mapping of names to values")
    base = tree.pop("extends", None)
    if not base:
        return tree
    chat = tree.get("chat")
    model = chat.get("model") if isinstance(chat, dict) else None
    return _merge(_for_model(_read_profile(str(base), (*above, name)), model), tree)


def _for_model(tree: dict[str, Any], model: Any) -> dict[str, Any]:
    """Return a tree for a chat model; what was measured for another one is not in it."""
    chat = tree.get("chat")
    if model is None or not isinstance(chat, dict) or chat.get("model") == model:
        return tree
    return tree | {"chat": {key: chat[key] for key in chat if key not in MEASURED}}


def _place(error: Exception) -> str:
    """Describe an error in a profile and its place, without quoting the content."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"it cannot be read from line {mark.line + 1}, column {mark.column + 1} on"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8"
    return error.strerror or "" if isinstance(error, OSError) else "it holds control characters"


def _merge(base: dict[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Collect `REELGRAPH_A__B=v` as `a.b=v`; a shell's names have no hyphens.

    Raises:
        InputError: A variable with our prefix names no setting, tool or method.
    """
    sections = {_variable(name): name for name in _sections()}
    found = {}
    for name, value in environ.items():
        first, *rest = name.removeprefix(PREFIX).lower().split("__")
        if not name.startswith(PREFIX) or first in NO_SETTINGS:
            continue
        if first not in sections:
            known = sections if rest else map(_variable, _keys())
            near = get_close_matches(first, known, n=1)
            meant = "__".join([*near, *rest]).upper()
            remedy = f"did you mean {PREFIX}{meant}?" if near else "unset it"
            raise InputError(f"the environment variable {name} belongs to no setting; {remedy}")
        found[".".join([sections[first], *rest])] = value
    return found


def _variable(key: str) -> str:
    """Return the name of a key's environment variable, in lower case without the prefix."""
    return key.replace(".", "__").replace("-", "_")


def _keys() -> Iterator[str]:
    """Yield the dotted keys of all settings; of plug-ins not imported, only the name."""
    yield from names(METHODS)
    groups = {name: _group(field) for name, field in Settings.model_fields.items()}
    groups |= {name: one.Options for name, one in tool_classes().items()}
    for name, group in groups.items():
        yield from (f"{name}.{key}" for key in group.model_fields) if group else (name,)


def _group(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model class of a field that is a group of settings, also of an optional one."""
    kinds = get_args(field.annotation) or (field.annotation,)
    groups = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
    return groups[0] if groups else None


def _assign(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    if [*parents, last][0] == "profile":
        raise InputError("the profile is chosen with --profile NAME or REELGRAPH_PROFILE")
    node = tree
    for part in parents:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise InputError(f"{dotted!r}: {part!r} is a value, not a group of settings")
    node[last] = _from_yaml(dotted, value) if isinstance(value, str) else value


def _from_yaml(key: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(
            f"{key}={value!r} cannot be read as YAML; lists are written [a, b], and a text with "
            f"special characters in quotes"
        ) from error


def _validate(tree: dict[str, Any]) -> Settings:
    fields = set(Settings.model_fields) - PLUG_INS
    known = _sections()
    for key in tree:
        if key not in known:
            raise InputError(f"unknown setting {key!r}{suggest(key, dict.fromkeys(known))}")
    values = {key: tree[key] for key in tree if key in fields}
    values["tools"] = {key: tree[key] or {} for key in set(_tool_names()) - fields if key in tree}
    values["methods"] = {key: tree[key] or {} for key in tree if key in names(METHODS)}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, "", _known_keys(error))) from error
    for name in settings.ingest:
        if name not in _tool_names():
            raise InputError(f"ingest: unknown tool {name!r}{suggest(name, tool_classes())}")
        if name in fields:
            raise InputError(f"ingest: the tool {name!r} bears a setting's name; give it another")
    return settings


def _sections() -> list[str]:
    """Return the top-level keys: settings, groups of settings, and names of plug-ins."""
    fields = set(Settings.model_fields) - PLUG_INS
    return [*sorted(fields), *_tool_names(), *names(METHODS)]


def _tool_names() -> list[str]:
    """Return the names of all installed tools; a broken one raises only when it is requested."""
    return [*tool_classes(), *broken_tools()]


def _known_keys(error: ValidationError) -> Mapping[str, Any]:
    """Return the keys of the section in which the error lies."""
    section: type[BaseModel] | None = Settings
    for part in error.errors()[0]["loc"][:-1]:
        field = section.model_fields.get(str(part)) if section else None
        section = _group(field) if field else None
    return section.model_fields if section else {}
