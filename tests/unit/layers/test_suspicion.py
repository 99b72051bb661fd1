"""What is hard to believe about a bar, and what is not although it is large."""

import math
import random
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.bars import Bar, BarSource, Suspicion
from daemon.layers.ingestion.suspicion import Doubt, Past, VolumeScale, is_line
from tests.unit.layers.candles import BTC, HOUR_NS, open_of


def a_market(slots: int, seed: int = 1, *, price: float = 100.0, sd: float = 0.005) -> list[Bar]:
    """Quiet hours: each close is a small step from the one before."""
    rng = random.Random(seed)
    bars = []
    for slot in range(slots):
        close = price * math.exp(rng.gauss(0.0, sd))
        high, low = (max(price, close) * (1 + sd / 2), min(price, close) * (1 - sd / 2))
        bars.append(a_bar(slot, price, high, low, close, rng.uniform(50.0, 150.0)))
        price = close
    return bars


def a_bar(slot: int, *numbers: float) -> Bar:
    open_, high, low, close, volume = numbers
    return Bar(
        instrument=BTC,
        open_ns=open_of(slot),
        close_ns=open_of(slot + 1),
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        received_ns=open_of(slot + 1),
        source=BarSource.STREAM,
    )


def moved(bar: Bar, factor: float, *, volume: float = 1.0) -> Bar:
    numbers = {name: getattr(bar, name) * factor for name in ("open", "high", "low", "close")}
    return msgspec.structs.replace(bar, **numbers, volume=bar.volume * volume)


def doubts(bars: Sequence[Bar]) -> Iterator[tuple[int, Doubt]]:
    """What a stream that tells these bars is doubted for; nothing doubted is believed later."""
    past = Past(HOUR_NS)
    for slot, bar in enumerate(bars):
        doubt = past.doubt(bar)
        if doubt is None:
            past.take(bar)
        else:
            past.leave(bar)
            yield slot, doubt


def kinds(bars: Sequence[Bar]) -> list[tuple[int, Suspicion]]:
    return [(slot, doubt.suspicion) for slot, doubt in doubts(bars)]


@given(st.integers(0, 2**32))
def test_a_quiet_market_is_believed_whatever_its_seed(seed: int) -> None:
    assert kinds(a_market(150, seed)) == []


def test_a_wick_far_beyond_the_usual_range_is_a_spike() -> None:
    bars = a_market(60)
    bars[50] = msgspec.structs.replace(bars[50], low=0.0001)

    ((slot, doubt),) = doubts(bars)

    assert (slot, doubt.suspicion) == (50, Suspicion.SPIKE)
    assert "wick by a factor of" in doubt.detail


def test_a_close_ten_times_too_high_is_a_spike_and_the_return_from_it_is_none() -> None:
    bars = a_market(60)
    bars[50] = msgspec.structs.replace(bars[50], close=1_000.0, high=1_000.0)

    assert kinds(bars) == [(50, Suspicion.SPIKE)]


def test_a_level_that_lasts_is_doubted_once() -> None:
    bars = a_market(80)
    crashed = [*bars[:50], *(moved(bar, 0.5) for bar in bars[50:])]

    assert kinds(crashed) == [(50, Suspicion.SPIKE)]


def test_a_crash_that_the_market_was_wild_enough_for_is_believed() -> None:
    bars = a_market(60, sd=0.02)
    bars[50] = msgspec.structs.replace(bars[50], low=bars[50].low * 0.6, close=bars[50].close * 0.7)

    assert kinds(bars[:51]) == []


def test_a_long_hole_allows_a_wider_step() -> None:
    bars = a_market(101, sd=0.01)
    after = moved(bars[100], 1.6)

    straight = [
        *bars[:30],
        msgspec.structs.replace(after, open_ns=open_of(30), close_ns=open_of(31)),
    ]
    over_a_hole = [*bars[:30], after]

    assert kinds(straight) == [(30, Suspicion.SPIKE)]
    assert kinds(over_a_hole) == []


def test_without_a_past_only_the_absurd_is_doubted() -> None:
    listing = a_bar(0, 0.5, 1.2, 0.45, 1.1, 1e6)
    absurd = a_bar(0, 16_199.91, 16_199.91, 4_261.32, 4_308.83, 44.51)

    assert kinds([listing]) == []
    assert kinds([absurd, *a_market(3, price=4_308.0)]) == [(0, Suspicion.SPIKE)]


def test_an_interpolated_run_is_noticed_one_bar_late_by_a_stream_and_exactly_by_a_file() -> None:
    bars = a_market(40)
    first, last = bars[20], bars[24]
    for step in (1, 2, 3):
        bars[20 + step] = between(first, last, step / 4, bars[20 + step])

    past = Past(HOUR_NS)
    exact = []
    for slot, (bar, after) in enumerate(zip(bars, [*bars[1:], None], strict=True)):
        if past.doubt(bar, after) is not None:
            exact.append(slot)
        past.take(bar)

    assert kinds(bars) == [
        (22, Suspicion.IMPUTED),
        (23, Suspicion.IMPUTED),
        (24, Suspicion.IMPUTED),
    ]
    assert exact == [21, 22, 23]


def between(one: Bar, other: Bar, share: float, at: Bar) -> Bar:
    numbers = {
        name: getattr(one, name) + share * (getattr(other, name) - getattr(one, name))
        for name in ("open", "high", "low", "close", "volume")
    }
    return msgspec.structs.replace(at, **numbers)


def test_the_same_bar_over_and_over_is_invented_but_not_when_nobody_trades() -> None:
    bars = a_market(40)
    for slot in range(21, 28):
        same = {name: getattr(bars[20], name) for name in ("open", "high", "low", "close")}
        bars[slot] = msgspec.structs.replace(bars[slot], **same, volume=bars[20].volume)
    quiet = [
        msgspec.structs.replace(bar, open=bar.close, high=bar.close, low=bar.close, volume=0.0)
        for bar in a_market(1) * 30
    ]
    quiet = [
        msgspec.structs.replace(bar, open_ns=open_of(slot), close_ns=open_of(slot + 1))
        for slot, bar in enumerate(quiet)
    ]

    assert kinds(bars) == [(slot, Suspicion.IMPUTED) for slot in range(23, 28)]
    assert kinds(quiet) == []


def test_three_bars_are_no_line_across_a_hole_or_at_one_price() -> None:
    flat = [a_bar(slot, 5.0, 5.0, 5.0, 5.0, 1.0 + slot) for slot in range(3)]
    slope = [a_bar(slot, 5.0 + slot, 6.0 + slot, 4.0 + slot, 5.5 + slot, 1.0) for slot in range(4)]

    assert not is_line(flat[0], flat[1], flat[2])
    assert is_line(slope[0], slope[1], slope[2])
    assert not is_line(slope[0], slope[1], slope[3])


@pytest.mark.parametrize("ratio", [1_000.0, 1 / 5_000.0])
def test_a_new_unit_of_volume_is_noticed_at_its_fifth_bar_and_once(ratio: float) -> None:
    bars = a_market(120)
    changed = [*bars[:60], *(moved(bar, 1.0, volume=ratio) for bar in bars[60:])]

    ((slot, doubt),) = doubts(changed)

    assert (slot, doubt.suspicion) == (64, Suspicion.VOLUME_UNIT)
    told = float(doubt.detail.split("about ")[1].split()[0])
    assert told == pytest.approx(ratio, rel=0.5)


def test_single_bars_of_odd_volume_are_no_new_unit() -> None:
    scale = VolumeScale()
    rng = random.Random(3)
    told = [rng.uniform(50.0, 150.0) * (1e4 if slot % 5 == 0 else 1.0) for slot in range(300)]

    changes = []
    for volume in told:
        changes.append(scale.change_with(volume))
        scale.take(volume)

    assert set(changes) == {None}
