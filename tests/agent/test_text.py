"""Comparable words."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.text import stem

WORDS = ["tarred", "running", "connection", "relational", "hopefulness", "generalizations"] * 500


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty_threads")
def test_threads_stem_words_at_the_same_time() -> None:
    alone = [stem(word) for word in WORDS]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda _: [stem(word) for word in WORDS], range(8))
        assert all(each == alone for each in found)
