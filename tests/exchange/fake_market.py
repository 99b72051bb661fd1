"""A market one can compute by head and a wire clock that stands, for tests of the exchange.

Belongs here: fakes at the ports of the exchange. Running servers and clients belong in loopback.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from daemon.core.clock import WireClock
from daemon.core.timeframes import NS_PER_MS
from daemon.embedded.market import BOOK_LEVELS, Book, MarketBar, MarketSymbol

HOUR_MS = 3_600_000
FROM_MS = 1_704_067_200_000

BTC = MarketSymbol(
    "BTC/USDT", "BTCUSDT", "BTC", "USDT",
    Decimal("0.01"), Decimal("0.00001"), Decimal("0.00001"), Decimal(5),
)  # fmt: skip
ETH = MarketSymbol(
    "ETH/USDT", "ETHUSDT", "ETH", "USDT",
    Decimal("0.01"), Decimal("0.0001"), Decimal("0.0001"), Decimal(5),
)  # fmt: skip


@dataclass(slots=True)
class FakeMarket:
    """Prices one can compute by head: bar n opens at base + n and closes at base + n + 1.

    The path is open, high (close + 2), low (open - 3), close; 4 base units are traded in each bar.
    Every book level holds `level_quantity`, one tick apart, the best ones a tick from the price.
    `holes` are (symbol id, slots after from_ms); the last `ends_after` slot streamed is the end.
    """

    holes: frozenset[tuple[str, int]] = frozenset()
    history_bars: int = 50
    ends_after: int | None = None
    level_quantity: Decimal = Decimal("0.5")
    base: Mapping[str, int] = field(default_factory=lambda: {"BTCUSDT": 50_000, "ETHUSDT": 3_000})
    label: str = "SYNTHETIC fake"
    fingerprint: str = "00000000000000ff"
    timeframe_ms: int = HOUR_MS
    from_ms: int = FROM_MS

    @property
    def symbols(self) -> Mapping[str, MarketSymbol]:
        return {"BTCUSDT": BTC, "ETHUSDT": ETH}

    @property
    def first_open_ms(self) -> int:
        return self.from_ms - self.history_bars * self.timeframe_ms

    @property
    def end_ms(self) -> int | None:
        if self.ends_after is None:
            return None
        return self.from_ms + self.ends_after * self.timeframe_ms

    def bar(self, symbol_id: str, open_ms: int) -> MarketBar | None:
        slot, rest = divmod(open_ms - self.from_ms, self.timeframe_ms)
        is_outside = open_ms < self.first_open_ms or (self.end_ms or open_ms + 1) <= open_ms
        if rest or is_outside or (symbol_id, slot) in self.holes:
            return None
        price = Decimal(self.base[symbol_id] + slot)
        # Volumes on a line, like the prices, would pass for invented.
        volume = Decimal("4.1") if slot % 2 else Decimal("3.9")
        return MarketBar(open_ms, price, price + 3, price - 3, price + 1, volume, 40)

    def bars(
        self, symbol_id: str, start_open_ms: int, end_open_ms: int, limit: int
    ) -> list[MarketBar]:
        found: list[MarketBar] = []
        late_ms = (start_open_ms - self.from_ms) % self.timeframe_ms
        open_ms = max(start_open_ms + (self.timeframe_ms - late_ms) % self.timeframe_ms, 0)
        while open_ms <= end_open_ms and len(found) < limit:
            bar = self.bar(symbol_id, open_ms)
            found += [] if bar is None else [bar]
            open_ms += self.timeframe_ms
        return found

    def path(self, symbol_id: str, open_ms: int) -> tuple[Decimal, ...]:
        bar = self.bar(symbol_id, open_ms)
        return () if bar is None else (bar.open, bar.high, bar.low, bar.close)

    def book(self, symbol_id: str, price: Decimal, open_ms: int, levels: int = BOOK_LEVELS) -> Book:
        del open_ms
        tick = self.symbols[symbol_id].tick
        return Book(
            tuple((price - tick * (n + 1), self.level_quantity) for n in range(levels)),
            tuple((price + tick * (n + 1), self.level_quantity) for n in range(levels)),
        )


class StandingWireClock(WireClock):
    """Wire time that moves only when told, for pace and receive windows."""

    def __init__(self, now_ns: int = 1_700_000_000_000 * NS_PER_MS) -> None:
        self.ns = now_ns
        self.start_ns = now_ns

    def now_ns(self) -> int:
        return self.ns

    def monotonic_s(self) -> float:
        return (self.ns - self.start_ns) / 1e9

    def pass_s(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)
