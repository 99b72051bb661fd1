from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.core import events as e
from daemon.core.blotter import ORDERS_REMEMBERED_MAX, Blotter
from daemon.core.book import Book
from daemon.core.flows import ExternalFlows
from daemon.core.ids import mark_of
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Fill, Side
from daemon.core.ports import Account, VenueFill
from daemon.running.books.reconcile import Books, Comparison, Kind, agreed, compare
from tests.builders import (
    BTC,
    ETH,
    ORDER,
    a_fill,
    a_refusal,
    a_run_opened,
    an_acceptance,
    an_account_opened,
    an_instrument,
    an_intent,
    an_order_completed,
    an_order_filled,
)

D = Decimal
START = D(10_000)
OPENED = a_run_opened(
    instruments=(an_instrument(), an_instrument(id=ETH, base="ETH")),
    balances=(e.Balance("USDT", START), e.Balance("BTC", D("0.5"))),
)

FOREIGN = mark_of(bot=OPENED.bot, account=OPENED.account) + "foreign"


def a_venue_fill(fill: Fill, **changes: Any) -> VenueFill:
    made: dict[str, Any] = {
        "client_order_id": ORDER,
        "venue_order_id": "4711",
        "instrument": BTC,
        "side": Side.BUY,
        "fill": fill,
    }
    return VenueFill(**made | changes)


def an_account(*fills: VenueFill, open_orders: tuple[str, ...] = (), **totals: str) -> Account:
    """Balances that follow from the fills, but for the currencies named."""
    held = {"USDT": START, "BTC": D("0.5"), "ETH": D(0)}
    for each in fills:
        sign = 1 if each.side is Side.BUY else -1
        base = each.instrument.symbol[:3]
        held[base] += sign * each.fill.quantity
        held["USDT"] -= sign * each.fill.quantity * each.fill.price
        held[each.fill.fee_currency] = held.get(each.fill.fee_currency, D(0)) - each.fill.fee
    held |= {name: D(total) for name, total in totals.items()}
    return Account(totals=held, fills=fills, open_client_order_ids=open_orders)


def a_blotter(*fills: Fill, is_over: bool = True, **changes: Any) -> Blotter:
    blotter = Blotter()
    blotter.apply_order_intended(an_intent(**changes))
    blotter.apply_order_accepted(an_acceptance())
    for each in fills:
        blotter.apply_order_filled(
            an_order_filled(trade_id=each.trade_id, quantity=each.quantity, price=each.price)
        )
    if is_over:
        blotter.apply_order_completed(an_order_completed())
    return blotter


def the_books(blotter: Blotter, opened: e.RunOpened = OPENED) -> Books:
    """The orders alone: nothing is owned, so nothing can be missing."""
    return Books(opened, blotter, Book(), ExternalFlows())


def differences(blotter: Blotter, account: Account) -> tuple[str, ...]:
    return compare(the_books(blotter), account, BTC.exchange).differences


def test_books_that_agree_are_equal() -> None:
    fill = a_fill()

    comparison = compare(the_books(a_blotter(fill)), an_account(a_venue_fill(fill)), BTC.exchange)

    assert comparison == Comparison((), ())
    assert comparison.is_equal


def test_a_fill_only_the_venue_has_is_missed_not_a_difference() -> None:
    known, missed = a_fill(trade_id="1"), a_fill(trade_id="2")
    account = an_account(a_venue_fill(known), a_venue_fill(missed))

    comparison = compare(the_books(a_blotter(known)), account, BTC.exchange)

    assert [each.fill for each in comparison.missed] == [missed]
    assert comparison.differences == ()
    assert not comparison.is_equal


def test_the_same_trade_number_of_another_order_is_another_trade() -> None:
    fill = a_fill(trade_id="1")
    blotter = a_blotter(fill)
    blotter.apply_order_intended(an_intent(client_order_id="tdother", instrument=ETH))
    other = a_venue_fill(fill, client_order_id="tdother", instrument=ETH)

    comparison = compare(the_books(blotter), an_account(a_venue_fill(fill), other), BTC.exchange)

    assert comparison.missed == (other,)


def test_a_fill_only_we_have_is_a_difference() -> None:
    told = differences(a_blotter(a_fill(trade_id="7")), an_account())

    assert told == (f"order {ORDER}: fill 7 is booked here and unknown to the venue",)


def test_a_filled_order_with_our_prefix_that_we_never_intended_is_a_difference() -> None:
    account = an_account(a_venue_fill(a_fill(), client_order_id=FOREIGN))

    assert differences(Blotter(), account) == (
        f"the venue filled {FOREIGN}, which this journal never intended",
    )


def test_what_the_run_before_traded_at_the_moment_of_the_opening_is_in_its_balances() -> None:
    """In lock-step the market stands still between two runs."""
    before = a_venue_fill(a_fill(ts_ns=OPENED.ts_ns), client_order_id=FOREIGN)
    account = an_account(before, USDT=str(START), BTC="0.5")

    assert compare(the_books(Blotter()), account, BTC.exchange).is_equal


def test_each_account_is_compared_with_the_orders_of_its_own_exchange() -> None:
    """The same symbol is traded on both, and each venue knows its own fills alone."""
    there = InstrumentId("okx", BTC.symbol)
    shares = {BTC.exchange: int(START), "okx": 500}
    opened = a_run_opened(
        instruments=(*OPENED.instruments, an_instrument(id=there)),
        accounts=tuple(
            an_account_opened(
                name, share, balances=(e.Balance("USDT", D(share)), e.Balance("BTC", D("0.5")))
            )
            for name, share in shares.items()
        ),
    )
    fill = a_fill()
    blotter = a_blotter(fill)
    other = Account(totals={"USDT": D(500), "BTC": D("0.5")}, fills=(), open_client_order_ids=())
    stray = a_venue_fill(fill, instrument=there)

    books = the_books(blotter, opened)
    assert compare(books, an_account(a_venue_fill(fill)), BTC.exchange).is_equal
    assert compare(books, other, "okx").is_equal
    (told,) = compare(
        books, an_account(stray, USDT=str(D(500) - fill.quantity * fill.price)), "okx"
    ).differences[:1]
    assert told == f"the venue filled {ORDER}, which this journal never intended"


def test_an_open_order_with_our_prefix_that_we_never_intended_is_a_difference() -> None:
    account = an_account(open_orders=(FOREIGN, "someone-elses"))

    assert differences(Blotter(), account) == (
        f"the venue has open {FOREIGN}, which this journal never intended",
    )


def test_an_order_that_only_we_believe_open_is_a_difference() -> None:
    """It would block its instrument, exits included, and nobody would ever hear of it again."""
    blotter = a_blotter(is_over=False)

    assert differences(blotter, an_account()) == (
        f"order {ORDER} is accepted here and not open at the venue",
    )
    assert differences(blotter, an_account(open_orders=(ORDER,))) == ()


def test_an_order_of_unknown_fate_is_looked_up_not_compared() -> None:
    blotter = Blotter()
    blotter.apply_order_intended(an_intent())

    assert differences(blotter, an_account()) == ()


def test_trades_of_others_on_the_account_count_in_the_balances_and_nowhere_else() -> None:
    by_hand = a_venue_fill(a_fill(trade_id="9"), client_order_id=None)

    assert compare(the_books(Blotter()), an_account(by_hand), BTC.exchange).is_equal


def test_a_balance_that_is_off_by_the_last_digit_is_a_difference() -> None:
    told = differences(Blotter(), an_account(USDT="10000.00000001"))

    assert told == ("USDT: the venue holds 10000.00000001, start and fills give 10000",)


def test_a_currency_the_venue_does_not_list_is_held_as_nothing() -> None:
    account = Account(totals={"USDT": START}, fills=(), open_client_order_ids=())

    assert differences(Blotter(), account) == ("BTC: the venue holds 0, start and fills give 0.5",)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Side.BUY, Side.SELL]),
            st.decimals("0.00000001", "9999999", places=8),
            st.decimals("0.00000001", "9999999", places=8),
            st.decimals("0", "9", places=8),
            st.sampled_from(["USDT", "BTC"]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_products_of_many_digits_are_compared_without_rounding(
    story: list[tuple[Side, Decimal, Decimal, Decimal, str]],
) -> None:
    """The venue computes in units of ten to the minus sixteenth, as whole numbers."""
    scale = 10**16
    units = {"USDT": int(START) * scale, "BTC": scale // 2}
    fills = []
    for number, (side, quantity, price, fee, currency) in enumerate(story):
        sign = 1 if side is Side.BUY else -1
        units["BTC"] += sign * int(quantity * 10**8) * 10**8
        units["USDT"] -= sign * int(quantity * 10**8) * int(price * 10**8)
        units[currency] -= int(fee * 10**8) * 10**8
        made = a_fill(
            trade_id=str(number), quantity=quantity, price=price, fee=fee, fee_currency=currency
        )
        fills.append(a_venue_fill(made, side=side, client_order_id=None))
    totals = {name: D(f"{total}E-16") for name, total in units.items()}

    account = Account(totals=totals, fills=tuple(fills), open_client_order_ids=())

    assert differences(Blotter(), account) == ()


def test_fills_of_orders_that_were_forgotten_long_ago_are_no_differences() -> None:
    blotter = Blotter()
    for number in range(ORDERS_REMEMBERED_MAX + 1):
        name = f"td{number}"
        blotter.apply_order_intended(an_intent(client_order_id=name, ts_ns=number))
        blotter.apply_order_refused(a_refusal(client_order_id=name))
    old = a_venue_fill(a_fill(ts_ns=1), client_order_id="td0")
    new = a_venue_fill(a_fill(ts_ns=10**18, trade_id="2"), client_order_id=FOREIGN)

    books = the_books(blotter, replace(OPENED, ts_ns=0))

    comparison = compare(books, an_account(old, new), BTC.exchange)

    assert comparison.differences == (
        f"the venue filled {FOREIGN}, which this journal never intended",
    )


def test_a_fill_booked_at_another_price_or_fee_than_the_venue_lists_is_a_difference() -> None:
    fill = a_fill()
    listed = Fill(
        trade_id=fill.trade_id,
        price=fill.price + 1,
        quantity=fill.quantity,
        fee=fill.fee * 2,
        fee_currency=fill.fee_currency,
        ts_ns=fill.ts_ns,
    )

    found = differences(a_blotter(fill), an_account(a_venue_fill(listed)))

    assert any(": value " in each for each in found)
    assert any(f": fee in {fill.fee_currency} " in each for each in found)


def test_of_others_only_their_balances_count_unless_they_are_to_halt() -> None:
    by_hand = a_venue_fill(a_fill(trade_id="9"), client_order_id=None)
    account = an_account(by_hand, open_orders=("td-of-another-bot",))

    halting = compare(the_books(Blotter()), account, BTC.exchange, are_others_foreign=True)

    assert differences(Blotter(), account) == ()
    assert [each.kind for each in halting.found] == [Kind.OTHERS, Kind.OTHERS]
    assert [each.subject for each in halting.found] == ["number 4711", "td-of-another-bot"]


def test_what_the_bot_owns_must_be_there_even_when_every_fill_is_explained() -> None:
    """Somebody sold by hand what the bot had bought."""
    fill = a_fill(quantity=D(2), price=D(100))
    blotter = a_blotter(fill)
    book = Book()
    book.apply_run_opened(OPENED)
    book.apply_order_filled(an_order_filled(quantity=D(2), price=D(100)))
    sold = a_venue_fill(
        a_fill(trade_id="9", quantity=D(1), price=D(100), fee=D(0)),
        client_order_id=None,
        side=Side.SELL,
    )
    books = Books(OPENED, blotter, book, ExternalFlows())

    found = compare(books, an_account(a_venue_fill(fill), sold), BTC.exchange).found

    assert [(each.kind, each.subject) for each in found] == [(Kind.SHORT, "BTC")]
    assert found[0].text == "BTC: the venue holds 1.5, less than the 2 we own"


def test_money_that_moved_and_was_booked_apart_closes_the_balances() -> None:
    flows = ExternalFlows()
    moved = {"exchange": BTC.exchange, "currency": "USDT", "reason": ""}
    flows.apply_funds_moved(e.FundsMoved(ts_ns=1, amount=D(7), **moved))
    flows.apply_funds_moved(e.FundsMoved(ts_ns=2, amount=D("-2.5"), **moved))
    books = Books(OPENED, Blotter(), Book(), flows)

    assert compare(books, an_account(USDT="10004.5"), BTC.exchange).is_equal
    assert compare(books, an_account(), BTC.exchange).found[0].amount == D("-4.5")


def test_from_an_agreed_moment_on_only_what_is_new_has_to_be_explained() -> None:
    old, new = a_fill(trade_id="1"), a_fill(trade_id="2")
    books = the_books(a_blotter(old))
    before = an_account(a_venue_fill(old))
    ground = agreed(books, before, BTC.exchange, since_ns=5)
    both = an_account(a_venue_fill(old), a_venue_fill(new))
    only_new = Account(totals=both.totals, fills=both.fills[1:], open_client_order_ids=())

    assert compare(books, before, BTC.exchange, ground).is_equal
    for account in (both, only_new):
        comparison = compare(books, account, BTC.exchange, ground)
        assert [each.fill for each in comparison.missed] == [new]
        assert comparison.found == ()


def test_an_order_that_only_the_venue_believes_open_is_a_difference() -> None:
    account = an_account(a_venue_fill(a_fill()), open_orders=(ORDER,))

    assert differences(a_blotter(a_fill()), account) == (
        f"order {ORDER} is filled here and open at the venue",
    )
