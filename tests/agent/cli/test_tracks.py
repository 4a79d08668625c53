"""`reelgraph probe`, and the track options of `index` and `ask`."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

Command = Callable[..., Any]

LISTENER = '''
import numpy as np
from tools.base import Tool
from tools.evidence import Evidence

class Pitch(Tool):
    """The strongest frequency."""
    name, kind, version = "pitch", "sound", "1"
    needs = frozenset({"audio"})

    def run(self, given):
        samples = np.concatenate([block.samples for block in given.audio()])
        hertz = np.abs(np.fft.rfft(samples)).argmax() * 16000 / len(samples)
        given.note("one pass")
        yield Evidence(self.name, self.kind, 0.0, given.video.duration_s, f"{hertz:.0f} Hz")
'''


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two seconds: a silent default track, 440 Hz in English, 880 Hz in French, subtitles."""
    path = tmp_path / "film.mkv"
    rate, silence = 16_000, np.zeros((1, 32_000), np.int16)
    times_s = np.arange(32_000) / rate
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("pcm_s16le", rate=rate, layout="mono") for _ in range(3)]
        streams[0].disposition = Disposition.default
        streams[1].metadata["language"], streams[2].metadata["language"] = "eng", "fra"
        for stream, hertz in zip(streams, (0, 440, 880), strict=True):
            tone = (9000 * np.sin(2 * np.pi * hertz * times_s)).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(tone if hertz else silence, "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    (tmp_path / "film.en.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nHello\n")
    (tmp_path / "film.notes.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nNotes\n")
    return path


def test_probe_lists_the_tracks_and_says_why(reelgraph: Command, film: Path) -> None:
    told = json.loads(reelgraph("probe", film, "--json").out)
    assert [one["silent"] for one in told["tracks"]] == [True, False, False]
    assert told["taken"]["sound"] == {"index": 1, "why": "others are silent"}
    assert told["taken"]["subtitles"] == ["film.en.srt"]
    wished = json.loads(reelgraph("probe", film, "--json", "--language", "French").out)
    assert wished["taken"]["sound"] == {
        "index": 2,
        "why": "others are silent and in the language asked for, French",
    }
    lines = reelgraph("probe", film).out.splitlines()
    assert any("silent" in line and "default" in line for line in lines)
    assert any("yes: others are silent" in line and "eng" in line for line in lines)
    assert "beside it: film.en.srt, choice 1 of subtitles" in lines
    assert any("film.notes.srt, not used" in line for line in lines)


def test_a_track_that_is_not_there_is_refused(reelgraph: Command, film: Path) -> None:
    for arguments in (("probe", film, "--audio-track", 7), ("probe", film, "--subtitle-track", 7)):
        done = reelgraph(*arguments)
        assert done.code == 2
        assert "track 7 is no" in done.err


def test_another_track_is_listened_to_and_nothing_else_done_again(
    reelgraph: Command, film: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "listener.py"
    plugin.write_text(LISTENER)
    library = f"library={tmp_path / 'library'}"
    common = ("--plugin", plugin, "--set", library, "--set", "ingest=[subtitles, pitch]")

    def heard() -> list[str]:
        shown = reelgraph("library", "show", "film.mkv", "--set", library, "--json")
        return [one["text"] for one in json.loads(shown.out) if one["tool"] == "pitch"]

    first = reelgraph("index", film, *common)
    assert first.code == 0
    assert heard() == ["440 Hz"]
    assert "track 1 (eng) of 3 with sound: others are silent; one pass" in first.err
    assert "film.notes.srt" in first.err
    again = reelgraph("index", film, *common)
    assert "pitch: ok, 1, known (track 1 (eng)" in again.err
    other = reelgraph("index", film, *common, "--audio-track", 2)
    assert sorted(heard()) == ["440 Hz", "880 Hz"]
    assert "subtitles: ok, 1, known" in other.err
    assert "track 2 (fra) of 3 with sound: asked for" in other.err
    assert "pitch: ok, 1, known" not in other.err
