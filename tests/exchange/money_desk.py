"""What a model says to a daemon on a faulty exchange, and what must be true of both afterwards.

Belongs here: bars, signals, waiting, and the comparison of both sides. What must come of a fault
belongs to the tests, the daemon itself to `money_life`.
"""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from daemon.core import events as e
from daemon.core.bars import Bar, BarSource
from daemon.core.orders import Leg
from daemon.core.timeframes import NS_PER_MS
from tests.both_sides import differences, doubled_or_unintended, unprotected
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket
from tests.exchange.loopback import loopback
from tests.exchange.money_life import RATE, MoneyLife

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from daemon.core.orders import Order

D = Decimal
WITHIN_S = 15.0
FIRST_BARS = 2  # a price must have one before it to be believed
# Where a fault strikes.
PLACING = {"path": "/api/v3/order", "method": "POST"}
CANCELLING = {"path": "/api/v3/order", "method": "DELETE"}
READING = {"path": "/api/v3/order", "method": "GET"}
USER = {"stream": "user"}
# How orders are worked.
LIMIT: dict[str, Any] = {
    "execution__entry_order": "limit",
    "execution__requote_s": 0.3,
    "execution__order_timeout_s": 0.5,
}
CROSSING: dict[str, Any] = LIMIT | {"execution__limit_offset_bps": 1.0}
PATIENT: dict[str, Any] = CROSSING | {
    "execution__requote_s": 60.0,
    "execution__order_timeout_s": 120.0,
}
NEAR: dict[str, Any] = {"execution__stop_loss_ratio": 0.00004}  # two, where a bar falls by three


class MoneyDesk(MoneyLife):
    """A daemon that trades one instrument, and the model that is made up for it."""

    async def begin(self) -> None:
        """Recover and settle as a start does, and hear the first bars."""
        await self.live()
        while self._slot < FIRST_BARS:
            await self.bar()

    async def restarts(self) -> None:
        """Die where it stands, and live again on the same journal and account."""
        await self.die()
        self.told, self.said = [], []
        await self.begin()

    async def stops(self) -> None:
        """Ask for the end as a stop does."""
        await self.inbox.put(e.StopRequested(ts_ns=self.now_ns()))
        await self.settled()

    async def subscribed(self) -> None:
        """Until the exchange has confirmed the stream of reports."""
        url = self._signed.urls["api"]["ws"]["ws-api"]["spot"]

        def is_there() -> bool:
            socket = self._signed.clients.get(url)
            return socket is not None and "orders" in socket.futures

        await self.until(is_there)

    # --- what is said to it ---------------------------------------------------------------------

    async def bar(self) -> None:
        """The exchange plays a slot, and its bar is taken."""
        await self.lab.play(1)
        self._slot += 1
        clock = await self.lab.get("clock")
        self.clock.anchor(clock["market_ms"] * NS_PER_MS, RATE)
        shown = self._shown.bar("BTCUSDT", FROM_MS + (self._slot - 1) * HOUR_MS)
        assert shown is not None
        price = float(shown.close)
        close_ns = FROM_MS * NS_PER_MS + self._slot * HOUR_MS * NS_PER_MS
        bar = Bar(
            instrument=self.id,
            open_ns=close_ns - HOUR_MS * NS_PER_MS,
            close_ns=close_ns,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=4.0,
            received_ns=close_ns,
            source=BarSource.STREAM,
        )
        await self.inbox.put(e.BarsClosed(ts_ns=max(close_ns, self.now_ns()), bars=(bar,)))

    async def wants(self, direction: e.Direction, *, waits: bool = True) -> None:
        """What a model would say of the newest bar."""
        await self._rest()
        is_flat = direction is e.Direction.FLAT
        self._signals = getattr(self, "_signals", 0) + 1
        signal = e.SignalEmitted(
            ts_ns=self.now_ns(),
            instrument=self.id,
            trace=f"{self._slot:016x}{self._signals:016x}",
            close_ns=self.core.book.marked_ns[self.id],
            direction=direction,
            reason=e.SignalReason.HORIZON if is_flat else e.SignalReason.MODEL,
            model="",
            price=float(self.core.book.marks[self.id]),
            probability_up=None if is_flat else 0.9,
            win_probability=None if is_flat else 0.9,
            confidence=None if is_flat else 0.8,
            edge_ratio=None,
            expires_ns=None,
        )
        await self.inbox.put(cast("Any", signal))
        if waits:
            await self.settled()

    async def buys(self, *, waits: bool = True) -> None:
        await self.wants(e.Direction.LONG, waits=waits)

    async def sells(self, *, waits: bool = True) -> None:
        await self.wants(e.Direction.FLAT, waits=waits)

    async def settled(self, within_s: float = WITHIN_S) -> None:
        """Until nothing is on its way and nothing is being worked."""
        async with asyncio.timeout(within_s):
            while not self._is_quiet() or self.core.blotter.parents or self._unresolved():
                self._raise_if_ended()
                await asyncio.sleep(0.01)

    async def heard(self, kind: type[e.Event], within_s: float = WITHIN_S) -> Any:
        """The newest event of a kind, once there is one."""
        async with asyncio.timeout(within_s):
            while not (found := self.all(kind)):
                self._raise_if_ended()
                await asyncio.sleep(0.01)
        return found[-1]

    async def until(self, is_so: Any, within_s: float = WITHIN_S) -> None:
        async with asyncio.timeout(within_s):
            while not is_so():
                self._raise_if_ended()
                await asyncio.sleep(0.01)

    async def compare(self) -> bool:
        """As the daemon does now and then; True when both sides agree."""
        await self._books_task.compare()
        await self._rest()
        return [fields["equal"] for name, fields in self.said if name == "books.compared"][-1:] == [
            True
        ]

    # --- what is asked of it --------------------------------------------------------------------

    @property
    def held(self) -> Decimal:
        return self.core.book.position(self.id).quantity

    @property
    def orders(self) -> list[Order]:
        return list(self.core.blotter.orders.values())

    @property
    def stop_order(self) -> Order | None:
        return self.core.blotter.stop_of(self.id)

    def all(self, kind: type[e.Event]) -> list[Any]:
        return [each for each in self.told if isinstance(each, kind)]

    def states(self) -> list[str]:
        """(leg, state) of every order, in the order of their intents."""
        return [f"{each.leg} {each.state}" for each in self.orders]

    async def assert_books_are_right(self, *, is_protected: bool = True) -> None:
        """Whatever happened: nothing doubled, nothing lost, both sides equal to the last digit."""
        await self.settled()
        if is_protected:  # a stop that a late fill asks for comes with the next tick
            await self.until(lambda: self.is_protected)
        ledger = await self.lab.get("ledger")
        wrong = list(doubled_or_unintended(ledger, self.core.blotter.orders))
        wrong += differences(ledger, self.books)
        if is_protected:
            wrong += unprotected(ledger, self.books)
        assert wrong == []
        assert await self.compare(), self.said[-3:]

    @property
    def is_protected(self) -> bool:
        """The stop that rests is for all that is held and can be sold, or there is none to be."""
        stop = self.stop_order
        ratio = self._settings.execution.stop_loss_ratio
        rules = self.core.book.instruments[self.id]
        quantity = rules.quantize_down(self.held)
        if stop is not None:
            return not stop.is_unresolved and stop.leaves_quantity == quantity
        return not (ratio and rules.takes(quantity, self.core.book.marks[self.id]))

    def _unresolved(self) -> bool:
        return bool(self.core.blotter.unresolved())


@contextlib.asynccontextmanager
async def money_desk(
    folder: Path, market: FakeMarket | None = None, **changed: object
) -> AsyncIterator[MoneyDesk]:
    """A daemon that trades BTC/USDT on an exchange in this process; settings as section__key."""
    settings = {name.replace("__", "."): value for name, value in changed.items()}
    shown = market or FakeMarket()
    async with loopback(folder, market=shown) as lab:
        desk = MoneyDesk(lab, folder, shown, settings)
        try:
            await desk.begin()
            yield desk
        finally:
            await desk.die()


def entries(desk: MoneyDesk) -> list[str]:
    return [each.client_order_id for each in desk.orders if each.leg is Leg.ENTRY]


async def there(desk: MoneyDesk) -> list[dict[str, Any]]:
    orders: list[dict[str, Any]] = (await desk.lab.get("ledger"))["orders"]
    return orders


@contextlib.asynccontextmanager
async def holding(folder: Path, **changed: Any) -> AsyncIterator[MoneyDesk]:
    """A desk that has bought, and whose stop rests."""
    async with money_desk(folder, **changed) as desk:
        await desk.buys()
        if desk.held:
            await desk.until(lambda: desk.stop_order is not None and desk.is_protected)
        yield desk
