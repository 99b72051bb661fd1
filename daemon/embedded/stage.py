"""The stage of an exchange: one market played slot by slot, by acknowledgement or at a pace.

Belongs here: the order of things: play, commit, tell. What an account does with the market belongs
in exchange and in futures.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Protocol

from daemon.core.clock import WireClock
from daemon.embedded.account import Incident, Order, OrderStatus, Side
from daemon.embedded.clock import SlotClock
from daemon.embedded.depth import LiveBook
from daemon.embedded.ledger import Position
from daemon.embedded.market import Market, MarketBar
from daemon.embedded.refusals import market_closed
from daemon.embedded.settlement import Outcome
from daemon.embedded.tape import Step, Tape


class Listener(Protocol):
    """Hears what happens; collects messages and sends them when `flush` says it is durable."""

    def stepped(self, step: Step) -> None: ...

    def settled(self, outcome: Outcome) -> None: ...

    def closed(self, bars: Sequence[tuple[str, MarketBar]]) -> None: ...

    def flush(self) -> None: ...


class Silence:
    """A listener for an exchange nobody is connected to."""

    def stepped(self, step: Step) -> None: ...

    def settled(self, outcome: Outcome) -> None: ...

    def closed(self, bars: Sequence[tuple[str, MarketBar]]) -> None: ...

    def flush(self) -> None: ...


class Books(Protocol):
    """What every ledger can tell, whatever kind of account it keeps."""

    instance: str

    def position(self) -> Position: ...

    def incidents(self) -> list[Incident]: ...

    def incidents_of(self, name: str) -> int: ...


@dataclass(frozen=True, slots=True)
class HandOrder:
    """An order of somebody else: at the market without a price."""

    symbol_id: str
    side: Side
    quantity: Decimal
    price: Decimal | None
    client_order_id: str


class Stage(ABC):
    """One market and one clock over an account that is kept elsewhere."""

    kind: ClassVar[str]  # of what is listed: spot or swap

    def __init__(
        self,
        market: Market,
        books: Books,
        *,
        bars_per_s: float | None,
        wire: WireClock | None = None,
    ) -> None:
        self.market = market
        self.listener: Listener = Silence()
        self.after_slot: Callable[[], None] = lambda: None
        self.is_closed: Callable[[str], bool] = lambda _symbol_id: False
        self._books = books
        position = books.position()
        self.tape = Tape(market, position.closed_ms)
        self.clock = SlotClock(self.tape, bars_per_s, wire or WireClock(), set(position.acked))

    @property
    def instance(self) -> str:
        """What names the account for ever."""
        return self._books.instance

    def incidents(self) -> list[Incident]:
        """What others did to the account, oldest first."""
        return self._books.incidents()

    def incidents_of(self, name: str) -> int:
        """How many occasions of that name have been written down."""
        return self._books.incidents_of(name)

    @abstractmethod
    def resting_of(self, symbol_id: str) -> list[Order]:
        """The account's own orders that stand on the book, oldest first."""

    @abstractmethod
    def fill_now(self, order_id: int, ratio: Decimal) -> None:
        """Fill (a part of) what is left of an open order, as if the market had come to it."""

    @abstractmethod
    def by_hand(self, order: HandOrder, incident: Incident) -> None:
        """Place an order that somebody else sends; RequestError when it is refused."""

    @abstractmethod
    def end_orders(
        self, symbol_id: str | None, status: OrderStatus, incident: Incident | None = None
    ) -> None:
        """End the open orders of a symbol, or all of them, from outside."""

    @abstractmethod
    def move_money(self, asset: str, amount: Decimal, incident: Incident | None = None) -> None:
        """Money comes, or below zero goes as far as it is free, without a trade."""

    @abstractmethod
    def note(self, incident: Incident) -> None:
        """Write down something that changed nothing."""

    @abstractmethod
    def _traded(self, step: Step) -> list[Outcome]:
        """What a step of the market does to the account."""

    @abstractmethod
    def _closed(self) -> list[Outcome]:
        """What happens to the account when a slot has closed."""

    @abstractmethod
    def _commit(self, outcomes: Sequence[Outcome]) -> None:
        """Write down what happened and where the market stands."""

    def is_trading(self, symbol_id: str) -> bool:
        """False in an outage and while the market is closed."""
        return self.tape.is_trading(symbol_id) and not self.is_closed(symbol_id)

    def acknowledge(self, symbol_ids: Sequence[str], close_ms: int) -> None:
        """Lock-step: a client has handled these bars; after the last the next slot is played."""
        news = [each for each in symbol_ids if self.clock.acknowledge(each, close_ms)]
        if not news:
            return
        if self.clock.is_due():
            self.play_slot()
        else:
            self._commit([])

    def play_slot(self) -> None:
        """Lock-step: play the next slot from open to close as one transaction."""
        open_ms = self.clock.next_open_ms()
        assert open_ms is not None, "the market has ended"
        self.tape.open_slot(open_ms)
        self._finish_slot()

    async def pace(self) -> None:
        """Pace: play slot after slot, each step at its moment, until the market ends."""
        while True:
            if not self.tape.is_open:
                open_ms = self.clock.next_open_ms()
                if open_ms is None:
                    return
                self.tape.open_slot(open_ms)
                self.clock.start_slot()
            step = self.tape.next_step()
            close_ms = self.tape.closed_ms + self.market.timeframe_ms
            await asyncio.sleep(max(0.0, self.clock.wait_s(step.ts_ms if step else close_ms)))
            if step is None:
                self._finish_slot()
            else:
                outcomes = self._step()
                if outcomes:
                    self._commit(outcomes)
                self.listener.flush()

    def worth(self, asset: str, quote: str) -> Decimal | None:
        """What a unit of `asset` costs in `quote` by the last price, or None when not listed."""
        for symbol in self.market.symbols.values():
            if (symbol.base, symbol.quote) == (asset, quote):
                return self.tape.price(symbol.id)
        return None

    def _trading(self, symbol_id: str) -> tuple[LiveBook, Decimal]:
        book, price = self.tape.book(symbol_id), self.tape.price(symbol_id)
        if book is None or price is None or not self.is_trading(symbol_id):
            raise market_closed()
        return book, price

    def _step(self) -> list[Outcome]:
        step = self.tape.play()
        self.listener.stepped(step)
        outcomes = [] if self.is_closed(step.symbol_id) else self._traded(step)
        for outcome in outcomes:
            self.listener.settled(outcome)
        return outcomes

    def _finish_slot(self) -> None:
        outcomes: list[Outcome] = []
        while self.tape.next_step() is not None:
            outcomes += self._step()
        self.listener.closed(self.tape.close_slot())
        for outcome in self._closed():
            self.listener.settled(outcome)
            outcomes.append(outcome)
        self.clock.acked.clear()
        self._commit(outcomes)
        self.listener.flush()
        self.after_slot()

    def _position(self) -> Position:
        return Position(self.tape.closed_ms, self.tape.played, tuple(sorted(self.clock.acked)))

    def _resume_slot(self, position: Position) -> None:
        """Play again what was played of the slot in which the exchange was cut off."""
        self.tape.open_slot(position.closed_ms)
        for _ in range(position.played):
            self.tape.play()
        if self.clock.bars_per_s is None:
            self._finish_slot()
        else:
            last_ms = self.tape.played_steps()[-1].ts_ms
            self.clock.start_slot((last_ms - position.closed_ms) / self.market.timeframe_ms)
