"""Fetching asks for what the store lacks, keeps what came, and notes what is proven not to be."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.bars.fetching import Fetched, Source, fetch
from daemon.core.bars import MissCause, RawBar
from daemon.core.errors import ExchangeUnreachable
from daemon.core.instruments import InstrumentId
from daemon.store.bars import BarStore
from daemon.store.gaps import Gap
from tests.fakes import FakeMarketData
from tests.unit.layers.candles import BTC, HOUR_NS, a_raw, open_of


class MarketThatDies(FakeMarketData):
    """Answers so many pages and no more."""

    def __init__(self, *, after: int) -> None:
        super().__init__(page_limit=10)
        self._after = after

    async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
        self.is_away = len(self.fetched) >= self._after
        return await super().fetch(instrument, since_ns, limit)


KEY = ("m", "BTC/USDT", HOUR_NS)


def fetched(
    market: FakeMarketData,
    store: BarStore,
    *,
    since: int = 0,
    until: int = 100,
    again: bool = False,
    is_quiet: bool = False,
) -> Fetched:
    source = Source(
        market_key="m",
        market_data=market,
        instrument=BTC,
        page_limit=5,
        sends_empty_bars=not is_quiet,
        length_ns=HOUR_NS,
        until_ns=open_of(until),
    )
    told = Fetched()
    wanted = (open_of(since), open_of(until))
    asyncio.run(
        fetch(source, store, *wanted, again=again, told=told, progress=lambda _done, _total: None)
    )
    return told


def a_market(*slots: int) -> FakeMarketData:
    market = FakeMarketData(page_limit=10)
    market.rows[BTC] = [a_raw(slot) for slot in slots]
    return market


def slots_in(store: BarStore) -> list[int]:
    opens, _ = store.read_arrays(*KEY)
    return [(each - open_of(0)) // HOUR_NS for each in opens.tolist()]


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore.open(tmp_path / "bars.db")


def test_all_that_has_closed_comes_into_the_store(store: BarStore) -> None:
    told = fetched(a_market(*range(120)), store)

    assert slots_in(store) == list(range(100))
    assert (told.slots, told.added, told.gaps) == (100, 100, 0)


def test_cut_off_in_the_middle_the_same_call_asks_for_the_rest_only(store: BarStore) -> None:
    dying = MarketThatDies(after=10)
    dying.rows[BTC] = [a_raw(slot) for slot in range(100)]
    with pytest.raises(ExchangeUnreachable):
        fetched(dying, store)
    kept = slots_in(store)
    market = a_market(*range(100))

    told = fetched(market, store)

    assert kept == list(range(len(kept)))
    assert 20 <= len(kept) < 100
    assert slots_in(store) == list(range(100))
    assert told.added == 100 - len(kept)
    assert min(since for _, since, _ in market.fetched) >= open_of(len(kept) - 1)


def test_with_nothing_missing_nothing_is_asked(store: BarStore) -> None:
    fetched(a_market(*range(100)), store)
    market = a_market(*range(100))

    told = fetched(market, store)

    assert (told.slots, market.fetched) == (0, [])


def test_a_hole_the_exchange_has_too_is_a_gap_with_its_cause(store: BarStore) -> None:
    market = a_market(*range(40), *range(43, 100))

    told = fetched(market, store)
    again = fetched(market, store)

    assert store.gaps(*KEY) == [Gap(open_of(40), 3, MissCause.OUTAGE)]
    assert (told.gaps, again.gaps) == (1, 0)


def test_where_quiet_slots_have_no_candle_the_cause_is_that_nobody_traded(store: BarStore) -> None:
    fetched(a_market(*range(40), *range(43, 100)), store, is_quiet=True)

    assert [gap.cause for gap in store.gaps(*KEY)] == [MissCause.NO_TRADES]


def test_a_gap_that_can_be_had_later_is_marked_as_filled(store: BarStore) -> None:
    fetched(a_market(*range(40), *range(43, 100)), store)

    told = fetched(a_market(*range(100)), store)

    assert told.added == 3
    assert [gap.is_filled for gap in store.gaps(*KEY)] == [True]


def test_slots_an_exchange_keeps_no_history_of_are_not_called_empty(store: BarStore) -> None:
    fetched(a_market(*range(10)), store, until=10)
    market = a_market(*range(60, 100))  # it answers with the newest it has, whatever is asked

    fetched(market, store)

    assert store.gaps(*KEY) == []
    (hole,) = store.holes(*KEY)
    assert (hole.first_open_ns, hole.count, hole.cause) == (open_of(10), 50, None)


def test_again_asks_for_all_and_keeps_both_where_the_exchange_changed_its_mind(
    store: BarStore,
) -> None:
    fetched(a_market(*range(100)), store)
    market = a_market(*range(100))
    market.rows[BTC][50] = a_raw(50, volume=77.0)

    told = fetched(market, store, again=True)

    assert (told.added, told.known, told.revised) == (0, 99, 1)
    assert store.revision_count(*KEY) == 1


def test_refused_candles_are_counted_and_stay_out(store: BarStore) -> None:
    market = a_market(*range(100))
    market.rows[BTC][50] = a_raw(50, low=1e9)

    told = fetched(market, store)

    assert dict(told.rejected) == {"inconsistent": 1}
    assert 50 not in slots_in(store)
    assert [gap.first_open_ns for gap in store.gaps(*KEY)] == [open_of(50)]


@settings(max_examples=25, deadline=None)
@given(
    there=st.sets(st.integers(0, 59)),
    stored=st.sets(st.integers(0, 59)),
    windows=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=3),
)
def test_after_any_fetches_the_store_has_what_the_exchange_has_and_no_slot_is_both(
    there: set[int], stored: set[int], windows: list[tuple[int, int]]
) -> None:
    with TemporaryDirectory() as folder:
        _check(Path(folder), there, stored, windows)


def _check(folder: Path, there: set[int], stored: set[int], windows: list[tuple[int, int]]) -> None:
    store = BarStore.open(folder / "bars.db")
    market = a_market(*sorted(there))
    asked: set[int] = set()
    fetched(a_market(*sorted(stored & there)), store, until=60)
    for first, last in windows:
        if first < last:
            fetched(market, store, since=first, until=last)
            asked |= set(range(first, last))

    slots = set(slots_in(store))
    assert slots == (stored & there) | (asked & there)
    for gap in store.gaps(*KEY):
        its = {(gap.first_open_ns - open_of(0)) // HOUR_NS + n for n in range(gap.count)}
        assert gap.found == len(its & slots)
        assert min(slots) < min(its)
        assert max(its) < max(slots)
    store.close()
