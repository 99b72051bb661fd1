"""Measures drift: turns a reference histogram and recent values into a population stability index.

Belongs here: what distance between two distributions is. Which values are recent, and what a
distance leads to, belongs to `handler`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 10
VALUES_MIN = 100
SHARE_FLOOR = 1e-4
PLACEBO_WINDOWS_MIN = 4
PLACEBO_QUANTILE = 0.95

FloatArray = NDArray[np.float64]


class Binned(Protocol):
    """Any histogram: k inner edges and k + 1 shares, the bins being closed on the right."""

    @property
    def edges(self) -> Sequence[float]: ...
    @property
    def shares(self) -> Sequence[float]: ...


@dataclass(frozen=True, slots=True)
class Reference:
    """What was usual: bins (-inf, e0], (e0, e1] ... (ek, inf) and the share of values in each."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    n: int = 0

    def __post_init__(self) -> None:
        if len(self.shares) != len(self.edges) + 1:
            raise ValueError(f"{len(self.edges)} edges make {len(self.edges) + 1} bins")


def reference_histogram(values: ArrayLike, bins: int = BINS) -> Reference:
    """Quantile bins of `values` (n,); a value that fills several bins gets one of its own.

    So a constant has three bins (below, equal, above) and a feature that is mostly 0 has a bin
    for exactly 0. ValueError without values or with a non-finite one.
    """
    ordered = np.sort(_checked(values))
    if len(ordered) == 0:
        raise ValueError("a reference needs values")
    # Order statistics, not interpolated quantiles: an edge between two values would hide an atom.
    places = np.maximum((np.arange(1, bins) * len(ordered)) // bins - 1, 0)
    candidates, counts = np.unique(ordered[places], return_counts=True)
    atoms = candidates[counts > 1]
    edges = np.unique(np.concatenate((candidates, np.nextafter(atoms, -np.inf))))
    shares = _counts(edges, ordered) / len(ordered)
    return Reference(tuple(edges.tolist()), tuple(shares.tolist()), len(ordered))


def psi(reference: Binned, values: ArrayLike, values_min: int = VALUES_MIN) -> float | None:
    """Population stability index of `values` (n,) against the reference; None below `values_min`.

    Sum over bins of (q - p) ln(q / p). Shares on either side under half an observation are
    lifted to that, for n values cannot tell them from none. With nothing changed and independent
    values its mean is about (bins - 1) / n (Yurdakul 2018): 0.018 at 500 values, 0.09 at 100.
    Values that follow each other closely reach much more, which is what the placebo is for.
    """
    recent = _checked(values)
    if len(recent) < max(values_min, 1):
        return None
    edges = np.asarray(reference.edges, dtype=np.float64)
    return _psi(np.asarray(reference.shares), _counts(edges, recent) / len(recent), len(recent))


def placebo_psi(
    values: ArrayLike,
    window: int | None = None,
    bins: int = BINS,
    values_min: int = VALUES_MIN,
) -> float | None:
    """PSI that the training values (n,), in order of time, show against themselves.

    Without `window`: the second half against the first. With it: the 95 % quantile over stretches
    of that many values, each against all, which is what a live window of that length shows while
    nothing has changed but the weather. None when there are too few values for either.
    """
    usual = _checked(values)
    if window is None:
        middle = len(usual) // 2
        if middle < max(values_min, 1):
            return None
        return psi(reference_histogram(usual[:middle], bins), usual[middle:], values_min)
    stretches = len(usual) // window
    if stretches < PLACEBO_WINDOWS_MIN or window < values_min:
        return None
    reference = reference_histogram(usual, bins)
    levels = [
        psi(reference, usual[start : start + window], values_min)
        for start in range(0, stretches * window, window)
    ]
    return float(np.quantile([level for level in levels if level is not None], PLACEBO_QUANTILE))


def _checked(values: ArrayLike) -> FloatArray:
    flat = np.asarray(values, dtype=np.float64)
    if flat.ndim != 1 or not np.isfinite(flat).all():
        raise ValueError("drift is measured on one row of finite values")
    return flat


def _counts(edges: FloatArray, values: FloatArray) -> NDArray[np.int64]:
    places = np.searchsorted(edges, values, side="left")
    return np.bincount(places, minlength=len(edges) + 1).astype(np.int64)


def _psi(usual: FloatArray, recent: FloatArray, n: int) -> float:
    floor = max(SHARE_FLOOR, 0.5 / n)
    p, q = np.maximum(usual, floor), np.maximum(recent, floor)
    return float(((q - p) * np.log(q / p)).sum())
