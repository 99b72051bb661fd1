"""What the gates look at: a signal, and all that is known of its market and books when it comes.

Belongs here: the facts. Collecting them belongs to `readings`, judging them to the gates.
"""

from decimal import Decimal

from msgspec import Struct

from daemon.core.events import (
    ClockChecked,
    DataDistrusted,
    Direction,
    DiskChecked,
    HaltReason,
    HealthStatus,
    Quote,
    SignalEmitted,
    Trouble,
)
from daemon.core.instruments import Instrument
from daemon.core.orders import Order, Parent, Side
from daemon.core.pace import Paced
from daemon.core.streaks import Pause
from daemon.layers.risk.denials import Valuation
from daemon.layers.risk.sizing import Room

ONE = Decimal(1)


class Held(Struct, frozen=True):
    """What is held of one listing of it, by the rules of its exchange."""

    rules: Instrument
    quantity: Decimal

    def lots(self, ratio: Decimal = ONE) -> Decimal:
        """So much of it in whole lots, whichever way it is held."""
        return self.rules.quantize_down(abs(self.quantity) * ratio)

    def takes(self, price: Decimal, ratio: Decimal = ONE) -> bool:
        """Whether an order could make it smaller by so much."""
        return self.rules.takes(self.lots(ratio), price, is_exit=True)


class Situation(Struct, frozen=True, kw_only=True):
    """All that is known when a signal comes; prices in quote units, sums as in Room."""

    signal: SignalEmitted
    instrument: Instrument
    quantity: Decimal  # held now, negative when short
    mark: Decimal | None
    marked_ns: int | None  # close of the bar the mark comes from
    previous_mark: Decimal | None
    room: Room
    day_start_equity: Decimal
    drawdown_ratio: float
    halts: tuple[HaltReason, ...]
    is_reconciled: bool
    has_foreign: bool  # orders of ours are there that our books do not know
    is_stale: bool
    distrust: DataDistrusted | None
    clock: ClockChecked | None  # the measurement that took the trust away, if one did
    disk: DiskChecked | None  # the measurement that found too little room, if one did
    health: HealthStatus
    open_orders: tuple[Order, ...]  # without a protective stop that rests as it should
    parent: Parent | None  # what was approved before, and is still being worked off
    quote: Quote | None  # None before it was asked for
    is_skill_lost: bool = False  # of the model in this symbol, whatever it has in others
    is_live: bool = False
    paced: Paced = Paced()
    volatility_ratio: float | None = None  # annualised; None where it is not known
    loss_pause: Pause | None = None
    refusal_pause: Pause | None = None  # of every exchange that it may go to
    not_tradable: str | None = None  # what the exchange says of it, if it does not trade it
    given_up: Trouble | None = None  # why positions here are being closed
    exchange_lost: str | None = None  # why it is not reached, if it is not
    unknown_on_exchange: int = 0  # orders whose fate nobody knows, where there are fewest
    valuations: tuple[Valuation, ...] = ()  # of every currency that sizes depend on
    stop_loss_ratio: float = 0.0  # how far behind a position its stop is; 0 where it has none
    fees_in_base: Decimal = Decimal(0)  # that other trades on the exchange were charged
    listed: tuple[Held, ...] = ()  # where it is routed between exchanges: what each of them holds

    @property
    def holdings(self) -> tuple[Held, ...]:
        """What makes the position up; what stands against it is no part that an exit could move."""
        alone = (Held(self.instrument, self.quantity),)
        return tuple(each for each in self.listed or alone if each.quantity * self.quantity > 0)

    @property
    def is_long(self) -> bool:
        return self.signal.direction is Direction.LONG

    @property
    def arrival_price(self) -> Decimal | None:
        """The first price the order would meet: of an entry, or of an exit from what is held."""
        is_buy = self.quantity < 0 if self.signal.direction is Direction.FLAT else self.is_long
        return self.quote.best(Side.BUY if is_buy else Side.SELL) if self.quote else None

    @property
    def shown_notional(self) -> Decimal | None:
        """What the side of the book that an entry would take holds; None before it was asked."""
        if self.quote is None:
            return None
        levels = self.quote.side(Side.BUY if self.is_long else Side.SELL)
        return sum((price * quantity for price, quantity in levels), Decimal(0))
