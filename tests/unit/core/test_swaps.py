"""Linear perpetual swaps in the book: nothing is paid but profit, fees and funding."""

from decimal import Decimal
from fractions import Fraction
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core import events as e
from daemon.core.book import Book
from daemon.core.instruments import InstrumentId, MarketType, liquidation_distance
from daemon.core.orders import Side
from daemon.core.positions import Position
from tests.builders import (
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_funding,
    a_liquidation,
    a_run_opened,
    an_instrument,
    an_order_filled,
)

D = Decimal
SWAP: Final = InstrumentId("binanceusdm", "BTC/USDT:USDT")
LOT: Final = D("0.001")


def a_book(leverage: int = 1) -> Book:
    book = Book()
    listed = an_instrument(id=SWAP, lot=LOT, market_type=MarketType.SWAP)
    book.apply_run_opened(
        a_run_opened(instruments=(listed,), allotted_quote=D(10_000), leverage=D(leverage))
    )
    return book


def fill(
    book: Book, side: Side, quantity: str, price: str, *, fee: str = "0", currency: str = "USDT"
) -> float | None:
    book.apply_order_filled(
        an_order_filled(
            instrument=SWAP,
            side=side,
            quantity=D(quantity),
            price=D(price),
            fee=D(fee),
            fee_currency=currency,
        )
    )
    return book.closed_return(SWAP)


def mark(book: Book, price: float, hour: int = 0) -> None:
    bar = a_bar(instrument=SWAP, open_ns=OPEN_NS + hour * HOUR_NS, close=price)
    book.apply_bars_closed(e.BarsClosed(ts_ns=bar.close_ns, bars=(bar,)))


def cash(book: Book) -> Decimal:
    return book.cash_on(SWAP.exchange, "USDT")


def test_entering_a_swap_costs_its_fee_alone() -> None:
    book = a_book()
    mark(book, 100.0)

    fill(book, Side.BUY, "2", "100", fee="0.1")

    assert cash(book) == D("9999.9")
    assert book.notional(SWAP) == 200
    assert book.equity == D("9999.9")
    assert book.owned(SWAP.exchange, "BTC") == 0, "a swap is no coin"


@pytest.mark.parametrize(("side", "back", "gain"), [("buy", "sell", 20), ("sell", "buy", -20)])
def test_what_a_swap_gains_is_paid_when_it_is_closed(side: str, back: str, gain: int) -> None:
    book = a_book()
    fill(book, Side(side), "2", "100")
    mark(book, 110.0)
    before = book.equity

    closed = fill(book, Side(back), "2", "110")

    assert before == book.equity == cash(book) == 10_000 + gain
    assert closed == pytest.approx(gain / 200)
    assert book.realized == gain
    assert book.position(SWAP).owed == 0


def test_a_part_that_is_closed_realizes_its_part() -> None:
    book = a_book()
    fill(book, Side.SELL, "3", "100")
    fill(book, Side.BUY, "1", "90")

    assert book.realized == 10
    assert cash(book) == 10_010
    assert (book.position(SWAP).quantity, book.position(SWAP).owed) == (D(-2), D(-200))


def test_an_order_that_turns_a_swap_round_closes_it_first() -> None:
    book = a_book()
    fill(book, Side.BUY, "1", "100")

    fill(book, Side.SELL, "3", "120")

    assert cash(book) == 10_020
    assert (book.position(SWAP).quantity, book.position(SWAP).owed) == (D(-2), D(-240))


fills = st.lists(
    st.tuples(
        st.sampled_from([Side.BUY, Side.SELL]),
        st.integers(1, 10_000_000),
        st.decimals("0.00000001", "1000000", places=8),
        st.decimals("-0.01", "10", places=8),
        st.sampled_from(["USDT", "USDT", "BNB", "BTC"]),
        st.sampled_from(["-0.001", "0", "0.0001"]),
    ),
    max_size=30,
)


@given(fills)
def test_realized_and_unrealized_are_the_difference_of_the_ledger_to_the_last_digit(
    story: list[tuple[Side, int, Decimal, Decimal, str, str]],
) -> None:
    """As if everything were paid for in full: what was paid and received, and the position."""
    book = a_book()
    paid, held = Fraction(0), Fraction(0)
    for hour, (side, lots, price, fee, currency, rate) in enumerate(story):
        quantity = lots * LOT
        fill(book, side, str(quantity), str(price), fee=str(fee), currency=currency)
        sign = 1 if side is Side.BUY else -1
        held += sign * Fraction(quantity)
        paid -= sign * Fraction(quantity) * Fraction(price)
        paid -= Fraction(fee) if currency == "USDT" else 0
        mark(book, float(price), hour)
        paid -= held * Fraction(repr(float(price))) * Fraction(rate)
        book.apply_funding_charged(
            a_funding(instrument=SWAP, rate=D(rate), price=D(repr(float(price))))
        )

        position = book.position(SWAP)
        assert Fraction(position.quantity) == held
        unrealized = held * Fraction(book.marks[SWAP]) - Fraction(position.owed)
        realized = Fraction(cash(book)) - 10_000
        assert realized + unrealized == paid + held * Fraction(book.marks[SWAP])
        assert position.quantity or not position.owed, "what is closed owes nothing"
        in_place = {each: amount for each, amount in book.others.items() if amount}
        assert all(each[1] in {"BNB", "BTC"} for each in in_place)


@pytest.mark.parametrize(("side", "amount"), [(Side.BUY, D("-0.02")), (Side.SELL, D("0.02"))])
def test_longs_pay_shorts_for_a_positive_rate(side: Side, amount: Decimal) -> None:
    book = a_book()
    fill(book, side, "2", "100")

    book.apply_funding_charged(a_funding(instrument=SWAP, rate=D("0.0001"), price=D(100)))

    assert cash(book) == 10_000 + amount
    assert book.funding == amount
    assert book.equity - book.allotted == amount


def test_what_the_exchange_booked_counts_and_not_what_the_rate_would_give() -> None:
    book = a_book()
    fill(book, Side.BUY, "2", "100")

    book.apply_funding_charged(a_funding(instrument=SWAP, price=D(100), amount=D("-0.03")))

    assert cash(book) == D("9999.97")


def test_funding_without_a_position_is_nobodys() -> None:
    book = a_book()

    book.apply_funding_charged(a_funding(instrument=SWAP))

    assert (cash(book), book.funding) == (D(10_000), D(0))


def test_what_was_booked_for_a_position_closed_since_is_paid_and_of_no_later_trip() -> None:
    book = a_book()
    book.apply_funding_charged(a_funding(instrument=SWAP, amount=D("-0.03")))

    assert (cash(book), book.funding) == (D("9999.97"), D("-0.03"))
    assert book.position(SWAP).trip_cash == 0


def test_funding_is_part_of_what_a_round_trip_returns() -> None:
    book = a_book()
    fill(book, Side.BUY, "2", "100")
    book.apply_funding_charged(a_funding(instrument=SWAP, rate=D("0.01"), price=D(100)))

    assert fill(book, Side.SELL, "2", "110") == pytest.approx((20 - 2) / 200)


@given(st.sampled_from([1, 2, 3, 5, 10]), st.booleans(), st.floats(0.0, 0.02))
def test_a_swap_is_taken_away_where_its_margin_is_used_up(
    leverage: int, is_long: bool, maintenance: float
) -> None:
    position = Position()
    change = D(2) if is_long else D(-2)
    position.realize(change, D(100))
    position.fold(change, D(0), D(200), D(100))

    price = position.liquidation_price(D(leverage), D(repr(maintenance)))

    distance = liquidation_distance(leverage, maintenance, is_long=is_long)
    if price is None:
        assert is_long
        assert distance == pytest.approx(1.0)
    else:
        moved = 1 - float(price) / 100 if is_long else float(price) / 100 - 1
        assert moved == pytest.approx(distance, abs=1e-12)
    gone = position.bankruptcy_price(D(leverage))
    assert float(abs(gone - 100) / 100) == pytest.approx(1 / leverage)


def test_a_liquidation_costs_the_margin_and_nothing_of_the_rest() -> None:
    book = a_book(leverage=5)
    fill(book, Side.BUY, "2", "100")
    mark(book, 81.0)
    gone = book.position(SWAP).bankruptcy_price(D(5))

    book.apply_position_liquidated(a_liquidation(instrument=SWAP, price=gone))

    assert book.equity == cash(book) == 10_000 - 40
    assert book.position(SWAP).quantity == 0
    assert book.closed_return(SWAP) == pytest.approx(-0.2)


def test_only_the_margin_of_a_swap_is_tied_up() -> None:
    book = a_book(leverage=4)
    fill(book, Side.SELL, "2", "100")

    assert book.free_on(SWAP.exchange, "USDT") == 10_000 - 50
    assert book.margin_ratio(SWAP) == D("0.25")


def test_contracts_are_whole_lots_of_base_units() -> None:
    listed = an_instrument(
        id=SWAP, market_type=MarketType.SWAP, lot=D("0.01"), contract_size=D("0.01")
    )

    assert listed.contracts(D("0.37")) == 37
    with pytest.raises(ValueError, match=r"no multiple of its lot 0\.01"):
        listed.contracts(D("0.375"))
    with pytest.raises(ValueError, match="contract size"):
        an_instrument(id=SWAP, contract_size=D(0))


def test_a_swap_may_be_left_whatever_it_is_worth() -> None:
    rules = {"lot": LOT, "minimum_notional": D(5)}
    swap = an_instrument(id=SWAP, market_type=MarketType.SWAP, **rules)
    spot = an_instrument(**rules)

    assert swap.takes(LOT, D(100), is_exit=True)
    assert not swap.takes(LOT, D(100))
    assert not spot.takes(LOT, D(100), is_exit=True)
