"""Which frames of a clip an expensive measurement looks at."""


def evenly(count: int, wanted: int) -> list[int]:
    """Return at most `wanted` numbers below `count`, evenly spread, from the first on."""
    if count <= wanted:
        return list(range(count))
    return [number * count // wanted for number in range(wanted)]
