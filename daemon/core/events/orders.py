"""The life of an order: intended, sent, answered, filled, ended, and the commands about it.

Belongs here: single orders. What they do to the account belongs to `account`.
"""

from decimal import Decimal
from typing import Self

from daemon.core.events.base import Command, Fact, Input
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Fill, Leg, Order, OrderState, OrderType, Side
from daemon.core.reasons import Outcome, ParentEnd, ReportSource


class OrderReported(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """What a venue said about one of our orders, in reply, on its stream or when asked."""

    client_order_id: str
    outcome: Outcome
    source: ReportSource
    state: OrderState | None = None  # ACCEPTED, PARTLY_FILLED, FILLED, CANCELED or EXPIRED
    venue_order_id: str | None = None
    filled_quantity: Decimal | None = None
    fills: tuple[Fill, ...] = ()
    reason: str = ""


class OrdersTicked(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Time went by while orders were being worked; bars do the same."""


class OrderIntended(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The write-ahead intent: durable before anything is sent, and sent at most once."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    close_ns: int
    leg: Leg
    ordinal: int
    side: Side
    order_type: OrderType
    quantity: Decimal
    decision_price: Decimal
    is_exit: bool
    price: Decimal | None = None  # of a limit order
    stop_price: Decimal | None = None  # of a stop order
    arrival_price: Decimal | None = None


class OrderCancelRequested(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """We want it gone; only the venue's word about the order itself says that it is."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    reason: str


class OrderAccepted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    client_order_id: str
    instrument: InstrumentId
    trace: str
    venue_order_id: str | None


class OrderRefused(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """A definite no by the venue."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    reason: str


class OrderNotSent(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    client_order_id: str
    instrument: InstrumentId
    trace: str
    reason: str


class OrderOutcomeUnknown(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    client_order_id: str
    instrument: InstrumentId
    trace: str
    reason: str


class OrderAbsent(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Looked for until it could no longer be accepted: the venue never had it."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    reason: str


class OrderFilled(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """One execution, seen for the first time."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    side: Side
    trade_id: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    is_maker: bool
    decision_price: Decimal
    slippage_bps: float  # against the decision price, positive is worse for us
    leaves_quantity: Decimal
    is_adopted: bool  # the order was believed absent
    arrival_price: Decimal | None = None
    arrival_slippage_bps: float | None = None  # against the arrival price, positive is worse for us


class OrderCompleted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The order reached FILLED, CANCELED or EXPIRED with all its fills known."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    state: OrderState
    filled_quantity: Decimal


class ParentEnded(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """No more orders will be made for what was approved."""

    instrument: InstrumentId
    trace: str
    is_exit: bool
    reason: ParentEnd
    wanted_quantity: Decimal
    filled_quantity: Decimal


class ProtectionFailed(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The exchange will not hold a stop for this position."""

    instrument: InstrumentId
    trace: str
    close_ns: int
    reason: str
    attempts: int


class SubmitOrder(Command, frozen=True, kw_only=True, gc=False, tag=True):
    """Send this intent, once; the journal has it already."""

    client_order_id: str
    instrument: InstrumentId
    side: Side
    order_type: OrderType
    quantity: Decimal
    decision_price: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    is_exit: bool = False

    @property
    def is_resting(self) -> bool:
        return self.order_type is not OrderType.MARKET


class CancelOrder(Command, frozen=True, kw_only=True, gc=False, tag=True):
    """Ask the venue to end this order, then look what became of it; may be repeated."""

    client_order_id: str
    instrument: InstrumentId
    order_type: OrderType
    venue_order_id: str | None
    intended_ns: int
    reason: str


class LookUpOrder(Command, frozen=True, kw_only=True, gc=False, tag=True):
    """Find out what became of an order, without sending it again."""

    client_order_id: str
    instrument: InstrumentId
    intended_ns: int
    reason: str
    order_type: OrderType = OrderType.MARKET

    @classmethod
    def of(cls, order: Order | CancelOrder, ts_ns: int, reason: str) -> Self:
        """The question what became of an order, or of one that is to be canceled."""
        return cls(
            ts_ns=ts_ns,
            client_order_id=order.client_order_id,
            instrument=order.instrument,
            intended_ns=order.intended_ns,
            reason=reason,
            order_type=order.order_type,
        )

    @property
    def is_resting(self) -> bool:
        return self.order_type is not OrderType.MARKET
