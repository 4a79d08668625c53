"""WUPS: open answers compared by the Wu-Palmer similarity of their words (NExT-QA, open-ended).

Malinowski and Fritz, arXiv 1410.0210, section 4; Xiao et al., arXiv 2105.08276, with the two ways
in which their published script differs from the paper: words that resemble none of the other side
are left out of the product, and similarity is that of the first senses.

The published script lemmatises with part-of-speech tags, whose weights no package holds; here a
word's lemma is the first that WordNet knows as a noun, verb, adjective or adverb. So figures are
comparable with each other, and near but not equal to published ones.
"""

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

from tools.errors import MissingError

EXACT = ("DB", "DC")  # yes or no, and counts, are right or wrong
# Words that tell nothing; unlike the usual lists, "no", "not", "over", "under", "up", "down" do.
_STOP_WORDS = """
i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself yourselves
he him his himself she she's her hers herself it it's its itself they them their theirs themselves
what which who whom this that that'll these those am is are was were be been being have has had
having do does did doing a an the and but if or because as until while to from of at for with about
into through during again further then here there when where why how all any each most other some
such only own so than too very s t can will just don don't should should've now d ll m o re ve y
ain aren aren't couldn couldn't didn didn't doesn doesn't hadn hadn't hasn hasn't haven haven't
isn isn't ma mightn mightn't mustn mustn't needn needn't shan shan't shouldn shouldn't wasn wasn't
weren weren't won won't wouldn wouldn't
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def wups(answer: str, texts: Sequence[Sequence[str]], kind: str, threshold: float) -> float:
    """Return the similarity of an answer to the true text nearest to it, 0 to 1.

    Args:
        answer: The answer.
        texts: Accepted answers.
        kind: Type of the question; "DB" and "DC" must be equal word for word.
        threshold: Similarities below it count a tenth.

    Raises:
        MissingError: nltk or WordNet's files are missing.
    """
    said = content_words(answer)
    truths = [content_words(" ".join(parts)) for parts in texts]
    if kind in EXACT:
        return float(said in truths)
    return max((similarity(said, truth, threshold) for truth in truths), default=0.0)


def similarity(one: Sequence[str], other: Sequence[str], threshold: float) -> float:
    """Return the similarity of two lists of words: the smaller of both directions."""
    return min(_directed(one, other, threshold), _directed(other, one, threshold))


def content_words(text: str) -> list[str]:
    """Return the lemmas of a text's words without those that tell nothing."""
    words = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()
    return [lemma for lemma in map(_lemma, words) if lemma not in STOP_WORDS]


def _directed(words: Sequence[str], others: Sequence[str], threshold: float) -> float:
    best = [max((_alike(a, b, threshold) for b in others), default=0.0) for a in words]
    product, found = 1.0, False
    for value in best:
        if value:
            product, found = product * value, True
    return product if found else 0.0


@cache
def _alike(one: str, other: str, threshold: float) -> float:
    if one == other:
        return 1.0
    senses = _wordnet().synsets(one), _wordnet().synsets(other)
    if not all(senses):
        return 0.0
    found = senses[0][0].wup_similarity(senses[1][0]) or 0.0
    return float(found if found >= threshold else 0.1 * found)


@cache
def _lemma(word: str) -> str:
    found = (_wordnet().morphy(word, pos) for pos in "nvar")
    return next((lemma for lemma in found if lemma), word)


@cache
def _wordnet() -> Any:
    """Open WordNet 3.0 where nltk finds its data (`NLTK_DATA`); nothing is downloaded."""
    try:
        import nltk
        from nltk.corpus.reader.wordnet import WordNetCorpusReader
    except ImportError as error:
        raise MissingError(
            "WUPS needs nltk; get it with `pip install 'reelgraph[wups]'`"
        ) from error
    for place in ("corpora/wordnet", "corpora/wordnet.zip/wordnet"):
        try:
            found = nltk.data.find(place)
        except LookupError:
            continue
        with warnings.catch_warnings():  # that other languages are missing, which nobody asked for
            warnings.simplefilter("ignore")
            return WordNetCorpusReader(found, None)
    raise MissingError(
        "WUPS needs the files of WordNet 3.0 in nltk's data folder; get them with "
        "`python -m nltk.downloader wordnet`, or set NLTK_DATA to a folder with corpora/wordnet"
    )
