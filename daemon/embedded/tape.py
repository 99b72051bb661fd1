"""The tape: plays a market slot by slot; knows the prices, partial bars and books of now.

Belongs here: the position in the market and what can be seen from it. When the tape moves belongs
in clock; what a move does to orders belongs in matching.
"""

from dataclasses import dataclass
from decimal import Decimal

from daemon.embedded.account import ZERO
from daemon.embedded.depth import LiveBook
from daemon.embedded.market import Market, MarketBar

STEPS_MAX = 1_000
BARS_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class Step:
    """One price inside a slot: `volume` (base units) changed hands at `price` at time `ts_ms`.

    `trade_id` numbers the public trade; it is the same whenever the same slot is played.
    """

    symbol_id: str
    index: int
    price: Decimal
    volume: Decimal
    ts_ms: int
    trade_id: int


class Tape:
    """Everything before `closed_ms` is past; of an open slot the first `played` steps are too."""

    def __init__(self, market: Market, closed_ms: int) -> None:
        self.market = market
        self.closed_ms = closed_ms
        self.is_open = False
        self.played = 0
        self._steps: list[Step] = []
        self._partials: dict[str, MarketBar] = {}
        self._books: dict[str, LiveBook] = {}
        self._bars: dict[tuple[str, int], MarketBar | None] = {}
        self._prices = {each: self._last_close(each) for each in market.symbols}

    def bar(self, symbol_id: str, open_ms: int) -> MarketBar | None:
        """The bar of a slot; the few slots around this moment are asked for again and again."""
        key = (symbol_id, open_ms)
        if key not in self._bars:
            if len(self._bars) >= BARS_KEPT:
                self._bars.clear()
            self._bars[key] = self.market.bar(symbol_id, open_ms)
        return self._bars[key]

    @property
    def slot_open_ms(self) -> int:
        """Open of the slot that is played, or of the last one played while none is open."""
        return self.closed_ms if self.is_open else self.closed_ms - self.market.timeframe_ms

    def open_slot(self, open_ms: int) -> None:
        """Start the slot; slots between the last one and it were skipped because nobody traded."""
        assert not self.is_open, "a slot is played to its end before the next one opens"
        assert open_ms >= self.closed_ms, "the tape goes forward"
        self.closed_ms = open_ms
        self.is_open = True
        self.played = 0
        self._partials = {}
        steps = [step for each in self.market.symbols for step in self.steps_of(each, open_ms)]
        self._steps = sorted(steps, key=lambda step: step.ts_ms)

    def next_step(self) -> Step | None:
        """The step that `play` would play, or None at the end of the slot."""
        return self._steps[self.played] if self.played < len(self._steps) else None

    def play(self) -> Step:
        """Move one symbol to its next price; its book is made anew around that price."""
        step = self._steps[self.played]
        self.played += 1
        self._prices[step.symbol_id] = step.price
        self._books.pop(step.symbol_id, None)
        partial = self._partials.get(step.symbol_id)
        self._partials[step.symbol_id] = _extended(partial, step, self.closed_ms)
        return step

    def played_steps(self) -> list[Step]:
        """What was played of the open slot."""
        return self._steps[: self.played]

    def slot_at(self, ts_ms: int) -> int:
        """Open of the slot that contains `ts_ms`."""
        return ts_ms - (ts_ms - self.closed_ms) % self.market.timeframe_ms

    def close_slot(self) -> list[tuple[str, MarketBar]]:
        """End the slot; returns its closed bars by symbol id."""
        assert self.next_step() is None, "a slot closes after its last step"
        open_ms = self.closed_ms
        self.closed_ms += self.market.timeframe_ms
        self.is_open = False
        self.played = 0
        self._steps = []
        # The last step's book may have been taken from by stops; the next slot begins with its own.
        self._books.clear()
        bars = ((each, self.bar(each, open_ms)) for each in self.market.symbols)
        return [(each, bar) for each, bar in bars if bar is not None]

    def is_trading(self, symbol_id: str) -> bool:
        """False in an outage: the symbol has no bar in the slot of this moment."""
        return self.bar(symbol_id, self.slot_open_ms) is not None

    def price(self, symbol_id: str) -> Decimal | None:
        """The last price, or None before the first bar of the symbol."""
        return self._prices[symbol_id]

    def book(self, symbol_id: str) -> LiveBook | None:
        """The book of this moment, or None before the first bar; takers change it in place."""
        price = self._prices[symbol_id]
        if price is not None and symbol_id not in self._books:
            self._books[symbol_id] = LiveBook(self.market.book(symbol_id, price, self.slot_open_ms))
        return self._books.get(symbol_id)

    def partial(self, symbol_id: str) -> MarketBar | None:
        """The unfinished bar: what was played of it, or flat when its slot is not open yet; None in
        an outage and after the end."""
        if self.is_open:
            return self._partials.get(symbol_id)
        price = self._prices[symbol_id]
        if price is None or self.bar(symbol_id, self.closed_ms) is None:
            return None
        return MarketBar(self.closed_ms, price, price, price, price, ZERO, 0)

    def last_bar(self, symbol_id: str) -> MarketBar | None:
        """The newest closed bar of a symbol, or None before its first."""
        open_ms = self.closed_ms - self.market.timeframe_ms
        while open_ms >= self.market.first_open_ms:
            bar = self.bar(symbol_id, open_ms)
            if bar is not None:
                return bar
            open_ms -= self.market.timeframe_ms
        return None

    def steps_of(self, symbol_id: str, open_ms: int) -> list[Step]:
        """The steps of one slot of one symbol, evenly spaced from its open to its close."""
        bar = self.bar(symbol_id, open_ms)
        if bar is None:
            return []
        prices = self.market.path(symbol_id, open_ms)
        assert len(prices) <= STEPS_MAX, "trade ids of two slots would meet"
        last = len(prices) - 1
        shares = _shares(prices, bar.volume, self.market.symbols[symbol_id].lot)
        length_ms = self.market.timeframe_ms
        first_id = open_ms // length_ms * STEPS_MAX
        return [
            Step(
                symbol_id,
                index,
                price,
                shares[index],
                # The close happens inside the bar, so one millisecond before the next one opens.
                open_ms + (length_ms * index // last if index < last else length_ms - 1),
                first_id + index,
            )
            for index, price in enumerate(prices)
        ]

    def _last_close(self, symbol_id: str) -> Decimal | None:
        bar = self.last_bar(symbol_id)
        return None if bar is None else bar.close


def _shares(prices: tuple[Decimal, ...], volume: Decimal, lot: Decimal) -> list[Decimal]:
    """What changes hands at each price, whole lots that add up to the volume.

    Where there are too few lots for every price, those that make the bar what it is come first:
    close, open, high, low. So its trades make up the bar, unless there are fewer lots than these.
    """
    last = len(prices) - 1
    share = volume / len(prices) // lot * lot
    shares = [share] * len(prices)
    if not share:
        for index in (0, prices.index(max(prices)), prices.index(min(prices))):
            if index != last and sum(shares) + 2 * lot <= volume:
                shares[index] = lot
    shares[last] = volume - sum(shares[:last])
    return shares


def _extended(partial: MarketBar | None, step: Step, open_ms: int) -> MarketBar:
    price = step.price
    if partial is None:
        return MarketBar(open_ms, price, price, price, price, step.volume, 1)
    return MarketBar(
        partial.open_ms,
        partial.open,
        max(partial.high, price),
        min(partial.low, price),
        price,
        partial.volume + step.volume,
        partial.trades + 1,
    )
