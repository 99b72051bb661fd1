"""The account: what it holds, what it is worth, what others move, and how books are compared.

Belongs here: positions, money and books. Single orders belong to `orders`.
"""

from decimal import Decimal

from msgspec import Struct

from daemon.core.events.base import Fact, Input
from daemon.core.instruments import InstrumentId
from daemon.core.orders import OrderType, Side


class Reconciled(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Books and venue were compared; entries are allowed only while the newest one is clean.

    `exchange` is "" for all at once. `foreign` are orders there that bear this bot's mark and that
    this journal never intended.
    """

    is_clean: bool
    differences: tuple[str, ...] = ()
    exchange: str = ""
    foreign: tuple[str, ...] = ()


class FundsMoved(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Money came or went on an account by no order of ours: a deposit, a withdrawal, another hand.

    It is not the bot's, so its own books stay as they are.
    """

    exchange: str
    currency: str
    amount: Decimal  # positive came in
    reason: str


class FundingCharged(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Holders of a swap pay each other: longs pay shorts for a positive rate of the notional.

    `amount` is what the exchange booked, positive came in; without it, it follows from the rate.
    """

    instrument: InstrumentId
    rate: Decimal
    price: Decimal  # the mark price it is reckoned with
    amount: Decimal | None = None


class PositionLiquidated(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The exchange closed a swap whose margin was used up."""

    instrument: InstrumentId
    price: Decimal
    fee: Decimal  # in the quote currency


class AdoptedOrder(Struct, frozen=True, kw_only=True, gc=False):
    """An order of ours that the venue has and that this journal never intended.

    `settled` are trades of it that the account's balances at the run's opening hold already.
    """

    client_order_id: str
    instrument: InstrumentId
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal  # of its first fill, else what it asks for
    stop_price: Decimal | None = None
    is_open: bool = False
    settled: tuple[str, ...] = ()


class BooksAdopted(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Somebody said that these orders are ours all the same: the journal was lost, or too old."""

    exchange: str
    orders: tuple[AdoptedOrder, ...]


class PositionChanged(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    instrument: InstrumentId
    trace: str
    quantity: Decimal
    average_price: Decimal
    realized_quote: Decimal  # of the whole account so far, net of fees
    equity_quote: Decimal
    exposure_ratio: float
    closed_return_ratio: float | None  # net return of the round trip that ended, else None
    dust: Decimal = Decimal(0)  # what is too little to be ordered, and no part of the quantity


class DustSetAside(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """What is left of a position is less than the exchange takes an order for: none any more."""

    instrument: InstrumentId
    trace: str
    quantity: Decimal
    price: Decimal


class EquityMarked(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The account valued at the newest closes."""

    equity_quote: Decimal
    peak_quote: Decimal
    drawdown_ratio: float
    exposure_ratio: float
    fees_quote: Decimal


class FeesDrifted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The newest fills on an exchange were charged more than the schedule says."""

    exchange: str
    expected_bps: float  # of a fill like the last one
    charged_bps: float
    fills: int
