from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.bars import Bar
from daemon.core.book import Book
from daemon.core.events import (
    AskQuotes,
    BarsClosed,
    CancelOrder,
    Direction,
    OrderReported,
    Outcome,
    SubmitOrder,
)
from daemon.core.instruments import InstrumentId, MarketType
from daemon.core.orders import OrderState, OrderType, Side
from daemon.research.simulated_venue import FillModel, SimulatedVenue
from daemon.research.swap_desk import SwapTerms
from tests.builders import (
    BTC,
    CLOSE_NS,
    ETH,
    HOUR_NS,
    a_bar,
    a_run_opened,
    a_submission,
    an_instrument,
    an_order_filled,
)

D = Decimal
MODEL = FillModel(
    fee_bps=D(10),
    spread_bps=D(4),
    slippage_bps=D(5),
    depth_ratio=D("0.01"),
    participation_max_ratio=D("0.05"),
    latency_ns=250_000_000,
)

RICH = {(BTC.exchange, "USDT"): D(1_000_000)}


def answered(
    quantity: str = "1", *, volume: float = 1_000.0, open_: float = 1_000.0, **changes: Any
) -> OrderReported:
    """An order of `quantity` decided at CLOSE_NS, against the bar that opens then."""
    bar = a_bar(open_ns=CLOSE_NS, open=open_, high=9e9, low=1e-9, close=5.0, volume=volume)
    venue = SimulatedVenue(
        {BTC: an_instrument()},
        {(BTC, CLOSE_NS): bar},
        HOUR_NS,
        changes.pop("model", MODEL),
        cash=RICH,
    )
    changes.setdefault("ts_ns", CLOSE_NS)
    return venue.answer(a_submission(quantity=D(quantity), **changes))


def test_a_buyer_pays_the_next_open_half_the_spread_and_the_slippage() -> None:
    report = answered("1")

    # 2 bps of spread, 5 of slippage, and a tenth of a depth more for a thousandth of the volume.
    (fill,) = report.fills
    assert fill.price == D("1000.75")
    assert (report.state, report.filled_quantity) == (OrderState.FILLED, D(1))
    assert (fill.fee, fill.fee_currency) == (D("0.001"), "BTC")
    assert fill.ts_ns == CLOSE_NS + 250_000_000


def test_a_seller_gets_as_much_less_and_pays_his_fee_in_quote() -> None:
    (fill,) = answered("1", side=Side.SELL).fills

    assert fill.price == D("999.25")
    assert (fill.fee, fill.fee_currency) == (D("0.99925"), "USDT")


def test_only_the_open_and_the_volume_of_the_bar_are_looked_at() -> None:
    # High, low and close of the bar are absurd in `answered`, and the price is not.
    assert answered("1").fills[0].price == D("1000.75")


def test_a_large_order_pays_for_the_depth_it_takes() -> None:
    (small,), (large,) = answered("1").fills, answered("40").fills

    assert small.price < large.price
    # A fortieth of... 4 % of the volume is four depths: 2 + 5 x (1 + 4) = 27 bps.
    assert large.price == D("1002.70")


def test_what_the_volume_does_not_give_expires() -> None:
    report = answered("80")

    assert report.state is OrderState.EXPIRED
    assert report.outcome is Outcome.ACKNOWLEDGED
    assert report.filled_quantity == D(50)
    assert [fill.quantity for fill in report.fills] == [D(50)]


def test_in_a_bar_without_trades_nothing_fills() -> None:
    report = answered("1", volume=0.0)

    assert (report.state, report.filled_quantity, report.fills) == (OrderState.EXPIRED, D(0), ())


def test_an_order_that_arrives_later_fills_at_a_later_bar() -> None:
    late = FillModel(
        fee_bps=D(0), spread_bps=D(0), slippage_bps=D(0), depth_ratio=D(1),
        participation_max_ratio=D(1), latency_ns=HOUR_NS + 1,
    )  # fmt: skip

    report = answered("1", ts_ns=CLOSE_NS - HOUR_NS, model=late)

    assert report.fills[0].price == D("1000.00")


def test_an_order_that_meets_a_hole_is_refused_as_on_a_closed_market() -> None:
    report = answered("1", ts_ns=CLOSE_NS + HOUR_NS)

    assert report.outcome is Outcome.REFUSED
    assert "no bar" in report.reason


def test_the_filters_of_the_exchange_hold() -> None:
    assert "under" in answered("0.000001").reason
    assert "multiple" in answered("0.123456789").reason
    assert "notional" in answered("0.001").reason
    assert answered("0.001").outcome is Outcome.REFUSED


# --- orders that rest -----------------------------------------------------------------------------


def a_venue(*bars: Bar, model: FillModel = MODEL) -> SimulatedVenue:
    return SimulatedVenue(
        {BTC: an_instrument()},
        {(BTC, each.open_ns): each for each in bars},
        HOUR_NS,
        model,
        cash=RICH,
    )


def hour(number: int, open_: float, high: float, low: float) -> Bar:
    """The bar that opens so many hours after the decision."""
    return a_bar(
        open_ns=CLOSE_NS + number * HOUR_NS, open=open_, high=high, low=low, close=open_,
        volume=1_000.0,
    )  # fmt: skip


def passed(venue: SimulatedVenue, bar: Bar) -> list[OrderReported]:
    told = list(venue.passing(BarsClosed(ts_ns=bar.close_ns, bars=(bar,))))
    return [each for each in told if isinstance(each, OrderReported)]


def a_stop(**changes: Any) -> SubmitOrder:
    """A sale at the market once it trades at 900."""
    return a_submission(
        **{"ts_ns": CLOSE_NS, "side": Side.SELL, "order_type": OrderType.STOP,
           "quantity": D(1), "stop_price": D(900)} | changes
    )  # fmt: skip


def a_limit(side: Side, price: str) -> SubmitOrder:
    return a_submission(
        ts_ns=CLOSE_NS, side=side, order_type=OrderType.LIMIT, quantity=D(1), price=D(price)
    )


def test_a_stop_rests_until_a_bar_trades_at_its_price_and_then_pays_like_a_market_order() -> None:
    bars = hour(0, 1_000.0, 1_010.0, 950.0), hour(1, 960.0, 970.0, 899.0)
    venue = a_venue(*bars)

    placed = venue.answer(a_stop())

    assert (placed.outcome, placed.state) == (Outcome.ACKNOWLEDGED, OrderState.ACCEPTED)
    assert passed(venue, bars[0]) == []
    (met,) = passed(venue, bars[1])
    assert (met.state, met.filled_quantity) == (OrderState.FILLED, D(1))
    assert met.fills[0].price == D("899.32")  # 900 less 7.5 bps, on the grid
    assert met.ts_ns == bars[1].close_ns
    assert passed(venue, bars[1]) == [], "it is met once"


def test_a_bar_that_opens_beyond_the_stop_is_met_at_its_open() -> None:
    bars = hour(0, 1_000.0, 1_010.0, 950.0), hour(1, 800.0, 810.0, 790.0)
    venue = a_venue(*bars)
    venue.answer(a_stop())

    (met,) = passed(venue, bars[1])

    assert met.fills[0].price == D("799.40")


def test_a_stop_above_the_market_is_refused_as_exchanges_do() -> None:
    report = a_venue(hour(0, 890.0, 900.0, 880.0)).answer(a_stop())

    assert (report.outcome, report.reason) == (
        Outcome.REFUSED,
        "the stop price would trigger immediately",
    )


def test_a_limit_order_is_filled_by_a_bar_that_trades_through_it_and_not_by_a_touch() -> None:
    for side, touch, through in (
        (Side.BUY, hour(0, 1_000.0, 1_010.0, 950.0), hour(1, 1_000.0, 1_010.0, 949.0)),
        (Side.SELL, hour(0, 900.0, 950.0, 890.0), hour(1, 900.0, 951.0, 890.0)),
    ):
        venue = a_venue(touch, through)
        venue.answer(a_limit(side, "950"))

        assert passed(venue, touch) == []
        (met,) = passed(venue, through)
        assert met.fills[0].price == D(950), "others came to its price: nothing is paid for that"


@pytest.mark.parametrize(
    ("side", "price", "paid"),
    [
        (Side.BUY, "1010", "1000.75"),  # what an order at the market pays
        (Side.BUY, "1000.50", "1000.50"),
        (Side.SELL, "990", "999.25"),
        (Side.SELL, "999.50", "999.50"),
    ],
)
def test_a_limit_order_that_takes_pays_for_it_like_any_other_up_to_its_price(
    side: Side, price: str, paid: str
) -> None:
    bar = hour(0, 1_000.0, 1_020.0, 980.0)
    venue = a_venue(bar)
    venue.answer(a_limit(side, price))

    (met,) = passed(venue, bar)

    assert met.fills[0].price == D(paid)


def test_a_limit_order_that_rested_before_the_market_jumped_over_it_gets_its_own_price() -> None:
    for side, beyond in ((Side.BUY, 900.0), (Side.SELL, 1_000.0)):
        bars = hour(0, 950.0, 950.0, 950.0), hour(1, beyond, beyond, beyond)
        venue = a_venue(*bars)
        venue.answer(a_limit(side, "950"))

        assert passed(venue, bars[0]) == []
        (met,) = passed(venue, bars[1])
        assert met.fills[0].price == D(950), "who came to it had to pay it"


def test_a_cancelled_order_is_not_met_any_more_and_what_is_over_is_not_cancelled() -> None:
    bars = hour(0, 1_000.0, 1_010.0, 950.0), hour(1, 960.0, 970.0, 899.0)
    venue = a_venue(*bars)
    stop = a_stop()
    venue.answer(stop)
    cancel = CancelOrder(
        ts_ns=bars[0].close_ns, client_order_id=stop.client_order_id, instrument=BTC,
        order_type=OrderType.STOP, venue_order_id=None, intended_ns=CLOSE_NS, reason="test",
    )  # fmt: skip

    first, second = venue.cancel(cancel), venue.cancel(cancel)

    assert (first.state, first.filled_quantity) == (OrderState.CANCELED, D(0))
    assert second.state is None
    assert passed(venue, bars[1]) == []


def test_a_quote_is_made_of_the_bar_that_has_just_closed() -> None:
    closed = a_bar(open_ns=CLOSE_NS - HOUR_NS, open=9.0, high=2_000.0, low=1.0, close=1_000.0,
                   volume=1_000.0)  # fmt: skip
    question = AskQuotes(
        ts_ns=CLOSE_NS, instrument=BTC, trace="t", direction=Direction.LONG,
        instruments=(BTC, ETH), notional_quote=D(1),
    )  # fmt: skip

    here, there = a_venue(closed).quotes(question).quotes

    assert here.bids == ((D("999.80"), D(50)),)
    assert here.asks == ((D("1000.20"), D(50)),)
    assert not there.is_complete
    assert there.error


# --- what the account pays for --------------------------------------------------------------------


PLAIN = FillModel(
    fee_bps=D(0), spread_bps=D(0), slippage_bps=D(0), depth_ratio=D(1),
    participation_max_ratio=D(1), latency_ns=0,
)  # fmt: skip


def a_poor_venue(
    cash: str = "1000", *, open_: float = 100.0, later: float = 100.0
) -> SimulatedVenue:
    """Two instruments that are paid out of one purse, and two bars of each."""
    bars = {
        (each, CLOSE_NS + hour * HOUR_NS): a_bar(
            instrument=each, open_ns=CLOSE_NS + hour * HOUR_NS, open=price, high=price, low=price,
            close=price,
        )
        for each in (BTC, ETH)
        for hour, price in enumerate((open_, later))
    }  # fmt: skip
    listed = {each: an_instrument(id=each, base=each.symbol[:3]) for each in (BTC, ETH)}
    return SimulatedVenue(listed, bars, HOUR_NS, PLAIN, cash={(BTC.exchange, "USDT"): D(cash)})


def sent(venue: SimulatedVenue, ours: str, quantity: str, **changes: Any) -> OrderReported:
    changes = {"ts_ns": CLOSE_NS, "client_order_id": ours} | changes
    return venue.answer(a_submission(quantity=D(quantity), **changes))


def test_two_symbols_are_not_bought_with_the_same_money() -> None:
    venue = a_poor_venue()

    first, second = sent(venue, "tda", "6"), sent(venue, "tdb", "6", instrument=ETH)
    third = sent(venue, "tdc", "4", instrument=ETH)

    assert (first.state, third.state) == (OrderState.FILLED, OrderState.FILLED)
    assert second.outcome is Outcome.REFUSED
    assert second.reason == "insufficient balance: 600 USDT needed, 400 held free"
    assert second.fills == ()


def test_a_price_that_ran_away_until_the_fill_is_paid_for_or_the_order_is_refused() -> None:
    """It was sized by the close before; the open is what it costs."""
    assert sent(a_poor_venue(open_=100.0), "tda", "10").state is OrderState.FILLED
    assert "insufficient" in sent(a_poor_venue(open_=100.01), "tda", "10").reason


def test_what_was_sold_pays_for_the_next_one() -> None:
    venue = a_poor_venue()
    sent(venue, "tda", "10")

    assert sent(venue, "tdb", "1", instrument=ETH).outcome is Outcome.REFUSED
    sent(venue, "tdc", "5", side=Side.SELL)
    assert sent(venue, "tdd", "5", instrument=ETH).state is OrderState.FILLED


def test_an_order_that_rests_holds_what_it_may_cost_until_it_is_over() -> None:
    venue = a_poor_venue()
    limit = {"order_type": OrderType.LIMIT, "price": D(90)}

    assert sent(venue, "tda", "10", **limit).state is OrderState.ACCEPTED
    assert sent(venue, "tdb", "2", instrument=ETH).outcome is Outcome.REFUSED
    assert sent(venue, "tdc", "2", **limit).outcome is Outcome.REFUSED
    venue.cancel(
        CancelOrder(
            ts_ns=CLOSE_NS,
            client_order_id="tda",
            instrument=BTC,
            order_type=OrderType.LIMIT,
            venue_order_id=None,
            intended_ns=CLOSE_NS,
            reason="test",
        )
    )
    assert sent(venue, "tdd", "2", instrument=ETH).state is OrderState.FILLED


def test_what_rests_and_cannot_be_paid_any_more_when_it_is_met_is_over() -> None:
    """A swap that is paid out of the same cash may have lost it meanwhile; an order that stayed
    open for ever would keep everything back.
    """
    swap = InstrumentId(BTC.exchange, "BTC/USDT:USDT")
    listed = {
        BTC: an_instrument(),
        swap: an_instrument(id=swap, market_type=MarketType.SWAP),
    }
    bars = [
        a_bar(instrument=each, open_ns=CLOSE_NS, open=100.0, high=100.0, low=low, close=low)
        for each, low in ((BTC, 89.0), (swap, 100.0))
    ]
    venue = SimulatedVenue(
        listed,
        {(bar.instrument, bar.open_ns): bar for bar in bars},
        HOUR_NS,
        PLAIN,
        cash={(BTC.exchange, "USDT"): D(1_000)},
        terms=SwapTerms(rates={swap.symbol: {CLOSE_NS + HOUR_NS: D("0.01")}}),
    )
    sent(venue, "tda", "1", instrument=swap)
    assert sent(venue, "tdb", "10", order_type=OrderType.LIMIT, price=D(90)).state is (
        OrderState.ACCEPTED
    )
    charged = list(venue.passing(BarsClosed(ts_ns=CLOSE_NS + HOUR_NS, bars=(bars[1],))))

    (over,) = venue.passing(BarsClosed(ts_ns=CLOSE_NS + HOUR_NS, bars=(bars[0],)))

    assert len(charged) == 1
    assert isinstance(over, OrderReported)
    assert (over.outcome, over.state) == (Outcome.ACKNOWLEDGED, OrderState.EXPIRED)
    assert (over.fills, over.filled_quantity) == ((), D(0))
    assert over.reason.startswith("insufficient balance: 900 USDT needed, 899")


@given(
    st.lists(
        st.tuples(st.sampled_from([BTC, ETH]), st.sampled_from(list(Side)), st.integers(1, 12)),
        max_size=12,
    ),
    st.floats(50.0, 200.0),
)
def test_cash_is_never_negative_and_what_the_books_make_of_the_fills(
    orders: list[tuple[InstrumentId, Side, int]], later: float
) -> None:
    venue, book = a_poor_venue(later=later), Book()
    listed = tuple(an_instrument(id=each, base=each.symbol[:3]) for each in (BTC, ETH))
    book.apply_run_opened(a_run_opened(instruments=listed, allotted_quote=D(1_000)))
    free = D(1_000)
    for number, (instrument, side, quantity) in enumerate(orders):
        held = book.position(instrument).quantity
        wanted = min(D(quantity), held) if side is Side.SELL else D(quantity)
        hour = number * 2 // len(orders)
        report = sent(
            venue, f"td{number}", str(wanted), instrument=instrument, side=side,
            ts_ns=CLOSE_NS + hour * HOUR_NS,
        )  # fmt: skip
        for fill in report.fills:
            book.apply_order_filled(
                an_order_filled(
                    instrument=instrument,
                    side=side,
                    quantity=fill.quantity,
                    price=fill.price,
                    fee=fill.fee,
                    fee_currency=fill.fee_currency,
                )
            )
        free = book.cash_on(BTC.exchange, "USDT")
        assert free >= 0
    more = (free + 1) / 100
    assert sent(venue, "tdlast", f"{more:.3f}").outcome is Outcome.REFUSED
