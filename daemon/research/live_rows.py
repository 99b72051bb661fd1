"""Recomputes the feature rows of a run from the stored bars in one batch, and compares every bit.

What the model was fed live came bar by bar out of windows in memory; what it was taught came out of
the store. Were they ever different, it would decide on something else than it has learnt.

Belongs here: the comparison. When it is made belongs to `running.feature_check`, what a difference
does to risk.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from daemon.core.bars import ZeroVolume
from daemon.core.events import FeatureRow, FeatureRows
from daemon.core.instruments import InstrumentId
from daemon.core.jobs import TrainingSeries
from daemon.layers.features.sets import FeatureSet
from daemon.research.datasets import feature_rows, reference_of
from daemon.research.series import FloatArray, Series, unbroken
from daemon.store.bars import BarStore
from daemon.store.journal_reader import JournalReader

ROWS_MAX = 50_000  # a day of 34 symbols by the minute

Edges = Mapping[InstrumentId, tuple[int, int]]


class Compared(Struct, frozen=True, kw_only=True):
    """What a run's rows are: how, and where its bars lie in the store."""

    features: FeatureSet
    series: Mapping[InstrumentId, TrainingSeries]
    timeframe_ns: int
    zero_volume: ZeroVolume


class Differing(Struct, frozen=True, kw_only=True):
    """One number that is not the same; `stored` is None where the stored bars give no row."""

    instrument: InstrumentId
    close_ns: int
    feature: str
    live: float
    stored: float | None


class RowsChecked(Struct, frozen=True, kw_only=True):
    """How many rows were compared, and how many differ; `revised` ones because a bar in their
    window got another revision after they were made, which is no fault of ours.
    """

    rows: int = 0
    differing: int = 0
    revised: int = 0
    through_step: int = 0
    from_ns: int = 0  # closes of the bars of the first and the last row
    until_ns: int = 0
    first: Differing | None = None


class _Row(NamedTuple):
    made_ns: int
    row: FeatureRow


def check_live_rows(
    journal: JournalReader,
    store: BarStore,
    compared: Compared,
    after_step: int,
    rows_max: int = ROWS_MAX,
) -> RowsChecked:
    """Every row of the steps behind `after_step`, `rows_max` in memory at a time. Raises
    ValueError, JournalBroken or BarStoreBroken where that cannot be done.
    """
    told = RowsChecked(through_step=after_step)
    while (piece := _piece(journal, store, compared, told.through_step, rows_max)) is not None:
        told = RowsChecked(
            rows=told.rows + piece.rows,
            differing=told.differing + piece.differing,
            revised=told.revised + piece.revised,
            through_step=piece.through_step,
            from_ns=min(told.from_ns, piece.from_ns) if told.rows else piece.from_ns,
            until_ns=max(told.until_ns, piece.until_ns),
            first=told.first or piece.first,
        )
    return told


def _piece(
    journal: JournalReader, store: BarStore, compared: Compared, after_step: int, rows_max: int
) -> RowsChecked | None:
    """The next rows, of whole steps; None when there are no further ones. Bars are stored a moment
    after they were decided on, so rows of bars behind the newest stored one wait for the next time.
    """
    rows: dict[InstrumentId, list[_Row]] = defaultdict(list)
    through, count = after_step, 0
    edges = _edges(store, compared)
    for step, event in journal.read_kinds(FeatureRows, after_step=after_step):
        if (count >= rows_max and step != through) or not _is_stored(event, edges, compared):
            break
        through = step
        if event.fingerprint == compared.features.fingerprint:  # else another version's
            for row in event.rows:
                count += 1
                if _is_provable(row, edges, compared):
                    # Bars wait while a step is made, and another revision may come meanwhile.
                    made_ns = min(event.ts_ns, row.received_ns)
                    rows[row.instrument].append(_Row(made_ns, row))
    if through == after_step:
        return None
    closes = [each.row.close_ns for its_rows in rows.values() for each in its_rows]
    if not closes:
        return RowsChecked(through_step=through)
    found = sorted(_differing(rows, _read(store, compared, min(closes), max(closes)), compared),
                   key=lambda each: (each[1].close_ns, each[1].instrument))  # fmt: skip
    faults = [each for made_ns, each in found if not _is_revised(store, compared, each, made_ns)]
    return RowsChecked(
        rows=len(closes),
        differing=len(faults),
        revised=len(found) - len(faults),
        through_step=through,
        from_ns=min(closes),
        until_ns=max(closes),
        first=faults[0] if faults else None,
    )


def _edges(store: BarStore, compared: Compared) -> Edges:
    """Of each instrument the open of the first stored bar and the close of the last."""
    length_ns = compared.timeframe_ns
    found = {
        each: store.edges(where.market, where.symbol, length_ns)
        for each, where in compared.series.items()
    }
    return {each: (of[0], of[1] + length_ns) for each, of in found.items() if of is not None}


def _is_stored(event: FeatureRows, edges: Edges, compared: Compared) -> bool:
    """Whether the store has come to the bars of these rows and of what they refer to."""
    nothing = (0, 0)
    for row in event.rows:
        names = (row.instrument.symbol, *compared.features.references)
        needed = (InstrumentId(row.instrument.exchange, name) for name in names)
        known = (edges.get(each, nothing) for each in needed if each in compared.series)
        if any(row.close_ns > last_ns for _, last_ns in known):
            return False
    return True


def _is_provable(row: FeatureRow, edges: Edges, compared: Compared) -> bool:
    """Whether the bars that it was made of can still be in the store: older ones are pruned."""
    since_ns = row.close_ns - compared.features.lookback * compared.timeframe_ns
    return since_ns >= edges[row.instrument][0]


def _read(store: BarStore, compared: Compared, first_ns: int, last_ns: int) -> dict[str, Series]:
    """The stored bars of all windows, by name; a reference needs one bar more than its window."""
    since_ns = first_ns - (compared.features.lookback + 2) * compared.timeframe_ns
    made = {}
    for each in compared.series.values():
        opens, ohlcv = store.read_arrays(
            each.market, each.symbol, compared.timeframe_ns, max(since_ns, 0), last_ns
        )
        made[each.name] = Series(each.name, opens, ohlcv, compared.timeframe_ns)
    return made


def _differing(
    rows: Mapping[InstrumentId, list[_Row]], series: Mapping[str, Series], compared: Compared
) -> Iterator[tuple[int, Differing]]:
    for instrument, its_rows in rows.items():
        one = series[compared.series[instrument].name]
        table = _table(one, series, compared)
        place = {int(close_ns): number for number, close_ns in enumerate(one.close_ns)}
        for made_ns, row in its_rows:
            number = place.get(row.close_ns)
            stored = None if number is None else table[number]
            differing = _compare(row, stored, compared.features.names)
            if differing is not None:
                yield made_ns, differing


def _table(one: Series, series: Mapping[str, Series], compared: Compared) -> FloatArray:
    """The rows of all bars, as a training makes them."""
    features, zero_volume = compared.features, compared.zero_volume
    runs = unbroken(one, accepts_zero_volume=zero_volume is not ZeroVolume.REJECT)
    references = {symbol: reference_of(one, symbol, series) for symbol in features.references}
    return feature_rows(one, runs, features, references, zero_volume=zero_volume)


def _compare(
    row: FeatureRow, stored: FloatArray | None, names: tuple[str, ...]
) -> Differing | None:
    live = np.array(row.values, dtype=np.float64)
    if stored is not None and live.tobytes() == stored.tobytes():
        return None
    # The bits decide, not the values: 0.0 and -0.0 are not the same to a division.
    column = 0 if stored is None else int(
        np.argmax(live.view(np.int64) != np.ascontiguousarray(stored).view(np.int64))
    )  # fmt: skip
    value = None if stored is None or not np.isfinite(stored[column]) else float(stored[column])
    return Differing(
        instrument=row.instrument,
        close_ns=row.close_ns,
        feature=names[column],
        live=float(live[column]),
        stored=value,
    )


def _is_revised(store: BarStore, compared: Compared, differing: Differing, made_ns: int) -> bool:
    """A bar of its exchange in the window, its own or a reference's, came to the store later."""
    since_ns = differing.close_ns - compared.features.lookback * compared.timeframe_ns
    names = {differing.instrument.symbol, *compared.features.references}
    return any(
        bar.received_ns > made_ns
        for instrument, where in compared.series.items()
        if instrument.exchange == differing.instrument.exchange and instrument.symbol in names
        for bar in store.read(
            where.market, instrument, compared.timeframe_ns, since_ns, differing.close_ns
        )
    )
