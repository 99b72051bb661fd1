"""The ledger of a model exchange: orders and trades as they truly are.

Belongs here: records. Changing them belongs to `exchange`, telling them to `words`.
"""

from decimal import Decimal

from msgspec import Struct, field

from daemon.core.orders import OrderType, Side

ZERO = Decimal(0)
OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})


class Refusal(Exception):
    """The exchange says no, by a code of its own."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status


class Wish(Struct, frozen=True, kw_only=True):
    """An order as it is asked for. `tag` is what it was decided for; the exchange never sees it."""

    tag: str
    client_order_id: str
    side: Side
    kind: OrderType
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None


class Trade(Struct, kw_only=True):
    trade_id: int
    order_id: int
    is_buy: bool
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    at_s: float
    visible_s: float
    is_maker: bool


class ModelOrder(Struct, kw_only=True):
    """One order of the ledger; `visible_s` and `lies_until_s` bend only what is told of it."""

    order_id: int
    wish: Wish
    at_s: float
    visible_s: float
    status: str = "NEW"
    filled: Decimal = ZERO
    lies_until_s: float = -1.0
    trades: list[Trade] = field(default_factory=list)

    @property
    def leaves(self) -> Decimal:
        return self.wish.quantity - self.filled

    @property
    def is_open(self) -> bool:
        return self.status in OPEN
