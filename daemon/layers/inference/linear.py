"""A logistic regression as flat arrays: turns feature rows into probabilities, each row by itself.

Belongs here: the arrays, the proof that they are a regression, and its arithmetic. Making them from
a fitted one belongs to `research.compiling`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]

NAMES: Final = ("mean", "scale", "weight", "intercept")


@dataclass(frozen=True, eq=False)
class CompiledLinear:
    """`mean`, `scale` and `weight` are (k,), `intercept` is a single number.

    Raises ValueError when they are anything but finite numbers of these shapes with scales above 0.
    """

    mean: Rows
    scale: Rows
    weight: Rows
    intercept: float

    def __post_init__(self) -> None:
        count = self.mean.size
        for name in NAMES[:3]:
            array = getattr(self, name)
            if array.dtype != np.float64 or array.shape != (count,) or count < 1:
                raise ValueError(f"array {name} must be float64 ({count},), not {array.dtype}")
            if not np.isfinite(array).all():
                raise ValueError(f"array {name} holds a number that is not finite")
            array.setflags(write=False)
        if not np.isfinite(self.intercept) or not (self.scale > 0.0).all():
            raise ValueError("a scale is not above 0, or the intercept is not finite")

    @property
    def n_features(self) -> int:
        return int(self.mean.size)

    def probability_up(self, rows: Rows) -> Rows:
        """1 / (1 + exp(-(intercept + sum of weight x (value - mean) / scale))), as float64 (m,).

        The sum goes from the first feature to the last, one by one, so that a row has the same bits
        alone and among others. A row that is not finite gives NaN. ValueError on another shape.
        """
        if rows.ndim != 2 or rows.shape[1] != self.n_features or rows.dtype != np.float64:
            raise ValueError(
                f"rows must be float64 (m, {self.n_features}), not {rows.dtype} {rows.shape}"
            )
        total = np.full(len(rows), self.intercept)
        for column in range(self.n_features):
            centred = (rows[:, column] - self.mean[column]) / self.scale[column]
            total = total + centred * self.weight[column]
        out = np.array([_logistic(value) for value in total.tolist()])
        out[~np.isfinite(rows).all(axis=1)] = np.nan
        return out

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The regression as named arrays, to be stored."""
        whole = {name: np.asarray(getattr(self, name), np.float64) for name in NAMES}
        return dict(whole)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "CompiledLinear":
        """The regression that `arrays` were taken from; ValueError for anything else."""
        if set(arrays) != set(NAMES):
            raise ValueError(f"a regression has the arrays {sorted(NAMES)}, not {sorted(arrays)}")
        for name, array in arrays.items():
            if array.dtype != np.float64:
                raise ValueError(f"array {name} must be float64, not {array.dtype}")
        if arrays["intercept"].shape != ():
            raise ValueError("array intercept must be a single number")
        mean, scale, weight = (np.array(arrays[name], np.float64) for name in NAMES[:3])
        return cls(mean, scale, weight, float(arrays["intercept"]))


def _logistic(value: float) -> float:
    """By the C library's exp, which no processor's vector unit takes a part in."""
    if value >= 0.0:
        return 1.0 / (1.0 + math.exp(-value))
    grown = math.exp(value)
    return grown / (1.0 + grown)
