"""Positions, orders and money of a swap account, all in Decimal.

Belongs here: what they are and what they are worth at a price. How trades change them belongs in
clearing.
"""

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from enum import StrEnum

from daemon.embedded.account import (
    FEE_STEP,
    ZERO,
    Fill,
    Order,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)
from daemon.embedded.futures.terms import LEVERAGE_DEFAULT, bracket_of, maintenance_margin
from daemon.embedded.settlement import Outcome


class IncomeKind(StrEnum):
    """Why money of the account became more or less."""

    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    FUNDING_FEE = "FUNDING_FEE"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"
    TRANSFER = "TRANSFER"


class AlgoStatus(StrEnum):
    NEW = "NEW"
    CANCELED = "CANCELED"
    TRIGGERED = "TRIGGERED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapRequest(OrderRequest):
    """A new order of a swap; `is_post_only` refuses to take (GTX)."""

    reduce_only: bool = False
    is_post_only: bool = False


@dataclass(slots=True, kw_only=True)
class SwapOrder(Order):
    """An order of a swap; it locks no money of its own, its margin is reckoned with all others."""

    reduce_only: bool = False
    is_post_only: bool = False
    is_liquidation: bool = False
    realized: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapFill(Fill):
    """A fill and what it realized before its fee."""

    realized: Decimal = ZERO


@dataclass(slots=True, kw_only=True)
class Algo:
    """A conditional order that waits for a price; then it makes an order of its own."""

    algo_id: int
    client_algo_id: str
    symbol_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal
    trigger_price: Decimal
    reduce_only: bool
    close_position: bool
    created_ms: int
    updated_ms: int
    received_ms: int
    triggered_ms: int = 0
    order_id: int = 0
    status: AlgoStatus = AlgoStatus.NEW
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class SwapPosition:
    """A position in one-way mode with isolated margin; below zero it is short.

    `cost` is the signed sum of what its parts were bought for, `wallet` the margin that backs it.
    """

    symbol_id: str
    asset: str
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    wallet: Decimal = ZERO
    leverage: int = LEVERAGE_DEFAULT
    realized: Decimal = ZERO
    updated_ms: int = 0

    @property
    def sign(self) -> int:
        return (self.quantity > 0) - (self.quantity < 0)

    @property
    def entry_price(self) -> Decimal:
        return self.cost / self.quantity if self.quantity else ZERO

    def notional(self, mark: Decimal) -> Decimal:
        return self.quantity * mark

    def unrealized(self, mark: Decimal) -> Decimal:
        return self.quantity * mark - self.cost

    def is_doomed(self, mark: Decimal) -> bool:
        """Whether its margin no longer covers the maintenance margin at this price."""
        if not self.quantity:
            return False
        return self.wallet + self.unrealized(mark) <= maintenance_margin(self.notional(mark))

    def liquidation_price(self, mark: Decimal) -> Decimal:
        """The price at which it is liquidated; zero when no price can do that."""
        if not self.quantity:
            return ZERO
        bracket = bracket_of(self.notional(mark))
        divisor = abs(self.quantity) * bracket.maintenance_ratio - self.quantity
        return max(ZERO, (self.wallet + bracket.cum - self.cost) / divisor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Income:
    """A change of the account's money; all of them, and the start balances, make what it has."""

    tran_id: int
    kind: IncomeKind
    asset: str
    amount: Decimal
    symbol_id: str
    ts_ms: int
    wire_ms: int
    trade_id: int | None = None


@dataclass(frozen=True, slots=True)
class SwapOutcome(Outcome):
    """What happened: besides orders the positions, money, incomes and conditional orders touched.

    `money` is what is not bound in positions, by asset; `why` is the word of the user stream.
    """

    positions: tuple[SwapPosition, ...] = ()
    money: dict[str, Decimal] = field(default_factory=dict)
    incomes: tuple[Income, ...] = ()
    algos: tuple[Algo, ...] = ()
    why: str = "ORDER"


def down(amount: Decimal) -> Decimal:
    """Money to the exchange's own step, toward zero."""
    return amount.quantize(FEE_STEP, ROUND_DOWN)


def up(amount: Decimal) -> Decimal:
    """Money to the exchange's own step, away from zero."""
    return amount.quantize(FEE_STEP, ROUND_UP)
