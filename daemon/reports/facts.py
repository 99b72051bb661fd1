"""The facts of one run: turns the events of a journal into series, trades and counts.

Belongs here: reading events once and keeping what a report needs. Statistics of it belong to
`figures`, what is shown of it to `tables` and `page`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from daemon.core import events as e
from daemon.core.applying import appliers
from daemon.core.bars import Bar
from daemon.core.book import Book
from daemon.core.instruments import InstrumentId
from daemon.core.pipeline import ARITHMETIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


BPS = 10_000
ZERO = Decimal(0)


class Trade(Struct, kw_only=True):
    """A round trip: from flat until the position is back under one lot; times in ns UTC.

    Entry and exit are in the instrument's quote, costs in the reporting currency.
    """

    instrument: InstrumentId
    opened_ns: int
    closed_ns: int = 0
    entry_trace: str
    exit_trace: str = ""
    direction: str
    entry_quantity: Decimal = ZERO
    entry_quote: Decimal = ZERO
    exit_quantity: Decimal = ZERO
    exit_quote: Decimal = ZERO
    fees_quote: Decimal = ZERO
    slippage_quote: Decimal = ZERO
    return_ratio: float | None = None  # net of fees; None while it is open

    @property
    def entry_price(self) -> Decimal | None:
        return self.entry_quote / self.entry_quantity if self.entry_quantity else None

    @property
    def exit_price(self) -> Decimal | None:
        return self.exit_quote / self.exit_quantity if self.exit_quantity else None


class Facts(Struct):
    """All of a run that a report speaks of, in the order in which it happened; sums of money are
    in the reporting currency, prices in that of their instrument.
    """

    opened: e.RunOpened | None = None
    models: list[e.ModelActivated] = field(default_factory=list)
    bars: dict[InstrumentId, list[Bar]] = field(default_factory=lambda: defaultdict(list))
    missed: list[e.BarsMissed] = field(default_factory=list)
    equity: list[e.EquityMarked] = field(default_factory=list)
    fills: list[e.OrderFilled] = field(default_factory=list)
    fees_quote: list[Decimal] = field(default_factory=list)  # of each fill, valued in quote
    slippage_quote: list[Decimal] = field(default_factory=list)  # likewise
    trades: list[Trade] = field(default_factory=list)
    samples: list[e.HealthSampled] = field(default_factory=list)
    outcomes: list[e.PredictionResolved] = field(default_factory=list)
    rows: list[tuple[float, ...]] = field(default_factory=list)  # feature rows of the newest set
    feature_names: tuple[str, ...] = ()
    probabilities: list[float] = field(default_factory=list)  # of the newest model
    suppressed: Counter[str] = field(default_factory=Counter)
    denied: Counter[str] = field(default_factory=Counter)
    bound: Counter[str] = field(default_factory=Counter)  # approved orders by what decided the size
    allotted_quote: Decimal = ZERO  # worth of the capital when the run began
    halts: list[e.TradingHalted | e.TradingResumed] = field(default_factory=list)

    @property
    def run(self) -> e.RunOpened:
        assert self.opened is not None, "a journal begins with RunOpened"
        return self.opened

    @property
    def closed_trades(self) -> list[Trade]:
        return [each for each in self.trades if each.return_ratio is not None]


def gather(events: Iterable[e.Event]) -> Facts:
    """The facts of one journal, from all of its events in order."""
    with localcontext(ARITHMETIC):
        reading = _Reading()
        for event in events:
            take = reading.takers.get(type(event))
            if take is not None:
                take(event)
        reading.facts.allotted_quote = reading.allotted_quote
        return reading.facts


class _Reading:
    """What is remembered while the journal goes by."""

    def __init__(self) -> None:
        self.facts = Facts()
        self._book = Book()
        self._open: dict[InstrumentId, Trade] = {}
        facts = self.facts
        own: dict[type[e.Event], Callable[[Any], None]] = {
            e.RunOpened: self._opened,
            e.ModelActivated: self._activated,
            e.BarsClosed: self._closed,
            e.BarsMissed: facts.missed.append,
            e.EquityMarked: facts.equity.append,
            e.FeatureRows: self._rows,
            e.Predictions: self._predicted,
            e.SignalSuppressed: lambda event: facts.suppressed.update([event.reason.value]),
            e.OrderDenied: lambda event: facts.denied.update([event.reason.value]),
            e.OrderApproved: lambda event: facts.bound.update([event.bound_by.value]),
            e.OrderFilled: self._filled,
            e.PositionChanged: self._changed,
            e.PredictionResolved: self._resolved,
            e.HealthSampled: facts.samples.append,
            e.TradingHalted: facts.halts.append,
            e.TradingResumed: facts.halts.append,
        }
        # What is not read here for its own sake only moves the book.
        moves = {kind: fold for kind, (fold,) in appliers(self._book).items()}
        self.takers = moves | own

    @property
    def allotted_quote(self) -> Decimal:
        return self._book.allotted

    def _opened(self, event: e.RunOpened) -> None:
        self.facts.opened = event
        self._book.apply_run_opened(event)

    def _activated(self, event: e.ModelActivated) -> None:
        known = self.facts.models[-1] if self.facts.models else None
        self.facts.models.append(event)
        if known is None or known.model != event.model:
            self.facts.probabilities.clear()
        if self.facts.feature_names != event.feature_names:
            self.facts.feature_names = event.feature_names
            self.facts.rows.clear()

    def _closed(self, event: e.BarsClosed) -> None:
        self._book.apply_bars_closed(event)
        for bar in event.bars:
            self.facts.bars[bar.instrument].append(bar)

    def _rows(self, event: e.FeatureRows) -> None:
        self.facts.rows.extend(row.values for row in event.rows)

    def _predicted(self, event: e.Predictions) -> None:
        self.facts.probabilities.extend(row.probability_up for row in event.rows)

    def _resolved(self, event: e.PredictionResolved) -> None:
        if not event.is_shadow:
            self.facts.outcomes.append(event)

    def _filled(self, event: e.OrderFilled) -> None:
        before, fees = self._book.position(event.instrument).quantity, self._book.fees
        self._book.apply_order_filled(event)
        after, fee = self._book.position(event.instrument).quantity, self._book.fees - fees
        self.facts.fills.append(event)
        self.facts.fees_quote.append(fee)
        trade = self._open.get(event.instrument)
        if trade is None:
            direction = "long" if after > before else "short"
            trade = Trade(
                instrument=event.instrument,
                opened_ns=event.ts_ns,
                entry_trace=event.trace,
                direction=direction,
            )
            self._open[event.instrument] = trade
            self.facts.trades.append(trade)
        quote = self._book.instruments[event.instrument].quote
        value = event.price * event.quantity
        slippage = self._book.value(slippage_quote(event), quote) or ZERO
        self.facts.slippage_quote.append(slippage)
        if abs(after) > abs(before):
            trade.entry_quantity += event.quantity
            trade.entry_quote += value
        else:
            trade.exit_quantity += event.quantity
            trade.exit_quote += value
            trade.exit_trace = event.trace
        trade.fees_quote += fee
        trade.slippage_quote += slippage
        trade.closed_ns = event.ts_ns

    def _changed(self, event: e.PositionChanged) -> None:
        self._book.apply_position_changed(event)
        if event.closed_return_ratio is not None and event.instrument in self._open:
            self._open.pop(event.instrument).return_ratio = event.closed_return_ratio


def slippage_quote(fill: e.OrderFilled) -> Decimal:
    """What the fill cost beyond its decision price, in quote units; negative when it was better."""
    worse = fill.price - fill.decision_price
    return (worse if fill.side.value == "buy" else -worse) * fill.quantity
