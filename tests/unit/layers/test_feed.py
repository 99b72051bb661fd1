"""The feed against a scripted exchange, in virtual time: minutes of patience cost nothing."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

from daemon.core.bars import Bar, BarRejectReason, BarSource, MissCause, RawBar
from daemon.core.clock import Clock, ManualClock
from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import (
    BarRejected,
    BarRevised,
    BarsClosed,
    BarsMissed,
    FeedStale,
    Input,
)
from daemon.core.instruments import InstrumentId
from daemon.layers.ingestion import Feed, FeedConfig, Transport
from tests.fakes import FakeMarketData
from tests.unit.layers.candles import BTC, ETH, HOUR_NS, a_bar, a_raw, open_of
from tests.virtual_time import VirtualMarket, VirtualWire, run_virtual

HOUR_S = 3_600.0
LOCKSTEP = FeedConfig(market_rate=0.0)


class Watch:
    """A running feed and what it has published."""

    def __init__(self, feed: Feed, market: FakeMarketData, events: list[Input]) -> None:
        self.feed = feed
        self.market = market
        self.events = events

    def bars(self, instrument: InstrumentId = BTC) -> list[int]:
        """Slots of the published bars, in order."""
        return [(bar.open_ns - open_of(0)) // HOUR_NS for bar in self.whole_bars(instrument)]

    def whole_bars(self, instrument: InstrumentId = BTC) -> list[Bar]:
        closed = [event for event in self.events if isinstance(event, BarsClosed)]
        return [bar for event in closed for bar in event.bars if bar.instrument == instrument]

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def missed(self) -> list[tuple[int, int, MissCause]]:
        return [
            ((each.first_open_ns - open_of(0)) // HOUR_NS, each.count, each.cause)
            for each in self.events
            if isinstance(each, BarsMissed)
        ]


def watched(
    scenario: Callable[[Watch], Awaitable[None]],
    *,
    config: FeedConfig,
    last: Mapping[InstrumentId, Bar] | None = None,
    instruments: tuple[InstrumentId, ...] = (BTC,),
    market: FakeMarketData | None = None,
    start: int = 0,
    recent: Mapping[InstrumentId, Sequence[Bar]] | None = None,
) -> Watch:
    """Run `scenario` beside a feed; market time starts at the open of slot `start`."""

    async def run() -> Watch:
        data = FakeMarketData() if market is None else market
        events: list[Input] = []

        async def publish(event: Input) -> None:
            events.append(event)

        now_ns = open_of(start)
        clock: Clock = ManualClock(now_ns)
        if not config.is_lockstep:
            data.clock = clock = VirtualMarket(now_ns)
        feed = Feed(
            data,
            instruments,
            timeframe_ns=HOUR_NS,
            market_clock=clock,
            wire=VirtualWire(),
            publish=publish,
            rng=random.Random(7),
            config=config,
            last={} if last is None else last,
            recent={} if recent is None else recent,
        )
        running = asyncio.create_task(feed.run())
        watch = Watch(feed, data, events)
        await scenario(watch)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return watch

    return run_virtual(run())


# --- closed bars only -----------------------------------------------------------------------------


def test_a_bar_leaves_when_its_closed_flag_comes_and_not_before() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, 100.1, is_closed=False), a_raw(0, 100.2, is_closed=False))
        await asyncio.sleep(1)
        assert watch.events == []
        watch.market.say(BTC, a_raw(0, 100.3, is_closed=True), a_raw(1, 100.4, is_closed=False))
        await asyncio.sleep(1)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)})

    assert [bar.close for bar in watch.whole_bars()] == [100.3]
    assert watch.whole_bars()[0].source is BarSource.STREAM
    assert watch.events == [
        BarsClosed(ts_ns=open_of(1), bars=(watch.whole_bars()[0],)),
    ]


def test_without_flags_a_later_candle_closes_the_one_before() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, 100.1), a_raw(0, 100.2))
        await asyncio.sleep(HOUR_S + 1)
        watch.market.say(BTC, a_raw(1, 100.3))
        await asyncio.sleep(1)

    watch = watched(scenario, config=FeedConfig(grace_s=60), last={BTC: a_bar(-1)})

    assert [bar.close for bar in watch.whole_bars()] == [100.2]


def test_a_later_candle_does_not_close_one_whose_end_was_not_seen() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, 100.1))
        await asyncio.sleep(60)
        watch.market.break_stream(BTC, ExchangeUnreachable("gone"))
        await asyncio.sleep(HOUR_S - 60)
        watch.market.rows[BTC] = [a_raw(0, 100.9), a_raw(1)]
        watch.market.say(BTC, a_raw(1, 100.3))
        await asyncio.sleep(60)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)})

    assert [bar.close for bar in watch.whole_bars()] == [100.9]


def test_without_any_sign_the_clock_and_rest_close_a_bar() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, 100.1, is_closed=False))
        watch.market.rows[BTC] = [a_raw(0, 100.7), a_raw(1)]
        await asyncio.sleep(HOUR_S + 1)
        assert watch.events == []
        await asyncio.sleep(2)

    watch = watched(scenario, config=FeedConfig(grace_s=2.0), last={BTC: a_bar(-1)})

    assert [(bar.close, bar.source) for bar in watch.whole_bars()] == [(100.7, BarSource.POLL)]


def test_rest_that_lags_is_asked_again_with_longer_and_longer_waits() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(-1)]
        await asyncio.sleep(HOUR_S + 60)
        before = len(watch.market.fetched)
        assert 4 <= before <= 20
        watch.market.rows[BTC] += [a_raw(0), a_raw(1)]
        await asyncio.sleep(30)

    watch = watched(scenario, config=FeedConfig(transport=Transport.REST), last={BTC: a_bar(-1)})

    assert watch.bars() == [0]


def test_an_unfinished_candle_is_not_closed_by_a_clock_that_runs_ahead() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.clock = None  # the exchange's own time is behind ours
        watch.market.rows[BTC] = [a_raw(0, 100.2)]
        await asyncio.sleep(HOUR_S + 60)
        assert watch.bars() == []
        watch.market.rows[BTC] = [a_raw(0, 100.9), a_raw(1)]
        await asyncio.sleep(60)

    watch = watched(scenario, config=FeedConfig(transport=Transport.REST), last={BTC: a_bar(-1)})

    assert [bar.close for bar in watch.whole_bars()] == [100.9]


class Moving(FakeMarketData):
    """An exchange whose market moves on from reply to reply: the last one stays."""

    def __init__(self, *replies: Sequence[RawBar]) -> None:
        super().__init__()
        self._replies = list(replies)

    async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
        self.rows[instrument] = list(self._replies[0])
        del self._replies[: len(self._replies) > 1]
        return await super().fetch(instrument, since_ns, limit)


def test_a_candle_that_is_over_by_the_next_page_is_not_believed_as_it_stood_on_the_one_before() -> (
    None
):
    """An exchange that was away comes back behind our clock, so pages beyond its market are asked
    for: it moves on meanwhile, and what it had told of a slot was not yet the whole of it.
    """

    async def scenario(watch: Watch) -> None:
        watch.market.clock = None
        await asyncio.sleep(60)

    watch = watched(
        scenario,
        config=FeedConfig(transport=Transport.REST),
        last={BTC: a_bar(-1)},
        market=Moving([a_raw(0, 100.2)], [a_raw(0, 100.9), a_raw(1, 100.3)]),
        start=9,
    )

    assert [bar.close for bar in watch.whole_bars()] == [100.9]


def test_of_a_page_that_is_asked_for_again_the_later_telling_of_its_last_candle_counts() -> None:
    """One that begins late is: in between the slot that was open may have ended."""

    async def scenario(watch: Watch) -> None:
        watch.market.clock = None
        await asyncio.sleep(60)

    before, after = [a_raw(1), a_raw(2, 100.2)], [a_raw(1), a_raw(2, 100.9), a_raw(3, 100.3)]
    watch = watched(
        scenario,
        config=FeedConfig(transport=Transport.REST),
        last={BTC: a_bar(-1)},
        market=Moving(before, before, before, after),
        start=3,
    )

    assert watch.missed() == [(0, 1, MissCause.OUTAGE)]
    assert [bar.close for bar in watch.whole_bars()] == [100.5, 100.9]


def test_polling_alone_gives_every_bar_once() -> None:
    async def scenario(watch: Watch) -> None:
        for slot in range(5):
            watch.market.rows[BTC] = [a_raw(each) for each in range(-1, slot + 2)]
            await asyncio.sleep(HOUR_S)
        await asyncio.sleep(60)

    watch = watched(scenario, config=FeedConfig(transport=Transport.REST), last={BTC: a_bar(-1)})

    assert watch.bars() == [0, 1, 2, 3, 4]
    assert watch.kinds() == ["BarsClosed"] * 5
    assert watch.market.watched == {}


def test_a_polled_exchange_that_does_not_answer_is_stale_and_recovers_before_its_next_bar() -> None:
    async def scenario(watch: Watch) -> None:
        await asyncio.sleep(60)
        watch.market.is_away = True
        await asyncio.sleep(HOUR_S)
        assert watch.events == []  # a few lost requests are no outage
        await asyncio.sleep(600)
        assert watch.kinds() == ["FeedStale"]
        watch.market.is_away = False
        watch.market.rows[BTC] = [a_raw(0), a_raw(1)]
        await asyncio.sleep(60)

    watch = watched(scenario, config=FeedConfig(transport=Transport.REST), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["FeedStale", "FeedRecovered", "BarsClosed"]
    assert len(watch.market.fetched) < 100


def test_a_polled_exchange_whose_candles_stand_still_is_stale_until_they_move() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(-1), a_raw(0)]
        await asyncio.sleep(4 * HOUR_S)
        assert watch.kinds() == ["FeedStale"]
        watch.market.rows[BTC] = [a_raw(slot) for slot in range(-1, 3)]  # still behind
        await asyncio.sleep(60)
        assert "FeedRecovered" not in watch.kinds()
        watch.market.rows[BTC] = [a_raw(slot) for slot in range(-1, 5)]
        await asyncio.sleep(HOUR_S - 120)

    watch = watched(scenario, config=FeedConfig(transport=Transport.REST), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["FeedStale", *["BarsClosed"] * 2, "FeedRecovered", *["BarsClosed"] * 2]


# --- holes ----------------------------------------------------------------------------------------


def test_a_missing_bar_is_fetched_before_the_next_one_goes_out() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(slot, 100.0 + slot / 10) for slot in range(4)]
        watch.market.say(BTC, a_raw(3, 100.3, is_closed=True))
        await asyncio.sleep(1)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)}, start=4)

    assert watch.bars() == [0, 1, 2, 3]
    assert watch.whole_bars()[0].source is BarSource.BACKFILL
    assert watch.kinds() == ["BarsClosed"] * 4


def test_slots_the_venue_does_not_have_are_one_outage_before_the_next_bar() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(0), a_raw(4)]
        watch.market.say(BTC, a_raw(0, is_closed=True), a_raw(4, is_closed=True))
        await asyncio.sleep(1)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed", "BarsMissed", "BarsClosed"]
    assert watch.missed() == [(1, 3, MissCause.OUTAGE)]


def test_a_quiet_time_is_no_outage_where_the_venue_leaves_empty_bars_out() -> None:
    quiet = FeedConfig(market_rate=0.0, venue_sends_empty_bars=False)

    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(0), a_raw(4)]
        watch.market.say(BTC, a_raw(0, is_closed=True), a_raw(4, is_closed=True))
        await asyncio.sleep(1)

    watch = watched(scenario, config=quiet, last={BTC: a_bar(-1)})

    assert watch.missed() == [(1, 3, MissCause.NO_TRADES)]


def test_a_quiet_time_during_which_we_were_blind_is_an_outage_all_the_same() -> None:
    quiet = FeedConfig(market_rate=0.0, venue_sends_empty_bars=False)

    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(0), a_raw(4)]
        watch.market.say(BTC, a_raw(0, is_closed=True))
        await asyncio.sleep(0.1)
        watch.market.break_stream(BTC, ConnectionResetError())
        await asyncio.sleep(0.5)
        watch.market.say(BTC, a_raw(4, is_closed=True))
        await asyncio.sleep(0.5)

    watch = watched(scenario, config=quiet, last={BTC: a_bar(-1)})

    assert watch.missed() == [(1, 3, MissCause.OUTAGE)]


def test_a_reply_that_ends_before_the_new_bar_proves_no_hole() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(-1), a_raw(0)]
        watch.market.say(BTC, a_raw(2, is_closed=True))
        await asyncio.sleep(2)
        assert watch.bars() == []
        watch.market.rows[BTC] += [a_raw(1), a_raw(2)]
        await asyncio.sleep(30)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)}, start=3)

    assert watch.bars() == [0, 1, 2]
    assert watch.missed() == []


def test_nothing_goes_past_a_hole_nobody_answers_for_until_the_limit() -> None:
    patient = FeedConfig(market_rate=0.0, ask_limit_s=300.0, venue_sends_empty_bars=False)

    async def scenario(watch: Watch) -> None:
        watch.market.is_away = True
        watch.market.say(BTC, a_raw(2, is_closed=True))
        await asyncio.sleep(299)
        assert watch.bars() == []
        await asyncio.sleep(60)

    watch = watched(scenario, config=patient, last={BTC: a_bar(-1)})

    assert watch.kinds()[0] == "FeedStale"
    assert watch.missed() == [(0, 2, MissCause.OUTAGE)]
    assert watch.bars() == [2]


def test_what_happened_before_the_stream_spoke_is_fetched_first() -> None:
    market = FakeMarketData()
    market.rows[BTC] = [a_raw(slot) for slot in range(-2, 3)]

    async def scenario(watch: Watch) -> None:
        await asyncio.sleep(1)
        watch.market.say(BTC, a_raw(2, is_closed=False))
        await asyncio.sleep(1)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-2)}, market=market, start=2)

    assert watch.bars() == [-1, 0, 1]
    assert [bar.source for bar in watch.whole_bars()] == [
        BarSource.BACKFILL,
        BarSource.BACKFILL,
        BarSource.POLL,
    ]


def test_a_feed_without_a_past_starts_with_the_slot_that_is_open() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(slot) for slot in range(5)]
        watch.market.say(BTC, a_raw(3, is_closed=False))
        await asyncio.sleep(HOUR_S - 1)
        assert watch.bars() == []
        await asyncio.sleep(10)

    watch = watched(scenario, config=FeedConfig(), start=3)

    assert watch.bars() == [3]


def test_a_feed_without_a_past_leaves_closed_bars_of_it_alone() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(1, is_closed=True))
        await asyncio.sleep(1)

    watch = watched(scenario, config=FeedConfig(), start=3)

    assert watch.events == []
    assert watch.feed.counts(BTC).duplicates == 1


def test_in_lockstep_a_feed_without_a_past_starts_with_the_first_bar_that_comes() -> None:
    async def scenario(watch: Watch) -> None:
        await asyncio.sleep(60)
        watch.market.say(BTC, a_raw(7, is_closed=True), a_raw(8, is_closed=True))
        await asyncio.sleep(1)

    assert watched(scenario, config=LOCKSTEP).bars() == [7, 8]


def test_candles_that_rest_has_before_our_clock_are_waited_for_without_a_word() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.clock = None
        watch.market.rows[BTC] = [a_raw(0), a_raw(1)]
        await asyncio.sleep(HOUR_S - 10)
        assert watch.events == []
        await asyncio.sleep(30)

    watch = watched(scenario, config=FeedConfig(transport=Transport.REST), last={BTC: a_bar(-1)})

    assert watch.bars() == [0]


# --- refusals and repeats -------------------------------------------------------------------------


def test_a_bad_bar_of_the_stream_is_told_once_and_the_good_one_of_rest_goes_out() -> None:
    async def scenario(watch: Watch) -> None:
        bad = a_raw(0, -5.0, is_closed=True)
        watch.market.say(BTC, bad, bad, bad)
        watch.market.rows[BTC] = [a_raw(0), a_raw(1)]
        await asyncio.sleep(30)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)}, start=1)

    told = [event for event in watch.events if isinstance(event, BarRejected)]
    assert [each.reason for each in told] == [BarRejectReason.NOT_POSITIVE]
    assert "-5.0" in told[0].raw
    assert watch.feed.counts(BTC).refused == 3
    assert watch.bars() == [0]


def test_a_bar_that_comes_again_is_counted_and_not_told() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, *[a_raw(0, is_closed=True)] * 3)
        await asyncio.sleep(1)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed"]
    assert watch.feed.counts(BTC).duplicates == 2


def test_a_bar_that_comes_again_with_other_numbers_is_told() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, is_closed=True), a_raw(0, 100.9, is_closed=True))
        await asyncio.sleep(1)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed", "BarRejected"]


def test_a_bar_the_venue_changed_after_the_close_is_told_as_revised() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(0, 100.9, volume=9.0), a_raw(1)]
        await asyncio.sleep(HOUR_S + 0.5)
        watch.market.say(BTC, a_raw(0, is_closed=True))
        await asyncio.sleep(15)

    watch = watched(scenario, config=FeedConfig(revision_check_s=5.0), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed", "BarRevised"]
    revised = watch.events[1]
    assert isinstance(revised, BarRevised)
    assert (revised.was.close, revised.bar.close, revised.bar.volume) == (100.5, 100.9, 9.0)


def test_a_bad_row_of_rest_is_told_and_its_slot_is_a_hole_once_a_later_bar_came() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(0, None), a_raw(1, open_ms="soon"), a_raw(1), a_raw(2)]
        await asyncio.sleep(2 * HOUR_S + 60)

    watch = watched(scenario, config=FeedConfig(transport=Transport.REST), last={BTC: a_bar(-1)})

    told = [each.reason for each in watch.events if isinstance(each, BarRejected)]
    assert told == [BarRejectReason.MALFORMED, BarRejectReason.MALFORMED]
    assert watch.missed() == [(0, 1, MissCause.QUARANTINED)]
    assert watch.bars() == [1]


def test_a_flood_of_different_bad_bars_is_told_up_to_a_limit() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, *[a_raw(0, -price, is_closed=True) for price in range(1, 101)])
        await asyncio.sleep(1)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarRejected"] * 20
    assert watch.feed.counts(BTC).refused == 100


def test_a_re_read_that_gets_no_answer_or_the_same_is_no_revision() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(0), a_raw(1)]
        await asyncio.sleep(HOUR_S + 0.5)
        watch.market.say(BTC, a_raw(0, is_closed=True))
        await asyncio.sleep(HOUR_S - 1)
        watch.market.is_away = True
        watch.market.say(BTC, a_raw(1, 100.7, is_closed=True))
        await asyncio.sleep(10)

    watch = watched(scenario, config=FeedConfig(revision_check_s=5.0), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed", "BarsClosed"]
    assert watch.feed.counts(BTC).unanswered == 1


def test_a_re_read_without_an_answer_or_a_good_row_is_made_again() -> None:
    async def scenario(watch: Watch) -> None:
        await asyncio.sleep(HOUR_S + 0.5)
        watch.market.say(BTC, a_raw(0, is_closed=True))
        await asyncio.sleep(1)
        watch.market.is_away = True
        await asyncio.sleep(60)
        watch.market.is_away = False
        watch.market.rows[BTC] = [a_raw(0, -1.0), a_raw(1)]
        await asyncio.sleep(6)
        watch.market.rows[BTC] = [a_raw(0, 100.9), a_raw(1)]
        await asyncio.sleep(12)

    watch = watched(scenario, config=FeedConfig(revision_check_s=5.0), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed", "BarRevised"]
    assert watch.feed.counts(BTC).unanswered > 5


def test_one_odd_reading_does_not_take_the_place_of_a_good_bar() -> None:
    async def scenario(watch: Watch) -> None:
        await asyncio.sleep(HOUR_S + 0.5)
        watch.market.say(BTC, a_raw(0, is_closed=True))
        watch.market.rows[BTC] = [a_raw(0, 100.9), a_raw(1)]  # the price of now as that close
        await asyncio.sleep(6)
        watch.market.rows[BTC] = [a_raw(0), a_raw(1)]
        await asyncio.sleep(60)

    watch = watched(scenario, config=FeedConfig(revision_check_s=5.0), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed"]


def test_a_bar_that_rest_itself_changes_later_is_told_as_revised_too() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(0, 100.2), a_raw(1)]
        await asyncio.sleep(HOUR_S + 4)
        assert watch.kinds() == ["BarsClosed"]
        watch.market.rows[BTC] = [a_raw(0, 100.9), a_raw(1)]
        await asyncio.sleep(10)

    watch = watched(scenario, config=FeedConfig(revision_check_s=5.0), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed", "BarRevised"]


def test_a_candle_of_the_far_future_does_not_deafen_the_stream() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(99_999, is_closed=False), a_raw(99_999, is_closed=True))
        await asyncio.sleep(HOUR_S + 0.5)
        watch.market.say(BTC, a_raw(0, is_closed=True))
        await asyncio.sleep(1)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarRejected", "BarsClosed"]
    assert watch.bars() == [0]


def test_a_message_without_a_readable_time_is_told_and_moves_nothing() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, open_ms="soon"), a_raw(0, open_ms="soon", is_closed=True))
        await asyncio.sleep(1)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarRejected"]


# --- health of the stream -------------------------------------------------------------------------


def test_a_silent_stream_is_stale_when_rest_has_bars_it_did_not_show_and_recovers() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(slot) for slot in range(-1, 9)]
        watch.market.say(BTC, a_raw(0, is_closed=False))
        await asyncio.sleep(HOUR_S + 120)
        assert watch.kinds() == ["BarsClosed", "FeedStale"]
        assert watch.market.watched[BTC] >= 2
        watch.market.say(BTC, a_raw(1, 100.2, is_closed=False))
        await asyncio.sleep(HOUR_S - 119)
        watch.market.say(BTC, a_raw(1, is_closed=True))
        await asyncio.sleep(1)

    watch = watched(scenario, config=FeedConfig(stale_after_s=90.0), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed", "FeedStale", "FeedRecovered", "BarsClosed"]
    stale = watch.events[1]
    assert isinstance(stale, FeedStale)
    assert stale.silent_s > 90


def test_a_stream_that_repeats_its_last_message_for_ever_is_stale() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(slot) for slot in range(-1, 9)]
        for _ in range(75):
            watch.market.say(BTC, a_raw(0, is_closed=False))
            await asyncio.sleep(60)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)})

    assert "FeedStale" in watch.kinds()
    assert watch.bars() == [0]


def test_a_quiet_stream_of_a_quiet_market_is_not_stale() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(-1), a_raw(0)]
        watch.market.say(BTC, a_raw(0, is_closed=False))
        await asyncio.sleep(HOUR_S - 1)
        watch.market.rows[BTC] = [a_raw(-1)]
        await asyncio.sleep(6 * HOUR_S)

    quiet = FeedConfig(venue_sends_empty_bars=False)
    watch = watched(scenario, config=quiet, last={BTC: a_bar(-1)})

    assert watch.events == []
    assert watch.market.watched[BTC] == 1


def test_silence_of_both_is_odd_in_the_end_even_where_quiet_slots_have_no_bars() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(-1)]
        await asyncio.sleep(7 * HOUR_S + 200)

    quiet = FeedConfig(venue_sends_empty_bars=False)
    watch = watched(scenario, config=quiet, last={BTC: a_bar(-1)})

    assert watch.kinds() == ["FeedStale"]


def test_a_stream_that_falls_silent_inside_a_bar_is_stale_when_rest_shows_more_trade() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, volume="1.5", is_closed=False))
        watch.market.rows[BTC] = [a_raw(0, volume="1.5")]
        await asyncio.sleep(600)
        assert watch.events == []
        watch.market.rows[BTC] = [a_raw(0, volume="1.6")]
        await asyncio.sleep(200)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["FeedStale"]
    assert "REST moves on" in stale_of(watch).action
    assert watch.market.watched[BTC] >= 2


def test_an_exchange_frozen_for_days_is_stale_with_its_age_and_heals_by_itself() -> None:
    market = FakeMarketData()
    market.rows[BTC] = [a_raw(-1), a_raw(0), a_raw(1)]

    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, is_closed=False))
        await asyncio.sleep(72 * HOUR_S)
        assert watch.bars() == [0]
        assert watch.kinds() == ["BarsClosed", "FeedStale"]
        watch.market.rows[BTC] = [a_raw(slot) for slot in range(80)]
        await asyncio.sleep(900)
        assert watch.bars() == list(range(72))
        watch.market.say(BTC, a_raw(72, is_closed=False))
        await asyncio.sleep(60)

    rarely = FeedConfig(poll_max_s=600.0, reconnect_max_s=600.0, stale_after_s=100.0)
    watch = watched(scenario, config=rarely, last={BTC: a_bar(-1)}, market=market)

    assert watch.kinds()[-1] == "FeedRecovered"
    assert watch.missed() == []
    assert stale_of(watch).silent_s > 90


def stale_of(watch: Watch) -> FeedStale:
    (stale,) = [each for each in watch.events if isinstance(each, FeedStale)]
    return stale


def test_a_row_that_is_missing_or_bad_in_one_reply_only_makes_no_hole() -> None:
    class Forgetful(FakeMarketData):
        async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
            rows = await super().fetch(instrument, since_ns, limit)
            return [rows[0], a_raw(1, 0.0), *rows[3:]] if len(self.fetched) == 1 else rows

    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(slot, 100.1) for slot in range(6)]
        await asyncio.sleep(30)

    watch = watched(
        scenario,
        config=FeedConfig(transport=Transport.REST),
        last={BTC: a_bar(-1)},
        market=Forgetful(),
        start=5,
    )

    assert watch.bars() == [0, 1, 2, 3, 4]
    assert watch.missed() == []
    assert [each for each in watch.kinds() if each != "BarsClosed"] == ["BarRejected"]


def test_partial_candles_of_a_bar_that_rest_has_closed_are_no_sign_of_life() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(slot) for slot in range(-1, 9)]
        for number in range(75):
            watch.market.say(BTC, a_raw(0, 100.0 + number % 2 / 10, is_closed=False))
            await asyncio.sleep(60)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)})

    assert "FeedStale" in watch.kinds()
    assert "FeedRecovered" not in watch.kinds()


def test_a_broken_stream_is_opened_again_after_a_wait_and_said_to_have_recovered() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, is_closed=False))
        await asyncio.sleep(1)
        watch.market.break_stream(BTC, ExchangeUnreachable("the stream closed with 1006"))
        await asyncio.sleep(0.049)
        assert watch.market.watched[BTC] == 1
        await asyncio.sleep(1)
        assert watch.market.watched[BTC] == 2
        watch.market.say(BTC, a_raw(0, 100.1, is_closed=False))
        await asyncio.sleep(1)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["FeedStale", "FeedRecovered"]
    stale = watch.events[0]
    assert isinstance(stale, FeedStale)
    assert "1006" in stale.action


def test_while_nobody_answers_the_attempts_grow_rarer() -> None:
    class Away(FakeMarketData):
        async def watch(self, instrument: InstrumentId):  # type: ignore[no-untyped-def]  # noqa: ANN202
            self.watched[instrument] = self.watched.get(instrument, 0) + 1
            if self.watched:
                raise ExchangeUnreachable("refused")
            yield

    market = Away()
    market.is_away = True

    async def scenario(_watch: Watch) -> None:
        await asyncio.sleep(600)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)}, market=market)

    assert watch.kinds() == ["FeedStale"]
    assert 20 <= market.watched[BTC] <= 60


def test_a_stream_that_stays_silent_after_being_opened_again_is_opened_again() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(slot) for slot in range(-1, 9)]
        watch.market.say(BTC, a_raw(0, is_closed=False))
        await asyncio.sleep(HOUR_S + 600)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)})

    assert watch.market.watched[BTC] >= 4
    assert watch.kinds().count("FeedStale") == 1


def test_a_stream_that_simply_ends_is_opened_again() -> None:
    class Ending(FakeMarketData):
        async def watch(self, instrument: InstrumentId):  # type: ignore[no-untyped-def]  # noqa: ANN202
            self.watched[instrument] = self.watched.get(instrument, 0) + 1
            yield a_raw(0, 100.0 + self.watched[instrument] / 100, is_closed=False)

    async def scenario(_watch: Watch) -> None:
        await asyncio.sleep(10)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)}, market=Ending())

    assert watch.market.watched[BTC] > 3
    assert set(watch.kinds()) == {"FeedStale", "FeedRecovered"}


def test_old_candles_of_the_stream_are_no_sign_of_life() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(slot) for slot in range(-1, 9)]
        watch.market.say(BTC, a_raw(0, is_closed=False))
        for number in range(75):
            await asyncio.sleep(60)
            watch.market.say(BTC, a_raw(-1, 100.0 + number / 100, is_closed=False))

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)})

    assert "FeedStale" in watch.kinds()
    assert "FeedRecovered" not in watch.kinds()


def test_old_candles_right_after_a_reconnect_are_no_sign_of_life_either() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.break_stream(BTC, ConnectionResetError())
        await asyncio.sleep(5)
        watch.market.say(BTC, a_raw(-5, is_closed=False))
        await asyncio.sleep(5)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)})

    assert watch.kinds() == ["FeedStale"]


def test_without_flags_a_step_of_several_slots_closes_nothing_by_itself() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, 100.1))
        await asyncio.sleep(1)
        watch.market.rows[BTC] = [a_raw(slot, 100.9) for slot in range(3)]
        await asyncio.sleep(2 * HOUR_S)
        watch.market.say(BTC, a_raw(2, 100.3))
        await asyncio.sleep(60)

    watch = watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)})

    assert [bar.close for bar in watch.whole_bars()] == [100.9, 100.9]


def test_without_flags_a_candle_of_the_past_closes_nothing() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0), a_raw(-1), a_raw(0, open_ms="soon"), a_raw(0))
        await asyncio.sleep(60)

    assert watched(scenario, config=FeedConfig(), last={BTC: a_bar(-1)}).events == []


def test_a_revision_of_a_bar_that_is_no_longer_the_newest_is_told_too() -> None:
    async def scenario(watch: Watch) -> None:
        await asyncio.sleep(HOUR_S + 0.5)
        watch.market.say(BTC, a_raw(0, is_closed=True))
        await asyncio.sleep(HOUR_S)
        watch.market.rows[BTC] = [a_raw(0, 100.9), a_raw(1)]
        watch.market.say(BTC, a_raw(1, is_closed=True))
        await asyncio.sleep(120)

    slow = FeedConfig(revision_check_s=HOUR_S + 60)
    watch = watched(scenario, config=slow, last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed", "BarsClosed", "BarRevised"]


def test_rest_that_gives_more_than_was_asked_for_repeats_nothing() -> None:
    class Generous(FakeMarketData):
        async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
            return await super().fetch(instrument, since_ns - 3 * HOUR_NS, limit)

    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(slot) for slot in range(-9, 9)]
        await asyncio.sleep(3 * HOUR_S + 60)

    watch = watched(
        scenario,
        config=FeedConfig(transport=Transport.REST),
        last={BTC: a_bar(-1)},
        market=Generous(),
    )

    assert watch.bars() == [0, 1, 2]
    assert watch.kinds() == ["BarsClosed"] * 3


# --- start and lock-step --------------------------------------------------------------------------


def test_the_feed_is_ready_when_every_stream_has_spoken() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, is_closed=False))
        await asyncio.sleep(1)
        assert not watch.feed.ready.is_set()
        watch.market.say(ETH, a_raw(0, is_closed=False))
        await asyncio.sleep(1)
        assert watch.feed.ready.is_set()

    watched(scenario, config=LOCKSTEP, instruments=(BTC, ETH))


def test_a_stream_that_says_nothing_holds_up_the_start_for_a_bounded_time() -> None:
    async def scenario(watch: Watch) -> None:
        async with asyncio.timeout(11):
            await watch.feed.ready.wait()
        assert watch.feed.ready.is_set()

    watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)})


def test_in_lockstep_a_lost_bar_is_found_by_the_silence() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, is_closed=False))
        await asyncio.sleep(30)
        assert watch.events == []
        watch.market.rows[BTC] = [a_raw(0), a_raw(1)]
        await asyncio.sleep(2.5)
        assert watch.bars() == [0]
        await asyncio.sleep(5)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed", "FeedStale"]


def test_in_lockstep_a_bar_the_stream_shows_a_moment_after_rest_is_no_fault() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.say(BTC, a_raw(0, is_closed=False))
        await asyncio.sleep(1.9)
        watch.market.rows[BTC] = [a_raw(0), a_raw(1)]
        await asyncio.sleep(0.2)
        assert watch.bars() == [0]
        watch.market.say(BTC, a_raw(0, is_closed=True), a_raw(1, is_closed=False))
        await asyncio.sleep(60)

    watch = watched(scenario, config=LOCKSTEP, last={BTC: a_bar(-1)})

    assert watch.kinds() == ["BarsClosed"]


def test_instruments_do_not_wait_for_each_other() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.is_away = True
        watch.market.say(BTC, a_raw(5, is_closed=True))
        watch.market.say(ETH, a_raw(0, is_closed=True))
        await asyncio.sleep(5)

    last = {BTC: a_bar(-1), ETH: a_bar(-1, instrument=ETH)}
    watch = watched(scenario, config=LOCKSTEP, last=last, instruments=(BTC, ETH), start=6)

    assert watch.bars(ETH) == [0]
    assert watch.bars(BTC) == []


def test_a_slot_that_rest_tells_only_as_nonsense_is_not_called_quiet() -> None:
    """Where quiet slots have no bars, a coarse bar would be made without it."""

    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(0), a_raw(1, float("nan")), a_raw(3)]
        watch.market.say(BTC, a_raw(3, is_closed=True))
        await asyncio.sleep(5)

    config = FeedConfig(market_rate=0.0, venue_sends_empty_bars=False)
    watch = watched(scenario, config=config, last={BTC: a_bar(-1)}, start=9)

    assert watch.bars() == [0, 3]
    assert watch.missed() == [(1, 1, MissCause.QUARANTINED), (2, 1, MissCause.NO_TRADES)]


def test_a_row_with_its_time_in_another_unit_does_not_close_the_bar_before_it() -> None:
    async def scenario(watch: Watch) -> None:
        watch.market.rows[BTC] = [a_raw(0, 100.1), a_raw(1, open_ms=float(open_of(1) // 1_000))]
        await asyncio.sleep(HOUR_S - 50)  # within the grace that a clock ahead of ours gets
        watch.feed.look_again()
        await asyncio.sleep(10)
        assert watch.bars() == []

    config = FeedConfig(transport=Transport.REST, venue_sends_empty_bars=False, grace_s=60.0)
    watched(scenario, config=config, last={BTC: a_bar(-1)})
