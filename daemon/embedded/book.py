"""Makes an order book around a price: a small spread, depth that grows away from the middle.

Belongs here: the standing liquidity of a market nobody here has taken from. What orders eat of it,
and the orders of the account itself, belong in matching.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from daemon.embedded.market import BOOK_LEVELS, Book, MarketSymbol
from daemon.embedded.noise import uniforms

DEPTH_QUOTE = 5_000.0
SPREAD_BPS_MIN, SPREAD_BPS_MAX = 1.0, 2.0
DEPTH_GROWTH = 0.7  # each level adds this share of the first level's mean notional
GAP_BPS_MEAN = 0.5
GAP_GROWTH = 0.05


@dataclass(frozen=True, slots=True)
class BookShape:
    """Everything of a book but its price; the same key gives the same book.

    `depth_quote` is the mean notional of a best level: with the default, ten levels a side come to
    about two hundred thousand, and an order of a few thousand sometimes needs two or three.
    """

    key: str
    levels: int = BOOK_LEVELS
    depth_quote: float = DEPTH_QUOTE


@dataclass(frozen=True, slots=True)
class _Side:
    distances_ratio: tuple[float, ...]
    notionals: tuple[float, ...]


def book_around(instrument: MarketSymbol, price: Decimal, shape: BookShape) -> Book:
    """Best bid <= price <= best ask, on tick and lot; fewer bids where price nears zero.

    Raises ValueError for a price that is not positive.
    """
    if price <= 0:
        raise ValueError(f"price {price} of {instrument.symbol}: expected more than zero")
    spread_bps, lean, bids, asks = _drawn(shape.key, shape.levels)
    whole, rest = divmod(price, instrument.tick)
    middle = int(whole)
    spread = max(1, round(middle * spread_bps / 1e4))
    best_bid = middle - round((spread - 1) * lean)
    best_ask = max(best_bid + spread, middle + 1 if rest else middle)
    return Book(
        bids=_levels(instrument, best_bid, -1, bids, shape.depth_quote),
        asks=_levels(instrument, best_ask, +1, asks, shape.depth_quote),
    )


def _levels(
    instrument: MarketSymbol, best: int, direction: int, side: _Side, depth_quote: float
) -> tuple[tuple[Decimal, Decimal], ...]:
    tick, lot = instrument.tick, instrument.lot
    lot_notional = float(tick * lot)
    levels: list[tuple[Decimal, Decimal]] = []
    ticks = best
    for distance_ratio, notional in zip(side.distances_ratio, side.notionals, strict=True):
        aimed = best + direction * round(best * distance_ratio)
        # Never two levels at one price, however coarse the tick.
        ticks = aimed if not levels else direction * max(direction * aimed, direction * ticks + 1)
        if ticks < 1:
            break
        lots = max(1, round(depth_quote * notional / (ticks * lot_notional)))
        levels.append((ticks * tick, lots * lot))
    return tuple(levels)


@lru_cache(maxsize=256)
def _drawn(key: str, levels: int) -> tuple[float, float, _Side, _Side]:
    # Drawn at full depth first, so that asking for fewer levels shows the top of the same book.
    count = max(levels, BOOK_LEVELS)
    drawn = uniforms(f"book/{key}", 2 + 4 * count).tolist()
    spread_bps = SPREAD_BPS_MIN + (SPREAD_BPS_MAX - SPREAD_BPS_MIN) * drawn[0]
    sides = [drawn[2 + 2 * count * i : 2 + 2 * count * (i + 1)] for i in (0, 1)]
    bids, asks = (_side(numbers, count, levels) for numbers in sides)
    return spread_bps, drawn[1], bids, asks


def _side(numbers: list[float], count: int, levels: int) -> _Side:
    distance, distances, notionals = 0.0, [], []
    for level in range(levels):
        distances.append(distance)
        distance += 1e-4 * GAP_BPS_MEAN * (0.5 + numbers[level]) * (1.0 + GAP_GROWTH * level)
        mean = 1.0 + DEPTH_GROWTH * level
        notionals.append(mean * (0.2 - 0.8 * math.log(numbers[count + level])))
    return _Side(tuple(distances), tuple(notionals))
