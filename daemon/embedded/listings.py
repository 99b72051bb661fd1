"""Makes a listed instrument and its market character from a symbol's name alone.

Belongs here: ticks, lots, price levels and liveliness of synthetic symbols. How prices move from
there belongs in process; the tick and lot of a recording belong in recorded.
"""

import hashlib
import math
from dataclasses import dataclass
from decimal import Decimal

from daemon.embedded.market import MarketSymbol

DEFAULT_MINIMUM_NOTIONAL = Decimal(5)
# A notional of 5 only means something in a currency worth about a dollar.
MINIMUM_NOTIONALS = {"BTC": Decimal("0.0001"), "ETH": Decimal("0.002")}


@dataclass(frozen=True, slots=True)
class Character:
    """Where a symbol's price hovers and how much it moves and trades in an average hour."""

    price: float
    hourly_sd_ratio: float
    hourly_turnover_quote: float


@dataclass(frozen=True, slots=True)
class Listing:
    instrument: MarketSymbol
    character: Character


_KNOWN = {
    "BTC/USDT": ("0.01", "0.00001", Character(60_000.0, 0.0070, 90e6)),
    "ETH/USDT": ("0.01", "0.0001", Character(3_000.0, 0.0085, 45e6)),
    "SOL/USDT": ("0.01", "0.001", Character(150.0, 0.0110, 18e6)),
    "BTC/EUR": ("0.01", "0.00001", Character(55_000.0, 0.0070, 20e6)),
    "ETH/EUR": ("0.01", "0.0001", Character(2_750.0, 0.0085, 9e6)),
    "ETH/BTC": ("0.00001", "0.0001", Character(0.05, 0.0060, 200.0)),
    "LTC/USDT": ("0.01", "0.001", Character(80.0, 0.0090, 4e6)),
}


def split_symbol(symbol: str) -> tuple[str, str]:
    """Base and quote of "BTC/USDT"; ValueError for anything that is not two such names."""
    base, slash, quote = symbol.partition("/")
    if not (slash and base.isascii() and base.isalnum() and quote.isascii() and quote.isalnum()):
        raise ValueError(f"symbol {symbol!r}: expected BASE/QUOTE, for example BTC/USDT")
    return base, quote


def minimum_notional(quote: str) -> Decimal:
    return MINIMUM_NOTIONALS.get(quote, DEFAULT_MINIMUM_NOTIONAL)


def listing(symbol: str) -> Listing:
    """The same listing for the same name, always; unknown names get theirs from a hash of it.

    Raises ValueError when the name is not BASE/QUOTE.
    """
    base, quote = split_symbol(symbol)
    tick, lot, character = _KNOWN.get(symbol) or _from_name(symbol)
    instrument = MarketSymbol(
        symbol=symbol,
        id=base + quote,
        base=base,
        quote=quote,
        tick=Decimal(tick),
        lot=Decimal(lot),
        minimum_quantity=Decimal(lot),
        minimum_notional=minimum_notional(quote),
    )
    return Listing(instrument, character)


def _from_name(symbol: str) -> tuple[Decimal, Decimal, Character]:
    digest = hashlib.sha256(symbol.encode()).digest()
    first, second, third = (int.from_bytes(digest[i : i + 4]) / 2**32 for i in (0, 4, 8))
    price = 0.05 * 10 ** (4 * first)
    magnitude = math.floor(math.log10(price))
    character = Character(
        price=price,
        hourly_sd_ratio=0.007 + 0.007 * second,
        hourly_turnover_quote=5e5 * 10 ** (1.5 * third),
    )
    # Five significant digits of price, and a lot worth less than one unit of quote.
    return Decimal(1).scaleb(magnitude - 4), Decimal(1).scaleb(min(0, -magnitude - 1)), character
