"""The bot's books against an embedded exchange's ledger: everything that differs, in words.

Belongs here: reading both and comparing them, by other code than the daemon's own. When it must be
true belongs to the tests.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from daemon.core.instruments import plain
from daemon.core.orders import Leg

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from daemon.running.books.reconcile import Books

OPEN = frozenset({"new", "partially_filled"})


def doubled_or_unintended(ledger: dict[str, Any], intended: Container[str]) -> Iterator[str]:
    """What may never be, whatever happens: an id twice, or one that was not written down first."""
    ids = [each["client_order_id"] for each in ledger["orders"]]
    for ours, count in Counter(ids).items():
        if count > 1:
            yield f"order {ours} was sent {count} times"
        if ours not in intended:
            yield f"order {ours} was never intended"


def differences(ledger: dict[str, Any], books: Books) -> list[str]:
    """Of orders, fills and money, to the last digit; only where all is at rest."""
    return [
        *orders_that_differ(ledger, books),
        *fills_that_differ(ledger, books),
        *money_that_differs(ledger, books),
    ]


def orders_that_differ(ledger: dict[str, Any], books: Books) -> Iterator[str]:
    theirs = {each["client_order_id"]: each for each in ledger["orders"]}
    for ours, order in books.blotter.orders.items():
        there = theirs.get(ours)
        is_open = there is not None and there["status"] in OPEN
        if order.is_open != is_open:
            told = "nothing" if there is None else there["status"]
            yield f"order {ours} is {order.state} here and {told} there"
        filled = Decimal(there["filled_quantity"]) if there else Decimal(0)
        if filled != order.filled_quantity:
            yield f"order {ours}: {order.filled_quantity} filled here, {filled} there"
        if is_open and order.leg is not Leg.STOP:
            yield f"order {ours} ({order.leg}) was left resting"


def fills_that_differ(ledger: dict[str, Any], books: Books) -> Iterator[str]:
    theirs = sorted((each["symbol"], str(each["trade_id"])) for each in ledger["fills"])
    orders = books.blotter.orders.values()
    ours = sorted((each.instrument.symbol, trade) for each in orders for trade in each.trade_ids)
    if ours != theirs:
        yield f"{len(ours)} fills here, {len(theirs)} there: {set(ours) ^ set(theirs)}"


def money_that_differs(ledger: dict[str, Any], books: Books) -> Iterator[str]:
    opened = books.opened
    exchange = opened.instruments[0].id.exchange
    started = {name: Decimal(text) for name, text in ledger["balances_start"].items()}
    for currency, owned in books.owned_on(exchange).items():
        now = ledger["balances"].get(currency, {"free": "0", "locked": "0"})
        moved = Decimal(now["free"]) + Decimal(now["locked"]) - started.get(currency, Decimal(0))
        allotted = opened.allotted_quote if currency == opened.instruments[0].quote else 0
        if moved != owned - allotted:
            yield f"{currency}: {plain(moved)} came to the account, {owned - allotted} to the books"


def unprotected(ledger: dict[str, Any], books: Books) -> Iterator[str]:
    """Every position that an order could sell has its stop on the exchange, of its very size."""
    stops = [
        each
        for each in ledger["orders"]
        if each["status"] in OPEN and each["type"].startswith("stop")
    ]
    for instrument in books.book.instruments.values():
        position = books.book.position(instrument.id)
        quantity = instrument.quantize_down(position.quantity)
        worth = position.average_price * Decimal("0.9")
        may_have_none = not instrument.takes(quantity, worth)
        resting = [
            Decimal(each["quantity"]) - Decimal(each["filled_quantity"])
            for each in stops
            if each["symbol"] == instrument.id.symbol
        ]
        is_right = resting == [quantity] or (may_have_none and not resting)
        if quantity > 0 and not is_right:
            yield f"{instrument.id.symbol}: {quantity} held, stops for {resting}"
        elif resting and not quantity:
            yield f"{instrument.id.symbol}: nothing held, stops for {resting}"
