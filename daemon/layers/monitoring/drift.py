"""Measures drift: turns a reference histogram and recent values into PSI and KS.

Belongs here: what distance between two distributions is, and from which distance on chance is no
explanation any more. Which values are recent belongs to `windows`, what is found to `shifts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from daemon.core.manifests import Placebo

BINS = 10
VALUES_MIN = 100
SHARE_FLOOR = 1e-4

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
    shares = bin_counts(edges, ordered) / len(ordered)
    return Reference(tuple(edges.tolist()), tuple(shares.tolist()), len(ordered))


def psi(reference: Binned, values: ArrayLike, values_min: int = VALUES_MIN) -> float | None:
    """Population stability index of `values` (n,) against the reference; None below `values_min`.

    With nothing changed and independent values its mean is about (bins - 1) / n (Yurdakul 2018):
    0.018 at 500 values, 0.09 at 100. Values that follow each other closely reach much more, which
    is what the placebo is for.
    """
    recent = _checked(values)
    if len(recent) < max(values_min, 1):
        return None
    counts = bin_counts(reference.edges, recent)
    usual = np.asarray(reference.shares, dtype=np.float64)
    return float(psi_of(usual, counts / len(recent), len(recent)))


def bin_counts(edges: Sequence[float] | FloatArray, values: ArrayLike) -> FloatArray:
    """How many of `values` (n,) lie in each bin, (k + 1,); ValueError with a non-finite one."""
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), _checked(values), side="left")
    return np.bincount(places, minlength=len(edges) + 1).astype(np.float64)


def psi_of(usual: FloatArray, recent: FloatArray, n: float | FloatArray) -> FloatArray:
    """Sum over bins, the last axis, of (q - p) ln(q / p), the recent shares being of `n` values.

    Shares on either side under half an observation are lifted to that, for n values cannot tell
    them from none.
    """
    floor = np.maximum(SHARE_FLOOR, 0.5 / np.asarray(n, dtype=np.float64))
    p, q = np.maximum(usual, floor), np.maximum(recent, floor)
    made: FloatArray = ((q - p) * np.log(q / p)).sum(axis=-1)
    return made


def ks_of(usual: FloatArray, recent: FloatArray) -> FloatArray:
    """Kolmogorov and Smirnov's distance, read at the edges of the bins: how far the two cumulative
    shares ever part.
    """
    made: FloatArray = np.abs(np.cumsum(recent - usual, axis=-1)).max(axis=-1)
    return made


def limits_of(placebo: Placebo, n: int) -> tuple[float, float] | None:
    """PSI and KS that `n` rows in a row reach by chance; None where training could not tell.

    Between two lengths it is that of the shorter one, which is the higher.
    """
    place = int(np.searchsorted(np.asarray(placebo.rows), n, side="right")) - 1
    return (placebo.psi[place], placebo.ks[place]) if place >= 0 else None


def _checked(values: ArrayLike) -> FloatArray:
    flat = np.asarray(values, dtype=np.float64)
    if flat.ndim != 1 or not np.isfinite(flat).all():
        raise ValueError("drift is measured on one row of finite values")
    return flat
