"""One contract for both backends: the picture belongs to the time, whatever the file."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from tools.errors import InputError
from tools.media.container import picture_times
from tools.media.readers import open_video
from tools.media.video import probe

NTSC_FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)
UNEVEN = [0.0, 0.04, 0.5, 0.55, 2.0, 2.01, 2.6, 3.9]
MATROSKA_TICK_S = 0.001

CLIPS = {
    "23.976": {"fps": NTSC_FILM},
    "25": {},
    "29.97": {"fps": NTSC, "b_frames": 2},
    "b-pyramid": {"b_frames": 3, "gop": 20},
    "variable": {"times": UNEVEN, "gop": 3},
    "variable-mkv": {"name": "c.mkv", "times": UNEVEN, "gop": 3, "b_frames": 2},
    "late-picture": {"times": [0.5 + 0.1 * n for n in range(20)], "audio": True},
    "start-mp4": {"start_s": 1.5, "b_frames": 2},
    "start-mkv": {"name": "c.mkv", "start_s": 1.5, "b_frames": 2},
    "start-ts": {"name": "c.ts", "start_s": 1.5, "b_frames": 2},
    "mkv-with-sound": {"name": "c.mkv", "audio": True},
    "rotated-90": {"rotation": 90},
    "rotated-180": {"rotation": 180},
    "rotated-270": {"rotation": 270, "size": (180, 320)},
    "flipped": {"flipped": True},
    "flipped-90": {"flipped": True, "rotation": 90},
    "flipped-180": {"flipped": True, "rotation": 180},
    "flipped-270": {"flipped": True, "rotation": 270, "size": (180, 320)},
    "one-picture": {"seconds": 0.04},
    "slow": {"fps": Fraction(2, 5), "seconds": 10},
    "tiny": {"size": (50, 50)},
    "avi": {"name": "c.avi", "codec": "mpeg4"},
    "vp9": {"name": "c.webm", "codec": "libvpx-vp9", "seconds": 2},
    "odd-name": {"name": "ein 片 'fünf'.mp4", "seconds": 1},
}


@pytest.fixture(params=["pyav", "decord"])
def backend(request):
    return request.param


@pytest.fixture(scope="module")
def clips(make_shared_clip):
    return {name: probe(make_shared_clip(**fields)) for name, fields in CLIPS.items()}


@pytest.fixture(params=CLIPS)
def clip(request, clips, backend):
    if (request.param, backend) == ("start-ts", "decord"):
        pytest.skip("decord refuses transport streams, see below")
    return clips[request.param]


def times_of_pictures(video):
    """Decode everything the plain way, as the reference."""
    with av.open(str(video.path)) as container:
        starts = [s.start_time * s.time_base for s in container.streams]
        return [float(f.pts * f.time_base - min(starts)) for f in container.decode(video=0)]


def shown_at(pictures, time_s):
    return max([p for p in pictures if p <= time_s + 1e-6], default=pictures[0])


def test_at_gives_the_picture_on_screen(clip, backend, read_time):
    pictures = times_of_pictures(clip)
    end_s = clip.duration_s
    wanted = sorted([0, 0, 0.01, 0.3, 0.5, 0.51, 1.0, 1.97, 1.999, 2.0, 2.3, 3.0, end_s, 99])
    frames = list(open_video(clip, backend).at(wanted))
    expected = [shown_at(pictures, time_s) for time_s in wanted]
    assert [frame.time_s for frame in frames] == pytest.approx(expected, abs=1e-5)
    drawn = [read_time(frame.image) for frame in frames]
    assert drawn == pytest.approx([frame.time_s for frame in frames], abs=MATROSKA_TICK_S)


def test_every_gives_a_true_picture_per_grid_point(clip, backend, read_time):
    pictures = times_of_pictures(clip)
    frames = list(open_video(clip, backend).every(0.5))
    times = [frame.time_s for frame in frames]
    assert times[0] == pytest.approx(pictures[0], abs=1e-5)
    assert all(a < b for a, b in pairwise(times))
    points = [int((time_s + 1e-6) / 0.5) for time_s in times]
    assert len(set(points)) == len(points), "two pictures for one grid point"
    full = {int((time_s + 1e-6) / 0.5) for time_s in pictures}
    assert set(points) == full, "a grid point with pictures has none"
    late = [min(p for p in pictures if int((p + 1e-6) / 0.5) == point) for point in points]
    assert times == pytest.approx(late, abs=4 / float(min(clip.fps, 25)) + 1e-6)
    drawn = [read_time(frame.image) for frame in frames]
    assert drawn == pytest.approx(times, abs=MATROSKA_TICK_S)


def test_key_frames(clip, backend, read_time):
    frames = list(open_video(clip, backend).key_frames())
    with av.open(str(clip.path)) as container:
        expected = sum(packet.is_keyframe for packet in container.demux(video=0))
    assert len(frames) == expected
    for frame in frames:
        assert read_time(frame.image) == pytest.approx(frame.time_s, abs=MATROSKA_TICK_S)


def test_pictures_are_scaled_and_upright(backend, make_clip, read_time):
    video = probe(make_clip(rotation=90, size=(180, 320)))
    frame = next(iter(open_video(video, backend, max_side=120).at([1.0])))
    assert frame.image.shape == (120, 68, 3)
    assert frame.image.dtype == np.uint8
    assert read_time(frame.image) == 1.0


def test_pictures_scale_down_to_nothing_much(make_clip):
    video = probe(make_clip(seconds=0.2))
    assert next(open_video(video, max_side=3).every(1)).image.shape == (2, 3, 3)
    assert next(open_video(video, max_side=1).key_frames()).image.shape == (1, 1, 3)


def test_pictures_stay_valid_after_the_next_one_came(backend, make_clip, read_time):
    frames = list(open_video(probe(make_clip()), backend).every(0.2))
    assert len({read_time(frame.image) for frame in frames}) == len(frames) == 20


COLOURS = np.array([[230, 30, 40], [30, 200, 60], [40, 60, 220], [240, 220, 40], [20, 220, 220]])


def colour_bars(time_s, width, height):
    bars = np.repeat(COLOURS.astype(np.uint8), width // len(COLOURS), axis=0)
    return np.repeat(bars[None], height, axis=0)


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("size", [(320, 240), (1280, 720)])
def test_colours_are_as_tagged(backend, make_clip, matrix, size):
    video = probe(make_clip(draw=colour_bars, matrix=matrix, size=size, seconds=0.2))
    image = next(iter(open_video(video, backend, max_side=320).every(1))).image
    columns = ((np.arange(len(COLOURS)) + 0.5) * image.shape[1] / len(COLOURS)).astype(int)
    found = image[image.shape[0] // 2, columns].astype(int)
    assert np.abs(found - COLOURS).max() <= 6  # rounding of YUV and of the encoder


@pytest.mark.parametrize("reading", ["ffmpeg", "decord"])
def test_untagged_pictures_of_any_size_are_bt_601_to_ffmpeg_and_decord(make_clip, reading):
    fields = {"draw": colour_bars, "seconds": 0.2, "size": (320, 720), "tagged": False}
    video = probe(make_clip(matrix="bt601", **fields))
    (theirs,) = open_video(video, "decord").at([0.0])
    (read,), (played,) = (open_video(video, reading=way).at([0.0]) for way in (reading, "player"))
    columns = (np.arange(len(COLOURS)) * 64) + 32
    assert np.abs(read.image[360, columns].astype(int) - COLOURS).max() <= 6
    assert np.abs(read.image.astype(int) - theirs.image).max() <= 2
    assert np.abs(played.image[360, columns].astype(int) - COLOURS).max() >= 20


def test_decord_counts_the_pictures_that_an_edit_list_leaves_out(make_cut_clip, read_time):
    video = probe(make_cut_clip(185, left_out=33))
    assert len(picture_times(video.path)) == 152
    times = picture_times(video.path, edited=False)
    assert len(times) == 185
    wanted = [0, 2, 5, 9, 13, 16, 20, 184]
    read = open_video(video, reading="decord").at([times[number] for number in wanted])
    assert [round(25 * read_time(frame.image)) for frame in read] == wanted
    (first,) = open_video(video, reading="ffmpeg").at([0.0])
    assert round(25 * read_time(first.image)) == 33


def test_two_runs_give_the_same(backend, make_clip):
    reader = open_video(probe(make_clip(b_frames=3)), backend, max_side=100)
    first, second = list(reader.every(0.3)), list(reader.every(0.3))
    assert [frame.time_s for frame in first] == [frame.time_s for frame in second]
    assert all((a.image == b.image).all() for a, b in zip(first, second, strict=True))


def test_wrong_requests_are_refused(backend, make_clip):
    reader = open_video(probe(make_clip(seconds=0.2)), backend)
    with pytest.raises(ValueError, match="must ascend"):
        list(reader.at([1.0, 0.5]))
    for step_s in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="more than 0 seconds"):
            list(reader.every(step_s))
    assert list(reader.at([])) == []


def test_each_group_of_pictures_is_decoded_once(make_clip):
    video = probe(make_clip(seconds=20, gop=50, b_frames=3, size=(64, 48)))
    reader = open_video(video)
    wanted = [2.5, 2.6, 3.9, 7.1, 7.9, 16.5, 17.0]
    times = [frame.time_s for frame in reader.at(wanted)]
    assert times == pytest.approx([2.48, 2.6, 3.88, 7.08, 7.88, 16.48, 17.0], abs=1e-6)
    # Groups of 2 s: [2, 4), [6, 8) and [16, 18), each from its start to the last time wanted,
    # and the few pictures that a decoder holds when it is sent elsewhere.
    assert reader.decoded <= (50 + 50 + 27) + 3 * 6


def test_without_an_index_far_pictures_are_sought_and_near_ones_awaited(make_clip, read_time):
    video = probe(make_clip("c.ts", seconds=60, fps=10, gop=20, size=(64, 48)))
    reader = open_video(video)
    frames = list(reader.at([1.0, 1.5, 40.0, 59.0]))
    assert [read_time(f.image) for f in frames] == pytest.approx([1.0, 1.5, 40.0, 59.0], abs=0.1)
    assert reader.decoded < 150


def test_one_group_for_the_whole_video_is_not_decoded_again_and_again(make_clip, read_time):
    for name in ("c.mp4", "c.mkv", "c.ts"):
        video = probe(make_clip(name, seconds=60, fps=10, gop=10_000, size=(64, 48)))
        reader = open_video(video)
        wanted = [float(time_s) for time_s in range(0, 60, 6)]
        frames = list(reader.at(wanted))
        assert [read_time(f.image) for f in frames] == pytest.approx(wanted, abs=0.1)
        assert reader.decoded < 3 * 600


def test_sparse_pictures_are_never_left_out(make_clip, read_time):
    """At 1 picture a second and B-frames, skipping what no other needs would lose slides."""
    video = probe(make_clip(fps=1, seconds=20, b_frames=3))
    frames = list(open_video(video).every(1))
    assert [read_time(frame.image) for frame in frames] == list(range(20))


def test_damage_in_the_middle_is_skipped_and_counted(make_clip, read_time, caplog):
    path = make_clip(seconds=8, gop=25)
    video = probe(path)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for position, size in packets[60:90]:
        content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    reader = open_video(video)
    times = [frame.time_s for frame in reader.every(0.5)]
    assert reader.lost > 10
    assert "did not decode" in caplog.text
    assert times[:5] == pytest.approx([0, 0.52, 1.0, 1.52, 2.0], abs=0.05)
    last = list(reader.at([0.2, 7.9]))
    assert [read_time(frame.image) for frame in last] == pytest.approx([0.2, 7.88], abs=0.05)


def test_decord_refuses_transport_streams(make_clip):
    video = probe(make_clip("c.ts", seconds=1))
    with pytest.raises(InputError, match=r"MPEG-TS.*use backend pyav"):
        open_video(video, "decord")


def test_decord_names_the_backend_that_can(media):
    video = probe(media / "corrupted.mp4")
    with pytest.raises(InputError, match="use backend pyav"):
        list(open_video(video, "decord").every(0.1))
    assert len(list(open_video(video, "pyav").every(0.1))) > 20


@pytest.mark.parametrize("name", ["living_room.mp4", "pancake.mkv", "stretching.mp4"])
def test_backends_agree_on_real_clips(media, name):
    video = probe(media / name)
    wanted = [0.0, 0.7, 2.2, 4.4, 5.9]
    ours = list(open_video(video, "pyav", 160).at(wanted))
    theirs = list(open_video(video, "decord", 160).at(wanted))
    assert [a.time_s for a in ours] == pytest.approx([b.time_s for b in theirs], abs=1e-5)
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a.image.astype(int) - b.image.astype(int)).mean() < 3


@pytest.mark.parametrize(("name", "turn"), [("rot_90", 90), ("rot_180", 180), ("rot_270", 270)])
def test_real_rotations_have_the_size_of_a_player(media, backend, name, turn):
    video = probe(media / f"{name}.mov")
    image = next(iter(open_video(video, backend).every(1))).image
    assert image.shape[:2] == (video.height, video.width)
