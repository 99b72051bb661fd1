"""The active model: turns feature rows into calibrated probabilities with their standard errors.

Belongs here: the predictor with its calibration and what it was taught to read. Files and manifests
belong to the store, the choice of a model to the edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daemon.layers.inference.forest import Rows
from daemon.layers.inference.predictors import Predictor


@dataclass(frozen=True)
class Calibration:
    """Raw probability -> calibrated probability and its standard error, linear between knots.

    Raises ValueError unless all three hold the same number of finite values, 2 or more, with knots
    rising within 0 and 1, probabilities within 0 and 1 and standard errors not negative.
    """

    knots: tuple[float, ...]
    probabilities: tuple[float, ...]
    standard_errors: tuple[float, ...]

    def __post_init__(self) -> None:
        count = len(self.knots)
        if count < 2 or not (count == len(self.probabilities) == len(self.standard_errors)):
            raise ValueError("a calibration needs 2 or more knots with a probability and an error")
        # All comparisons are written so that NaN fails them.
        is_rising = all(low < high for low, high in pairwise(self.knots))
        if not (is_rising and self.knots[0] >= 0.0 and self.knots[-1] <= 1.0):
            raise ValueError("the calibration's knots do not rise from 0 or more to 1 or less")
        if not all(0.0 <= value <= 1.0 for value in self.probabilities):
            raise ValueError("a calibrated probability is not between 0 and 1")
        if not all(0.0 <= value < np.inf for value in self.standard_errors):
            raise ValueError("a calibration's standard error is negative or not finite")

    def calibrate(self, raw: Rows) -> tuple[Rows, Rows]:
        """(probability, standard error) of each raw probability, in the shape of `raw`.

        Beyond the outer knots their values hold on; NaN gives NaN. Each value depends on its own
        raw value only, in the same bits for every shape.
        """
        knots, probabilities, errors = self._table
        inside = np.clip(raw, knots[0], knots[-1])
        left = np.clip(np.searchsorted(knots, inside, side="right") - 1, 0, len(knots) - 2)
        share = (inside - knots[left]) / (knots[left + 1] - knots[left])
        return (
            np.clip(_between(probabilities, left, share), 0.0, 1.0),
            np.maximum(_between(errors, left, share), 0.0),
        )

    @cached_property
    def _table(self) -> tuple[Rows, Rows, Rows]:
        return np.array(self.knots), np.array(self.probabilities), np.array(self.standard_errors)


class Estimates(NamedTuple):
    """Per row, each (m,) float64; all NaN where the row is not finite."""

    probability_up: Rows
    standard_error: Rows
    raw_probability_up: Rows


@dataclass(frozen=True, eq=False)
class ActiveModel:
    """A predictor, its calibration, and the features it reads; ValueError when these do not fit."""

    model_id: str
    feature_fingerprint: str
    feature_names: tuple[str, ...]
    predictor: Predictor
    calibration: Calibration

    def __post_init__(self) -> None:
        if not self.feature_fingerprint:
            raise ValueError(f"model {self.model_id} does not say which features it reads")
        if len(set(self.feature_names)) != len(self.feature_names):
            raise ValueError(f"model {self.model_id} names a feature twice: {self.feature_names}")
        if len(self.feature_names) != self.predictor.n_features:
            raise ValueError(
                f"model {self.model_id} names {len(self.feature_names)} features, "
                f"it reads {self.predictor.n_features}"
            )

    def require_features(self, fingerprint: str, names: Sequence[str]) -> None:
        """ValueError unless the model was taught with these features in this order."""
        if tuple(names) != self.feature_names:
            raise ValueError(
                f"model {self.model_id} reads {', '.join(self.feature_names)}; "
                f"the features are {', '.join(names)}"
            )
        if fingerprint != self.feature_fingerprint:
            raise ValueError(
                f"model {self.model_id} was taught with features {self.feature_fingerprint[:12]}; "
                f"the same names now mean {fingerprint[:12]}"
            )

    def predict(self, rows: Rows) -> Estimates:
        """Estimates for feature rows (m, k) in the order of `feature_names`.

        Every row gives the same bits alone and among others. ValueError on another shape or type.
        """
        raw = self.predictor.probability_up(rows)
        probability, standard_error = self.calibration.calibrate(raw)
        return Estimates(probability, standard_error, raw)

    def check_probe(self, rows: Sequence[Sequence[float]], expected: Sequence[float]) -> None:
        """Compare raw probabilities with those the trained model gave, bit for bit.

        `rows` (m, k) and `expected` (m,) come with the model. They are asked for together and one
        by one; ValueError names the first that differs, or says that there are none.
        """
        probes = np.array(rows, dtype=np.float64)
        wanted = np.array(expected, dtype=np.float64)
        if probes.ndim != 2 or not len(probes) or wanted.shape != (len(probes),):
            raise ValueError(f"model {self.model_id} has no usable probe rows")
        together = self.predictor.probability_up(probes)
        alone = np.concatenate([self.predictor.probability_up(row[np.newaxis]) for row in probes])
        answers = zip(together.tolist(), alone.tolist(), wanted.tolist(), strict=True)
        for i, (among_others, on_its_own, want) in enumerate(answers):
            if not (among_others == want and on_its_own == want):
                raise ValueError(
                    f"model {self.model_id}, probe row {i}: {among_others!r} among others and "
                    f"{on_its_own!r} alone, but the trained model said {want!r}"
                )


def _between(values: Rows, left: NDArray[np.intp], share: Rows) -> Rows:
    # Exact at both knots, and constant where both hold the same value.
    low, high = values[left], values[left + 1]
    inner: Rows = np.where(share == 1.0, high, low + share * (high - low))
    return inner
