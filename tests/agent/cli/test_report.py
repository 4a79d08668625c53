"""What the command line prints of the library."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli.report import print_entry
from agent.library.store import Library
from tools.evidence import ChannelReport, Evidence
from tools.media.video import probe


def test_runs_of_a_tool_share_a_line(
    tmp_path: Path, make_clip: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    library, video = Library(tmp_path / "library"), probe(make_clip("short.mp4", seconds=1))
    library.add_video(video)
    for key in ("a", "b", "c"):
        said = [] if key == "b" else [Evidence("sensor", "heat", 0, 1, key)]
        report = ChannelReport("sensor", "ok" if said else "empty", len(said), 1.5)
        library.save_run(video, key, {}, report, said)
    library.save_run(video, "d", {}, ChannelReport("ocr", "empty", seconds=0.5), [])
    print_entry(library.find("short.mp4"), [])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("sensor: ok 2, 4.5 s 3 runs, the last 20")
    assert lines[2].startswith("ocr: empty, 0.5 s 20")
