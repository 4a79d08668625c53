"""The encoding of subtitle files, which rarely say it: a detector, the language and the script.

chardet ranks the encodings. What it does not know are the language in the file's name, and that
words of one script are written in it alone: French has a few accents among ASCII letters, Russian
in cp1251 has words without any ASCII letter.
"""

import re
from typing import NamedTuple

import chardet
from chardet import EncodingEra

from tools.media.languages import code_of

MARKED = {"utf-16", "utf-32"}  # known from the byte order mark
WESTERN = "cp1252"
CLEARLY = 1.5
"""Minimum ratio of another Latin encoding's confidence to that of cp1252, the most common one."""

LATIN = ("cp1252", "cp1250", "cp1254", "cp1257", "cp1258")
CYRILLIC = ("cp1251", "koi8-r", "koi8-u", "cp866", "iso8859-5")
JAPANESE = ("cp932", "euc_jis_2004", "iso2022_jp_2")
CHINESE = ("gb18030", "big5hkscs")
OTHERS = (*CYRILLIC, "cp1253", "cp1255", "cp1256", "cp874", *CHINESE, *JAPANESE, "cp949")
BY_LANGUAGE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("cs", "hr", "hu", "pl", "ro", "sk", "sl", "sq", "bs"), ("cp1250",)),
    **dict.fromkeys(("be", "bg", "mk", "ru", "uk", "kk", "mn"), CYRILLIC),
    "sr": (*CYRILLIC, "cp1250"),
    **dict.fromkeys(("ar", "fa", "ur"), ("cp1256",)),
    **dict.fromkeys(("et", "lt", "lv"), ("cp1257",)),
    "el": ("cp1253",),
    "he": ("cp1255",),
    "ja": JAPANESE,
    "ko": ("cp949",),
    "th": ("cp874",),
    "tr": ("cp1254",),
    "vi": ("cp1258",),
    "zh": CHINESE,
    **dict.fromkeys(  # as in Western Europe
        ("ca", "da", "de", "en", "es", "fi", "fr", "is", "it", "nb", "nl", "nn", "no", "pt", "sv"),
        (WESTERN,),
    ),
}

_WORD = re.compile(rb"[A-Za-z\x80-\xff]{2,}")
_NO_ASCII = re.compile(rb"[\x80-\xff]+")
_KANA = re.compile(r"[\u3041-\u30ff]")


class Decoded(NamedTuple):
    """Text, and its encoding if that had to be guessed."""

    text: str
    guessed: str


def decode(raw: bytes, language: str = "") -> Decoded:
    """Return the text of a file.

    Args:
        raw: Its content.
        language: A tag or name of the language it is probably in, "" if unknown.
    """
    text = raw.decode("utf-8-sig", "replace")
    damaged = text.count("\ufffd")
    if not damaged and "\0" not in text:
        return Decoded(text, "")
    if damaged and sum(character > "\x7f" for character in text) > 4 * damaged:
        return Decoded(text, "utf-8, damaged")
    encoding = _guess(raw, code_of(language) if language else "")
    return Decoded(raw.decode(encoding, "replace"), "" if encoding in MARKED else encoding)


def _guess(raw: bytes, language: str) -> str:
    """Return the likeliest encoding."""
    found = chardet.detect_all(
        raw if b"\0" in raw else _told(raw),
        ignore_threshold=True,
        encoding_era=EncodingEra.MODERN_WEB,
        prefer_superset=True,
        compat_names=False,
    )
    likely = {str(one["encoding"] or "utf-8"): one["confidence"] for one in reversed(found)}
    best = str(found[0]["encoding"] or "utf-8")
    if b"\0" in raw or best in MARKED:
        return best
    group = LATIN if _is_latin(raw) else OTHERS
    hinted = [one for one in BY_LANGUAGE.get(language, ()) if one in group and _fits(raw, one)]
    if hinted:
        return max(hinted, key=lambda one: likely.get(one, 0.0))
    if japanese := next((one for one in JAPANESE if _is_kana(raw, one)), ""):
        return japanese
    return _likeliest({one: likely[one] for one in likely if one in group and _fits(raw, one)})


def _likeliest(likely: dict[str, float]) -> str:
    """Return the encoding with the highest confidence; cp1252 unless another clearly has it."""
    best = max(likely, key=likely.__getitem__, default=WESTERN)
    return WESTERN if likely.get(WESTERN, 0.0) * CLEARLY > likely.get(best, 0.0) else best


def _told(raw: bytes) -> bytes:
    """Return the lines with other than ASCII: times and numbers only blur the statistics."""
    return b"\n".join(line for line in raw.splitlines() if _NO_ASCII.search(line))


def _is_latin(raw: bytes) -> bool:
    """Whether most words with a letter beyond ASCII have ASCII letters as well."""
    words = [word for word in _WORD.findall(raw) if _NO_ASCII.search(word)]
    foreign = sum(bool(_NO_ASCII.fullmatch(word)) for word in words)
    return 2 * foreign <= len(words) and not _is_double_byte(raw)


def _is_double_byte(raw: bytes) -> bool:
    """Whether all bytes beyond ASCII come in runs, as Chinese, Japanese and Korean do.

    The second byte of a character may be an ASCII letter, so words look mixed. In a Latin text most
    such letters stand alone.
    """
    alone = sum(len(run) == 1 for run in _NO_ASCII.findall(raw))
    return 4 * alone < sum(map(len, _NO_ASCII.findall(raw)))


def _fits(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def _is_kana(raw: bytes, encoding: str) -> bool:
    """Whether an encoding turns most of the bytes beyond ASCII into Japanese syllables."""
    if not _fits(raw, encoding):
        return False
    beyond = [character for character in raw.decode(encoding) if character > "\x7f"]
    return 2 * sum(bool(_KANA.match(one)) for one in beyond) > len(beyond)
