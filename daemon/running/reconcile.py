"""Compares our books with what the venue says, in words.

Belongs here: finding differences. Acting on them, by adopting fills or by halting, belongs to
whoever asked.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.book import EXACT
from daemon.core.ids import CLIENT_ORDER_ID_PREFIX
from daemon.core.instruments import plain
from daemon.core.orders import Side
from daemon.core.ports import VenueFill

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.core.blotter import Blotter
    from daemon.core.events import RunOpened
    from daemon.core.instruments import InstrumentId
    from daemon.core.orders import Order
    from daemon.core.ports import Account


ASKED_WHOLE_MAX = 20  # the trades of one symbol cost a three-hundredth of a minute's budget


class Comparison(Struct, frozen=True):
    """`missed` are fills of our orders that only the venue has; `differences` are sentences."""

    missed: tuple[VenueFill, ...]
    differences: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        return not self.missed and not self.differences


def compare(opened: RunOpened, blotter: Blotter, account: Account, exchange: str) -> Comparison:
    """Orders, fills and balances of the one account on `exchange`; balances must close to the last
    digit.

    An order of another exchange is as foreign here as one that was never intended.
    """
    differences: list[str] = []
    missed: list[VenueFill] = []
    orders = {
        ours: order
        for ours, order in blotter.orders.items()
        if order.instrument.exchange == exchange
    }
    known = {trade for order in orders.values() for trade in _keys(order)}
    theirs: set[tuple[str, str]] = set()
    for each in account.fills:
        ours = each.client_order_id or ""
        if not ours.startswith(CLIENT_ORDER_ID_PREFIX):
            continue
        theirs.add((ours, each.fill.trade_id))
        if ours in orders:
            if (ours, each.fill.trade_id) not in known:
                missed.append(each)
        elif each.fill.ts_ns > blotter.forgotten_ns:
            differences.append(f"the venue filled {ours}, which this journal never intended")
    differences += [
        f"order {ours}: fill {trade} is booked here and unknown to the venue"
        for ours, trade in sorted(known - theirs)
    ]
    differences += [
        f"order {each.client_order_id} is {each.state} here and not open at the venue"
        for each in orders.values()
        if each.is_open
        and not each.is_unresolved
        and each.client_order_id not in account.open_client_order_ids
    ]
    differences += [
        f"the venue has {each} open, which this journal never intended"
        for each in account.open_client_order_ids
        if each.startswith(CLIENT_ORDER_ID_PREFIX) and each not in orders
    ]
    if not missed:
        differences += _amount_differences(orders.values(), account)
    differences += _balance_differences(opened, account, exchange)
    return Comparison(tuple(missed), tuple(differences))


def worth_asking(instruments: Sequence[InstrumentId], blotter: Blotter) -> Sequence[InstrumentId]:
    """The instruments whose trades must be read for a comparison: all of a few, else the traded."""
    if len(instruments) <= ASKED_WHOLE_MAX:
        return instruments
    traded = {order.instrument for order in blotter.orders.values()}
    return [each for each in instruments if each in traded]


def _keys(order: Order) -> list[tuple[str, str]]:
    return [(order.client_order_id, trade) for trade in order.trade_ids]


def _amount_differences(orders: Iterable[Order], account: Account) -> list[str]:
    """What was booked of each order against what the venue lists: quantity, value and fees."""
    theirs: dict[str, dict[str, Decimal]] = {}
    with localcontext(EXACT):
        for each in account.fills:
            sums = theirs.setdefault(each.client_order_id or "", {})
            _add(sums, "quantity", each.fill.quantity)
            _add(sums, "value", each.fill.quantity * each.fill.price)
            _add(sums, f"fee in {each.fill.fee_currency}", each.fill.fee)
    differences = []
    for order in orders:
        listed = theirs.get(order.client_order_id)
        if listed is None:
            continue
        booked = {"quantity": order.filled_quantity, "value": order.filled_notional}
        booked |= {f"fee in {name}": fee for name, fee in order.fees.items()}
        differences += [
            f"order {order.client_order_id}: {name} {plain(booked.get(name, Decimal(0)))} is "
            f"booked here, the venue lists {plain(listed.get(name, Decimal(0)))}"
            for name in sorted(booked.keys() | listed.keys())
            if booked.get(name, Decimal(0)) != listed.get(name, Decimal(0))
        ]
    return differences


def _balance_differences(opened: RunOpened, account: Account, exchange: str) -> list[str]:
    """Start balances plus every fill of the account must be today's balances, to the last digit."""
    start = opened.account_on(exchange).balances
    expected = {each.currency: each.total for each in start}
    instruments = {each.id: each for each in opened.instruments if each.id.exchange == exchange}
    with localcontext(EXACT):
        for each in account.fills:
            instrument, fill = instruments[each.instrument], each.fill
            sign = 1 if each.side is Side.BUY else -1
            _add(expected, instrument.base, sign * fill.quantity)
            _add(expected, instrument.quote, -sign * fill.quantity * fill.price)
            _add(expected, fill.fee_currency, -fill.fee)
    currencies = {name for each in instruments.values() for name in (each.base, each.quote)}
    return [
        f"{name}: the venue holds {plain(account.totals.get(name, Decimal(0)))}, "
        f"start and fills give {plain(expected.get(name, Decimal(0)))}"
        for name in sorted(currencies)
        if account.totals.get(name, Decimal(0)) != expected.get(name, Decimal(0))
    ]


def _add(totals: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    totals[currency] = totals.get(currency, Decimal(0)) + amount
