# ruff: noqa: RUF001 - letters of other scripts are what is tested
"""Subtitle files of every kind that is read, and their encodings."""

import pytest

from tools.speech.cue_text import ass_lines, plain_lines
from tools.speech.encodings import decode
from tools.speech.formats import parse_subtitles

Cues = list[tuple[float, float, str]]


def read(text: str, fps: float | None = None) -> Cues:
    return [(c.start_s, c.end_s, c.text) for c in parse_subtitles(text.encode(), fps=fps).cues]


SRT_TIMES = "00:00:01,000 --> 00:00:02,000\n"
TTML = """<?xml version="1.0" encoding="UTF-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter"
  xmlns:tts="http://www.w3.org/ns/ttml#styling" ttp:frameRate="25" ttp:tickRate="1000">
<head><metadata><title>not said</title></metadata></head>
<body begin="1s"><div>
  <p begin="00:00:00.500" end="00:00:01.500">Hello <span tts:color="red">there</span><br/>you</p>
  <p begin="00:00:02:05" dur="1s">frames</p>
  <p begin="4000t" end="5000t">ticks</p>
  <p><span begin="5s" end="6s">one</span><span begin="6s" end="7s">two</span></p>
  <p begin="8s" end="9s"><span tts:ruby="container"><span tts:ruby="base">漢字</span><span
    tts:ruby="text">かんじ</span></span>です</p>
  <p begin="soon" end="9s">never</p>
</div></body></tt>"""


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        (f"1\n{SRT_TIMES}1984\n\n2\n00:00:03,000 --> 00:00:04,000\nRoom\n101\n", "1984|Room 101"),
        (f"1\n{SRT_TIMES}A year:\n\n1984\n\n2\n00:00:03,000 --> 00:00:04,000\nB", "A year: 1984|B"),
        (f"{SRT_TIMES}no counter\n\n00:00:03,000 --> 00:00:04,000\n7", "no counter|7"),
        (f"1\n{SRT_TIMES}if a < b and c > d then\n", "if a < b and c > d then"),
        (f"1\n{SRT_TIMES}<i>a</i> <font color='red'>b</font> <3 x<y>z\n", "a b <3 x<y>z"),
        (f"1\n{SRT_TIMES}{{\\an8}}up {{and}} <B>c</B><br>d\n", "up {and} c d"),
        (f"WEBVTT\n\n{SRT_TIMES}<ruby>漢字<rt>かんじ</rt></ruby>です\n", "漢字です"),
        (f"WEBVTT\n\n{SRT_TIMES}<ruby>漢<rt>かん</ruby>だ\n", "漢だ"),
        (f"WEBVTT\n\n42\n{SRT_TIMES}<v.loud Ann>R&amp;D &lt;3\n", "R&D <3"),
        (f"WEBVTT\n\nNOTE\n{SRT_TIMES}not said\n\n{SRT_TIMES}said\n", "said"),
    ],
)
def test_the_words_of_srt_and_webvtt(text: str, cues: str) -> None:
    assert "|".join(words for _, _, words in read(text)) == cues


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        (
            "0:00:01.000,0:00:02.500\nHello\nthere\n\n0:00:03.000,0:00:04.000\n7\n",
            [(1.0, 2.5, "Hello there"), (3.0, 4.0, "7")],
        ),
        (
            "[ar:Somebody]\n[offset:+500]\n[00:01.50]First\n[00:03.00][00:10.00]<00:03.00>Again\n"
            "[00:05.00]\n",
            [(1.0, 2.5, "First"), (2.5, 4.5, "Again"), (4.5, 8.5, ""), (9.5, 13.5, "Again")],
        ),
        (
            "{1}{1}25.000\n{25}{50}Hello|there\n{75}{100}{y:i}you\n",
            [(1, 2, "Hello there"), (3, 4, "you")],
        ),
        ("[10][25]Hello|there\n[30][40]/you\n", [(1.0, 2.5, "Hello there"), (3.0, 4.0, "you")]),
        (
            TTML,
            [
                (1.5, 2.5, "Hello there you"),
                (3.2, 4.2, "frames"),
                (5.0, 6.0, "ticks"),
                (6.0, 7.0, "one"),
                (7.0, 8.0, "two"),
                (9.0, 10.0, "漢字です"),
            ],
        ),
        (
            "<SAMI><BODY><SYNC Start=1000><P Class=ENCC>Hello<SYNC Start=2000><P Class=ENCC>&nbsp;"
            "</BODY></SAMI>",
            [(1.0, 2.0, "Hello"), (2.0, 6.0, "")],
        ),
    ],
    ids=["sbv", "lrc", "microdvd", "mpl2", "ttml", "sami"],
)
def test_other_formats(text: str, cues: Cues) -> None:
    found = read(text)
    assert [words for _, _, words in found] == [words for _, _, words in cues]
    assert [one[:2] for one in found] == [pytest.approx(one[:2], abs=1e-3) for one in cues]


def test_frames_are_those_of_the_video_where_the_file_does_not_say() -> None:
    assert read("{50}{100}Hello\n", fps=50) == [(1.0, 2.0, "Hello")]


def test_a_broken_time_of_ttml_is_counted_and_entities_are_refused() -> None:
    assert parse_subtitles(TTML.encode()).broken == 1
    bomb = TTML.replace("<tt ", '<!DOCTYPE tt [<!ENTITY a "aaaa">]><tt ').replace("Hello", "&a;")
    assert not parse_subtitles(bomb.encode()).cues


@pytest.mark.parametrize(
    ("dialogue", "lines"),
    [
        (r"{\p1}m 0 0 l 100 0{\p0}", ()),
        (r"Hello{\p1}m 0 0{\p0} world\Nagain", ("Hello world", "again")),
        (r"{\an7\pos(1,2)\p4\bord0}m 1 1 b 2 2{\i1}3 3", ()),
        (r"{\pbo20}{\i1}Well{\i0},\hnow{a note}\nthen", ("Well, now", "then")),
        ("R&amp;D <i>x</i>", ("R&D x",)),
    ],
)
def test_drawings_of_ass_are_no_words(dialogue: str, lines: tuple[str, ...]) -> None:
    assert ass_lines(dialogue) == lines


def test_ass_that_mostly_stands_on_the_picture_holds_signs() -> None:
    line = "Dialogue: 0,0:00:0{n}.00,0:00:0{n}.50,Default,,0,0,0,,{text}\n"
    sign, speech = r"{\pos(20,30)}Bakery", "Good morning"
    for texts, signs in (([sign] * 5, True), ([speech] * 5, False), ([speech, sign] * 2, False)):
        events = "".join(line.format(n=n, text=text) for n, text in enumerate(texts))
        sheet = parse_subtitles(f"[Events]\n{events}".encode())
        assert len(sheet.cues) == len(texts)
        assert sheet.signs == signs


def test_invisible_characters_go() -> None:
    assert plain_lines("\u200fשלום\u200e \u200b\nb") == ("שלום", "b")


# Sentences of everyday talk; none was looked at when the rules were written.
TALK = {
    "cp1250": ("pl", "Dziękuję bardzo, a gdzie jest najbliższa stacja? Proszę skręcić w lewo."),
    "cp1250 ": ("cs", "Děkuji, a kde je nejbližší nádraží? Zahněte prosím doleva."),
    "cp1251": ("ru", "Спасибо большое! А где ближайшая станция?"),
    "cp1251 ": ("uk", "Дякую! А де найближча станція?"),
    "koi8-r": ("ru", "Спасибо большое! А где ближайшая станция?"),
    "cp1256": ("ar", "شكرا جزيلا! أين أقرب محطة؟"),
    "gbk": ("zh", "非常感谢！最近的车站在哪里？"),
    "big5": ("zh", "非常感謝！最近的車站在哪裡？"),
    "shift_jis": ("ja", "ありがとうございます！一番近い駅はどこですか？"),
    "euc_jp": ("ja", "ありがとうございます！一番近い駅はどこですか？"),
    "euc_kr": ("ko", "정말 감사합니다! 가장 가까운 역이 어디예요?"),
    "cp1253": ("el", "Ευχαριστώ πολύ! Πού είναι ο κοντινότερος σταθμός;"),
    "cp1254": (
        "tr",
        "Çok teşekkür ederim, en yakın istasyon nerede acaba? Sola dönün lütfen, ışıkta.",
    ),
    "cp1255": ("he", "תודה רבה! איפה התחנה הקרובה?"),
    "cp1252": (
        "fr",
        "Merci beaucoup ! Où est la gare la plus proche ? Tournez à gauche, s'il vous plaît.",
    ),
    "cp1252 ": (
        "de",
        "Vielen Dank! Wo ist der nächste Bahnhof? Biegen Sie links ab, über die Brücke.",
    ),
    "cp1252  ": ("sv", "Tack så mycket! Var är närmaste station? Sväng vänster vid ån."),
}


@pytest.mark.parametrize("hinted", [True, False])
@pytest.mark.parametrize(("encoding", "language", "text"), [(k, *v) for k, v in TALK.items()])
def test_legacy_encodings(encoding: str, language: str, text: str, hinted: bool) -> None:
    raw = f"1\r\n{SRT_TIMES}{text}\r\n".encode(encoding.strip())
    assert text in decode(raw, language if hinted else "").text


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r"])
def test_the_language_decides_a_word_that_is_too_short_for_statistics(encoding: str) -> None:
    raw = f"1\n{SRT_TIMES}Нет\n".encode(encoding)
    assert "Нет" in decode(raw, "rus").text


def test_a_wrong_hint_does_not_turn_latin_into_another_script() -> None:
    raw = f"1\n{SRT_TIMES}Où est la gare ? C'est très près d'ici, à côté.\n".encode("cp1252")
    assert decode(raw, "ru").guessed == "cp1252"
