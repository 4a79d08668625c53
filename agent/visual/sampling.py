"""Sampling of visual tokens: evenly spaced ids, on the CPU and without torch.

Tokens are numbered frame after frame, within a frame row after row. TS-LLaVA keeps
round(j * (N - 1) / (M - 1)) for j = 0 .. M - 1, always the first and the last
(`sample_tokens` of its code, which computes that in 32-bit floats).
"""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]  # [M], ascending


def sampled_ids(total: int, count: int, parity: bool = False) -> Ids:
    """Return `count` evenly spaced ids of `total`; all of them when there are no more.

    Args:
        total: Number of tokens (or frames) N.
        count: Number M to keep; 0 keeps none.
        parity: Round as the published code does; else exactly, half to even. The two differ by
            1 in a few places (in one of 2880 for 50 frames of 576 tokens).
    """
    if total < 1 or count < 0:
        raise ValueError(f"tokens to keep must be 0 or more of 1 or more, got {count} of {total}")
    if count >= total:
        return np.arange(total, dtype=np.int64)
    if count < 2:
        return np.zeros(count, dtype=np.int64)
    if parity:
        return np.rint(even_floats(total - 1, count)).astype(np.int64)
    steps = np.arange(count, dtype=np.int64) * (total - 1)
    whole, rest = np.divmod(steps, count - 1)
    twice = 2 * rest
    up = (twice > count - 1) | ((twice == count - 1) & (whole % 2 == 1))
    return np.asarray(whole + up, dtype=np.int64)


def even_floats(last: int, count: int) -> npt.NDArray[np.float32]:
    """Return `count` >= 2 floats from 0 to `last`, to the bit those of `torch.linspace` on a CPU.

    It counts from both ends with one 32-bit step, and rounds each product and sum once (a fused
    multiply-add; 64 bits hold the product exactly). So the ids do not depend on the version of
    torch.
    """
    step = np.float64(np.float32(last) / np.float32(count - 1))
    number = np.arange(count)
    rising = step * number
    falling = last - step * (count - 1 - number)
    return np.where(number < count // 2, rising, falling).astype(np.float32)


def truncated_ids(total: int, count: int, parity: bool = False) -> Ids:
    """Return floor(i * total / count), i = 0 .. count - 1: SlowFast-LLaVA's slow frames.

    Parity repeats frames when there are fewer than `count`, and truncates 32-bit floats.
    """
    if parity:
        return even_floats(total, count + 1)[:-1].astype(np.int64)
    kept = min(total, count)
    return np.arange(kept, dtype=np.int64) * total // kept


def ids_digest(ids: Iterable[int]) -> str:
    """Return the first 16 hex digits of the SHA-256 of the ids as little-endian 64-bit integers."""
    data = np.fromiter(ids, dtype="<i8").tobytes()
    return hashlib.sha256(data).hexdigest()[:16]
