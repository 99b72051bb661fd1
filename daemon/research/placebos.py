"""What was usual in training, and how far rows in a row stray from it by chance alone.

A feature that changes slowly looks unlike its own year in any fortnight. So training's rows are cut
into pieces as long as what will be measured live, and each piece is compared with all rows but its
own: of every symbol, and of all symbols together. From these distances comes, for every length and
every column, the one that chance reaches.

The bound is made for the columns together, for all of them are looked at. Distances are taken as
logarithms and standardised by their column; of each piece the furthest column of any symbol is
kept; and the bound of these is a one-sided prediction bound for one more piece, with as many
degrees of freedom as there are pieces that do not overlap. So however many columns and symbols
there are, and however much they move together, any of them is beyond in about one look of a
hundred; and where training holds few pieces, the bound is as wide as that little knowledge is.

Belongs here: this chance. Distances belong to `layers.monitoring.drift`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from daemon.core.manifests import Histogram, Placebo, SymbolShares
from daemon.layers.monitoring.drift import (
    Reference,
    bin_counts,
    ks_of,
    psi_of,
    reference_histogram,
)
from daemon.research.series import FloatArray, IntArray

FALSE_ALARM_RATIO = 0.01  # of looks at all columns, symbols and the pool: at most so many
ROWS_MIN = 40
ROWS_GROWTH = 1.3  # from one length to the next
PIECES_MIN = 3  # that do not overlap: with fewer, Student's bound is beyond anything
OVERLAPS = 4  # a piece begins at every quarter of its length
PSI_FLOOR, SPREAD_FLOOR = 1e-3, 0.1  # a distance under the first is none; spread of its logarithm
LOG_MAX = math.log(1e3)


def usual(
    values: FloatArray, symbol: IntArray, symbols: Sequence[str], rows_max: int
) -> tuple[Histogram, ...]:
    """How each column of `values` (n, k), in the order of time, is usually distributed.

    `symbol` (n,) is each row's place in `symbols`. Placebos are of up to `rows_max` rows in a row
    of one symbol, or of a third of what there is.
    """
    references = [reference_histogram(column) for column in values.T]
    parts = [
        part for number in range(len(symbols)) if len(part := np.flatnonzero(symbol == number))
    ]
    levels = _levels(values, parts, references, rows_max)
    return tuple(
        Histogram(
            reference.edges,
            reference.shares,
            reference.n,
            {symbols[symbol[part[0]]]: _shares(reference, values[part, k]) for part in parts},
            _placebo(levels, k, is_pool=True),
            _placebo(levels, k, is_pool=False),
        )
        for k, reference in enumerate(references)
    )


class _Level(NamedTuple):
    """Bounds for one length: (k,) of PSI and KS, of one symbol and of the pool."""

    rows: int
    psi: tuple[FloatArray, FloatArray]
    ks: tuple[FloatArray, FloatArray]


def _shares(reference: Reference, column: FloatArray) -> SymbolShares:
    counts = bin_counts(reference.edges, column) / len(column)
    return SymbolShares(tuple(counts.tolist()), len(column))


def _lengths(there: int, rows_max: int) -> Iterator[int]:
    longest = min(rows_max, there // PIECES_MIN)
    rows = float(ROWS_MIN)
    while rows < longest:
        yield round(rows)
        rows *= ROWS_GROWTH
    if longest >= ROWS_MIN:
        yield longest


def _levels(
    values: FloatArray,
    parts: Sequence[IntArray],
    references: Sequence[Reference],
    rows_max: int,
) -> list[_Level]:
    """Of every symbol as many rows are looked at as the one with the fewest has, the newest."""
    length = min(map(len, parts))
    lengths = list(_lengths(length, rows_max))
    found: dict[int, list[_Distances]] = {rows: [] for rows in lengths}
    for k, reference in enumerate(references):
        columns = np.stack([values[part[-length:], k] for part in parts])
        seen = _seen(columns, reference)
        for rows in lengths:
            found[rows].append(_piecewise(seen, rows))
    return [_level(rows, length // rows, found[rows]) for rows in lengths]


def _seen(columns: FloatArray, reference: Reference) -> IntArray:
    """How many of the values, (symbols, n), lay in each bin until then, (symbols, n + 1, bins)."""
    bins = np.searchsorted(np.asarray(reference.edges), columns, side="left")
    seen = np.zeros((len(columns), columns.shape[1] + 1, len(reference.shares)), dtype=np.int32)
    np.put_along_axis(seen[:, 1:], bins[..., None], 1, axis=-1)
    summed: IntArray = np.cumsum(seen, axis=1, dtype=np.int32)
    return summed


class _Distances(NamedTuple):
    """Logarithms of PSI and KS of pieces: (symbols, pieces) of each alone, (1, pieces) of all."""

    psi: tuple[FloatArray, FloatArray]
    ks: tuple[FloatArray, FloatArray]


def _piecewise(seen: IntArray, rows: int) -> _Distances:
    starts = np.arange(0, seen.shape[1] - rows, max(rows // OVERLAPS, 1))
    pieces = (seen[:, starts + rows] - seen[:, starts]).astype(np.float64)
    whole = seen[:, -1:].astype(np.float64)
    alone = _distances(pieces, whole)
    pool = _distances(pieces.sum(axis=0, keepdims=True), whole.sum(axis=0, keepdims=True))
    return _Distances((alone[0], pool[0]), (alone[1], pool[1]))


def _level(rows: int, pieces: int, found: Sequence[_Distances]) -> _Level:
    psi, ks = (
        _bounds(
            np.stack([getattr(each, name)[0] for each in found], axis=-1),
            np.stack([getattr(each, name)[1] for each in found], axis=-1),
            pieces,
        )
        for name in ("psi", "ks")
    )
    return _Level(rows, psi, (np.minimum(ks[0], 1.0), np.minimum(ks[1], 1.0)))


def _distances(piece: FloatArray, whole: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of pieces to all rows but theirs, (symbols, pieces) each, as logarithms."""
    n, rest = piece.sum(axis=-1, keepdims=True), whole - piece
    expected, recent = rest / rest.sum(axis=-1, keepdims=True), piece / n
    psi, ks = psi_of(expected, recent, n), ks_of(expected, recent)
    return np.log(np.maximum(psi, PSI_FLOOR)), np.log(np.maximum(ks, 1.0 / n[..., 0]))


def _bounds(alone: FloatArray, pool: FloatArray, pieces: int) -> tuple[FloatArray, FloatArray]:
    """Logarithms of distances, (symbols, pieces, k), to bounds, (k,): of one symbol and of all."""
    furthest, spread = [], []
    for each in (alone, pool):
        flat = each.reshape(-1, each.shape[-1])
        middle, wide = flat.mean(axis=0), np.maximum(flat.std(axis=0, ddof=1), SPREAD_FLOOR)
        furthest.append(((each - middle) / wide).max(axis=(0, 2)))
        spread.append((middle, wide))
    found = np.maximum(*furthest)
    quantile = student_quantile(1.0 - FALSE_ALARM_RATIO, pieces - 1)
    steps = found.mean() + quantile * found.std(ddof=1) * np.sqrt(1.0 + 1.0 / pieces)
    one, all_ = (np.exp(np.minimum(middle + steps * wide, LOG_MAX)) for middle, wide in spread)
    return one, all_


def student_quantile(ratio: float, freedom: int) -> float:
    """The value that Student's t with so many degrees of freedom stays under with this probability,
    from 0.5 on: its finite sums (Abramowitz and Stegun 26.7.3 and 26.7.4), halved to the end.
    """
    low, high = 0.0, math.pi / 2.0  # of the angle, whose tangent is t / sqrt(freedom)
    while low < (angle := (low + high) / 2.0) < high:
        if _student_within(angle, freedom) < 2.0 * ratio - 1.0:
            low = angle
        else:
            high = angle
    return math.tan(high) * math.sqrt(freedom)


def _student_within(angle: float, freedom: int) -> float:
    """Probability that t is no further from 0 than that."""
    cosine, is_odd = math.cos(angle), freedom % 2
    term = cosine if is_odd else 1.0
    total = term if freedom > 1 else 0.0
    for step in range(2 + is_odd, freedom - 1, 2):
        term *= (step - 1) / step * cosine * cosine
        total += term
    total *= math.sin(angle)
    return (angle + total) * 2.0 / math.pi if is_odd else total


def _placebo(levels: Sequence[_Level], column: int, *, is_pool: bool) -> Placebo:
    return Placebo(
        rows=tuple(level.rows for level in levels),
        psi=tuple(float(level.psi[is_pool][column]) for level in levels),
        ks=tuple(float(level.ks[is_pool][column]) for level in levels),
    )
