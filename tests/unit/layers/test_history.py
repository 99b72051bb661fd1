import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.bars import BarRejectReason, BarSource, MissCause, RawBar
from daemon.core.errors import ExchangeUnreachable, TradingdError
from daemon.core.events import BarsMissed
from daemon.core.instruments import InstrumentId
from daemon.layers.ingestion.history import History, load_history
from tests.fakes import FakeMarketData
from tests.unit.layers.candles import BTC, HOUR_NS, a_raw, open_of


def loaded(
    market: FakeMarketData,
    *,
    since: int = 0,
    until: int = 100,
    page_limit: int = 10,
    sends_empty: bool = True,
    told: list[tuple[int, int]] | None = None,
) -> History:
    return asyncio.run(
        load_history(
            market,
            BTC,
            timeframe_ns=HOUR_NS,
            since_ns=open_of(since),
            until_ns=open_of(until),
            page_limit=page_limit,
            venue_sends_empty_bars=sends_empty,
            progress=None if told is None else lambda done, total: told.append((done, total)),
        )
    )


def a_market(*slots: int, page_limit: int = 10) -> FakeMarketData:
    market = FakeMarketData(page_limit=page_limit)
    market.rows[BTC] = [a_raw(slot) for slot in slots]
    return market


def slots_of(history: History) -> list[int]:
    return [(bar.open_ns - open_of(0)) // HOUR_NS for bar in history.bars]


def test_pages_are_asked_for_until_all_is_there() -> None:
    history = loaded(a_market(*range(101), page_limit=7))

    assert slots_of(history) == list(range(100))
    assert {bar.source for bar in history.bars} == {BarSource.BACKFILL}
    assert history.missed == ()
    assert history.rejected == ()


def test_the_unfinished_candle_never_passes() -> None:
    history = loaded(a_market(*range(30)), until=20)

    assert slots_of(history) == list(range(20))


def test_a_hole_is_one_run_and_an_outage_where_quiet_slots_have_bars() -> None:
    history = loaded(a_market(0, 1, 5, 6, 8), until=9)

    assert history.missed == (
        a_miss(2, 3, MissCause.OUTAGE),
        a_miss(7, 1, MissCause.OUTAGE),
    )


def a_miss(slot: int, count: int, cause: MissCause) -> BarsMissed:
    return BarsMissed(
        ts_ns=open_of(9), instrument=BTC, first_open_ns=open_of(slot), count=count, cause=cause
    )


def test_a_hole_is_a_quiet_time_where_the_venue_leaves_those_out() -> None:
    history = loaded(a_market(0, 1, 5, 6, 8), until=9, sends_empty=False)

    assert [each.cause for each in history.missed] == [MissCause.NO_TRADES] * 2


def test_slots_before_the_listing_and_after_the_last_bar_are_not_called_missing() -> None:
    history = loaded(a_market(50, 51), until=60)

    assert slots_of(history) == [50, 51]
    assert history.missed == ()


def test_a_hole_longer_than_a_page_does_not_end_the_paging_of_a_windowing_venue() -> None:
    class Windows(FakeMarketData):
        async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
            found = await super().fetch(instrument, since_ns, 1_000)
            return [raw for raw in found if raw.open_ms * 10**6 < since_ns + limit * HOUR_NS]  # type: ignore[operator]

    market = Windows()
    market.rows[BTC] = [a_raw(slot) for slot in (0, 1, 45, 46)]

    assert slots_of(loaded(market)) == [0, 1, 45, 46]


def test_pages_that_bring_nothing_newer_end_the_paging() -> None:
    class Stuck(FakeMarketData):
        async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
            self.fetched.append((instrument, since_ns, limit))
            return [a_raw(0), a_raw(1)]

    market = Stuck()

    assert slots_of(loaded(market)) == [0, 1]
    assert len(market.fetched) == 4


def test_descending_and_overlapping_pages_are_put_in_order() -> None:
    class Odd(FakeMarketData):
        async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
            found = await super().fetch(instrument, since_ns - 2 * HOUR_NS, limit)
            return found[::-1]

    market = Odd()
    market.rows[BTC] = [a_raw(slot) for slot in range(40)]

    history = loaded(market, until=40)

    assert slots_of(history) == list(range(40))
    assert history.rejected == ()


def test_pages_that_contradict_each_other_are_told() -> None:
    market = a_market(0, 1)
    market.rows[BTC] = [a_raw(0), a_raw(1), a_raw(1, 100.75), a_raw(2)]

    history = loaded(market, until=3)

    assert slots_of(history) == [0, 1, 2]
    assert [each.reason for each in history.rejected] == [BarRejectReason.CONFLICTING]
    assert "100.75" in history.rejected[0].raw


def test_a_bad_row_is_refused_and_its_slot_is_a_hole() -> None:
    market = a_market(0)
    market.rows[BTC] = [a_raw(0), a_raw(1, None), a_raw(2), a_raw(0, open_ms="soon")]

    history = loaded(market, until=3)

    assert slots_of(history) == [0, 2]
    assert sorted(each.reason for each in history.rejected) == [
        BarRejectReason.MALFORMED,
        BarRejectReason.MALFORMED,
    ]
    assert [(each.first_open_ns, each.count) for each in history.missed] == [(open_of(1), 1)]


def test_progress_is_told_in_slots() -> None:
    told: list[tuple[int, int]] = []
    loaded(a_market(*range(21)), until=20, told=told)

    assert told == [(10, 20), (20, 20)]


def test_an_exchange_that_does_not_answer_is_said_to_be_unreachable() -> None:
    market = a_market(0)
    market.is_away = True

    with pytest.raises(ExchangeUnreachable):
        loaded(market)


def test_a_time_that_would_take_pages_without_end_is_refused() -> None:
    with pytest.raises(TradingdError, match="more than 10000 pages"):
        loaded(FakeMarketData(), until=200_000, page_limit=10)


@given(st.sets(st.integers(0, 60)), st.integers(1, 13), st.integers(0, 60))
def test_bars_and_holes_together_cover_every_slot_between_first_and_last(
    slots: set[int], page_limit: int, until: int
) -> None:
    history = loaded(a_market(*sorted(slots), page_limit=page_limit), until=until, page_limit=13)

    expected = sorted(slot for slot in slots if slot < until)
    missed = [
        (each.first_open_ns - open_of(0)) // HOUR_NS + step
        for each in history.missed
        for step in range(each.count)
    ]
    assert slots_of(history) == expected
    if expected:
        assert sorted(expected + missed) == list(range(expected[0], expected[-1] + 1))


def test_what_is_missing_or_spoiled_in_one_page_only_is_no_hole() -> None:
    class Forgetful(FakeMarketData):
        async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
            rows = await super().fetch(instrument, since_ns, limit)
            return [rows[0], a_raw(1, 0.0), *rows[3:]] if len(self.fetched) == 1 else rows

    market = Forgetful()
    market.rows[BTC] = [a_raw(slot) for slot in range(6)]

    history = loaded(market)

    assert slots_of(history) == [0, 1, 2, 3, 4, 5]
    assert history.missed == ()
    assert [each.reason for each in history.rejected] == [BarRejectReason.NOT_POSITIVE]


def test_one_page_of_the_past_does_not_end_the_paging() -> None:
    class Late(FakeMarketData):
        async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
            rows = await super().fetch(instrument, since_ns, limit)
            return [a_raw(-5), a_raw(-4)] if len(self.fetched) == 1 else rows

    market = Late()
    market.rows[BTC] = [a_raw(slot) for slot in range(6)]

    assert slots_of(loaded(market)) == [0, 1, 2, 3, 4, 5]


def test_a_page_that_ignores_since_and_limit_makes_no_hole() -> None:
    class Newest(FakeMarketData):
        async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
            rows = await super().fetch(instrument, since_ns, limit)
            return self.rows[BTC][-40:] if len(self.fetched) % 2 else rows

    market = Newest(page_limit=10)
    market.rows[BTC] = [a_raw(slot) for slot in range(100)]

    history = loaded(market)

    assert slots_of(history) == list(range(100))
    assert history.missed == ()


def test_a_slot_that_was_told_as_nonsense_is_not_called_quiet() -> None:
    """Told twice and never readable: something traded there, and nobody knows what."""
    market = a_market(0, 1, 2, 3, 5, 6, 7, 8)
    market.rows[BTC][2] = a_raw(2, float("nan"))

    history = loaded(market, until=9, sends_empty=False)

    assert history.missed == (
        a_miss(2, 1, MissCause.QUARANTINED),
        a_miss(4, 1, MissCause.NO_TRADES),
    )


def test_a_row_with_its_time_in_another_unit_does_not_end_the_history() -> None:
    """Its time lies thousands of years ahead: the reply does not reach there."""
    market = a_market(*range(60))
    market.rows[BTC][4] = a_raw(4, open_ms=float(open_of(4) // 1_000))

    history = loaded(market, until=60)

    assert slots_of(history) == [slot for slot in range(60) if slot != 4]
