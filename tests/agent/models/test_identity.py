"""Two settings have one identity if, and only if, they reply alike."""

import os
from pathlib import Path
from typing import Any

import pytest

from agent.models.identity import encoder_identity, reply_identity, tool_weights
from agent.settings import ChatSettings, EmbedderSettings

HERE = {"engine": "transformers", "model": "some-folder"}
SERVED = {"engine": "endpoint", "model": "m", "base_url": "http://127.0.0.1:1/v1"}
REPLIES = {
    "model": "other",
    "max_new_tokens": 5,
    "temperature": 0.5,
    "seed": 7,
    "deadline_s": 9.0,
    "context_tokens": 99,
}
LOCAL = {
    "rope_factor": 2.0,
    "dtype": "float16",
    "quantization": "4bit",
    "attention": "eager",
    "native_video": False,
}
REMOTE = {"base_url": "http://127.0.0.1:2/v1"}
NEVER = {
    "calibration": (0.0, 1.0),
    "abstain_below": 0.5,
    "max_images": 3,
    "batch": 1,
    "key_variable": "MY_KEY",
    "images": True,
    "tool_calling": True,
    "timeout_s": 9.0,
    "max_retries": 0,
    "input_price": 1.0,
    "output_price": 2.0,
}


def same(base: dict[str, Any], name: str, value: object) -> bool:
    first, second = (ChatSettings.model_validate(v) for v in (base, {**base, name: value}))
    return reply_identity(first) == reply_identity(second)


@pytest.mark.parametrize(("name", "value"), [*REPLIES.items(), *LOCAL.items()])
def test_what_changes_a_local_reply_changes_the_identity(name: str, value: object) -> None:
    assert not same(HERE, name, value)


@pytest.mark.parametrize(("name", "value"), [*REPLIES.items(), *REMOTE.items()])
def test_what_changes_a_served_reply_changes_the_identity(name: str, value: object) -> None:
    assert not same(SERVED, name, value)


@pytest.mark.parametrize(
    ("base", "other"), [(HERE, NEVER | REMOTE), (SERVED, NEVER | LOCAL)], ids=["here", "served"]
)
def test_what_changes_no_reply_does_not(base: dict[str, Any], other: dict[str, Any]) -> None:
    assert [name for name, value in other.items() if not same(base, name, value)] == []


def test_every_setting_is_said_to_change_replies_or_not() -> None:
    known = {"engine", *REPLIES, *LOCAL, *REMOTE, *NEVER}
    assert known == set(ChatSettings.model_fields)


@pytest.mark.parametrize("engine", ["transformers", "endpoint"])
def test_an_identity_of_an_older_library_stays_valid(engine: str) -> None:
    settings = ChatSettings.model_validate({"engine": engine, "model": "some-folder"})
    assert reply_identity(settings) == {
        "engine": engine,
        "model": "some-folder",
        "base_url": None,
        "dtype": "auto",
        "quantization": "none",
        "temperature": 0.0,
        "seed": 0,
        "max_new_tokens": 64,
    }


def test_a_gguf_file_has_an_engine_of_its_own() -> None:
    base = {"model": "smollm2-135m"}
    assert reply_identity(ChatSettings.model_validate(base))["engine"] == "llama.cpp"
    assert not any(same(base, name, value) for name, value in REPLIES.items())
    assert all(same(base, name, value) for name, value in (NEVER | LOCAL | REMOTE).items())


@pytest.mark.parametrize("change", ["another size", "another time", "a new file", "within"])
def test_other_weights_in_a_folder_are_another_model(tmp_path: Path, change: str) -> None:
    weights, inner = tmp_path / "model.safetensors", tmp_path / "1_Pooling" / "config.json"
    inner.parent.mkdir()
    for file in (weights, inner):
        file.write_text("1234")
    (tmp_path / ".cache").mkdir()
    chat, vectors = ChatSettings(model=str(tmp_path)), EmbedderSettings(model=str(tmp_path))
    before = reply_identity(chat), encoder_identity(vectors)
    (tmp_path / ".cache" / "lock").write_text("of no meaning")
    assert (reply_identity(chat), encoder_identity(vectors)) == before
    if change == "another size":
        weights.write_text("12345")
    elif change == "another time":
        os.utime(weights, ns=(1, 1))
    else:
        (tmp_path / "chat_template.jinja" if change == "a new file" else inner).write_text("new")
    assert reply_identity(chat) != before[0]
    assert encoder_identity(vectors) != before[1]


def test_a_file_of_weights_is_marked_and_a_name_is_not(tmp_path: Path) -> None:
    file = tmp_path / "own.pt"
    file.write_bytes(b"1")
    (mark,) = tool_weights({"detector": str(file), "speech": "whisper-base"}).values()
    file.write_bytes(b"22")
    assert tool_weights({"detector": str(file)}) != {"detector": mark}
    assert tool_weights({"detector": "yolo26n.pt"}) == {}


def test_a_model_of_the_hub_is_known_by_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.file_download

    def commit(name: str) -> None:
        repository = tmp_path / "models--some--model"
        (repository / "snapshots" / name).mkdir(parents=True)
        (repository / "snapshots" / name / "config.json").write_text("{}")
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(name)

    monkeypatch.setattr(huggingface_hub.file_download, "HF_HUB_CACHE", str(tmp_path), raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = []
    for name in ("a" * 40, "b" * 40):
        commit(name)
        found.append(reply_identity(ChatSettings(model="some/model"))["weights"])
    assert found == ["a" * 40, "b" * 40]
