"""What can be traded, in which steps: turns wanted prices and quantities into acceptable ones.

Belongs here: identity, steps and rounding of instruments. Positions in them belong to `book`.
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

HEADROOM = Decimal("0.9")  # of what an order may be worth: its price moves until it is there
EMBEDDED = "embedded"  # the exchange in the box, which moves no real money


class MarketType(StrEnum):
    SPOT = "spot"
    SWAP = "swap"


class InstrumentId(Struct, frozen=True, order=True, gc=False):
    """A symbol on one exchange; the same symbol on two exchanges is two instruments."""

    exchange: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.exchange}:{self.symbol}"


def names_of(instruments: Iterable[InstrumentId]) -> dict[InstrumentId, str]:
    """What people call them: the symbol, and with its exchange where there are several."""
    ids = tuple(instruments)
    are_several = len({each.exchange for each in ids}) > 1
    return {each: str(each) if are_several else each.symbol for each in ids}


def is_swap_symbol(symbol: str) -> bool:
    """True for BTC/USDT:USDT, a perpetual swap settled in its quote currency."""
    return ":" in symbol


def base_of(symbol: str) -> str:
    """BTC of BTC/USDT."""
    return symbol.partition("/")[0]


def quote_of(symbol: str) -> str:
    """USDT of BTC/USDT, and of the swap BTC/USDT:USDT."""
    return symbol.partition("/")[2].partition(":")[0]


def liquidation_distance(leverage: float, maintenance_ratio: float, *, is_long: bool) -> float:
    """The adverse move, as a ratio of the entry, at which an isolated linear position is taken
    away: its margin is 1 / leverage of the notional, and `maintenance_ratio` has to be left.
    """
    margin = 1.0 / leverage
    if is_long:
        return 1.0 - (1.0 - margin) / (1.0 - maintenance_ratio)
    return (1.0 + margin) / (1.0 + maintenance_ratio) - 1.0


def exchange_behind(name: str) -> str:
    """The exchange that a name stands for: "kraken-b" is a second account or feed on kraken."""
    return name.partition("-")[0]


class Instrument(Struct, frozen=True, kw_only=True, gc=False):
    """Steps and limits of one instrument as the exchange states them, in base or quote units.

    A swap is linear: settled in its quote currency. Its quantities are in base units here, too, so
    that every cap is one on the notional; whole contracts of `contract_size` are the exchange's own
    unit, and are turned into base units, and back, where it is spoken to.
    """

    id: InstrumentId
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    minimum_quantity: Decimal = Decimal(0)
    minimum_notional: Decimal = Decimal(0)
    maximum_quantity: Decimal | None = None  # None: the exchange states none
    maximum_notional: Decimal | None = None
    market_type: MarketType = MarketType.SPOT
    contract_size: Decimal = Decimal(1)  # base units in one contract

    @property
    def is_swap(self) -> bool:
        return self.market_type is MarketType.SWAP

    def contracts(self, quantity: Decimal) -> Decimal:
        """The quantity in the exchange's unit; ValueError where it is not a sum of lots."""
        if self.quantize_down(quantity) != quantity:
            msg = f"{quantity} of {self.id} is no multiple of its lot {self.lot}"
            raise ValueError(msg)
        return quantity / self.contract_size

    def __post_init__(self) -> None:
        if not (self.tick > 0 and self.lot > 0 and self.contract_size > 0):
            msg = (
                f"instrument {self.id}: tick {self.tick}, lot {self.lot} and contract size "
                f"{self.contract_size} must be positive"
            )
            raise ValueError(msg)

    def quantize_down(self, quantity: Decimal) -> Decimal:
        """The largest whole number of lots that is not more than `quantity` (never rounds up)."""
        # Whole division: a quotient of 28 digits could be rounded up to the next whole number.
        return quantity // self.lot * self.lot

    def at_most(self, quantity: Decimal, price: Decimal) -> Decimal:
        """As much of it as the exchange takes in one order, in whole lots; a limit under one lot is
        not believed.
        """
        bounds = [quantity]
        if self.maximum_quantity is not None:
            bounds.append(self.maximum_quantity)
        if self.maximum_notional is not None and price > 0:
            bounds.append(self.maximum_notional * HEADROOM / price)
        return self.quantize_down(min(bounds)) or self.quantize_down(quantity)

    def takes(self, quantity: Decimal, price: Decimal, *, is_exit: bool = False) -> bool:
        """True when the exchange takes an order of so many lots: not under its smallest quantity
        or value. A swap may be left whatever it is worth.
        """
        if quantity <= 0 or quantity < self.minimum_quantity:
            return False
        return (is_exit and self.is_swap) or quantity * price >= self.minimum_notional

    def price_down(self, price: Decimal) -> Decimal:
        """The highest price on the grid that is not above `price`, which is not negative."""
        return price // self.tick * self.tick

    def price_up(self, price: Decimal) -> Decimal:
        """The lowest price on the grid that is not below `price`, which is not negative."""
        below = self.price_down(price)
        return below if below == price else below + self.tick

    def price_of(self, price: float) -> Decimal:
        """The exact Decimal of a bar's float price; the one crossing from statistics to money."""
        return Decimal(repr(price))


def plain(value: Decimal) -> str:
    """Decimal text without exponent and trailing zeros, as exchanges and JSON readers want it."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
