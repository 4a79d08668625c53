"""Text normalisation: makes texts of users, models and videos comparable."""

import re
import threading
import unicodedata
from functools import lru_cache
from typing import Any

from text_to_num import alpha2digit

_STOP_WORDS = """
a about all am an and any are as at be been before being but by can did do does doing for from had
has have having he her here him his how i if in into is it its just many me more most much my no
not of off on once only or other our out over own said same say says she should so some such than
that the their them then there these they this those through to too under until up us very video
was we were what when where which while who whom whose why will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
_YEAR = re.compile(r"\b(1[1-9]|20) (\d\d)\b")  # "nineteen sixty-one" is read as "19 61"
_WORD = re.compile(r"\w+(?:[.:'-]\w+)*")
_THOUSANDS = re.compile(r"(?<=\d)[ ,.'\u00a0\u2019](?=\d{3}(?!\d))")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
# Scripts without spaces between words, or with agglutinated endings: Thai, Lao, Tibetan, Burmese,
# Khmer, Korean, Japanese, Chinese.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u3005-\u3007\u3041-\u3096"
    "\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_FULL = re.compile(r"[.,:]00$")  # a full hour or a round price


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Normalise a text: lower case, number words as digits, words one space apart.

    >>> plain("It takes Twenty-five minutes, since nineteen sixty-one!")
    'it takes 25 minutes since 1961'
    """
    digits = alpha2digit(
        text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"), "en", threshold=1
    )
    return " ".join(_WORD.findall(_YEAR.sub(r"\1\2", digits)))


def words(text: str) -> list[str]:
    """Return the words of a text without stop words, normalised by `plain`."""
    return [word for word in plain(text).split() if word not in STOP_WORDS]


def numbers(text: str, *, parts: bool = False) -> set[str]:
    """Return the numbers of a text as digits only, number words included.

    The word "one" does not count, for it is mostly a pronoun; "9:00" is "9".

    Args:
        text: Any text.
        parts: Also those on either side of a point or colon: of "9:30" not "930" alone.

    >>> sorted(numbers("At half past nine or 9:30, for 1,000 euros"))
    ['1000', '9', '930']
    """
    lowered = text.lower()
    digits = _YEAR.sub(r"\1\2", alpha2digit(lowered, "en", threshold=1))
    written = [_FULL.sub("", n) for n in _NUMBER.findall(_THOUSANDS.sub("", digits))]
    found = {re.sub(r"\D", "", number) for number in written}
    if parts:
        found |= {part for number in written for part in re.findall(r"\d+", number)}
    return found - ({"1"} - set(re.findall(r"\d+", lowered)))


_own = threading.local()  # a stemmer keeps the word it works on: one a thread


def _stemmer() -> Any:
    if not hasattr(_own, "stemmer"):
        import snowballstemmer

        _own.stemmer = snowballstemmer.stemmer("english")
    return _own.stemmer


def stem(word: str) -> str:
    """Return the stem of a word: "tarred" and "tarring" are both "tar"."""
    return word if word[0].isdigit() else str(_stemmer().stemWord(word))


def stems(text: str) -> set[str]:
    """Return the stems of a text without stop words."""
    return {stem(word) for word in words(text)}


def search_words(text: str) -> list[str]:
    """Return the words of a text without stop words, numbers both as written and as digits."""
    written = [word for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]
    return list(dict.fromkeys([*written, *words(text)]))


def letter_pairs(text: str) -> str:
    """Return the character bigrams by which scripts without spaces are searched.

    Combining marks are left out. The last letter of a run is added alone, so that every letter
    begins a bigram or is one.

    >>> letter_pairs("adult 成人票")
    '成人 人票 票'
    """
    return " ".join(stretch[i : i + 2] for stretch in _unspaced(text) for i in range(len(stretch)))


def searched_pairs(text: str) -> list[str]:
    """Return the bigrams of a text to search for; a run of one letter is that letter."""
    found = [
        stretch[i : i + 2] for stretch in _unspaced(text) for i in range(max(1, len(stretch) - 1))
    ]
    return list(dict.fromkeys(found))


def _unspaced(text: str) -> list[str]:
    found = _UNSPACED.findall(unicodedata.normalize("NFKC", text))
    bare = ("".join(c for c in part if unicodedata.category(c)[0] != "M") for part in found)
    return [part for part in bare if part]


def mentions(text: str, phrase: str) -> bool:
    """Say whether a phrase occurs in a text, word for word."""
    return f" {plain(phrase)} " in f" {plain(text)} "


def quoted(text: str) -> str:
    """Quote a text of a video or a model for a prompt: one line of data.

    >>> quoted("Mind the" + chr(10) + "gap")
    '"Mind the gap"'
    """
    return '"' + " ".join(text.split()).replace('"', "'") + '"'


def is_text(text: str) -> bool:
    """Say whether a text can be encoded as UTF-8; a file name on Linux may be any bytes."""
    return text.isprintable() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def clock(seconds: float, tenths: bool = False) -> str:
    """Return a time as a player shows it: 1:05 or 1:02:03, or to a tenth of a second: 1:05.3."""
    whole, tenth = divmod(round(seconds * 10), 10) if tenths else (int(seconds), 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{shown}.{tenth}" if tenths else shown
