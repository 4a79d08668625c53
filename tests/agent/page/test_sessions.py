from collections.abc import Callable
from pathlib import Path

import pytest

from agent.page.sessions import Sessions
from agent.settings import profiles
from tools.errors import InputError


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(settings={"ingest": "[subtitles]"})


def test_methods_of_a_profile_share_their_models(sessions: Sessions) -> None:
    blind = sessions.get(method="blind")
    assert blind.settings.method == "blind"
    assert blind.settings.ingest == ("subtitles",)
    assert blind.context.pool is sessions.first.context.pool
    assert sessions.get(method="blind") is blind
    assert sessions.get("embedded", "auto") is sessions.first


def test_a_method_that_stretches_the_chat_model_has_its_own(
    tiny_model: Callable[[str], Path],
) -> None:
    llava = {"chat.model": str(tiny_model("llava")), "ts-llava.layout": "slowfast"}
    sessions = Sessions(settings={"ingest": "[subtitles]", **llava})
    stretched = sessions.get(method="ts-llava")
    assert stretched.settings.chat.rope_factor == 2
    assert stretched.context.pool is not sessions.first.context.pool
    assert stretched.context.pool.settings.chat == stretched.settings.chat
    assert sessions.get(method="direct").context.pool is sessions.first.context.pool


def test_an_unknown_pick_is_refused(sessions: Sessions) -> None:
    with pytest.raises(InputError, match=r"has no 'cloud'; take embedded, cpu"):
        sessions.get("cloud")
    with pytest.raises(InputError, match="unknown method 'guess'"):
        sessions.get(method="guess")


@pytest.mark.parametrize("name", ["{}/own.yaml", "{}/secret.cnf", "{}/none", "../own.yaml"])
def test_a_path_is_no_profile_whatever_lies_there(
    sessions: Sessions, tmp_path: Path, name: str
) -> None:
    (tmp_path / "own.yaml").write_text("extends: cpu\nchat: {base_url: http://elsewhere.org/v1}\n")
    (tmp_path / "secret.cnf").write_text("[ password = hunter2\n")
    path = name.format(tmp_path)
    with pytest.raises(InputError, match="takes profiles by name") as error:
        sessions.get(path)
    assert str(error.value).count(path) == 1
    assert "hunter2" not in str(error.value)
    for shipped in profiles():
        assert sessions.get(shipped).settings.profile == shipped


def test_a_profile_of_ones_own_is_known_by_its_name(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("extends: embedded\ningest: [subtitles]\n")
    sessions = Sessions(str(own))
    assert sessions.get("own") is sessions.first
    assert sessions.get("own", "blind").settings.ingest == ("subtitles",)
    with pytest.raises(InputError, match="takes profiles by name"):
        sessions.get(str(own))


def test_picks_say_what_is_missing(sessions: Sessions) -> None:
    methods = {choice.name: choice for choice in sessions.method_choices()}
    assert not methods["video-rag"].missing
    assert methods["ig-vlm"].missing == "qwen2.5-coder-1.5b has no images"
    profiles = {choice.name: choice for choice in sessions.profile_choices()}
    assert not profiles["embedded"].missing
    assert "chat model" in profiles["endpoint"].missing
