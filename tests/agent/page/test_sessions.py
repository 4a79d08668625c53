import pytest

from agent.page.sessions import Sessions
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


def test_an_unknown_pick_is_refused(sessions: Sessions) -> None:
    with pytest.raises(InputError, match="no profile called 'cloud'"):
        sessions.get("cloud")
    with pytest.raises(InputError, match="unknown method 'guess'"):
        sessions.get(method="guess")


def test_picks_say_what_is_missing(sessions: Sessions) -> None:
    methods = {pick.name: pick for pick in sessions.method_picks()}
    assert not methods["video-rag"].missing
    assert methods["ig-vlm"].missing == "smollm2-135m has no images"
    profiles = {pick.name: pick for pick in sessions.profile_picks()}
    assert not profiles["embedded"].missing
    assert "chat model" in profiles["endpoint"].missing
