"""Features that remember: first-order walks from hour to hour to weeks, of several symbols.

What they are is known, so what a look finds in them is chance.
"""

from typing import Final

import numpy as np

from daemon.research.series import FloatArray

MEMORY: Final = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)  # of one row for the one before
NAMES: Final = tuple(f"memory_{each:g}" for each in MEMORY)
SYMBOLS: Final = tuple(f"S{k}/Q" for k in range(8))
COMMON: Final = 0.6  # share of the noise that symbols have in common


def features(rng: np.random.Generator, *, symbols: int, length: int) -> FloatArray:
    """(symbols, length, features), each of variance 1 at any time."""
    memory = np.asarray(MEMORY)
    own = rng.normal(size=(length, symbols, len(memory)))
    common = rng.normal(size=(length, 1, len(memory)))
    noise = np.sqrt(1.0 - memory**2) * (np.sqrt(1.0 - COMMON) * own + np.sqrt(COMMON) * common)
    rows = np.empty((length, symbols, len(memory)))
    state = rng.normal(size=(symbols, len(memory)))
    for row in range(length):
        state = memory * state + noise[row]
        rows[row] = state
    return np.ascontiguousarray(rows.transpose(1, 0, 2))
