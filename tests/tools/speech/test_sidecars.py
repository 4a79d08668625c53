"""Which files near a video are its subtitles, by their names."""

from pathlib import Path

import pytest

from tools.base import ToolInput
from tools.media.video import Video
from tools.speech.sidecars import look_beside
from tools.speech.subtitles import Subtitles, SubtitlesOptions

SRT = "1\n00:00:00,500 --> 00:00:01,500\n{}\n"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "My film.2019.mp4"
    path.touch()
    return path


def add(film: Path, *names: str) -> None:
    for name in names:
        path = film.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SRT.format(name))


@pytest.mark.parametrize(
    ("name", "language", "forced"),
    [
        ("My film.2019.srt", "", False),
        ("My film.2019.en.srt", "en", False),
        ("My film.2019.English.srt", "English", False),
        ("My film.2019.Brazilian Portuguese.srt", "Brazilian Portuguese", False),
        ("My film.2019.pt-BR.srt", "pt-BR", False),
        ("My film.2019.mp4.srt", "", False),
        ("My film.2019.mp4.de.srt", "de", False),
        ("My film.2019_en.srt", "en", False),
        ("My film.2019-en.srt", "en", False),
        ("My film.2019 (English).ASS", "English", False),
        ("My film.2019.default.en.vtt", "en", False),
        ("My film.2019.en.hi.srt", "en", False),
        ("My film.2019.hi.srt", "hi", False),
        ("My film.2019.en.sdh.srt", "en", False),
        ("My film.2019.en.forced.srt", "en", True),
        ("My film.2019.eng.Signs.ass", "eng", True),
        ("My film.2019.2.en.ttml", "en", False),
        ("Subs/My film.2019.en.srt", "en", False),
        ("subtitles/2_English.srt", "English", False),
        ("Subs/My film.2019/3_French.srt", "French", False),
    ],
)
def test_names_as_players_accept_them(film: Path, name: str, language: str, forced: bool) -> None:
    add(film, name)
    (one,) = look_beside(film).belong
    assert one.path == film.parent / name
    assert (one.language, one.forced) == (language, forced)


@pytest.mark.parametrize(
    "name", ["My film.2019.notes.srt", "My film.2019.2.srt", "My film.2019_part.srt"]
)
def test_a_name_that_says_something_else_is_unclear(film: Path, name: str) -> None:
    add(film, name)
    found = look_beside(film)
    assert (found.belong, found.unclear) == ((), (film.parent / name,))


@pytest.mark.parametrize("name", ["My film.srt", "My film.2019b.srt", "other.srt", "Docs/en.srt"])
def test_files_of_others_are_neither(film: Path, name: str) -> None:
    add(film, name)
    found = look_beside(film)
    assert (found.belong, found.unclear) == ((), ())


def test_a_folder_of_subtitles_without_names_belongs_to_a_video_alone(film: Path) -> None:
    add(film, "Subs/English.srt", "Subs/My film.2019/German.srt")
    assert [one.language for one in look_beside(film).belong] == ["English", "German"]
    (film.parent / "another.mkv").touch()
    assert [one.language for one in look_beside(film).belong] == ["German"]


def test_the_plain_name_comes_first_and_forced_ones_last(film: Path) -> None:
    names = ["My film.2019.en.forced.srt", "My film.2019.de.srt", "My film.2019.srt"]
    names += ["My film.2019.default.fr.srt", "Subs/My film.2019.en.srt"]
    add(film, *names)
    order = [one.path.name for one in look_beside(film).belong]
    assert order == [
        "My film.2019.srt",
        "My film.2019.default.fr.srt",
        "My film.2019.de.srt",
        "My film.2019.en.srt",
        "My film.2019.en.forced.srt",
    ]


def test_the_channel_report_says_what_is_not_used(film: Path) -> None:
    add(film, "My film.2019.en.srt", "My film.2019.de.srt", "My film.2019.notes.srt")
    video = Video(film, "0" * 64, 4.0, 320, 240, 0, None, False)
    notes: list[str] = []
    (found,) = Subtitles(SubtitlesOptions(language="en")).run(ToolInput(video, note=notes.append))
    assert found.text == "My film.2019.en.srt"
    assert "My film.2019.en.srt is used; also there: My film.2019.de.srt" in notes
    assert any("My film.2019.notes.srt" in note and "not used" in note for note in notes)
    for path in film.parent.glob("*.??.srt"):
        path.unlink()
    notes.clear()
    assert list(Subtitles().run(ToolInput(video, note=notes.append))) == []
    assert any("My film.2019.notes.srt" in note for note in notes)
