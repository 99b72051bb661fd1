"""Keeps our books and one exchange's account in agreement: reads, waits, adopts by rule, or says
what differs.

Belongs here: when a difference is one, and what is done about it. Finding differences belongs to
`reconcile`, what a report means to execution, halting to risk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from daemon.core.events import (
    BooksAdopted,
    FundsMoved,
    Input,
    LookUpOrder,
    OrderReported,
    Outcome,
    Reconciled,
    ReportSource,
)
from daemon.core.instruments import plain
from daemon.core.timeframes import NS_PER_S, rfc3339
from daemon.running.books.adoption import WHAT_TO_DO, adoptable
from daemon.running.books.reconcile import Difference, Kind, agreed, compare, worth_asking

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from daemon.core.ports import Account, Venue, VenueFill
    from daemon.running.books.reconcile import Books, Comparison, Ground

READINGS_MIN = 3  # that a difference must outlive, whatever time has passed
PAUSE_FIRST_S = 0.25
PAUSE_MAX_S = 5.0
PATIENCES_MAX = 3  # what differs each time in another way shows a market at work, not a difference
SETTLED_WITHIN_S = 60.0
MOVED_MAX = 20  # readings in a row during which an order moved
MONEY_MAX = 3  # times in one check that money of others comes or goes
TOLD_MAX = 20
OVERLAP_S = 300.0  # of the exchange's time: its list of trades may be so late


class Rules(Struct, frozen=True, kw_only=True):
    """`foreign`: whether money and orders of others on the account are ignored, or halt."""

    patience_s: float
    foreign: Literal["ignore", "halt"] = "ignore"


class Hands(Struct, frozen=True, kw_only=True):
    """What a watch can do besides reading: a start does it at once, a running daemon by way of its
    queue and its outbox.
    """

    enter: Callable[[Input], Awaitable[None]]
    look_up: Callable[[LookUpOrder], Awaitable[None]]
    rest: Callable[[], Awaitable[None]]  # until no order of this exchange is on its way
    now_ns: Callable[[], int]  # market time


class Restless(Exception):  # not an error: there was no quiet moment
    """Orders moved during every reading, or what differed was never the same."""


class BookWatch:
    """The books on one exchange; `overlap_s` is market time."""

    def __init__(
        self,
        exchange: str,
        venue: Venue,
        books: Books,
        rules: Rules,
        *,
        overlap_s: float = OVERLAP_S,
    ) -> None:
        self._exchange = exchange
        self._venue = venue
        self._books = books
        self._rules = rules
        self._overlap_ns = round(overlap_s * NS_PER_S)
        self._ours = books.instruments_on(exchange)
        self._ground: Ground | None = None
        self._told: frozenset[tuple[Kind, str]] | None = None  # as the journal knows it
        self._differences: tuple[str, ...] = ()
        self._agreed_ns: int | None = None
        self.readings = self.missed = 0

    def status(self) -> dict[str, object]:
        """For people: since when both sides agree, or what differs."""
        at_ns = self._agreed_ns
        return {
            "agreed": None if at_ns is None else rfc3339(at_ns),
            "readings": self.readings,
            "missed_fills": self.missed,
            "differences": list(self._differences),
        }

    async def check(self, hands: Hands, *, is_adopting: bool = False) -> bool:
        """Read until both sides agree, True, or until what differs has lasted, False.

        What is new enters as Reconciled; the first result always does. `is_adopting`: orders that
        bear our mark are taken over. Restless when there was no quiet moment, ExchangeUnreachable
        or LiveRefused when there was no reading.
        """
        seen = _Sightings(self._rules.patience_s)
        asked: set[str] = set()
        booked: set[str] = set()
        moved = 0
        is_whole = self._ground is None
        pause_s = PAUSE_FIRST_S
        until_s = self._rules.patience_s * PATIENCES_MAX + SETTLED_WITHIN_S
        until_s += asyncio.get_running_loop().time()
        while moved < MONEY_MAX and asyncio.get_running_loop().time() < until_s:
            account, comparison = await self._reading(hands, is_whole=is_whole)
            fresh = [each for each in comparison.missed if _name(each) not in booked]
            for each in fresh:
                booked.add(_name(each))
                await self._book(each, hands)
            if fresh:
                continue
            found = [*comparison.found, *map(_unbookable, comparison.missed)]
            if not found:
                await self._agree(account, hands)
                return True
            strays = [each.subject for each in found if each.kind is Kind.FOREIGN]
            if strays and is_adopting and await self._adopt(strays, account, hands):
                continue
            if not is_whole:
                is_whole = True  # what is late in a list of trades is told by the whole of it
                continue
            if told := self._to_tell(found, seen, is_adopting=is_adopting):
                if not self._is_money(told):
                    await self._differ(told, hands)
                    return False
                if await self._book_money(told, account, hands):
                    return True
                seen.forget()  # something has moved since
                is_whole = True
                moved += 1
                continue
            await self._ask(found, asked, hands)
            await asyncio.sleep(pause_s)
            pause_s = min(PAUSE_MAX_S, pause_s * 2)
        raise Restless

    # --- reading --------------------------------------------------------------------------------

    async def _reading(self, hands: Hands, *, is_whole: bool) -> tuple[Account, Comparison]:
        """The account at a moment at which none of our orders moved, and what differs in it."""
        ground = None if is_whole else self._ground
        since_ns = self._books.opened.ts_ns if ground is None else ground.since_ns
        instruments = worth_asking(self._ours, self._books.blotter)
        for _ in range(MOVED_MAX):
            await hands.rest()
            before = self._moves()
            account = await self._venue.account(instruments, since_ns)
            self.readings += 1
            if self._moves() != before:
                continue
            comparison = self._compared(account, ground)
            if comparison.is_equal or len(instruments) == len(self._ours):
                return account, comparison
            instruments = self._ours  # fills of others would show in the balances alone
        raise Restless

    def _moves(self) -> tuple[int, int, int]:
        blotter = self._books.blotter
        return (blotter.intended_count, blotter.fill_count, len(list(blotter.all_open())))

    def _compared(self, account: Account, ground: Ground | None) -> Comparison:
        halts = self._rules.foreign == "halt"
        return compare(self._books, account, self._exchange, ground, are_others_foreign=halts)

    # --- what is done about it ------------------------------------------------------------------

    async def _book(self, missed: VenueFill, hands: Hands) -> None:
        self.missed += 1
        assert missed.client_order_id is not None, "fills of nobody are never missed"
        report = OrderReported(
            ts_ns=max(hands.now_ns(), missed.fill.ts_ns),
            client_order_id=missed.client_order_id,
            outcome=Outcome.ACKNOWLEDGED,
            source=ReportSource.LOOKUP,
            venue_order_id=missed.venue_order_id,
            fills=(missed.fill,),
            reason="found by reconciliation",
        )
        await hands.enter(report)

    async def _adopt(self, names: Collection[str], account: Account, hands: Hands) -> bool:
        """Make them orders of ours, and ask what became of each; False when none can be, yet."""
        orders = adoptable(
            [each for each in account.fills if each.client_order_id in names],
            [each for each in account.open_orders if each.client_order_id in names],
            are_settled=False,
        )
        if not orders:
            return False
        await hands.enter(
            BooksAdopted(ts_ns=hands.now_ns(), exchange=self._exchange, orders=orders)
        )
        for each in orders:
            order = self._books.blotter.orders[each.client_order_id]
            await hands.look_up(LookUpOrder.of(order, hands.now_ns(), "it was adopted"))
        return True

    async def _ask(self, found: Iterable[Difference], asked: set[str], hands: Hands) -> None:
        """Ask once more what became of orders that stand elsewhere than we believe."""
        for each in found:
            order = self._books.blotter.orders.get(each.subject)
            if each.kind is Kind.ORDER and order is not None and each.subject not in asked:
                asked.add(each.subject)
                await hands.look_up(LookUpOrder.of(order, hands.now_ns(), each.text))

    async def _agree(self, account: Account, hands: Hands) -> None:
        now_ns = hands.now_ns()
        newest_ns = max((each.fill.ts_ns for each in account.fills), default=now_ns)
        since_ns = max(self._books.opened.ts_ns, min(now_ns, newest_ns) - self._overlap_ns)
        self._ground = agreed(self._books, account, self._exchange, since_ns)
        self._agreed_ns, self._differences = now_ns, ()
        if self._told is None or self._told:
            await hands.enter(Reconciled(ts_ns=now_ns, is_clean=True, exchange=self._exchange))
        self._told = frozenset()

    def _to_tell(
        self, found: list[Difference], seen: _Sightings, *, is_adopting: bool
    ) -> list[Difference]:
        """Of these differences what is acted on now: all when they have lasted or are known, orders
        that bear our mark at once unless they may yet be taken over, else nothing.
        """
        keys = frozenset(each.key for each in found)
        seen.note(keys)
        if seen.have_lasted or keys == self._told:
            return found
        return [each for each in found if each.kind is Kind.FOREIGN and not is_adopting]

    def _is_money(self, found: Iterable[Difference]) -> bool:
        """What no fill explains is somebody else's money, as long as all that is ours is there."""
        return self._rules.foreign == "ignore" and all(each.kind is Kind.BALANCE for each in found)

    async def _book_money(
        self, found: Iterable[Difference], account: Account, hands: Hands
    ) -> bool:
        """Count it apart; True when both sides agree by that."""
        for each in found:
            await hands.enter(
                FundsMoved(
                    ts_ns=hands.now_ns(),
                    exchange=self._exchange,
                    currency=each.subject,
                    amount=each.amount,
                    reason=each.text,
                )
            )
        self._ground = None
        await hands.rest()
        if not self._compared(account, None).is_equal:
            return False
        await self._agree(account, hands)
        return True

    async def _differ(self, found: list[Difference], hands: Hands) -> None:
        """Say so, once."""
        keys = frozenset(each.key for each in found)
        self._differences = tuple(each.text for each in found)
        if keys != self._told:
            foreign = [each for each in found if each.kind in {Kind.FOREIGN, Kind.OTHERS}]
            await hands.enter(
                Reconciled(
                    ts_ns=hands.now_ns(),
                    is_clean=False,
                    exchange=self._exchange,
                    differences=_shortened(self._differences, is_foreign=bool(foreign)),
                    foreign=tuple(dict.fromkeys(each.subject for each in foreign)),
                )
            )
        self._told = keys


def _shortened(differences: tuple[str, ...], *, is_foreign: bool) -> tuple[str, ...]:
    """For journal and log; with what to do about orders that are nobody's."""
    left = len(differences) - TOLD_MAX
    more = (f"and {left} more",) if left > 0 else ()
    return (*differences[:TOLD_MAX], *more, *((WHAT_TO_DO,) if is_foreign else ()))


class _Sightings:
    """Since when each difference has been seen in every reading."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._seen: dict[tuple[Kind, str], tuple[float, int]] = {}

    def note(self, keys: frozenset[tuple[Kind, str]]) -> None:
        now_s = asyncio.get_running_loop().time()
        self._seen = {
            each: (since_s, count + 1)
            for each in keys
            for since_s, count in [self._seen.get(each, (now_s, 0))]
        }

    def forget(self) -> None:
        self._seen = {}

    @property
    def have_lasted(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        return all(
            count >= READINGS_MIN and now_s - since_s >= self._patience_s
            for since_s, count in self._seen.values()
        )


def _name(each: VenueFill) -> str:
    return f"{each.instrument} {each.fill.trade_id}"


def _unbookable(each: VenueFill) -> Difference:
    fill = each.fill
    text = (
        f"order {each.client_order_id}: fill {fill.trade_id} of {plain(fill.quantity)} at "
        f"{plain(fill.price)} cannot be booked"
    )
    return Difference(Kind.FILL, _name(each), text)
