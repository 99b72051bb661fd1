from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.embedded.candles import (
    DAY_MS,
    WEEK_MS,
    candles,
    coarse_open_ms,
    interval_length_ms,
    interval_name,
)
from daemon.embedded.market import MarketBar
from daemon.embedded.refusals import RequestError
from daemon.embedded.tape import Tape
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket

HISTORY_BARS = 60
FIRST_MS = FROM_MS - HISTORY_BARS * HOUR_MS


def expected_bars(tape: Tape, hours: int) -> list[MarketBar]:
    """Every bar there is, made one slot at a time in the plainest way."""
    bars = []
    for open_ms in range(FIRST_MS - FIRST_MS % (hours * HOUR_MS), FROM_MS + 1, hours * HOUR_MS):
        slots = [open_ms + n * HOUR_MS for n in range(hours)]
        parts = [tape.bar("BTCUSDT", slot) for slot in slots if slot < FROM_MS]
        if slots[-1] >= FROM_MS:
            parts.append(tape.partial("BTCUSDT"))
        whole = [part for part in parts if part is not None]
        if len(whole) == len(parts):
            bars.append(
                MarketBar(
                    open_ms,
                    whole[0].open,
                    max(part.high for part in whole),
                    min(part.low for part in whole),
                    whole[-1].close,
                    sum((part.volume for part in whole), Decimal(0)),
                    sum(part.trades for part in whole),
                )
            )
    return bars


@given(
    holes=st.sets(st.integers(-HISTORY_BARS, 0), max_size=20),
    hours=st.sampled_from([1, 2, 4, 12, 24]),
    start=st.none() | st.integers(-HISTORY_BARS - 5, 5),
    end=st.none() | st.integers(-HISTORY_BARS - 5, 5),
    minutes=st.integers(0, 59),
    limit=st.integers(1, 70),
)
def test_any_window_of_any_interval_is_what_the_plain_way_gives(
    *, holes: set[int], hours: int, start: int | None, end: int | None, minutes: int, limit: int
) -> None:
    market = FakeMarket(
        history_bars=HISTORY_BARS, holes=frozenset(("BTCUSDT", slot) for slot in holes)
    )
    tape = Tape(market, FROM_MS)
    start_ms = None if start is None else FROM_MS + start * HOUR_MS + minutes * 60_000
    end_ms = None if end is None else FROM_MS + end * HOUR_MS + minutes * 60_000

    found = candles(tape, "BTCUSDT", hours * HOUR_MS, start_ms=start_ms, end_ms=end_ms, limit=limit)

    wanted = [
        bar
        for bar in expected_bars(tape, hours)
        if (FIRST_MS if start_ms is None else start_ms) <= bar.open_ms
        and (end_ms is None or bar.open_ms <= end_ms)
    ]
    assert found == (wanted[-limit:] if start_ms is None else wanted[:limit])


def test_a_week_opens_on_monday_and_a_day_at_midnight() -> None:
    # 2024-01-01 was a Monday.
    assert coarse_open_ms(WEEK_MS, FROM_MS) == FROM_MS
    assert coarse_open_ms(WEEK_MS, FROM_MS - 1) == FROM_MS - WEEK_MS
    assert coarse_open_ms(DAY_MS, FROM_MS + 5 * HOUR_MS) == FROM_MS


def test_only_multiples_of_the_timeframe_are_offered() -> None:
    tape = Tape(FakeMarket(), FROM_MS)

    assert interval_length_ms(tape, "1h") == HOUR_MS
    assert interval_length_ms(tape, "12h") == 12 * HOUR_MS
    for name in ("30m", "7h", "1M", ""):
        with pytest.raises(RequestError) as error:
            interval_length_ms(tape, name)
        assert error.value.code == -1120


def test_a_timeframe_without_a_name_in_the_dialect_still_has_one() -> None:
    assert [interval_name(length_ms) for length_ms in (60_000, 600_000, 5_000)] == [
        "1m",
        "10m",
        "5s",
    ]
