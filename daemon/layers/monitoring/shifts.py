"""Finds drift: from what was usual in training and the newest rows of every instrument to shifts.

A feature, or the prediction, of one instrument or of all together has drifted when its PSI is
beyond both the threshold and what chance reaches in so many rows in a row, and its KS distance is
beyond what chance reaches, too. When only one of the two says so it is disputed: told, and nothing
comes of it. Why two, and how often both are wrong together, is in docs/health.md.

Belongs here: the comparison. Distances belong to `drift`, what they do to health to `health`.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from msgspec import Struct

from daemon.core.instruments import InstrumentId
from daemon.core.manifests import Histogram, SymbolShares
from daemon.core.scores import Shift
from daemon.layers.monitoring.drift import FloatArray, bin_counts, ks_of, limits_of, psi_of

SHIFTS_TOLD_MAX = 8


class References(Struct, frozen=True):
    """What was usual: features in training, and the calibrated probability out of sample."""

    features: Mapping[str, Histogram]
    probability: Histogram


class Rules(Struct, frozen=True):
    """From which PSI on a shift matters, and how many rows of one instrument tell anything."""

    psi_warn: float
    rows_min: int


class Drift(Struct, frozen=True):
    """All that was measured, the worst first, and what could not be."""

    features: tuple[Shift, ...] = ()
    prediction: tuple[Shift, ...] = ()
    has_reference: bool = True
    has_rows: bool = True

    @property
    def told(self) -> tuple[Shift, ...]:
        """Those that have drifted or are disputed, and the worst of either kind in any case."""
        found = sorted((*self.features, *self.prediction), key=_rank, reverse=True)
        worst = {id(each) for each in (*self.features[:1], *self.prediction[:1])}
        others = [each for each in found if each.is_drift or each.is_disputed]
        kept = {id(each) for each in others[: SHIFTS_TOLD_MAX - len(worst)]} | worst
        return tuple(each for each in found if id(each) in kept)


def measure_drift(
    references: References | None,
    names: Sequence[str],
    rows: Mapping[InstrumentId, FloatArray],
    probabilities: Mapping[InstrumentId, FloatArray],
    rules: Rules,
) -> Drift:
    """Of feature rows, each in the order of `names`, and of calibrated probabilities (n, 1)."""
    if references is None or any(name not in references.features for name in names):
        return Drift(has_reference=False)
    features = [
        shift
        for column, name in enumerate(names)
        for shift in _shifts(references.features[name], name, _column(rows, column, rules), rules)
    ]
    column = _column(probabilities, 0, rules)
    prediction = list(_shifts(references.probability, None, column, rules))
    return Drift(
        features=tuple(sorted(features, key=_rank, reverse=True)),
        prediction=tuple(sorted(prediction, key=_rank, reverse=True)),
        has_reference=all(each.psi_limit is not None for each in (*features, *prediction)),
        has_rows=bool(features and prediction),
    )


def _column(
    rows: Mapping[InstrumentId, FloatArray], column: int, rules: Rules
) -> dict[InstrumentId, FloatArray]:
    return {
        instrument: table[:, column]
        for instrument, table in rows.items()
        if len(table) >= rules.rows_min
    }


def _shifts(
    histogram: Histogram,
    name: str | None,
    values: Mapping[InstrumentId, FloatArray],
    rules: Rules,
) -> Iterator[Shift]:
    """Of every instrument against its own past, and where there are several, of all together."""
    usual = {each: _usual(histogram, each) for each in values}
    counts = {each: bin_counts(histogram.edges, column) for each, column in values.items()}
    limits = histogram.symbol_placebo
    for instrument, counted in counts.items():
        n = len(values[instrument])
        limit = limits_of(limits, n)
        yield _shift(name, instrument, n, usual[instrument], counted, limit, rules.psi_warn)
    if len(values) > 1:
        # What all together would look like had each stayed as it was.
        expected = np.sum([usual[each] * len(values[each]) for each in values], axis=0)
        total = np.sum(list(counts.values()), axis=0)
        limit = limits_of(histogram.placebo, min(map(len, values.values())))
        yield _shift(name, None, int(total.sum()), expected / total.sum(), total, limit,
                     rules.psi_warn)  # fmt: skip


def _shift(  # noqa: PLR0917  # what a distance is made of
    name: str | None,
    instrument: InstrumentId | None,
    n: int,
    usual: FloatArray,
    counted: FloatArray,
    limits: tuple[float, float] | None,
    psi_warn: float,
) -> Shift:
    psi = float(psi_of(usual, counted / n, n))
    ks = float(ks_of(usual, counted / n))
    psi_placebo, ks_placebo = limits or (np.inf, np.inf)
    matters = psi > psi_warn
    by_psi, by_ks = psi > psi_placebo, ks > ks_placebo
    return Shift(
        feature=name,
        instrument=instrument,
        n=n,
        psi=psi,
        psi_limit=None if limits is None else max(psi_warn, psi_placebo),
        ks=ks,
        ks_limit=None if limits is None else ks_placebo,
        is_drift=matters and by_psi and by_ks,
        is_disputed=matters and by_psi != by_ks,
    )


def _usual(histogram: Histogram, instrument: InstrumentId) -> FloatArray:
    """Its own past; that of all where training knew no such symbol."""
    known = histogram.symbols.get(instrument.symbol) or histogram.symbols.get(str(instrument))
    shares = known.shares if isinstance(known, SymbolShares) else histogram.shares
    return np.asarray(shares, dtype=np.float64)


def _rank(shift: Shift) -> tuple[bool, bool, float]:
    """What has drifted before what is disputed, and the further beyond its limit the worse."""
    return (shift.is_drift, shift.is_disputed, shift.psi / (shift.psi_limit or np.inf))
