import numpy as np
import pytest

from agent.library.retrieval import FURTHER_WEIGHT, in_context, nearest_first, query_weights
from agent.models.embedding import SentenceEmbeddings
from tools.evidence import Evidence

SAID = [
    "This yellow one here is our oldest band saw.",
    "We bought her in 1962 from a shipyard.",
    "The kettle is over there.",
    "Take a cup if you like.",
    "On Fridays the choir rehearses upstairs.",
    "Nobody has counted the stairs.",
]


def records(kinds: str) -> list[Evidence]:
    """A record a letter: s is speech, t is text."""
    names = {"s": "speech", "t": "text"}
    return [Evidence("any", names[kind], i, i + 1, str(i)) for i, kind in enumerate(kinds)]


def test_speech_is_averaged_with_the_speech_around_it_and_text_is_not() -> None:
    cosines = np.array([[0.0], [0.9], [1.0], [0.0], [0.0]], np.float32)
    found = in_context(cosines, records("stsss"))[:, 0]
    weights = 1 + 2 * 0.7 + 2 * 0.7**2
    assert found[1] == pytest.approx(0.9)  # text
    assert found[2] == pytest.approx(1 / weights)
    assert found[3] == pytest.approx(0.7 / weights)
    assert found[4] == pytest.approx(0.7**2 / weights)
    assert cosines[2, 0] == 1  # what was given is not changed


def test_many_options_weigh_no_more_than_one() -> None:
    assert query_weights(1) == [1.0]
    for count in (2, 5, 27):
        question, *options = query_weights(count)
        assert question == 1
        assert len(options) == count - 1
        assert sum(options) == pytest.approx(FURTHER_WEIGHT)


@pytest.mark.parametrize("kinds", ["", "t", "s", "ttt", "ss"])
def test_few_records_are_ranked_too(kinds: str) -> None:
    cosines = np.full((len(kinds), 2), 0.5, np.float32)
    np.testing.assert_allclose(in_context(cosines, records(kinds)), cosines, atol=1e-6)


def test_half_a_sentence_is_found_by_what_was_said_before_it(embedder: SentenceEmbeddings) -> None:
    asked = embedder.embed_queries(["Where does the old yellow band saw come from?"])
    cosines = embedder.embed(SAID) @ asked.T
    found = nearest_first(in_context(cosines, records("s" * len(SAID))))[0]
    assert set(found[:2]) == {0, 1}
