"""Languages as files and users write them: codes of any standard, and names in any language."""

from functools import lru_cache

import langcodes
from langcodes.tag_parser import LanguageTagError


def primary(language: str) -> str:
    """Return "en" for "eng", "en_GB" and "English"; what is no language is returned unchanged."""
    return code_of(language) or language.lower()


def same_language(language: str, wanted: str) -> bool:
    """Whether two names mean one language, of whatever region."""
    return primary(language) == primary(wanted)


@lru_cache(maxsize=1024)
def code_of(text: str) -> str:
    """Return the shortest code of the language that a tag or a name means, "" if it is none.

    >>> code_of("por"), code_of("pt_BR"), code_of("Brazilian Portuguese"), code_of("notes")
    ('pt', 'pt', 'pt', '')
    """
    try:
        tag = langcodes.standardize_tag(text, macro=True)
        if langcodes.tag_is_valid(tag):
            return tag.split("-")[0]
    except LanguageTagError:
        pass
    try:
        return str(langcodes.find(text).language)
    except LookupError:
        return ""
