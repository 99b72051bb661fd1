"""Files and history pass the gate and the sieve: what is believed, and what is kept back with a
reason.
"""

import msgspec

from daemon.core.bars import Bar, BarRejectReason, BarSource, RawBar, Suspicion, ToldBar
from daemon.layers.ingestion.sieve import Sorted, sift, sort_out
from tests.unit.layers.candles import BTC, HOUR_NS, a_raw, open_of
from tests.unit.layers.test_suspicion import a_market, between, moved


def sorted_out(*raws: RawBar | str) -> Sorted:
    told = [
        ToldBar(f"line {number}", a_raw(0), each)
        if isinstance(each, str)
        else ToldBar(f"line {number}", each)
        for number, each in enumerate(raws, 2)
    ]
    return sort_out(
        told, instrument=BTC, timeframe_ns=HOUR_NS, now_ns=open_of(100), source=BarSource.RECORDING
    )


def slots(bars: tuple[Bar, ...]) -> list[int]:
    return [(bar.open_ns - open_of(0)) // HOUR_NS for bar in bars]


def test_candles_in_any_order_become_bars_in_the_order_of_time() -> None:
    found = sorted_out(a_raw(3), a_raw(1), a_raw(2), a_raw(0))

    assert slots(found.bars) == [0, 1, 2, 3]
    assert found.refused == ()
    assert found.places[open_of(3)] == "line 2"


def test_the_same_candle_again_is_counted_and_another_one_of_its_slot_is_refused() -> None:
    found = sorted_out(a_raw(0), a_raw(1), a_raw(0), a_raw(1, 100.75), a_raw(2))

    assert slots(found.bars) == [0, 1, 2]
    assert found.bars[1].close == 100.5
    assert found.duplicates == 1
    assert [(each.place, each.refusal.reason) for each in found.refused] == [
        ("line 5", BarRejectReason.CONFLICTING)
    ]


def test_whatever_is_no_sound_candle_is_refused_where_it_stands() -> None:
    found = sorted_out(
        a_raw(0),
        "3 cells, expected 6 as in the header",
        a_raw(1, -1.0),
        a_raw(2, open_ms=open_of(2) // 1_000_000 + 1),
        a_raw(200),
        a_raw(3, high=90.0),
    )

    assert slots(found.bars) == [0]
    assert [(each.place, each.refusal.reason.value) for each in found.refused] == [
        ("line 3", "malformed"),
        ("line 4", "not_positive"),
        ("line 5", "off_grid"),
        ("line 6", "in_future"),
        ("line 7", "inconsistent"),
    ]
    assert found.refused[0].open_ns is None
    assert found.refused[1].open_ns == open_of(1)


def test_a_spike_is_kept_back_until_somebody_confirms_or_accepts_it() -> None:
    bars = a_market(60)
    bars[50] = msgspec.structs.replace(bars[50], low=0.0001)
    confirmed = [*bars]
    confirmed[50] = msgspec.structs.replace(bars[50], suspicion=Suspicion.SPIKE)

    doubted = sift(bars, timeframe_ns=HOUR_NS)
    accepted = sift(bars, timeframe_ns=HOUR_NS, accepts={Suspicion.SPIKE})

    ((bar, refusal),) = doubted.doubted
    assert (bar, refusal.reason) == (bars[50], BarRejectReason.SPIKE)
    assert bars[50] not in doubted.bars
    assert accepted.bars[50] == confirmed[50]
    assert sift(confirmed, timeframe_ns=HOUR_NS).bars == tuple(confirmed)


def test_a_confirmed_spike_is_not_confirmed_to_be_anything_else() -> None:
    bars = a_market(40)
    for step in (1, 2, 3):
        bars[20 + step] = msgspec.structs.replace(
            between(bars[20], bars[24], step / 4, bars[20 + step]), suspicion=Suspicion.SPIKE
        )

    assert [refusal.reason.value for _, refusal in sift(bars, timeframe_ns=HOUR_NS).doubted] == [
        "imputed"
    ] * 3


def test_of_two_units_of_volume_that_of_the_newest_bars_is_believed() -> None:
    bars = a_market(300)
    told = [
        moved(bar, 1.0, volume=5_000.0 if slot < 100 or 150 <= slot < 220 else 1.0)
        for slot, bar in enumerate(bars)
    ]

    found = sift(told, timeframe_ns=HOUR_NS)
    accepted = sift(told, timeframe_ns=HOUR_NS, accepts={Suspicion.VOLUME_UNIT})

    assert slots(found.bars) == [*range(100, 150), *range(220, 300)]
    assert {refusal.reason.value for _, refusal in found.doubted} == {"volume_unit"}
    changes = [(each.open_ns - open_of(0)) // HOUR_NS for each in found.unit_changes]
    assert changes == [100, 150, 220]
    assert len(accepted.bars) == 300
    assert sum(bar.suspicion is Suspicion.VOLUME_UNIT for bar in accepted.bars) == 170
    assert sift(accepted.bars, timeframe_ns=HOUR_NS).bars == accepted.bars
