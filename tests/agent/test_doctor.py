from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.doctor import Check, checks, print_report
from agent.settings import resolve
from tools.base import Availability, Tool
from tools.registry import broken_tools

Command = Callable[..., Any]
PlugIn = Callable[..., type[Tool]]


def by_name(profile: str = "embedded", **settings: Any) -> dict[str, Check]:
    return {check.name: check for check in checks(resolve(profile, settings))}


def test_every_part_of_the_profile_is_checked(own_library: Path) -> None:
    found = by_name()
    tools = ["subtitles", "transcribe", "ocr", "detect", "shots"]
    parts = ["library", "chat model", "embedding model"]
    assert list(found) == [*parts, *(f"tool {name}" for name in tools)]
    assert str(own_library) in found["library"].detail
    assert found["embedding model"].ok


def test_what_is_missing_has_a_remedy(plug_in: PlugIn, tmp_path: Path) -> None:
    missing = Availability(False, "no thermometer", "pip install thermometer")
    plug_in(lambda given: iter(()), available=missing)
    found = by_name(
        **{
            "ingest": "[sensor]",
            "chat.model": "somebody/some-model",
            "embedder.model": str(tmp_path / "nowhere"),
        }
    )
    assert [name for name, check in found.items() if not check.ok] == [
        "chat model",
        "embedding model",
        "tool sensor",
    ]
    assert "--set offline=false" in found["chat model"].remedy
    assert "--set embedder.model=DIR" in found["embedding model"].remedy
    assert found["tool sensor"] == Check(
        "tool sensor", False, "no thermometer", "pip install thermometer"
    )


def test_missing_speech_weights_have_a_remedy(tmp_path: Path) -> None:
    found = by_name(models=tmp_path)["tool transcribe"]
    assert not found.ok
    assert found.remedy == "reelgraph models get whisper-base"


def test_models_of_the_hub_are_fine_where_downloads_are_allowed() -> None:
    found = by_name("cpu")
    assert found["chat model"].ok
    assert "on first use" in found["chat model"].detail


def test_weights_that_were_not_fetched_are_missing(tmp_path: Path) -> None:
    (tmp_path / "multilingual-e5-small").mkdir()
    (tmp_path / "multilingual-e5-small" / "config.json").write_text("{}")
    found = by_name(models=tmp_path)
    assert not found["chat model"].ok
    assert found["chat model"].detail == "qwen2.5-coder-1.5b (missing)"
    assert found["chat model"].remedy == "reelgraph models get qwen2.5-coder-1.5b"
    assert not found["embedding model"].ok
    assert found["embedding model"].remedy == "reelgraph models get multilingual-e5-small"


def test_a_disk_that_is_almost_full_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1e9))
    found = by_name()["library"]
    assert not found.ok
    assert "1 GB free" in found.detail
    assert "--set library=DIR" in found.remedy


def test_the_command_ends_with_0_or_1(
    reelgraph: Command, plug_in: PlugIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1e12))
    healthy = reelgraph("doctor", "--set", "ingest=[shots]", "--profile", "cpu")
    assert healthy.code == 0
    assert "missing" not in healthy.out
    plug_in(lambda given: iter(()), available=Availability(False, "no [x]", "pip install x"))
    ill = reelgraph("doctor", "--set", "ingest=[shots, sensor]", "--profile", "cpu")
    assert ill.code == 1
    assert "missing tool sensor: no [x]" in ill.out
    assert "mend it with: pip install x" in ill.out


def test_the_captioner_is_checked_too(tmp_path: Path) -> None:
    found = by_name(**{"captioner.model": str(tmp_path / "nowhere")})
    assert not found["captioner"].ok
    assert "captioner" not in by_name()


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"chat.quantization": "4bit"}, "chat.quantization=none"),
        ({"chat.engine": "endpoint"}, "--set offline=false"),
        (
            {"chat.engine": "endpoint", "chat.base_url": "http://127.0.0.1:9/v1"},
            "is the server running",
        ),
    ],
)
def test_a_chat_model_that_cannot_run_has_a_remedy(
    settings: dict[str, str], remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.models.loading.find_spec", lambda name: name)
    check = by_name(**settings)["chat model"]
    assert not check.ok
    assert remedy in check.remedy


def test_a_broken_plug_in_is_reported_whether_or_not_it_is_in_the_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(cast("dict[str, str]", broken_tools()), "sensor", "no b; uninstall a")
    broken = Check("tool sensor", False, "no b", "uninstall a")
    assert by_name(ingest="[subtitles, sensor]")["tool sensor"] == broken
    assert "tool sensor" not in by_name(ingest="[subtitles]")
    assert not print_report(resolve(overrides={"ingest": "[subtitles]"}))
    assert "tool sensor: no b" in capsys.readouterr().out
