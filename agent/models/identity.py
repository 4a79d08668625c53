"""Identity of a frozen model: what its output depends on, for plans, run keys and cached replies.

Same identity, same messages: same reply. Price, timeout, device and batch size are not part of it.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from agent.models.engines import REGISTRY
from agent.models.gguf import is_gguf
from agent.settings import ENGINES, ChatSettings, EmbedderSettings, ImageEncoderSettings
from tools.model_files.manifest import manifest

# Always included, so that an identity is readable.
_NAMED = ("engine", "model", "temperature", "seed", "max_new_tokens")
_SERVED, _LOCAL = ("base_url",), ("dtype", "quantization")
# Included only where they differ from the default, so that a library stays valid when another one
# is added. A context limit cuts the evidence; a deadline cuts the reply.
_IF_CHANGED = ("context_tokens", "deadline_s")
_LOCAL_IF_CHANGED = ("rope_factor", "attention", "native_video")


def reply_identity(chat: ChatSettings) -> dict[str, Any]:
    """Return what a reply depends on besides the conversation: the model and its decoding.

    Server settings do not count for a model in this process, nor the other way round. Weights are
    distinguished by `weights_mark`; what a server runs behind its address is unknown.
    """
    served, in_gguf = chat.engine == "endpoint", is_gguf(chat.model)
    own = _SERVED if served else () if in_gguf else _LOCAL
    values = {name: getattr(chat, name) for name in (*_NAMED, *own)}
    values |= {name: _usual(name) for name in (*_SERVED, *_LOCAL) if name not in own}
    plain = served or in_gguf
    for name in _IF_CHANGED if plain else (*_IF_CHANGED, *_LOCAL_IF_CHANGED):
        if getattr(chat, name) != _usual(name):
            values[name] = getattr(chat, name)
    if served:
        return values
    if chat.engine not in ENGINES:
        version = REGISTRY.find(chat.engine).version
        return values | {"engine": f"{chat.engine} {version}"} | _marked(chat.model)
    return values | ({"engine": "llama.cpp"} if in_gguf else {}) | _marked(chat.model)


def encoder_identity(encoder: EmbedderSettings | ImageEncoderSettings) -> dict[str, Any]:
    """Return what vectors depend on besides the encoded input."""
    return {"model": encoder.model} | _marked(encoder.model)


def tool_weights(models: Mapping[str, str]) -> dict[str, str]:
    """Return a mark for each model of a tool that is the user's file or folder."""
    marks = {role: weights_mark(name) for role, name in models.items()}
    return {role: mark for role, mark in marks.items() if mark}


def weights_mark(name: str) -> str:
    """Return a mark that changes with the weights under a name; "" where the name suffices.

    A local folder or file is identified by the names, sizes and modification times of its files,
    without reading them; a hub model by the downloaded commit.
    """
    place = Path(name).expanduser()
    if name in manifest():  # whose files are known by their hashes
        return ""
    if name and place.is_file():
        return _digest([_stamp(place, place.name)])
    if name and place.is_dir():
        found = sorted((*place.glob("*"), *place.glob("*/*")))
        files = [(file, file.relative_to(place)) for file in found if file.is_file()]
        plain = [(file, part) for file, part in files if not part.parts[0].startswith(".")]
        return _digest([_stamp(file, part.as_posix()) for file, part in plain])
    return _commit(name)


def _usual(name: str) -> Any:
    return ChatSettings.model_fields[name].default


def _marked(name: str) -> dict[str, str]:
    mark = weights_mark(name)
    return {"weights": mark} if mark else {}


def _stamp(file: Path, name: str) -> str:
    found = file.stat()
    return f"{name} {found.st_size} {found.st_mtime_ns}"


def _digest(lines: list[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()[:16]


def _commit(name: str) -> str:
    """Return the commit of a downloaded hub model, "" if there is none of that name."""
    if name.count("/") != 1:  # as in owner/model
        return ""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        file = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return ""
    return Path(file).parent.name if isinstance(file, str) else ""
