"""Makes uniform and normal numbers from a text key, the same on every machine and in every order.

Belongs here: keyed randomness and the two distributions with a closed form. What the numbers mean
for a market belongs in process and book.
"""

import hashlib
import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_HALF_STEP = 2.0**-53
_MOST = 1.0 - _HALF_STEP
_ROOT_2 = math.sqrt(2.0)


def seed_of(key: str) -> int:
    """128 bits of SHA-256: Python's own hash() differs from process to process."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:16])


def uniforms(key: str, count: int) -> Floats:
    """Strictly inside (0, 1). From raw PCG64 output, which numpy promises never to change."""
    raw = np.random.PCG64(seed_of(key)).random_raw(count)
    drawn: Floats = (raw >> np.uint64(12)).astype(np.float64) * 2.0**-52 + _HALF_STEP
    return drawn


def normals(key: str, rows: int, columns: int) -> Floats:
    """Standard normals of shape (rows, columns) by Box and Muller."""
    pairs = (rows * columns + 1) // 2
    drawn = uniforms(key, 2 * pairs)
    radius = np.sqrt(-2.0 * np.log(drawn[:pairs]))
    angle = 2.0 * math.pi * drawn[pairs:]
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return both[: rows * columns].reshape(rows, columns)


def normal_cdfs(values: Floats) -> Floats:
    """Kept strictly inside (0, 1), so that they can stand wherever uniforms can."""
    halves = 0.5 * np.array(list(map(math.erfc, (-values / _ROOT_2).tolist())))
    kept: Floats = np.minimum(np.maximum(halves, _HALF_STEP), _MOST)
    return kept


def fat_magnitude(rank: float) -> float:
    """|x| at its rank in (0, 1), where x is Student-t with 4 degrees of freedom and unit variance.

    The closed form of Shaw, "Sampling Student's T distribution" (2006), rewritten with
    x = asin(rank) so that nothing cancels near zero; divided by sqrt(2), the deviation of t4.
    """
    angle = math.asin(rank)
    cosine = math.sqrt((1.0 - rank) * (1.0 + rank))
    return 2.0 * math.sqrt(math.sin(2.0 * angle / 3.0) * math.sin(angle / 3.0) / cosine)
