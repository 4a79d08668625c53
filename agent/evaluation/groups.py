"""Group scores of Video-MME-v2: four questions of a video are worth more together than apart.

Rules as published with the benchmark (github.com/MME-Benchmarks/Video-MME-v2): questions of a
"relevance" group earn the square of the share that is right; those of a "logic" group are a chain
of reasoning that earns only what comes before its first mistake.
"""

from collections.abc import Sequence

from tools.errors import InputError

# Points of the first n steps of a chain, by its structure: which steps may be swapped.
_CHAINS: dict[str, tuple[float, ...]] = {
    "[1,2,3,4]": (0, 1 / 16, 4 / 16, 9 / 16, 1),
    "[1,[2,3],4]": (0, 1 / 12, 4 / 12, 7 / 12, 1),
    "[[1,2],3,4]": (0, 1 / 10, 2 / 10, 5 / 10, 1),
}
# Either of two parallel steps counts as one: by structure, the steps before them and the later one.
_PARALLEL = {"[1,[2,3],4]": (1, 2), "[[1,2],3,4]": (0, 1)}


def group_score(right: Sequence[bool], kind: str, structure: str) -> float:
    """Return the score of a group of questions, 0 to 1.

    Args:
        right: Whether each question is answered rightly, in the order of the group.
        kind: "relevance" or "logic".
        structure: Of a logic group, as in "[1, [2, 3], 4]".

    Raises:
        InputError: Unknown kind or structure.
    """
    if kind == "relevance":
        return (sum(right) / 4) ** 2
    plain = structure.replace(" ", "")
    if kind != "logic" or plain not in _CHAINS:
        raise InputError(
            f"unknown group {kind!r} with structure {structure!r}; expected relevance or logic, "
            f"with one of {', '.join(_CHAINS)}"
        )
    steps = next((i for i, one in enumerate(right) if not one), len(right))
    before, later = _PARALLEL.get(plain, (-1, 0))
    if steps == before and later < len(right) and right[later]:
        steps += 1
    return _CHAINS[plain][steps]
