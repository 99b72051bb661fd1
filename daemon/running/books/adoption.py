"""What an exchange has of ours that the journal lacks: from an account to orders to be adopted.

Belongs here: finding what a lost or an old journal left behind there. Whether it is adopted belongs
to `session` and `books.watch`, what an adopted order means to execution.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import AdoptedOrder, OrderIntended, Reconciled
from daemon.core.orders import OrderType, Side
from daemon.store.journal_reader import JournalReader
from daemon.store.runs import RunPaths, all_runs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from daemon.core.instruments import Instrument
    from daemon.core.ports import OpenOrder, Venue, VenueFill

WHAT_TO_DO = (
    "the journal is lost, or older than the account, or another process trades under this name: "
    "stop that one, or take these orders over with: tradingd run --adopt-books"
)
NAMED_MAX = 5


class LeftBehind(Struct, frozen=True):
    """Orders of an earlier run that an account still holds something of; `tied_up` is what they
    cost, by quote currency.
    """

    orders: tuple[AdoptedOrder, ...]
    tied_up: dict[str, Decimal]

    def as_difference(self, exchange: str, ts_ns: int) -> Reconciled:
        """Said instead of adopting it: nothing may be opened beside what nobody minds."""
        names = tuple(each.client_order_id for each in self.orders)
        text = f"the account still holds what {', '.join(names[:NAMED_MAX])} bought or ordered"
        return Reconciled(
            ts_ns=ts_ns,
            is_clean=False,
            exchange=exchange,
            differences=(text, WHAT_TO_DO),
            foreign=names,
        )


async def left_behind(
    venue: Venue,
    instruments: Sequence[Instrument],
    mark: str,
    known: Collection[str],
    before_ns: int | None = None,
) -> LeftBehind:
    """What an account holds of orders that bear `mark` and are not `known`, from before this run.

    Only what is still there: of each instrument of which anything is held, the open orders and the
    fills since it was last flat. What traded after `before_ns`, the opening of this run, and open
    orders of other instruments are found by the first comparison.
    """
    totals = (await venue.account((), 0)).totals
    held = [each.id for each in instruments if totals.get(each.base, Decimal(0)) >= each.lot]
    account = await venue.account(held, 0)
    late = {
        each.client_order_id or ""
        for each in account.fills
        if before_ns is not None and each.fill.ts_ns > before_ns
    }
    known = {*known, *late}
    ours = [each for each in account.fills if _is_left(each.client_order_id, mark, known)]
    fills = [
        fill
        for each in instruments
        for fill in _since_flat(each, [fill for fill in ours if fill.instrument == each.id])
    ]
    names = {each.client_order_id or "" for each in fills}
    is_open = [each for each in account.open_orders if _is_left(each.client_order_id, mark, known)]
    names |= {each.client_order_id for each in is_open}
    told = [each for each in ours if each.client_order_id in names]
    quotes, cost = {each.id: each.quote for each in instruments}, dict[str, Decimal]()
    for each in fills:
        paid = each.fill.price * each.fill.quantity * (1 if each.side is Side.BUY else -1)
        cost[quotes[each.instrument]] = cost.get(quotes[each.instrument], Decimal(0)) + paid
    tied_up = {quote: paid for quote, paid in cost.items() if paid > 0}
    return LeftBehind(adoptable(told, is_open, are_settled=True), tied_up)


def adoptable(
    fills: Iterable[VenueFill], is_open: Iterable[OpenOrder], *, are_settled: bool
) -> tuple[AdoptedOrder, ...]:
    """One order for each client id among them, in the order in which they traded.

    `are_settled`: the balances of the run's opening hold these trades already. Left out is what
    rests without a price: nobody can say what it ties up before it has traded.
    """
    by_name: dict[str, list[VenueFill]] = {}
    for each in sorted(fills, key=lambda each: (each.fill.ts_ns, each.fill.trade_id)):
        by_name.setdefault(each.client_order_id or "", []).append(each)
    resting = {each.client_order_id: each for each in is_open}
    orders = [
        _adopted(name, trades, resting.get(name), are_settled=are_settled)
        for name, trades in by_name.items()
    ]
    orders += [
        _resting(each, price)
        for name, each in sorted(resting.items())
        if name not in by_name and (price := each.stop_price or each.price)
    ]
    return tuple(orders)


def known_orders(state_dir: Path, run: str) -> set[str]:
    """Ids of every order that another run of this state directory intended."""
    names: set[str] = set()
    for other in all_runs(state_dir):
        path = RunPaths(state_dir, other).journal
        if other != run and path.is_file():
            journal = JournalReader.open(path)
            names |= {event.client_order_id for _, event in journal.read_kinds(OrderIntended)}
    return names


def _is_left(name: str | None, mark: str, known: Collection[str]) -> bool:
    return name is not None and name.startswith(mark) and name not in known


def _since_flat(instrument: Instrument, fills: list[VenueFill]) -> list[VenueFill]:
    """Those of which a position is made now."""
    held, begins = Decimal(0), 0
    ordered = sorted(fills, key=lambda each: (each.fill.ts_ns, each.fill.trade_id))
    for number, each in enumerate(ordered, 1):
        change = each.fill.quantity if each.side is Side.BUY else -each.fill.quantity
        if each.fill.fee_currency == instrument.base:
            change -= each.fill.fee
        held += change
        if abs(held) < instrument.lot:
            held, begins = Decimal(0), number
    return ordered[begins:]


def _adopted(
    name: str, trades: list[VenueFill], resting: OpenOrder | None, *, are_settled: bool
) -> AdoptedOrder:
    first = trades[0]
    filled = sum((each.fill.quantity for each in trades), Decimal(0))
    return AdoptedOrder(
        client_order_id=name,
        instrument=first.instrument,
        side=first.side,
        order_type=OrderType.MARKET if resting is None else resting.order_type,
        quantity=filled if resting is None else max(filled, resting.quantity),
        price=first.fill.price,
        stop_price=None if resting is None else resting.stop_price,
        is_open=resting is not None,
        settled=tuple(each.fill.trade_id for each in trades) if are_settled else (),
    )


def _resting(order: OpenOrder, price: Decimal) -> AdoptedOrder:
    return AdoptedOrder(
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=price,
        stop_price=order.stop_price,
        is_open=True,
    )
