"""Sets that read another instrument: whose bar waits for whose, and why it may get no row."""

from dataclasses import replace

import numpy as np
import pytest

from daemon.core.bars import Bar, MissCause, ZeroVolume
from daemon.core.events import (
    BarsClosed,
    BarsMissed,
    FeatureRow,
    FeatureRows,
    FeaturesRefused,
    FeaturesRefusedReason,
    FeedRecovered,
    FeedStale,
    Input,
    Started,
)
from daemon.core.instruments import InstrumentId
from daemon.layers.features.catalog import reference_features
from daemon.layers.features.handler import Features
from daemon.layers.features.matrix import feature_matrix
from daemon.layers.features.registry import FeatureRefused
from daemon.layers.features.sets import FeatureSet, declare
from daemon.research.datasets import feature_rows, labelled_rows
from daemon.research.series import Series, unbroken
from tests.unit.layers.walks import BTC, ETH, HOUR_NS, Array, a_bar, a_walk

FEATURES = replace(
    reference_features("1h"),
    features=(
        declare("lead_lag", window=4, reference="BTC/USDT"),
        declare("relative_strength", window=3, reference="BTC/USDT"),
        declare("hour_sin"),
    ),
)
WALKS = {BTC: a_walk(40, seed=5), ETH: a_walk(40, seed=6)}
KRAKEN_BTC = InstrumentId("kraken", "BTC/USDT")
KRAKEN_ETH = InstrumentId("kraken", "ETH/USDT")
WINDOW_HAS_HOLE = FeaturesRefusedReason.WINDOW_HAS_HOLE
REFERENCE_MISSING = FeaturesRefusedReason.REFERENCE_MISSING


class Layer:
    """Takes inputs as the pipeline does: applied, decided on, and the answer applied too."""

    def __init__(self, features: FeatureSet = FEATURES, warm: int = 10) -> None:
        self.features = Features(
            features, (BTC, ETH), timeframe="1h", zero_volume=ZeroVolume.REJECT
        )
        for slot in range(warm):
            self.hears(closed(slot, BTC, ETH))

    def hears(self, event: Input) -> list[FeatureRow | FeaturesRefused]:
        told: list[FeatureRows] = []
        match event:
            case BarsClosed():
                self.features.apply_bars_closed(event)
                told = list(self.features.on_bars_closed(event))
            case BarsMissed():
                self.features.apply_bars_missed(event)
                told = list(self.features.on_bars_missed(event))
            case FeedStale():
                self.features.apply_feed_stale(event)
                told = list(self.features.on_feed_stale(event))
            case FeedRecovered():
                self.features.apply_feed_recovered(event)
            case Started():
                self.features.apply_started(event)
        for rows in told:
            self.features.apply_feature_rows(rows)
        answers: list[FeatureRow | FeaturesRefused] = []
        for rows in told:
            answers += [*rows.rows, *rows.refused]
        return answers


def bar_of(slot: int, instrument: InstrumentId) -> Bar:
    return a_bar(slot, WALKS[instrument][slot], instrument)


def closed(slot: int, *instruments: InstrumentId) -> BarsClosed:
    bars = tuple(bar_of(slot, each) for each in instruments)
    return BarsClosed(ts_ns=bars[0].close_ns, bars=bars)


def missed(slot: int, instrument: InstrumentId = BTC) -> BarsMissed:
    return BarsMissed(
        ts_ns=(slot + 1) * HOUR_NS,
        instrument=instrument,
        first_open_ns=slot * HOUR_NS,
        count=1,
        cause=MissCause.OUTAGE,
    )


def said(told: list[FeatureRow | FeaturesRefused]) -> list[tuple[str, int, str]]:
    return [
        (
            each.instrument.symbol[:3],
            each.close_ns // HOUR_NS - 1,
            each.reason.value if isinstance(each, FeaturesRefused) else "row",
        )
        for each in told
    ]


def the_row(slot: int, instrument: InstrumentId) -> tuple[float, ...]:
    part = slice(slot - FEATURES.lookback + 1, slot + 1)
    times = np.arange(3_600.0, 41 * 3_600.0, 3_600.0)
    rows = feature_matrix(
        FEATURES, WALKS[instrument][part], times[part], {"BTC/USDT": WALKS[BTC][part]}
    )
    return tuple(rows[0].tolist())


def test_bars_that_come_together_are_answered_together() -> None:
    told = Layer().hears(closed(10, ETH, BTC))

    assert said(told) == [("ETH", 10, "row"), ("BTC", 10, "row")]
    assert [each.values for each in told if isinstance(each, FeatureRow)] == [
        the_row(10, ETH),
        the_row(10, BTC),
    ]


def test_a_bar_waits_for_the_reference_and_gets_the_same_row_then() -> None:
    layer = Layer()

    first, then = layer.hears(closed(10, ETH)), layer.hears(closed(10, BTC))

    assert first == []
    assert said(then) == [("ETH", 10, "row"), ("BTC", 10, "row")]
    assert isinstance(then[0], FeatureRow)
    assert then[0].values == the_row(10, ETH)


def test_a_row_is_known_when_the_last_of_its_bars_is() -> None:
    layer = Layer()
    late = replace_received(bar_of(10, BTC), 99)

    layer.hears(closed(10, ETH))
    told = layer.hears(BarsClosed(ts_ns=late.received_ns, bars=(late,)))

    assert [each.received_ns for each in told if isinstance(each, FeatureRow)] == [
        late.received_ns,
        late.received_ns,
    ]


def replace_received(bar: Bar, later_ns: int) -> Bar:
    from msgspec.structs import replace as changed

    return changed(bar, received_ns=bar.received_ns + later_ns)


def test_the_reference_itself_waits_for_nobody() -> None:
    assert said(Layer().hears(closed(10, BTC))) == [("BTC", 10, "row")]


def test_a_bar_whose_reference_turns_out_missing_gets_a_reason() -> None:
    layer = Layer()
    layer.hears(closed(10, ETH))

    assert said(layer.hears(missed(10))) == [("ETH", 10, "reference_missing")]
    assert said(layer.hears(closed(11, BTC, ETH))) == [
        ("BTC", 11, "window_has_hole"),
        ("ETH", 11, "reference_missing"),
    ]


def test_a_bar_whose_reference_is_missing_already_does_not_wait() -> None:
    layer = Layer()

    assert layer.hears(missed(10)) == []
    assert said(layer.hears(closed(10, ETH))) == [("ETH", 10, "reference_missing")]


def test_a_bar_does_not_wait_for_a_feed_that_is_stale() -> None:
    layer = Layer()
    stale = FeedStale(ts_ns=1, instrument=BTC, silent_s=91.0, action="poll")
    layer.hears(closed(10, ETH))

    assert said(layer.hears(stale)) == [("ETH", 10, "reference_missing")]
    assert said(layer.hears(closed(11, ETH))) == [("ETH", 11, "reference_missing")]
    layer.hears(FeedRecovered(ts_ns=2, instrument=BTC))
    assert layer.hears(closed(12, ETH)) == []


def test_a_bar_that_is_overtaken_by_the_next_one_gets_a_reason() -> None:
    layer = Layer()
    layer.hears(closed(10, ETH))

    assert said(layer.hears(closed(11, ETH))) == [("ETH", 10, "window_has_hole")]


def test_a_bar_that_comes_after_the_reference_moved_on_gets_a_reason() -> None:
    layer = Layer()
    layer.hears(closed(10, BTC))
    layer.hears(closed(11, BTC))

    assert said(layer.hears(closed(10, ETH))) == [("ETH", 10, "reference_missing")]


def test_a_bar_is_answered_once() -> None:
    layer = Layer()
    layer.hears(closed(10, ETH))
    layer.hears(missed(10))

    assert layer.hears(missed(10)) == []


def test_a_reference_that_is_no_instrument_is_refused() -> None:
    with pytest.raises(FeatureRefused, match="reads BTC/USDT, which is none of the instruments of"):
        Features(FEATURES, (ETH,), timeframe="1h", zero_volume=ZeroVolume.ACCEPT)


def test_where_there_are_several_exchanges_each_reads_its_own() -> None:
    here, there = WALKS[BTC], a_walk(40, seed=9)
    ids = (BTC, ETH, KRAKEN_BTC, KRAKEN_ETH)
    layer = Features(FEATURES, ids, timeframe="1h", zero_volume=ZeroVolume.ACCEPT)
    walks = {BTC: here, ETH: WALKS[ETH], KRAKEN_BTC: there, KRAKEN_ETH: WALKS[ETH]}
    live: dict[str, list[float]] = {}
    for slot in range(12):
        event = BarsClosed(
            ts_ns=slot, bars=tuple(a_bar(slot, walks[each][slot], each) for each in ids)
        )
        layer.apply_bars_closed(event)
        for rows in layer.on_bars_closed(event):
            layer.apply_feature_rows(rows)
            live |= {str(row.instrument): list(row.values) for row in rows.rows}

    series = [a_series(str(each), walk[:13], set()) for each, walk in walks.items()]
    dataset = labelled_rows(series, FEATURES, horizon_bars=1, zero_volume=ZeroVolume.ACCEPT)

    newest = {
        dataset.symbols[number]: values
        for number, values, bar in zip(
            dataset.symbol.tolist(), dataset.features.tolist(), dataset.bar.tolist(), strict=True
        )
        if bar == 11
    }
    assert newest == live
    assert live[str(ETH)] != live[str(KRAKEN_ETH)]


def a_series(symbol: str, walk: Array, lacking: set[int]) -> Series:
    slots = np.array([slot for slot in range(len(walk)) if slot not in lacking], dtype=np.int64)
    return Series(symbol, slots * HOUR_NS, walk[slots], HOUR_NS)


def test_research_leaves_out_exactly_the_rows_that_live_refuses() -> None:
    lacking = {BTC: {14, 30}, ETH: {22}}
    quiet = WALKS[BTC].copy()
    quiet[8, 4] = 0.0
    walks = {BTC: quiet, ETH: WALKS[ETH]}
    layer, live = Layer(warm=0), dict[tuple[str, int], tuple[float, ...]]()
    for slot in range(40):
        for each in (ETH, BTC):
            if slot in lacking[each]:
                told = layer.hears(missed(slot, each))
            else:
                bar = a_bar(slot, walks[each][slot], each)
                told = layer.hears(BarsClosed(ts_ns=bar.close_ns, bars=(bar,)))
            live |= {
                (row.instrument.symbol, row.close_ns // HOUR_NS - 1): row.values
                for row in told
                if isinstance(row, FeatureRow)
            }

    series = {each.symbol: a_series(each.symbol, walks[each], lacking[each]) for each in walks}
    made = dict[tuple[str, int], tuple[float, ...]]()
    for symbol, one in series.items():
        rows = feature_rows(
            one,
            unbroken(one),
            FEATURES,
            {"BTC/USDT": series["BTC/USDT"]},
            zero_volume=ZeroVolume.REJECT,
        )
        made |= {
            (symbol, int(open_ns) // HOUR_NS): tuple(row)
            for open_ns, row in zip(one.open_ns, rows.tolist(), strict=True)
            if np.isfinite(row).all()
        }

    assert made == live
    assert 20 < len(live) < 40


def test_a_start_opens_new_streams_so_a_reference_that_was_stale_is_waited_for_again() -> None:
    """Nobody tells of a recovery then: the feed that was stale has gone with its process."""
    layer = Layer()
    layer.hears(FeedStale(ts_ns=10 * HOUR_NS, instrument=BTC, silent_s=90.0, action="reconnect"))

    layer.hears(Started(ts_ns=10 * HOUR_NS, version="1"))

    assert said(layer.hears(closed(10, ETH))) == []
    assert said(layer.hears(closed(10, BTC))) == [("ETH", 10, "row"), ("BTC", 10, "row")]
