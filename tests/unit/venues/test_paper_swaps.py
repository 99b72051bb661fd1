"""Swaps on paper: margins, reduce-only exits, and positions that the market takes away."""

import asyncio
from decimal import Decimal, localcontext
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.core.bars import RawBar
from daemon.core.clock import ManualClock
from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import FundingCharged, OrderReported, Outcome, PositionLiquidated
from daemon.core.instruments import InstrumentId, MarketType
from daemon.core.orders import Fill, OrderState, OrderType, Side
from daemon.core.ports import Book, FundingRate, VenueFill
from daemon.core.positions import EXACT, Position
from daemon.venues.paper_account import PaperAccount
from daemon.venues.paper_terms import PaperTerms
from daemon.venues.paper_venue import PaperVenue
from tests.fakes import FakeMarketData
from tests.unit.venues.orders import NOW_NS, a_look_up, an_instrument, an_order
from tests.virtual_time import run_virtual

D = Decimal
HOUR_NS: Final = 3_600 * 1_000_000_000
SWAP: Final = InstrumentId("binanceusdm", "BTC/USDT:USDT")
LISTED: Final = replace(an_instrument(SWAP), base="BTC", quote="USDT", market_type=MarketType.SWAP)


class Bench:
    """A paper venue with a leverage of 5 and no fees, and a market that the test moves."""

    def __init__(self, usdt: str = "1000") -> None:
        self.market = FakeMarketData()
        self.clock = ManualClock(NOW_NS + HOUR_NS // 2)
        self.start = {"USDT": D(usdt)}
        self.orders = 0
        self.rates: list[FundingRate] = []
        self.asked: list[int] = []
        self.is_silent = False
        self.venue = self.another()
        self.book("100", "100")

    def another(self) -> PaperVenue:
        terms = PaperTerms(
            latency_ms=0, taker_fee_bps=0.0, maker_fee_bps=0.0, leverage=D(5),
            maintenance_ratio=D("0.01"),
        )  # fmt: skip
        return PaperVenue(
            self.market,
            [LISTED],
            self.clock,
            start=self.start,
            timeframe_ns=HOUR_NS,
            terms=terms,
            funding=self.funding,
        )

    async def funding(self, instrument: InstrumentId, since_ns: int) -> list[FundingRate]:
        assert instrument == SWAP
        self.asked.append(since_ns)
        if self.is_silent:
            raise ExchangeUnreachable("no rates")
        return [each for each in self.rates if each.ts_ns >= since_ns]

    def rate(self, rate: str, hour: int, price: str | None = None) -> None:
        ts_ns = NOW_NS + hour * HOUR_NS
        told = None if price is None else D(price)
        self.rates.append(FundingRate(ts_ns=ts_ns, rate=D(rate), price=told))

    def at(self, hour: float) -> None:
        self.clock.advance_to(NOW_NS + round(hour * HOUR_NS))

    def charged(self) -> list[FundingCharged]:
        return [each for each in self.watched() if isinstance(each, FundingCharged)]

    def book(self, bid: str, ask: str) -> None:
        deep = D(1_000)
        self.market.order_book = Book(bids=((D(bid), deep),), asks=((D(ask), deep),))

    def sends(self, side: Side, quantity: str, **changes: Any) -> OrderReported:
        self.orders += 1
        order = an_order(f"td{self.orders}", quantity, side=side, instrument=SWAP)
        return run_virtual(self.venue.submit(replace(order, **changes)))

    def rests(self, price: str) -> OrderReported:
        """A stop under what is held."""
        return self.sends(
            Side.SELL, "20", is_exit=True, order_type=OrderType.STOP, stop_price=D(price)
        )

    def total(self) -> Decimal:
        return asyncio.run(self.venue.account([SWAP], 0)).totals["USDT"]

    def watched(self, seconds: float = 5.0) -> list[FundingCharged | PositionLiquidated]:
        """What is told of swaps while time passes."""
        told: list[FundingCharged | PositionLiquidated] = []

        async def tell(event: FundingCharged | PositionLiquidated) -> None:
            told.append(event)

        async def run() -> None:
            watching = asyncio.create_task(self.venue.watch(tell))
            await asyncio.sleep(seconds)
            watching.cancel()

        run_virtual(run())
        return told


def test_a_swap_ties_up_its_margin_whichever_way_and_pays_what_it_gained() -> None:
    for side, back, price in ((Side.BUY, Side.SELL, "110"), (Side.SELL, Side.BUY, "90")):
        bench = Bench()

        entry = bench.sends(side, "20")
        too_much = bench.sends(side, "31")
        bench.book(price, price)
        leaving = bench.sends(back, "20", is_exit=True)

        assert (entry.state, leaving.state) == (OrderState.FILLED, OrderState.FILLED)
        assert too_much.outcome is Outcome.REFUSED
        assert "620 USDT needed, 600 held free" in too_much.reason
        assert bench.total() == 1_200


def test_an_exit_never_turns_a_swap_round_and_needs_no_money() -> None:
    bench = Bench()
    bench.sends(Side.BUY, "50")  # all of the money is its margin

    some = bench.sends(Side.SELL, "60", is_exit=True)
    none = bench.sends(Side.SELL, "1", is_exit=True)

    assert (some.state, some.filled_quantity) == (OrderState.EXPIRED, D(50))
    assert none.reason == "reduce-only: there is nothing to reduce"


def test_fees_of_both_sides_are_in_quote() -> None:
    account = PaperAccount([LISTED], {"USDT": D(1_000)}, PaperTerms(taker_fee_bps=10.0))

    for side in Side:
        order = an_order(side=side, instrument=SWAP)
        assert account.fee(order, D(100), D(2), NOW_NS, is_maker=False) == (D("0.2"), "USDT")


def test_a_swap_is_taken_away_when_the_book_comes_to_its_liquidation() -> None:
    bench = Bench()
    bench.sends(Side.BUY, "20")

    bench.book("81", "81")  # it is taken away at 80.81
    assert bench.watched() == []
    bench.book("80.8", "80.8")
    (gone,) = bench.watched()

    assert (gone.instrument, gone.price) == (SWAP, D(80))
    assert bench.total() == 1_000 - 20 * 20, "its margin, and nothing of the rest"
    assert bench.watched() == []


def test_a_candle_between_two_looks_counts_from_the_entry_on() -> None:
    bench = Bench()
    early = NOW_NS // 1_000_000
    bench.market.rows[SWAP] = [RawBar(early, 100.0, 130.0, 70.0, 100.0, 9.0)]
    bench.sends(Side.SELL, "20")
    assert bench.watched() == [], "what was before the entry takes nothing away"

    bench.clock.advance_to(NOW_NS + HOUR_NS + HOUR_NS // 2)
    bench.market.rows[SWAP].append(RawBar(early + 3_600_000, 100.0, 120.0, 99.0, 100.0, 9.0))
    (gone,) = bench.watched()

    assert gone.price == D(120)


@pytest.mark.parametrize("is_restarted", [True, False])
def test_a_liquidation_that_nobody_watched_takes_the_swap_away_all_the_same(
    is_restarted: bool,
) -> None:
    bench = Bench()
    bench.market.clock = bench.clock
    entry = bench.sends(Side.BUY, "20")
    early = NOW_NS // 1_000_000
    lows = [60.0, 99.0, 80.0, *[99.0] * 700]  # the first one began before the entry
    bench.market.rows[SWAP] = [
        RawBar(early + hour * 3_600_000, 100.0, 101.0, low, 100.0, 9.0)
        for hour, low in enumerate(lows)
    ]
    if is_restarted:
        bench.venue = bench.another()
        bench.venue.restore([], fills_of(entry))
    else:
        assert bench.watched() == []
    bench.at(len(lows) - 0.5)

    (gone,) = bench.watched()

    assert (gone.instrument, gone.price, bench.total()) == (SWAP, D(80), D(600))


def test_a_swap_that_was_never_near_its_liquidation_stays_however_long_nobody_watched() -> None:
    bench = Bench()
    entry = bench.sends(Side.BUY, "20")
    early = NOW_NS // 1_000_000
    rows = [
        RawBar(early + hour * 3_600_000, 100.0, 101.0, 99.0, 100.0, 9.0) for hour in range(1, 1_200)
    ]
    bench.market.rows[SWAP] = rows
    bench.venue = bench.another()
    bench.venue.restore([], fills_of(entry))
    bench.at(1_199.5)

    assert bench.watched(10.0) == []
    bench.market.fetched.clear()
    assert bench.watched() == []

    newest_ns = NOW_NS + 1_199 * HOUR_NS
    assert all(since_ns >= newest_ns - HOUR_NS for _, since_ns, _ in bench.market.fetched)


def test_a_stop_is_quicker_than_the_liquidation_behind_it() -> None:
    bench = Bench()
    bench.sends(Side.BUY, "20")
    bench.rests("90")

    bench.book("70", "70")

    assert bench.watched() == []
    report = run_virtual(bench.venue.look_up(a_look_up("td2", SWAP)))
    assert report.state is OrderState.FILLED


def test_a_restart_takes_over_what_was_taken_away() -> None:
    bench = Bench()
    entry = bench.sends(Side.BUY, "20")
    fills = [
        VenueFill(
            client_order_id="td1", venue_order_id="v", instrument=SWAP, side=Side.BUY, fill=fill
        )
        for fill in entry.fills
    ]
    bench.book("80", "80")
    gone = [each for each in bench.watched() if isinstance(each, PositionLiquidated)]
    before = bench.total()

    bench.venue = bench.another()
    bench.venue.restore([], fills, gone)

    assert bench.total() == before
    assert bench.watched() == []


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Side)), st.integers(1, 999), st.integers(1, 100_000)),
        max_size=20,
    )
)
def test_the_account_pays_to_the_last_digit_what_the_positions_of_the_books_realize(
    story: list[tuple[Side, int, int]],
) -> None:
    account = PaperAccount([LISTED], {"USDT": D(1_000)}, PaperTerms())
    position, realized = Position(), D(0)
    for number, (side, lots, ticks) in enumerate(story):
        quantity, price = lots * D("0.001"), ticks * D("0.1")
        fill = Fill(
            trade_id=str(number), price=price, quantity=quantity, fee=D(0), fee_currency="USDT",
            ts_ns=number,
        )  # fmt: skip
        account.book(
            VenueFill(
                client_order_id="x", venue_order_id="v", instrument=SWAP, side=side, fill=fill
            )
        )
        change = quantity if side is Side.BUY else -quantity
        realized += position.realize(change, price)
        position.fold(change, D(0), quantity * price, price)

    assert account.totals.get("USDT", D(0)) == 1_000 + realized


@pytest.mark.parametrize("quantity", ["0.001", "0.01"])
def test_a_swap_worth_next_to_nothing_can_be_left(quantity: str) -> None:
    bench = Bench()
    bench.sends(Side.BUY, "1")
    bench.sends(Side.SELL, str(1 - D(quantity)), is_exit=True)

    assert bench.sends(Side.SELL, quantity, is_exit=True).state is OrderState.FILLED


# --- funding --------------------------------------------------------------------------------------


def fills_of(*reports: OrderReported) -> list[VenueFill]:
    sides = (Side.BUY, Side.SELL)
    return [
        VenueFill(
            client_order_id=each.client_order_id, venue_order_id="v", instrument=SWAP, side=side,
            fill=fill,
        )
        for each, side in zip(reports, sides, strict=False)
        for fill in each.fills
    ]  # fmt: skip


def test_longs_pay_what_was_held_at_the_moment_of_a_rate_and_shorts_get_it() -> None:
    for side, sign in ((Side.BUY, -1), (Side.SELL, 1)):
        bench = Bench()
        bench.rate("0.0500", hour=0)  # before the position was there
        bench.sends(side, "20")
        bench.rate("0.0001", hour=1, price="98")
        bench.rate("0.0002", hour=2)  # told without a price: the book's of now
        bench.book("99", "103")
        bench.at(2.1)

        charged = bench.charged()

        assert [(each.amount, each.price) for each in charged] == [
            (sign * D("0.196"), D(98)),
            (sign * D("0.404"), D(101)),
        ]
        assert [each.ts_ns for each in charged] == [each.ts_ns for each in bench.rates[1:]]
        assert bench.total() == 1_000 + sign * D("0.6")
        assert bench.charged() == [], "each rate once"


def test_funding_is_asked_for_once_an_hour_and_not_before_it_can_be_told() -> None:
    bench = Bench()
    bench.sends(Side.BUY, "20")
    bench.watched()
    asked = len(bench.asked)
    bench.at(1.003)  # eleven seconds after the hour
    bench.watched()
    too_early = len(bench.asked)
    bench.at(1.01)
    bench.watched()
    bench.watched()

    assert (asked, too_early, len(bench.asked)) == (1, 1, 2)


def test_a_position_that_is_closed_before_a_rate_is_told_pays_it_all_the_same() -> None:
    bench = Bench()
    bench.sends(Side.BUY, "20")
    bench.rate("0.0001", hour=1)
    bench.at(1.001)
    bench.sends(Side.SELL, "10", is_exit=True)
    bench.rate("0.0001", hour=2)
    bench.at(2.1)

    assert [each.amount for each in bench.charged()] == [D("-0.2"), D("-0.1")]


def test_a_swap_that_is_closed_before_the_rate_of_the_hour_is_told_pays_it_all_the_same() -> None:
    bench = Bench()
    bench.sends(Side.BUY, "20")
    bench.rate("0.0001", hour=1)
    bench.at(1.001)
    bench.sends(Side.SELL, "20", is_exit=True)
    bench.rate("0.0001", hour=2)
    bench.at(2.1)

    assert [each.amount for each in bench.charged()] == [D("-0.2")]
    assert bench.charged() == []


def test_a_restart_charges_what_fell_into_the_time_between_and_nothing_twice() -> None:
    bench = Bench()
    entry = bench.sends(Side.BUY, "20")
    bench.rate("0.0001", hour=1)
    bench.at(1.1)
    first = bench.charged()
    bench.rate("0.0003", hour=2)
    bench.at(5)

    bench.venue = bench.another()
    bench.venue.restore([], fills_of(entry), [], first)
    before = bench.total()
    second = bench.charged()

    assert before == D("999.8")
    assert [each.amount for each in second] == [D("-0.6")]
    assert bench.total() == D("999.2")


def test_rates_that_are_not_told_are_asked_for_again_later_and_hold_up_nothing_else() -> None:
    bench = Bench()
    bench.sends(Side.BUY, "20")
    bench.rate("0.0001", hour=1)
    bench.is_silent = True
    bench.at(1.1)
    bench.book("80", "80")

    (gone,) = bench.watched()
    bench.watched()
    asked = len(bench.asked)
    bench.is_silent = False
    bench.at(1.2)
    bench.book("100", "100")
    bench.sends(Side.BUY, "1")

    assert isinstance(gone, PositionLiquidated)
    assert asked == 1
    assert [each.amount for each in bench.charged()] == [D("-0.2")]


def test_what_a_liquidation_takes_is_booked_to_the_last_digit_as_the_books_do() -> None:
    """The price at which a margin is gone has 28 digits, and its product with a quantity more."""
    account = PaperAccount([LISTED], {"USDT": D(1_000)}, PaperTerms(leverage=D(3)))
    position = Position()
    for number, (price, quantity) in enumerate((("101.37", "0.731"), ("97.91", "1.219"))):
        traded = Fill(
            trade_id=str(number),
            price=D(price),
            quantity=D(quantity),
            fee=D(0),
            fee_currency="USDT",
            ts_ns=NOW_NS + number,
            is_maker=False,
        )
        account.book(
            VenueFill(
                client_order_id=None,
                venue_order_id="1",
                instrument=SWAP,
                side=Side.BUY,
                fill=traded,
            )
        )
        position.realize(traded.quantity, traded.price)
        position.quantity += traded.quantity
        position.average_price = account.swaps()[SWAP].average_price

    gone_at = account.take_away(SWAP, NOW_NS + 2)

    assert gone_at is not None
    with localcontext(EXACT):
        expected = D(1_000) + position.realize(-position.quantity, gone_at)
    assert account.totals == {"USDT": expected}
    assert len(expected.as_tuple().digits) > 28, "else it shows nothing"
