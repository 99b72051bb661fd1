"""The market of a chaos run: synthetic bars as recordings, and the truth to compare with.

Belongs here: what really happened. What an exchange under faults makes of it belongs to the run.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from daemon.core.timeframes import NS_PER_MS, timeframe_ns
from daemon.embedded.recorded import RecordedMarket
from daemon.embedded.synthetic import SyntheticMarket

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.embedded.recorded_symbol import Row

MINUTE_NS: Final = timeframe_ns("1m")
MINUTE_MS: Final = MINUTE_NS // NS_PER_MS
HISTORY_BARS: Final = 200
BARS_BEHIND: Final = 100  # the market goes on behind the last bar that is looked at
BASES: Final = (
    *("BTC", "ETH", "SOL", "XRP", "ADA", "DOT", "LTC", "BCH", "LINK", "UNI", "ATOM", "ETC", "XLM"),
    *("FIL", "TRX", "NEAR", "ALGO", "VET", "ICP", "AAVE"),
)


@dataclass(frozen=True)
class Plan:
    """What one run is made of."""

    seed: int
    bars: int
    symbols: int
    bars_per_s: float

    @property
    def names(self) -> tuple[str, ...]:
        more = (f"X{number}" for number in range(len(BASES), self.symbols))
        return tuple(f"{base}/USDT" for base in (*BASES, *more)[: self.symbols])


@cache
def truth(plan: Plan) -> RecordedMarket:
    """A recording has four prices a bar, so that the machine's time goes into faults."""
    return RecordedMarket(
        _rows(plan), timeframe_ms=MINUTE_MS, history_bars=HISTORY_BARS, name="chaos"
    )


def write_recordings(plan: Plan, folder: Path) -> list[Path]:
    """One file per symbol, in the order of the symbols."""
    folder.mkdir()
    paths = []
    for symbol, rows in _rows(plan).items():
        path = folder / f"{symbol.replace('/', '')}.csv"
        with path.open("w", newline="") as file:
            written = csv.writer(file)
            written.writerow(("timestamp", "open", "high", "low", "close", "volume"))
            written.writerows(rows)
        paths.append(path)
    return paths


@cache
def _rows(plan: Plan) -> dict[str, list[Row]]:
    market = SyntheticMarket(plan.names, MINUTE_MS, seed=plan.seed, history_bars=HISTORY_BARS)
    first_ms, count = market.first_open_ms, HISTORY_BARS + plan.bars + BARS_BEHIND
    return {
        listed.symbol: [
            (
                bar.open_ms,
                float(bar.open),
                float(bar.high),
                float(bar.low),
                float(bar.close),
                float(bar.volume),
            )
            for bar in market.bars(listed.id, first_ms, first_ms + count * MINUTE_MS - 1, count)
        ]
        for listed in market.symbols.values()
    }
