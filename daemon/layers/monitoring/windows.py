"""The newest rows of every instrument: what drift is measured on, in a fixed amount of memory.

Belongs here: keeping them. What they are compared with belongs to `shifts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.core.instruments import InstrumentId
    from daemon.layers.monitoring.drift import FloatArray


class Windows:
    """At most `length` rows of each instrument; a further one takes the place of its oldest."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._rows: dict[InstrumentId, FloatArray] = {}
        self._seen: dict[InstrumentId, int] = {}

    def add(self, instrument: InstrumentId, values: Sequence[float]) -> None:
        rows = self._rows.get(instrument)
        if rows is None:
            rows = self._rows[instrument] = np.zeros((self._length, len(values)))
            self._seen[instrument] = 0
        rows[self._seen[instrument] % self._length] = values
        self._seen[instrument] += 1

    def clear(self) -> None:
        self._rows.clear()
        self._seen.clear()

    def recent(self) -> dict[InstrumentId, FloatArray]:
        """(n, k) of each instrument, in the order of instruments; rows are in no order of time."""
        return {each: rows[: self._seen[each]] for each, rows in sorted(self._rows.items())}
