import av
import numpy as np
import pytest

from tools.media.audio import SAMPLE_RATE, read_audio
from tools.media.video import probe


def bursts(times_s):
    """Ten milliseconds of 2 kHz at each full second."""
    return np.where(times_s % 1 < 0.01, 0.8 * np.sin(2 * np.pi * 2000 * times_s), 0.0)


def sound_of(video, block_s=30.0):
    return np.concatenate([block.samples for block in read_audio(video, block_s)])


def onsets(samples):
    loud = np.flatnonzero(np.abs(samples) > 0.2)
    first_of_burst = loud[np.diff(loud, prepend=-SAMPLE_RATE) > SAMPLE_RATE // 4]
    return (first_of_burst / SAMPLE_RATE).tolist()


GAP = [(0, 1.5), (2.5, 4)]

# A lossy encoder's first packet starts one packet (23 ms) early where the container cannot say so.
PACKET_S = 1024 / 44_100


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("a.mp4", {}, [0, 1, 2, 3]),
        ("a.mkv", {}, [0, 1, 2, 3]),
        ("a.flac", {"picture": False}, [0, 1, 2, 3]),
        ("a.wav", {"picture": False}, [0, 1, 2, 3]),
        ("a.ts", {}, [PACKET_S + n for n in range(4)]),
        ("start.mkv", {"start_s": 1.5}, [0, 1, 2, 3]),
        ("start.mp4", {"start_s": 1.5}, [PACKET_S + n for n in range(4)]),
        ("late.mp4", {"audio_spans": [(1.5, 4)]}, [2, 3]),
        ("late.mkv", {"audio_spans": [(1.5, 4)]}, [2, 3]),
        ("late-picture.mp4", {"times": [1.0, 1.5, 3.0]}, [0, 1, 2, 3]),
        ("gap.mp4", {"audio_spans": GAP}, [0, 1, 3]),
        ("gap.mkv", {"audio_spans": GAP}, [0, 1, 3]),
    ],
)
def test_sample_index_is_time(make_clip, name, fields, expected):
    video = probe(make_clip(name, audio=bursts, size=(64, 48), **fields))
    samples = sound_of(video)
    assert onsets(samples) == pytest.approx(expected, abs=0.002)
    assert len(samples) / SAMPLE_RATE == pytest.approx(video.duration_s, abs=0.03)
    assert samples.dtype == np.float32
    assert np.abs(samples).max() <= 1


def test_silence_fills_a_gap(make_clip):
    samples = sound_of(probe(make_clip("gap.mkv", audio=True, audio_spans=GAP)))
    quiet = samples[int(1.6 * SAMPLE_RATE) : int(2.4 * SAMPLE_RATE)]
    assert np.abs(quiet).max() == 0
    assert np.abs(samples[: int(1.4 * SAMPLE_RATE)]).max() > 0.4


def test_blocks_follow_each_other_without_a_seam(make_clip):
    video = probe(make_clip(audio=True, seconds=5, size=(64, 48)))
    blocks = list(read_audio(video, 0.7))
    assert [block.start_s for block in blocks] == pytest.approx(0.7 * np.arange(8))
    assert {len(block.samples) for block in blocks[:-1]} == {round(0.7 * SAMPLE_RATE)}
    joined = np.concatenate([block.samples for block in blocks])
    assert (joined == sound_of(video)).all()
    # A click would be a jump; a 440 Hz tone of 0.5 moves at most 0.087 from sample to sample.
    assert np.abs(np.diff(joined[200:-1000])).max() < 0.1


def test_a_tone_keeps_its_pitch(make_clip):
    samples = sound_of(probe(make_clip(audio=True, size=(64, 48))))[:SAMPLE_RATE]
    assert np.abs(np.fft.rfft(samples)).argmax() == 440


def test_sound_never_outlasts_the_video(make_clip):
    video = probe(make_clip(audio=True, seconds=1, size=(64, 48)))
    assert len(sound_of(video)) <= round(video.duration_s * SAMPLE_RATE)


def test_no_sound_yields_nothing(make_clip):
    assert list(read_audio(probe(make_clip(seconds=0.2)))) == []


def test_damage_becomes_silence_and_what_follows_stays_in_place(make_clip, caplog):
    path = make_clip("a.mp4", audio=bursts, size=(64, 48))
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(audio=0) if p.size]
    content = bytearray(path.read_bytes())
    for position, size in packets[50:70]:
        content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    assert onsets(sound_of(probe(path))) == pytest.approx([0, 1, 2, 3], abs=0.07)
    assert "does not decode" in caplog.text


def test_block_length_is_checked(make_clip):
    with pytest.raises(ValueError, match="more than 0 seconds"):
        list(read_audio(probe(make_clip(seconds=0.2, audio=True)), 0))


def test_real_speech(media):
    samples = sound_of(probe(media / "jfk.flac"))
    assert len(samples) == 11 * SAMPLE_RATE
    assert 0.05 < np.sqrt((samples**2).mean()) < 0.3
