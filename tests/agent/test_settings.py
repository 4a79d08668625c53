from collections.abc import Callable
from pathlib import Path

import pytest

from agent.settings import Settings, parse_pairs, profiles, resolve
from tools.base import Tool
from tools.errors import InputError

PlugIn = Callable[..., type[Tool]]


@pytest.mark.parametrize("name", profiles())
def test_every_shipped_profile_is_valid(name: str) -> None:
    settings = resolve(name, environ={})
    assert settings.profile == name
    assert settings.ingest


def test_the_default_profile_downloads_nothing() -> None:
    assert resolve(environ={}).profile == "embedded"
    assert resolve(environ={}).offline


def test_overrides_beat_environment_beats_profile_beats_defaults(tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("extends: embedded\nretrieval: {top_k: 3}\nsampling: {step_s: 2}\n")
    environ = {"REELGRAPH_RETRIEVAL__TOP_K": "4", "REELGRAPH_SAMPLING__STEP_S": "3"}
    assert resolve(str(profile), environ={}).retrieval.top_k == 3
    assert resolve(str(profile), environ=environ).retrieval.top_k == 4
    settings = resolve(str(profile), {"retrieval.top_k": "5"}, environ)
    assert (settings.retrieval.top_k, settings.sampling.step_s) == (5, 3.0)
    assert settings.retrieval.rule == "fused"
    assert settings.profile == "mine"


def test_what_was_measured_for_one_chat_model_is_not_taken_for_another(tmp_path: Path) -> None:
    measured = resolve(environ={}).chat
    assert measured.calibration
    other = tmp_path / "other.yaml"
    other.write_text("extends: embedded\nchat: {model: smollm2-135m}\n")
    for chat in (
        resolve(overrides={"chat.model": "smollm2-135m"}, environ={}).chat,
        resolve(environ={"REELGRAPH_CHAT__MODEL": "smollm2-135m"}).chat,
        resolve(str(other), environ={}).chat,
    ):
        assert (chat.model, chat.calibration, chat.abstain_below) == ("smollm2-135m", None, 0)
        assert chat.max_new_tokens == measured.max_new_tokens
    assert resolve(overrides={"chat.model": measured.model}, environ={}).chat == measured
    both = {"chat.calibration": "[0, 1]", "chat.model": "smollm2-135m"}
    assert resolve(overrides=both, environ={}).chat.calibration == (0, 1)


def test_tool_options_are_set_by_the_tools_name() -> None:
    settings = resolve(overrides={"ocr.min_confidence": "0.7"}, environ={})
    assert settings.tools["ocr"]["min_confidence"] == 0.7


def test_methods_are_set_by_the_environment_too() -> None:
    environ = {"REELGRAPH_LLOVI__WORDS": "300", "REELGRAPH_TS_LLAVA__LAYOUT": "freeva"}
    settings = resolve(environ=environ | {"REELGRAPH_OFFLINE": "false"})
    assert settings.methods == {
        **resolve(environ={}).methods,
        "llovi": {"words": 300},
        "ts-llava": {"layout": "freeva"},
    }
    assert not settings.offline


def test_variables_that_are_no_settings_are_left_alone() -> None:
    environ = {"REELGRAPH_TEST_MEDIA": "somewhere", "REELGRAPH_PROFILE": "cpu", "REELS": "9"}
    assert resolve(environ=environ).profile == "cpu"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("REELGRAPH_LLOVY__WORDS", "did you mean REELGRAPH_LLOVI__WORDS?"),
        ("REELGRAPH_CHAT_MODEL", "did you mean REELGRAPH_CHAT__MODEL?"),
        ("REELGRAPH_CAPTIONR__MODEL", "did you mean REELGRAPH_CAPTIONER__MODEL?"),
        ("REELGRAPH_OCR_ENGINE", "did you mean REELGRAPH_OCR__ENGINE?"),
        ("REELGRAPH_METHDO", "did you mean REELGRAPH_METHOD?"),
        ("REELGRAPH_XYZZY", "unset it"),
        ("REELGRAPH_", "unset it"),
    ],
)
def test_a_misspelt_variable_names_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(InputError) as error:
        resolve(environ={name: "300"})
    assert f"{name} belongs to no setting" in str(error.value)
    assert meant in str(error.value)


def test_a_tool_may_have_a_name_that_begins_like_ours(plug_in: PlugIn) -> None:
    plug_in(lambda given: iter(()), "profiler")
    settings = resolve(overrides={"profiler.rate": "3"}, environ={})
    assert settings.tools["profiler"] == {"rate": 3}
    assert resolve(environ={"REELGRAPH_PROFILER__RATE": "3"}) == settings


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"retrieval.topk": "3"}, ["retrieval.topk", "top_k"]),
        ({"retrival.top_k": "3"}, ["retrival", "retrieval"]),
        ({"retrieval.top_k": "many"}, ["retrieval.top_k", "many"]),
        ({"retrieval.top_k": "0"}, ["retrieval.top_k", "greater than 0"]),
        ({"ingest": "[ocr, hearing]"}, ["hearing"]),
        ({"profile.x": "1"}, ["--profile"]),
        ({"profile": "cpu"}, ["--profile"]),
    ],
)
def test_a_wrong_key_or_value_is_named_with_a_remedy(
    overrides: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(InputError) as error:
        resolve(overrides=overrides, environ={})
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_an_unknown_profile_lists_the_shipped_ones() -> None:
    with pytest.raises(InputError, match="embedded"):
        resolve("embeded", environ={})


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"a: 1\nhunter2 = [1\n", "line 3, column 1"),
        (b"a: *hunter2\n", "line 1, column 4"),
        (b"a: caf\xe9 hunter2\n", "byte 6"),
        (b"a: hunter2\x07\n", "control characters"),
    ],
)
def test_a_broken_profile_is_told_by_place_and_never_quoted(
    tmp_path: Path, content: bytes, place: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError, match="not valid YAML in UTF-8") as error:
        resolve(str(file), environ={})
    assert place in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n"])
def test_a_profile_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match="YAML"):
        resolve(str(file), environ={})


def test_pairs() -> None:
    assert parse_pairs(["a.b=c=d"]) == {"a.b": "c=d"}
    with pytest.raises(InputError, match="KEY=VALUE"):
        parse_pairs(["a.b"])


def test_settings_are_immutable() -> None:
    with pytest.raises(ValueError, match="frozen"):
        resolve(environ={}).offline = False  # type: ignore[misc]
    assert Settings().method == "auto"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:8000", "expected an address"),
        ("ftp://somewhere/v1", "expected an address"),
        ("https://user:sk-secret@somewhere/v1", "no key belongs"),
        ("https://somewhere/v1?key=sk-secret", "no key belongs"),
    ],
)
def test_a_chat_servers_address_is_checked(url: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolve(overrides={"chat.base_url": url}, environ={})


def test_the_endpoint_profile_says_what_its_model_can_do() -> None:
    chat = resolve("endpoint", environ={}).chat
    assert (chat.engine, chat.base_url) == ("endpoint", "http://127.0.0.1:8000/v1")
    assert (chat.images, chat.max_images, chat.context_tokens) == (True, 16, 32768)
    assert chat.key_variable is None


def test_the_captioner_has_settings_of_its_own() -> None:
    assert resolve(environ={}).captioner is None
    settings = resolve(
        overrides={"captioner.model": "some/seer", "captioner.batch": "8"}, environ={}
    )
    assert settings.captioner is not None
    assert (settings.captioner.model, settings.captioner.batch) == ("some/seer", 8)
    assert settings.chat.model == "qwen2.5-coder-1.5b"
    with pytest.raises(InputError, match=r"captioner\.modell.*did you mean 'model'"):
        resolve(overrides={"captioner.modell": "x"}, environ={})


def test_a_tool_may_not_bear_the_name_of_a_setting(plug_in: PlugIn) -> None:
    plug_in(lambda given: iter(()), name="method")
    with pytest.raises(InputError, match="the tool 'method' bears a setting's name"):
        resolve("embedded", {"ingest": ["subtitles", "method"]})
    assert resolve("embedded", {"method": "llovi"}).method == "llovi"
