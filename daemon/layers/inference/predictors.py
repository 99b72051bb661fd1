"""What layer 3 asks of a model, whatever it is made of: raw probabilities for feature rows.

Belongs here: the seam, and which stored arrays are which form. Calibration belongs to `model`.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from daemon.layers.inference.forest import CompiledForest
from daemon.layers.inference.linear import CompiledLinear

FORESTS = frozenset({"rf", "et"})
REGRESSIONS = frozenset({"lr"})
COMPILED = FORESTS | REGRESSIONS  # by the kind of a manifest; any other is served by a process


class Predictor(Protocol):
    """Raw probabilities of up; every row gives the same bits alone and among others."""

    @property
    def n_features(self) -> int: ...

    def probability_up(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """(m,) for rows (m, n_features); NaN where a row is not finite or nobody can say."""
        ...


class CompiledPredictor(Predictor, Protocol):
    """One that is arrays and nothing else."""

    def arrays(self) -> dict[str, NDArray[np.generic]]: ...


def compiled(kind: str, arrays: Mapping[str, NDArray[Any]]) -> CompiledPredictor:
    """The predictor that a manifest of `kind` brings as arrays; ValueError for anything else."""
    if kind in FORESTS:
        return CompiledForest.from_arrays(arrays)
    if kind in REGRESSIONS:
        return CompiledLinear.from_arrays(arrays)
    raise ValueError(f"a model of kind {kind!r} has no compiled form")
