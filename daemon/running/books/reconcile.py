"""Compares our books with what the venue says, in words.

Belongs here: finding differences. Waiting until they last, adopting and halting belong to
`books.watch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from daemon.core.blotter import Blotter
from daemon.core.book import Book
from daemon.core.events import RunOpened
from daemon.core.flows import ExternalFlows
from daemon.core.ids import mark_of
from daemon.core.instruments import InstrumentId, plain
from daemon.core.orders import Side
from daemon.core.ports import VenueFill
from daemon.core.positions import EXACT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from daemon.core.instruments import Instrument
    from daemon.core.orders import Order
    from daemon.core.ports import Account

    Trade: TypeAlias = tuple[InstrumentId, str]  # an exchange numbers the trades of each instrument

ASKED_WHOLE_MAX = 20  # the trades of one symbol cost a three-hundredth of a minute's budget
ZERO = Decimal(0)


class Books(Struct, frozen=True):
    """Our side: what a run's journal says it ordered, holds and was paid."""

    opened: RunOpened
    blotter: Blotter
    book: Book
    flows: ExternalFlows

    def instruments_on(self, exchange: str) -> list[InstrumentId]:
        return [each.id for each in self.opened.instruments if each.id.exchange == exchange]

    def orders_on(self, exchange: str) -> dict[str, Order]:
        return {
            ours: order
            for ours, order in self.blotter.orders.items()
            if order.instrument.exchange == exchange
        }

    def mark_on(self, exchange: str) -> str:
        account = self.opened.account_on(exchange).account
        return mark_of(bot=self.opened.bot, account=account)

    def owned_on(self, exchange: str) -> dict[str, Decimal]:
        """What the bot itself must find there, by currency: its positions, and its cash."""
        money = {
            name
            for each in self.opened.instruments
            if each.id.exchange == exchange
            for name in _money(each)
        }
        return {name: self.book.owned(exchange, name) for name in sorted(money)}


class Ground(Struct, frozen=True):
    """A moment at which both sides agreed; what came after it is what must be explained.

    `settled` are trades that its balances hold, of those that a reading since may list again, and
    `ended` orders of which every trade is among them.
    """

    since_ns: int
    balances: Mapping[str, Decimal]
    flows: Mapping[str, Decimal]
    settled: frozenset[Trade]
    ended: frozenset[str]


class Kind(StrEnum):
    """What a difference is about, and so what is done about it."""

    FOREIGN = "foreign"  # an order that bears our mark and that we never intended
    OTHERS = "others"  # an order of somebody else
    ORDER = "order"  # an order stands elsewhere than we believe
    FILL = "fill"
    BALANCE = "balance"  # money came or went that no fill explains
    SHORT = "short"  # the account holds less than what the bot owns


class Difference(Struct, frozen=True):
    """`subject` says which one it is, so that it is known again when its numbers have moved."""

    kind: Kind
    subject: str
    text: str
    amount: Decimal = ZERO  # of a BALANCE: what the account has more than it should

    @property
    def key(self) -> tuple[Kind, str]:
        return (self.kind, self.subject)


class Comparison(Struct, frozen=True):
    """`missed` are fills of our orders that only the venue has."""

    missed: tuple[VenueFill, ...]
    found: tuple[Difference, ...]

    @property
    def differences(self) -> tuple[str, ...]:
        return tuple(each.text for each in self.found)

    @property
    def is_equal(self) -> bool:
        return not self.missed and not self.found


def opening_ground(books: Books, exchange: str) -> Ground:
    """The first one: what the account held when the run began."""
    opened = books.opened
    balances = {each.currency: each.total for each in opened.account_on(exchange).balances}
    settled = books.flows.settled_on(exchange)
    return Ground(opened.ts_ns, balances, {}, settled, frozenset())


def compare(
    books: Books,
    account: Account,
    exchange: str,
    ground: Ground | None = None,
    *,
    are_others_foreign: bool = False,
) -> Comparison:
    """Orders, fills and balances of the one account on `exchange`, from `ground` on, else from the
    run's opening; balances must close to the last digit.

    What others traded up to the very moment of the opening is in its balances: a market that waits
    stands still between two runs, and the first one's last fill bears the time of the second's
    opening. An order of another exchange is as foreign here as one that was never intended. Those
    of other bots and people count in the balances and nowhere else, unless they are foreign too.
    """
    ground = ground or opening_ground(books, exchange)
    orders = books.orders_on(exchange)
    listed = [
        each
        for each in account.fills
        if _trade(each) not in ground.settled
        and (each.client_order_id in orders or each.fill.ts_ns > books.opened.ts_ns)
    ]
    missed = tuple(
        each
        for each in listed
        if (order := orders.get(each.client_order_id or "")) is not None
        and each.fill.trade_id not in order.trade_ids
    )
    strangers = _strangers(books, account, listed, orders, exchange)
    found = [each for each in strangers if each.kind is Kind.FOREIGN or are_others_foreign]
    found += _unlisted(orders, account, ground)
    found += _standing(orders, account)
    if not missed:
        found += _amounts(orders.values(), account)
        found += _shortfalls(books, account, exchange)
    found += _balances(books, account, listed, exchange, ground)
    return Comparison(missed, tuple(found))


def agreed(books: Books, account: Account, exchange: str, since_ns: int) -> Ground:
    """The ground for what comes after a reading that was equal; `since_ns` is how far the next
    reading goes back.
    """
    orders = books.orders_on(exchange)
    settled = {_trade(each) for each in account.fills}
    settled |= {(each.instrument, trade) for each in orders.values() for trade in each.trade_ids}
    return Ground(
        since_ns=since_ns,
        balances=account.totals,
        flows=books.flows.on_account(exchange),
        settled=frozenset(settled),
        ended=frozenset(ours for ours, each in orders.items() if not each.is_open),
    )


def worth_asking(instruments: Sequence[InstrumentId], blotter: Blotter) -> Sequence[InstrumentId]:
    """The instruments whose trades must be read for a comparison: all of a few, else the traded."""
    if len(instruments) <= ASKED_WHOLE_MAX:
        return instruments
    traded = {order.instrument for order in blotter.orders.values()}
    return [each for each in instruments if each in traded]


def _trade(each: VenueFill) -> Trade:
    return (each.instrument, each.fill.trade_id)


def _strangers(
    books: Books,
    account: Account,
    listed: Iterable[VenueFill],
    orders: Mapping[str, Order],
    exchange: str,
) -> Iterator[Difference]:
    """Orders on the account that this journal never intended, each once."""
    mark, forgotten_ns = books.mark_on(exchange), books.blotter.forgotten_ns
    filled = [
        each.client_order_id or f"number {each.venue_order_id}"
        for each in listed
        if (each.client_order_id or "") not in orders and each.fill.ts_ns > forgotten_ns
    ]
    for what, names in (("filled", filled), ("has open", account.open_client_order_ids)):
        for name in dict.fromkeys(each for each in names if each not in orders):
            is_marked = name.startswith(mark) or name in books.blotter.orders
            kind = Kind.FOREIGN if is_marked else Kind.OTHERS
            text = f"the venue {what} {name}, which this journal never intended"
            yield Difference(kind, name, text)


def _unlisted(
    orders: Mapping[str, Order], account: Account, ground: Ground
) -> Iterator[Difference]:
    """Fills that are booked here and that the venue does not know."""
    theirs = {(each.client_order_id, _trade(each)) for each in account.fills}
    for ours in sorted(orders.keys() - ground.ended):
        order = orders[ours]
        for trade in sorted(order.trade_ids):
            key = (order.instrument, trade)
            if key not in ground.settled and (ours, key) not in theirs:
                text = f"order {ours}: fill {trade} is booked here and unknown to the venue"
                yield Difference(Kind.FILL, f"{ours} {trade}", text)


def _standing(orders: Mapping[str, Order], account: Account) -> Iterator[Difference]:
    """Orders that are open on one side alone; one of unknown fate is looked up, not compared."""
    theirs = frozenset(account.open_client_order_ids)
    for ours, order in orders.items():
        if order.is_open and not order.is_unresolved and ours not in theirs:
            text = f"order {ours} is {order.state} here and not open at the venue"
            yield Difference(Kind.ORDER, ours, text)
        elif not order.is_open and ours in theirs:
            text = f"order {ours} is {order.state} here and open at the venue"
            yield Difference(Kind.ORDER, ours, text)


def _amounts(orders: Iterable[Order], account: Account) -> Iterator[Difference]:
    """What was booked of each order against what the venue lists: quantity, value and fees."""
    theirs: dict[str, list[VenueFill]] = {}
    for each in account.fills:
        theirs.setdefault(each.client_order_id or "", []).append(each)
    for order in orders:
        fills = theirs.get(order.client_order_id, [])
        # A reading that goes not far enough back lists only a part of the order.
        if not fills or {each.fill.trade_id for each in fills} != order.trade_ids:
            continue
        listed: dict[str, Decimal] = {}
        with localcontext(EXACT):
            for each in fills:
                _add(listed, "quantity", each.fill.quantity)
                _add(listed, "value", each.fill.quantity * each.fill.price)
                _add(listed, f"fee in {each.fill.fee_currency}", each.fill.fee)
        booked = {"quantity": order.filled_quantity, "value": order.filled_notional}
        booked |= {f"fee in {name}": fee for name, fee in order.fees.items()}
        for name in sorted(booked.keys() | listed.keys()):
            here, there = booked.get(name, ZERO), listed.get(name, ZERO)
            if here != there:
                ours = order.client_order_id
                text = f"order {ours}: {name} {plain(here)} is booked here, the venue lists "
                yield Difference(Kind.FILL, f"{ours} {name}", text + plain(there))


def _balances(
    books: Books,
    account: Account,
    listed: Iterable[VenueFill],
    exchange: str,
    ground: Ground,
) -> Iterator[Difference]:
    """The ground's balances, what came and went since and every fill since must be today's
    balances, to the last digit.
    """
    if any(each.is_swap for each in books.opened.instruments if each.id.exchange == exchange):
        yield from _differs_from_books(books, account, exchange)
        return
    expected = dict(ground.balances)
    instruments = {
        each.id: each for each in books.opened.instruments if each.id.exchange == exchange
    }
    with localcontext(EXACT):
        for currency, amount in books.flows.on_account(exchange).items():
            _add(expected, currency, amount - ground.flows.get(currency, ZERO))
        for each in listed:
            instrument, fill = instruments[each.instrument], each.fill
            sign = 1 if each.side is Side.BUY else -1
            _add(expected, instrument.base, sign * fill.quantity)
            _add(expected, instrument.quote, -sign * fill.quantity * fill.price)
            _add(expected, fill.fee_currency, -fill.fee)
        for name in sorted({name for each in instruments.values() for name in _money(each)}):
            here, there = expected.get(name, ZERO), account.totals.get(name, ZERO)
            if here != there:
                text = f"{name}: the venue holds {plain(there)}, start and fills give {plain(here)}"
                yield Difference(Kind.BALANCE, name, text, there - here)


def _differs_from_books(books: Books, account: Account, exchange: str) -> Iterator[Difference]:
    """What a fill of a swap pays hangs on all fills before it, and the book has booked them all:
    what was there at the opening, what came and went since, and what the bot has made of its own.
    """
    opening = {each.currency: each.total for each in books.opened.account_on(exchange).balances}
    allotted = books.opened.allotted_by_account()
    flows = books.flows.on_account(exchange)
    with localcontext(EXACT):
        for name, owned in sorted(books.owned_on(exchange).items()):
            made = owned - allotted.get((exchange, name), ZERO)
            here = opening.get(name, ZERO) + flows.get(name, ZERO) + made
            there = account.totals.get(name, ZERO)
            if here != there:
                text = f"{name}: the venue holds {plain(there)}, start and fills give {plain(here)}"
                yield Difference(Kind.BALANCE, name, text, there - here)


def _shortfalls(books: Books, account: Account, exchange: str) -> Iterator[Difference]:
    for name, amount in sorted(books.owned_on(exchange).items()):
        there = account.totals.get(name, ZERO)
        if amount > 0 and there < amount:
            text = f"{name}: the venue holds {plain(there)}, less than the {plain(amount)} we own"
            yield Difference(Kind.SHORT, name, text)


def _money(instrument: Instrument) -> tuple[str, ...]:
    """What its fills move; those of a swap move no coin."""
    return (instrument.quote,) if instrument.is_swap else (instrument.base, instrument.quote)


def _add(totals: dict[str, Decimal], currency: str, amount: Decimal) -> None:
    totals[currency] = totals.get(currency, ZERO) + amount
