"""Makes one symbol's clean, sorted bars from recorded rows, with the tick and lot they show.

Belongs here: what one symbol's rows say and what is impossible in them. The span of the market and
where it streams from belong in recorded.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from daemon.embedded.listings import minimum_notional, split_symbol
from daemon.embedded.market import MarketBar, MarketSymbol

Row = tuple[int, float, float, float, float, float]

DECIMALS_MAX = 8
SIGNIFICANT_DIGITS_MIN = 5
# A lot worth more than this share of the minimum notional would make sizing coarse.
LOT_SHARE_MAX = Decimal("0.2")
_EXACT_MAX = 2.0**53


@dataclass(frozen=True, slots=True)
class RecordedSymbol:
    """Rows ascending, each stamp once; `ticks` (n, 4) of open, high, low, close and `lots` (n,)."""

    instrument: MarketSymbol
    rows: tuple[Row, ...]
    opens: list[int]
    ticks: npt.NDArray[np.int64]
    lots: npt.NDArray[np.int64]
    typical_turnover_quote: float

    def bar(self, index: int) -> MarketBar:
        tick = self.instrument.tick
        opened, high, low, close = (ticks * tick for ticks in self.ticks[index].tolist())
        lots = int(self.lots[index])
        return MarketBar(
            open_ms=self.opens[index],
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=lots * self.instrument.lot,
            # A recording does not say how many trades there were, only whether there were any.
            trades=1 if lots else 0,
        )


def recorded_symbol(
    where: str, symbol: str, rows: Sequence[Row], timeframe_ms: int
) -> RecordedSymbol:
    """Raises ValueError beginning with `where`; see RecordedMarket."""
    _refuse(
        [row for row in rows if row[0] % timeframe_ms],
        f"{where}: {{count}} rows off the grid of {timeframe_ms} ms, the first at {{first}}",
    )
    _refuse(
        [row for row in rows if not _is_possible(row)],
        f"{where}: {{count}} rows without positive prices and a volume, the first at {{first}}",
    )
    kept = _without_duplicates(where, rows)
    prices = np.array([row[1:5] for row in kept], dtype=np.float64)
    volumes = np.array([row[5] for row in kept], dtype=np.float64)
    tick_places, tick_counts = _counted(prices, _price_places_min(prices))
    base, quote = split_symbol(symbol)
    smallest_notional = minimum_notional(quote)
    lot_places_min = _lot_places_min(float(prices.max()), smallest_notional)
    lot_places, lot_counts = _counted(volumes, lot_places_min)
    lot = Decimal(1).scaleb(-lot_places)
    instrument = MarketSymbol(
        symbol=symbol,
        id=base + quote,
        base=base,
        quote=quote,
        tick=Decimal(1).scaleb(-tick_places),
        lot=lot,
        minimum_quantity=lot,
        minimum_notional=smallest_notional,
    )
    return RecordedSymbol(
        instrument=instrument,
        rows=kept,
        opens=[row[0] for row in kept],
        # A price may lie under the finest tick there is; it stays above zero.
        ticks=np.maximum(tick_counts, 1),
        lots=lot_counts,
        typical_turnover_quote=float(np.median(prices[:, 3] * volumes)),
    )


def instant(time_ms: int) -> str:
    """RFC 3339 in UTC, for messages."""
    moment = datetime.fromtimestamp(time_ms / 1_000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_possible(row: Row) -> bool:
    prices, volume = row[1:5], row[5]
    return all(math.isfinite(price) and price > 0 for price in prices) and (
        math.isfinite(volume) and volume >= 0
    )


def _without_duplicates(where: str, rows: Sequence[Row]) -> tuple[Row, ...]:
    kept: dict[int, Row] = {}
    conflicting = [row for row in rows if kept.setdefault(row[0], row) != row]
    _refuse(
        conflicting,
        f"{where}: {{count}} duplicate stamps with differing rows, the first at {{first}}",
    )
    return tuple(kept[stamp] for stamp in sorted(kept))


def _refuse(rows: Iterable[Row], message: str) -> None:
    stamps = [row[0] for row in rows]
    if stamps:
        raise ValueError(message.format(count=len(stamps), first=instant(min(stamps))))


def _counted(values: npt.NDArray[np.float64], places_min: int) -> tuple[int, npt.NDArray[np.int64]]:
    """The decimals the values are written with (at least places_min) and the values in such units.

    Rounding a number to the decimals it was written with gives it back exactly.
    """
    places = DECIMALS_MAX
    for fewer in range(places_min, DECIMALS_MAX):
        if np.array_equal(np.round(values, fewer), values):
            places = fewer
            break
    while places > 0 and float(values.max()) * 10.0**places > _EXACT_MAX:
        places -= 1
    return places, np.rint(values * 10.0**places).astype(np.int64)


def _price_places_min(prices: npt.NDArray[np.float64]) -> int:
    typical = float(np.median(prices))
    wanted = SIGNIFICANT_DIGITS_MIN - 1 - math.floor(math.log10(typical))
    return min(max(wanted, 2 if typical >= 100.0 else 0), DECIMALS_MAX)


def _lot_places_min(price: float, smallest_notional: Decimal) -> int:
    wanted = math.ceil(math.log10(price / float(smallest_notional * LOT_SHARE_MAX)))
    return min(max(wanted, 0), DECIMALS_MAX)
