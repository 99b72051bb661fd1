"""The newest rows of every instrument: what drift is measured on, in a fixed amount of memory.

Belongs here: keeping them. What they are compared with belongs to `shifts`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.core.instruments import InstrumentId
    from daemon.layers.monitoring.drift import FloatArray


class Windows:
    """At most `length` rows of each instrument, in the order of time.

    What is kept says nothing of how many rows went by before: a thinned journal recovers to it.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._rows: dict[InstrumentId, deque[tuple[float, ...]]] = {}

    def add(self, instrument: InstrumentId, values: Sequence[float]) -> None:
        if instrument not in self._rows:
            fresh = {instrument: deque[tuple[float, ...]](maxlen=self._length)}
            self._rows = dict(sorted((self._rows | fresh).items()))
        self._rows[instrument].append(tuple(values))

    def clear(self) -> None:
        self._rows.clear()

    def recent(self) -> dict[InstrumentId, FloatArray]:
        """(n, k) of each instrument, in the order of instruments."""
        return {each: np.array(rows, dtype=np.float64) for each, rows in self._rows.items()}
