"""The life of an order as one table: every state, and every step between them that may happen.

Belongs here: states, steps and the order record. Deciding to order belongs to risk, sending to
venues.
"""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct, field

from daemon.core.errors import IllegalTransition
from daemon.core.instruments import InstrumentId


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"  # rests at its price until it fills or is cancelled
    STOP = "stop"  # rests, and becomes a market order once the market trades at its stop price


class Leg(StrEnum):
    """What an order is for."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"  # protects what is held; it rests on the exchange, whatever becomes of us


class OrderState(StrEnum):
    INTENDED = (
        "intended"  # durable here, perhaps sent: a crash may stand on either side of the wire
    )
    UNKNOWN = "unknown"  # sent, and nobody can say what became of it yet
    ACCEPTED = "accepted"  # the venue has it
    PARTLY_FILLED = "partly_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REFUSED = "refused"  # a definite no from the venue
    NOT_SENT = "not_sent"  # it never left this machine
    ABSENT = "absent"  # looked for until it could no longer be accepted, and not there
    ADOPTED = "adopted"  # believed absent, then a fill came: booked, with an alarm


TERMINAL = frozenset(
    {
        OrderState.FILLED,
        OrderState.CANCELED,
        OrderState.EXPIRED,
        OrderState.REFUSED,
        OrderState.NOT_SENT,
        OrderState.ABSENT,
        OrderState.ADOPTED,
    }
)
_ENDINGS = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED})
_LIVE = frozenset({OrderState.ACCEPTED, OrderState.PARTLY_FILLED}) | _ENDINGS
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.INTENDED: _LIVE
    | {OrderState.UNKNOWN, OrderState.REFUSED, OrderState.NOT_SENT, OrderState.ABSENT},
    # A lookup may find the order, find it refused, or find for certain that it is not there.
    OrderState.UNKNOWN: _LIVE | {OrderState.REFUSED, OrderState.ABSENT},
    # Some exchanges accept an order first and refuse it later, a stop when it is set off.
    OrderState.ACCEPTED: frozenset({OrderState.PARTLY_FILLED, OrderState.REFUSED}) | _ENDINGS,
    OrderState.PARTLY_FILLED: frozenset({OrderState.PARTLY_FILLED}) | _ENDINGS,
    # Ended is ended. Venues report fills after a cancel often enough that they are booked all the
    # same (refusing them would lose positions), but the order does not come back to life.
    OrderState.CANCELED: frozenset(),
    OrderState.EXPIRED: frozenset(),
    OrderState.FILLED: frozenset(),
    # Believed never to have been: a fill proves the belief wrong, and is booked with an alarm.
    OrderState.REFUSED: frozenset({OrderState.ADOPTED}),
    OrderState.NOT_SENT: frozenset({OrderState.ADOPTED}),
    OrderState.ABSENT: frozenset({OrderState.ADOPTED}),
    OrderState.ADOPTED: frozenset({OrderState.ADOPTED}),
}


class Fill(Struct, frozen=True, kw_only=True, gc=False):
    """One execution as the venue tells it; `trade_id` is unique per instrument on that venue."""

    trade_id: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    ts_ns: int
    is_maker: bool = False


class Order(Struct, kw_only=True):
    """What is known of one order; changed only by execution's `apply_*` handlers."""

    client_order_id: str
    instrument: InstrumentId
    side: Side
    quantity: Decimal
    decision_price: Decimal
    trace: str
    intended_ns: int
    close_ns: int = 0
    leg: Leg = Leg.ENTRY
    order_type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    stop_price: Decimal | None = None
    arrival_price: Decimal | None = None
    is_exit: bool = False
    cancel_requested_ns: int | None = None  # when its end was asked for, the last time
    state: OrderState = OrderState.INTENDED
    venue_order_id: str | None = None
    filled_quantity: Decimal = Decimal(0)
    filled_notional: Decimal = Decimal(0)
    fees: dict[str, Decimal] = field(default_factory=dict)  # by currency
    trade_ids: set[str] = field(default_factory=set)

    @property
    def leaves_quantity(self) -> Decimal:
        return max(Decimal(0), self.quantity - self.filled_quantity)

    @property
    def is_open(self) -> bool:
        return self.state not in TERMINAL

    @property
    def is_resting(self) -> bool:
        """True for an order that may stay open at the venue for as long as it likes."""
        return self.order_type is not OrderType.MARKET

    @property
    def is_unresolved(self) -> bool:
        """True while nobody knows whether the venue has it."""
        return self.state in {OrderState.INTENDED, OrderState.UNKNOWN}

    def move_to(self, state: OrderState) -> None:
        """Take one step of the table; IllegalTransition leaves the order as it was."""
        if state not in TRANSITIONS[self.state]:
            msg = f"order {self.client_order_id}: {self.state} cannot become {state}"
            raise IllegalTransition(msg)
        self.state = state


class Parent(Struct, kw_only=True):
    """What was approved, worked off in child orders; at most one at a time for an instrument and
    all that it may be routed to. `dead` are those that would not take a child of it.
    """

    instrument: InstrumentId
    trace: str
    close_ns: int
    side: Side
    quantity: Decimal
    decision_price: Decimal
    arrival_price: Decimal | None
    is_exit: bool
    approved_ns: int
    filled_quantity: Decimal = Decimal(0)
    children: int = 0
    newest_child_ns: int = 0
    dead: list[InstrumentId] = field(default_factory=list)
    is_unprotected: bool = False  # no exchange would hold a stop for what it has bought
    is_given_up: bool = False  # the policy closes or reduces what is held there

    @property
    def leg(self) -> Leg:
        return Leg.EXIT if self.is_exit else Leg.ENTRY

    @property
    def leaves_quantity(self) -> Decimal:
        return max(Decimal(0), self.quantity - self.filled_quantity)
