"""The one account of the embedded exchange: orders, fills and balances, all in Decimal.

Belongs here: what an order is and how money moves between free and locked. When and at what price
an order fills belongs in matching; how it is kept belongs in ledger.
"""

from dataclasses import dataclass, field
from decimal import Context, Decimal
from enum import StrEnum

# Wide enough that no product of a price and a quantity is ever rounded.
MONEY = Context(prec=60)
ZERO = Decimal(0)
FEE_STEP = Decimal("0.00000001")
NOT_WORKING = -1


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """A stop loss waits for the price to turn against its side, a take profit for the contrary;
    then it becomes a market order, or with LIMIT in its name a limit order."""

    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"

    @property
    def is_stop(self) -> bool:
        return self in STOPS

    @property
    def has_limit(self) -> bool:
        return self not in AT_ANY_PRICE


STOPS = frozenset(
    {
        OrderType.STOP_LOSS,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_LIMIT,
    }
)
AT_ANY_PRICE = frozenset({OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})
TAKE_PROFITS = frozenset({OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT})


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderStatus(StrEnum):
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"


OPEN_STATUSES = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """A new order whose parameters were already read; quantity or quote_quantity is set."""

    symbol_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    client_order_id: str
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None


@dataclass(slots=True, kw_only=True)
class Order:
    """An order as the exchange knows it; only matching changes one.

    Times are the market's, but `received_ms`, which is the wall's. `working_ms` is when it came
    onto the book; a stop that waits for its price has NOT_WORKING.
    """

    order_id: int
    client_order_id: str
    symbol_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    created_ms: int
    updated_ms: int
    received_ms: int
    working_ms: int
    stop_price: Decimal = ZERO
    executed: Decimal = ZERO
    cumulative_quote: Decimal = ZERO
    locked: Decimal = ZERO
    status: OrderStatus = OrderStatus.NEW

    @property
    def leaves_quantity(self) -> Decimal:
        return self.quantity - self.executed

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def is_waiting(self) -> bool:
        """True for an open stop whose price has not come yet: nobody can trade with it."""
        return self.is_open and self.working_ms == NOT_WORKING


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution; a negative fee is a rebate. `ts_ms` is market time, `wire_ms` the wall's."""

    trade_id: int
    order_id: int
    client_order_id: str
    symbol_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    ts_ms: int
    wire_ms: int
    is_maker: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Money that came to the account (or, below zero, left it) without a trade."""

    asset: str
    amount: Decimal
    ts_ms: int
    wire_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something others did to the account; `key` names this one occasion for ever."""

    key: str
    kind: str
    ts_ms: int
    wire_ms: int
    text: str


@dataclass(slots=True)
class Balance:
    free: Decimal = ZERO
    locked: Decimal = ZERO


@dataclass(slots=True)
class Account:
    """Balances by asset; a movement that would leave less than nothing is a bug and raises."""

    balances: dict[str, Balance]
    touched: set[str] = field(default_factory=set)

    def free(self, asset: str) -> Decimal:
        balance = self.balances.get(asset)
        return ZERO if balance is None else balance.free

    def lock(self, asset: str, amount: Decimal) -> None:
        self._move(asset, free=-amount, locked=amount)

    def release(self, asset: str, amount: Decimal) -> None:
        self._move(asset, free=amount, locked=-amount)

    def pay(self, asset: str, amount: Decimal) -> None:
        self._move(asset, free=-amount, locked=ZERO)

    def receive(self, asset: str, amount: Decimal) -> None:
        self._move(asset, free=amount, locked=ZERO)

    def take_touched(self) -> dict[str, Balance]:
        """Copies of the balances that moved since the last call."""
        taken = {asset: self.balances[asset] for asset in sorted(self.touched)}
        self.touched.clear()
        return {asset: Balance(each.free, each.locked) for asset, each in taken.items()}

    def _move(self, asset: str, *, free: Decimal, locked: Decimal) -> None:
        balance = self.balances.setdefault(asset, Balance())
        balance.free += free
        balance.locked += locked
        self.touched.add(asset)
        assert balance.free >= 0, f"{asset}: free balance {balance.free} below nothing"
        assert balance.locked >= 0, f"{asset}: locked balance {balance.locked} below nothing"
