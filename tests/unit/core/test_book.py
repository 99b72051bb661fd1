from decimal import Decimal, getcontext
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from daemon.core import events as e
from daemon.core.book import Book
from daemon.core.capital import shares
from daemon.core.events import HaltReason
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Side
from tests.builders import (
    BTC,
    ETH,
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_halt,
    a_history_loaded,
    a_position_changed,
    a_resumption,
    a_run_opened,
    an_equity_mark,
    an_instrument,
    an_order_filled,
)

LOT = Decimal("0.001")
D = Decimal


def decimals(*values: int | str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, values))


def a_book(**changes: Any) -> Book:
    book = Book()
    instruments = (an_instrument(lot=LOT), an_instrument(id=ETH, base="ETH", lot=LOT))
    book.apply_run_opened(a_run_opened(instruments=instruments, **changes))
    return book


def fill(
    book: Book,
    side: Side,
    quantity: str,
    price: str,
    *,
    fee: str = "0",
    fee_currency: str = "USDT",
    instrument: InstrumentId = BTC,
) -> e.PositionChanged:
    """One fill as a step applies it, and the change of position that risk makes of it."""
    event = an_order_filled(
        instrument=instrument,
        side=side,
        quantity=D(quantity),
        price=D(price),
        fee=D(fee),
        fee_currency=fee_currency,
    )
    book.apply_order_filled(event)
    changed = a_position_changed(
        instrument=instrument,
        quantity=book.position(instrument).quantity,
        closed_return_ratio=book.closed_return(instrument),
    )
    book.apply_position_changed(changed)
    return changed


def spent(book: Book) -> Decimal:
    return book.cash_on("binance", "USDT")


def mark(book: Book, price: float, instrument: InstrumentId = BTC, hour: int = 0) -> None:
    bar = a_bar(instrument=instrument, open_ns=OPEN_NS + hour * HOUR_NS, close=price)
    book.apply_bars_closed(e.BarsClosed(ts_ns=bar.close_ns, bars=(bar,)))


# --- the ledger ---------------------------------------------------------------------------------


def test_a_new_account_is_worth_what_was_allotted_to_it() -> None:
    book = a_book(allotted_quote=D(10_000))

    assert (spent(book), book.equity, book.peak, book.realized) == decimals(
        10_000, 10_000, 10_000, 0
    )
    assert (book.exposure_ratio, book.drawdown_ratio) == (0.0, 0.0)


def test_a_buy_moves_cash_into_the_position_at_its_price() -> None:
    book = a_book()

    fill(book, Side.BUY, "2", "100", fee="0.2")

    position = book.position(BTC)
    assert (spent(book), book.fees) == decimals("9799.8", "0.2")
    assert (position.quantity, position.average_price) == decimals(2, 100)
    assert (book.notional(BTC), book.equity) == decimals(200, "9999.8")


def test_a_fee_in_the_base_currency_makes_the_position_smaller() -> None:
    book = a_book()

    fill(book, Side.BUY, "2", "100", fee="0.002", fee_currency="BTC")

    assert (spent(book), book.position(BTC).quantity) == decimals(9_800, "1.998")
    assert book.fees == D("0.2")


def test_a_fee_in_a_third_currency_is_kept_beside_the_account() -> None:
    book = a_book()

    fill(book, Side.BUY, "2", "100", fee="0.01", fee_currency="BNB")
    fill(book, Side.SELL, "2", "100", fee="0.02", fee_currency="BNB")

    assert (spent(book), book.fees) == decimals(10_000, 0)
    assert book.foreign_fees == {"BNB": D("0.03")}


def test_the_average_price_is_that_of_what_was_bought_and_selling_leaves_it() -> None:
    book = a_book()
    fill(book, Side.BUY, "1", "100")

    fill(book, Side.BUY, "3", "200")
    after_buying = book.position(BTC).average_price
    fill(book, Side.SELL, "2", "500")

    assert (after_buying, book.position(BTC).average_price) == decimals(175, 175)


def test_a_position_that_turns_through_zero_begins_at_the_price_it_turned_at() -> None:
    book = a_book()
    fill(book, Side.BUY, "1", "100")

    fill(book, Side.SELL, "3", "120")

    assert (book.position(BTC).quantity, book.position(BTC).average_price) == decimals(-2, 120)


def test_a_short_position_is_worth_less_when_the_price_rises() -> None:
    book = a_book()
    fill(book, Side.SELL, "2", "100")

    mark(book, 110.0)

    assert (book.notional(BTC), book.equity, book.gross_notional) == decimals(-220, 9_980, 220)


fills = st.lists(
    st.tuples(
        st.sampled_from([BTC, ETH]),
        st.sampled_from([Side.BUY, Side.SELL]),
        st.decimals("0.00000001", "1000000", places=8),
        st.decimals("0.00000001", "10000000", places=8),
        st.decimals("-0.01", "10", places=8),
        st.sampled_from(["base", "USDT", "BNB"]),
    ),
    max_size=30,
)


@given(fills)
def test_cash_positions_and_fees_close_to_the_last_digit(
    story: list[tuple[InstrumentId, Side, Decimal, Decimal, Decimal, str]],
) -> None:
    """Quantity and price of 8 places each: products of 28 digits and more must not be rounded."""
    book = a_book(allotted_quote=D(10_000))
    cash, held = Fraction(10_000), {BTC: Fraction(0), ETH: Fraction(0)}
    bases = {BTC: "BTC", ETH: "ETH"}

    for instrument, side, quantity, price, fee, currency in story:
        fee_currency = bases[instrument] if currency == "base" else currency
        fill(
            book, side, str(quantity), str(price),
            fee=str(fee), fee_currency=fee_currency, instrument=instrument,
        )  # fmt: skip
        sign = 1 if side is Side.BUY else -1
        held[instrument] += sign * Fraction(quantity)
        cash -= sign * Fraction(quantity) * Fraction(price)
        held[instrument] -= Fraction(fee) if fee_currency == bases[instrument] else 0
        cash -= Fraction(fee) if fee_currency == "USDT" else 0

    assert Fraction(spent(book)) == cash
    assert {each: Fraction(book.position(each).all_quantity) for each in held} == held
    unrealized = sum(
        position.all_quantity * book.marks[each] - position.cost_quote
        for each, position in book.positions.items()
    )
    assert float(book.realized + unrealized - (book.equity - book.allotted)) == pytest.approx(
        0, abs=1e-9 * (1 + float(book.gross_notional))
    )


def test_the_ledger_leaves_the_decimal_context_of_its_caller_alone() -> None:
    before = getcontext().copy()

    fill(a_book(), Side.BUY, "2", "100")

    assert getcontext().prec == before.prec
    assert getcontext().traps == before.traps


# --- round trips --------------------------------------------------------------------------------


def test_a_round_trip_returns_what_was_won_after_fees_on_what_was_put_in() -> None:
    book = a_book()
    fill(book, Side.BUY, "2", "100", fee="0.2")

    closed = fill(book, Side.SELL, "2", "110", fee="0.22")

    assert closed.closed_return_ratio == pytest.approx((20 - 0.42) / 200)
    assert (book.round_trips, book.returns) == (1, [closed.closed_return_ratio])


def test_the_return_of_a_short_round_trip_has_the_sign_of_its_gain() -> None:
    book = a_book()
    fill(book, Side.SELL, "2", "100")

    closed = fill(book, Side.BUY, "2", "90")

    assert closed.closed_return_ratio == pytest.approx(0.10)


def test_a_round_trip_in_pieces_ends_once() -> None:
    book = a_book()
    returns = [
        fill(book, Side.BUY, "1", "100").closed_return_ratio,
        fill(book, Side.BUY, "1", "120").closed_return_ratio,
        fill(book, Side.SELL, "1.5", "130").closed_return_ratio,
        fill(book, Side.SELL, "0.5", "130").closed_return_ratio,
    ]

    assert returns[:3] == [None, None, None]
    assert returns[3] == pytest.approx(40 / 220)
    assert book.round_trips == 1


def test_a_first_partial_fill_under_a_lot_is_no_round_trip() -> None:
    """One lot less a fee in base is under a lot, yet nothing has been closed."""
    book = a_book()

    first = fill(book, Side.BUY, "0.001", "100", fee="0.000001", fee_currency="BTC")
    fill(book, Side.BUY, "1", "100", fee="0.001", fee_currency="BTC")

    assert first.closed_return_ratio is None
    assert book.round_trips == 0


def a_trip(book: Book, bought: str, sold: str) -> float:
    """One base unit in with a fee in base, and all whole lots out again."""
    fill(book, Side.BUY, "1", bought, fee="0.0005", fee_currency="BTC")
    mark(book, float(sold))
    held = book.instruments[BTC].quantize_down(book.position(BTC).quantity)
    closed = fill(book, Side.SELL, str(held), sold)
    assert closed.closed_return_ratio is not None
    return closed.closed_return_ratio


def test_what_is_left_under_a_lot_counts_once_and_not_in_every_later_trip() -> None:
    """The rest is given to the next trip at the price the last one was credited with."""
    book = a_book()

    returns = [a_trip(book, "100", "100") for _ in range(5)]

    # Each trip costs its fee of 0.05, whatever was left over from the one before.
    assert returns == pytest.approx([-0.0005] * 5)
    assert float(book.equity - book.allotted) == pytest.approx(-0.25)


def test_the_returns_of_all_trips_add_up_to_the_profit_of_the_account() -> None:
    book = a_book()
    prices = ("100", "104", "99", "103", "97.5")

    gains = [a_trip(book, bought, sold) * float(bought) for bought, sold in pairwise(prices)]

    assert float(book.equity - book.allotted) == pytest.approx(sum(gains))


# --- dust ---------------------------------------------------------------------------------------


def test_what_is_left_under_a_lot_is_dust_and_no_position() -> None:
    book = a_book()
    fill(book, Side.BUY, "1", "100", fee="0.0005", fee_currency="BTC")
    fill(book, Side.SELL, "0.999", "100")

    position = book.position(BTC)

    assert (position.quantity, position.dust, position.dust_quote) == decimals(0, "0.0005", "0.05")
    assert book.notional(BTC) == D("0.05")
    assert book.equity == D("9999.95")


def test_dust_is_taken_over_once_by_the_next_position() -> None:
    book = a_book()
    fill(book, Side.BUY, "1", "100", fee="0.0005", fee_currency="BTC")
    fill(book, Side.SELL, "0.999", "100")

    fill(book, Side.BUY, "2", "100")

    position = book.position(BTC)
    assert (position.quantity, position.dust, position.dust_quote) == decimals("2.0005", 0, 0)
    assert float(position.average_price) == pytest.approx(100)


def test_a_rest_that_no_order_can_move_ends_its_round_trip_when_it_is_set_aside() -> None:
    book = a_book()
    fill(book, Side.BUY, "1", "100")
    fill(book, Side.SELL, "0.96", "110")
    left = book.position(BTC).quantity

    book.apply_dust_set_aside(
        e.DustSetAside(ts_ns=1, instrument=BTC, trace="t", quantity=left, price=D(110))
    )

    assert book.closed_return(BTC) == pytest.approx(0.1)
    assert (book.position(BTC).quantity, book.position(BTC).dust) == decimals(0, "0.04")
    assert book.equity == D(10_000) + D("0.96") * 10 + D("0.04") * (book.marks[BTC] - 100)


# --- marks, peak and drawdown -------------------------------------------------------------------


def test_bars_mark_the_account_and_the_mark_before_is_remembered() -> None:
    book = a_book()
    fill(book, Side.BUY, "2", "100")

    mark(book, 100.0, hour=0)
    mark(book, 90.0, hour=1)

    assert (book.marks[BTC], book.previous_marks[BTC]) == decimals(90, 100)
    assert book.marked_ns[BTC] == OPEN_NS + 2 * HOUR_NS
    assert book.equity == 9_980
    assert book.exposure_ratio == pytest.approx(180 / 9_980)


def test_history_gives_the_first_marks() -> None:
    book = a_book()

    book.apply_history_loaded(a_history_loaded())

    assert book.marks[BTC] == book.previous_marks[BTC] == D("42103.6")


def test_a_new_high_is_no_drawdown_not_a_negative_one() -> None:
    book = a_book()
    fill(book, Side.BUY, "2", "100")
    mark(book, 200.0)

    marked = book.marked(7)

    assert (marked.equity_quote, marked.peak_quote) == decimals(10_200, 10_200)
    assert (marked.ts_ns, marked.drawdown_ratio) == (7, 0.0)


def test_the_peak_is_what_was_journaled_and_drawdown_is_measured_from_it() -> None:
    book = a_book()
    book.apply_equity_marked(an_equity_mark(peak_quote=D(12_500)))

    assert book.drawdown_ratio == pytest.approx(0.2)
    assert book.marked(7).peak_quote == 12_500


@given(st.lists(st.floats(1.0, 1e6), max_size=40))
def test_the_peak_never_falls_and_drawdown_stays_between_none_and_all(
    prices: list[float],
) -> None:
    book = a_book()
    fill(book, Side.BUY, "1", "100")
    peaks = [book.peak]
    for hour, price in enumerate(prices):
        mark(book, price, hour=hour)
        marked = book.marked(hour)
        book.apply_equity_marked(marked)

        assert 0.0 <= marked.drawdown_ratio <= 1.0
        peaks.append(book.peak)

    assert peaks == sorted(peaks)


def test_an_account_without_a_peak_counts_as_lost() -> None:
    book = a_book(allotted_quote=D(0))

    assert book.drawdown_ratio == 1.0
    assert book.exposure_ratio == 1.0


def test_after_a_drawdown_halt_a_resume_measures_from_where_the_operator_stood() -> None:
    book = a_book()
    fill(book, Side.BUY, "10", "100")
    mark(book, 50.0)

    book.apply_trading_halted(a_halt(reason=HaltReason.DRAWDOWN))
    book.apply_trading_resumed(a_resumption())

    assert book.peak == 9_500
    assert book.drawdown_ratio == 0.0


def test_a_resume_from_any_other_halt_does_not_wear_the_drawdown_limit_away() -> None:
    book = a_book()
    fill(book, Side.BUY, "10", "100")
    mark(book, 50.0)

    book.apply_trading_halted(a_halt(reason=HaltReason.OPERATOR))
    book.apply_trading_resumed(a_resumption())

    assert book.peak == 10_000
    assert book.drawdown_ratio == 0.05


def test_an_unknown_instrument_has_no_position() -> None:
    book = a_book()

    assert (book.position(ETH).quantity, book.notional(ETH)) == decimals(0, 0)
    assert book.closed_return(ETH) is None


@given(
    st.decimals("0.01", "999999", places=2),
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]), st.decimals("0", "999999", places=4), min_size=1
    ),
)
def test_capital_is_divided_to_the_last_digit_and_no_account_gives_more_than_it_holds(
    capital: Decimal, held: dict[str, Decimal]
) -> None:
    assume(sum(held.values()) >= capital)

    divided = shares(capital, held)

    assert sum(divided.values()) == capital
    assert all(0 <= divided[name] <= held[name] for name in held)


def test_capital_is_divided_as_the_accounts_hold_it() -> None:
    assert shares(D(900), {"a": D(2_000), "b": D(1_000)}) == {"a": D(600), "b": D(300)}
    assert shares(D(900), {"a": D(2_000)}) == {"a": D(900)}


def test_no_account_is_asked_for_more_than_it_holds_by_what_rounding_left() -> None:
    held = {name: D("0.000000019") for name in "abc"}

    assert shares(sum(held.values(), D(0)), held) == held
