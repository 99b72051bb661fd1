"""Turns raw forest probabilities into believable ones, with a standard error, as a table.

Fitting and exporting belong here; looking a probability up at run time belongs in
`layers/inference`. It is fitted only on probabilities of rows the forest had not seen.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.core.manifests import CalibrationTable, ReliabilityBin
from daemon.research.series import FloatArray, IntArray

KNOTS = 101
# Forests hardly leave 0.3 to 0.7; beyond this the logit would let single rows rule the fit.
RAW_MIN = 0.01
# How far from the identity (0, 1) intercept and slope are expected to be before seeing any data.
PRIOR_INTERCEPT_SD = 0.5
PRIOR_SLOPE_SD = 1.0
STEPS_MAX = 100
RELIABILITY_BINS = 10
STEP_TOLERANCE = 1e-12

_PRIOR_MEAN = np.array([0.0, 1.0])
_PRIOR_PRECISION = np.diag([PRIOR_INTERCEPT_SD**-2, PRIOR_SLOPE_SD**-2])


@dataclass(frozen=True, slots=True, eq=False)
class Calibrator:
    """probability = logistic(intercept + slope · logit(raw)), and how sure that is."""

    intercept: float
    slope: float
    covariance: FloatArray  # (2, 2) of intercept and slope
    n: int

    def probability(self, raw: FloatArray) -> FloatArray:
        """Calibrated probability of up for raw probabilities, (n,); never decreasing in `raw`."""
        return _logistic(self.intercept + self.slope * _logit(raw))

    def standard_error(self, raw: FloatArray) -> FloatArray:
        """Standard error of `probability`, (n,), by the delta method."""
        design = _design(raw)
        variance = ((design @ self.covariance) * design).sum(axis=1)
        p = self.probability(raw)
        error: FloatArray = p * (1.0 - p) * np.sqrt(np.maximum(variance, 0.0))
        return error

    def table(self) -> CalibrationTable:
        """The curve at evenly spaced raw probabilities from 0 to 1, for linear interpolation."""
        knots = np.linspace(0.0, 1.0, KNOTS)
        return CalibrationTable(
            knots=tuple(knots.tolist()),
            probabilities=tuple(self.probability(knots).tolist()),
            standard_errors=tuple(self.standard_error(knots).tolist()),
            intercept=self.intercept,
            slope=self.slope,
            n=self.n,
        )


def fit_calibration(raw: FloatArray, up: IntArray, clusters: IntArray) -> Calibrator:
    """Two-parameter logistic calibration (Platt 1999) on the logit, shrunk toward the identity.

    `raw`, `up` and `clusters` have shape (n,). A normal prior around (0, 1) decides where there is
    little data. The covariance is the sandwich of Liang and Zeger (1986) over clusters plus the
    prior's share, so with no data at all it is the prior's own. A negative slope would turn the
    model's order round on noise: it is put to 0, which calls every row the base rate.
    """
    design = _design(raw)
    parameters = _newton(design, up.astype(np.float64), free=np.array([True, True]))
    covariance = _covariance(design, up, clusters, parameters)
    if parameters[1] < 0.0:
        parameters = _newton(design, up.astype(np.float64), free=np.array([True, False]))
    return Calibrator(float(parameters[0]), float(parameters[1]), covariance, len(raw))


def reliability(probability: FloatArray, up: IntArray) -> tuple[ReliabilityBin, ...]:
    """What was said against what came, in up to RELIABILITY_BINS bins of about equally many rows.

    Both are (n,), of rows out of sample. Equal probabilities are never divided (DeGroot and
    Fienberg 1983 for the diagram; equal counts, because forests hardly leave the middle).
    """
    edges = np.unique(np.quantile(probability, np.linspace(0.0, 1.0, RELIABILITY_BINS + 1)[1:-1]))
    place = np.searchsorted(edges, probability, side="left")
    counts = np.bincount(place)
    said, rose = np.bincount(place, probability), np.bincount(place, up)
    return tuple(
        ReliabilityBin(int(n), float(said[i] / n), float(rose[i] / n))
        for i, n in enumerate(counts.tolist())
        if n
    )


def _newton(design: FloatArray, up: FloatArray, free: npt.NDArray[np.bool_]) -> FloatArray:
    parameters = np.where(free, _PRIOR_MEAN, 0.0)
    reached = _penalised_loss(design, up, parameters)
    for _ in range(STEPS_MAX):
        p = _logistic(design @ parameters)
        gradient = design.T @ (up - p) - _PRIOR_PRECISION @ (parameters - _PRIOR_MEAN)
        curvature = _information(design, p)
        step = np.zeros(2)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        # The loss is convex, so a halved step downhill is always found.
        while _penalised_loss(design, up, parameters + step) > reached and step.any():
            step = step / 2.0
        parameters = parameters + step
        reached = _penalised_loss(design, up, parameters)
        if float(np.abs(step).max()) < STEP_TOLERANCE:
            break
    return parameters


def _penalised_loss(design: FloatArray, up: FloatArray, parameters: FloatArray) -> float:
    z = design @ parameters
    away = parameters - _PRIOR_MEAN
    likelihood = float((np.logaddexp(0.0, z) - up * z).sum())
    return likelihood + 0.5 * float(away @ _PRIOR_PRECISION @ away)


def _information(design: FloatArray, p: FloatArray) -> FloatArray:
    weighted = design * (p * (1.0 - p))[:, np.newaxis]
    information: FloatArray = design.T @ weighted + _PRIOR_PRECISION
    return information


def _covariance(
    design: FloatArray, up: IntArray, clusters: IntArray, parameters: FloatArray
) -> FloatArray:
    p = _logistic(design @ parameters)
    bread = np.linalg.inv(_information(design, p))
    _, place = np.unique(clusters, return_inverse=True)
    count = int(place.max()) + 1 if len(place) else 0
    scores = design * (up - p)[:, np.newaxis]
    sums = np.column_stack([np.bincount(place, scores[:, i], count) for i in range(2)])
    meat = sums.T @ sums * (count / (count - 1) if count > 1 else 1.0)
    covariance: FloatArray = bread @ (meat + _PRIOR_PRECISION) @ bread
    return covariance


def _design(raw: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(raw)), _logit(raw)])


def _logit(raw: FloatArray) -> FloatArray:
    clipped = np.clip(raw, RAW_MIN, 1.0 - RAW_MIN)
    return np.log(clipped / (1.0 - clipped))


def _logistic(z: FloatArray) -> FloatArray:
    return np.exp(-np.logaddexp(0.0, -z))
