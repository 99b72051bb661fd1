"""Turns a run's journal into the numbers and the sentence it ends with.

Belongs here: counting what the journal holds. It decides nothing, so it may be computed again at any time.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct, field

from daemon.core import events as e
from daemon.core.bars import MissCause
from daemon.core.book import Book
from daemon.core.instruments import plain
from daemon.layers.monitoring.skill import auc_with_interval
from daemon.layers.monitoring.trades import run_verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.core.instruments import InstrumentId


class Tally(Struct):
    """What is counted while the journal goes by."""

    opened: e.RunOpened | None = None
    bars: int = 0
    decisions: int = 0
    signals: int = 0
    orders: int = 0
    fills: int = 0
    holes: int = 0
    outage_slots: int = 0
    gaps_traded: int = 0
    drawdown_ratio: float = 0.0
    health: e.HealthStatus = e.HealthStatus.UNKNOWN
    halted: dict[str, str] = field(default_factory=dict)
    suppressed: Counter[str] = field(default_factory=Counter)
    denied: Counter[str] = field(default_factory=Counter)
    outcomes: list[tuple[float, int, int]] = field(
        default_factory=list
    )  # probability, outcome, bar
    opens: dict[InstrumentId, set[int]] = field(default_factory=dict)


def summarise(events: Iterable[e.Event], *, lookback: int) -> dict[str, object]:
    """The fields of `run.finished` from all events of one journal (money as decimal text, ratios 0 to 1)."""
    tally, book = Tally(), Book()
    for event in events:
        _keep_book(book, event)
        _count(tally, event, lookback)
    opened = tally.opened
    assert opened is not None, "a journal begins with RunOpened"
    skill = auc_with_interval(
        [each[0] for each in tally.outcomes],
        [each[1] for each in tally.outcomes],
        [each[2] for each in tally.outcomes],
    )
    edge_shown, sentence = run_verdict(skill, book.returns)
    return {
        "run": opened.run,
        "mode": opened.mode,
        "market": opened.market,
        "symbols": [each.id.symbol for each in opened.instruments],
        "bars": tally.bars,
        "decisions": tally.decisions,
        "signals": tally.signals,
        "suppressed": dict(sorted(tally.suppressed.items())),
        "denied": dict(sorted(tally.denied.items())),
        "orders": tally.orders,
        "fills": tally.fills,
        "round_trips": book.round_trips,
        "holes": tally.holes,
        "outage_slots": tally.outage_slots,
        "gaps_traded": tally.gaps_traded,
        "fees_quote": plain(book.fees),
        "pnl_quote": plain(book.equity - book.allotted),
        "equity_quote": plain(book.equity),
        "drawdown_ratio": round(tally.drawdown_ratio, 6),
        "auc": _rounded(skill.auc),
        "auc_low": _rounded(skill.low),
        "auc_high": _rounded(skill.high),
        "auc_n": skill.n,
        "health": tally.health.value,
        "halted": tally.halted,
        "edge_shown": edge_shown,
        "verdict": sentence,
    }


def _keep_book(book: Book, event: e.Event) -> None:
    if isinstance(event, e.RunOpened):
        book.apply_run_opened(event)
    elif isinstance(event, e.BarsClosed):
        book.apply_bars_closed(event)
    elif isinstance(event, e.OrderFilled):
        book.apply_order_filled(event)
    elif isinstance(event, e.PositionChanged):
        book.apply_position_changed(event)


def _count(tally: Tally, event: e.Event, lookback: int) -> None:
    if isinstance(event, e.RunOpened):
        tally.opened = event
    elif isinstance(event, e.HistoryLoaded | e.BarsClosed):
        for bar in event.bars:
            tally.opens.setdefault(bar.instrument, set()).add(bar.open_ns)
        tally.bars += len(event.bars) if isinstance(event, e.BarsClosed) else 0
    elif isinstance(event, e.BarsMissed):
        if event.cause is MissCause.OUTAGE:
            tally.holes += 1
            tally.outage_slots += event.count
    elif isinstance(event, e.Predictions):
        tally.decisions += len(event.rows)
        tally.gaps_traded += sum(_has_gap(tally, row, lookback) for row in event.rows)
    elif isinstance(event, e.SignalEmitted):
        tally.signals += 1
    elif isinstance(event, e.SignalSuppressed):
        tally.suppressed[event.reason.value] += 1
    elif isinstance(event, e.OrderDenied):
        tally.denied[event.reason.value] += 1
    elif isinstance(event, e.OrderIntended):
        tally.orders += 1
    elif isinstance(event, e.OrderFilled):
        tally.fills += 1
    elif isinstance(event, e.EquityMarked):
        tally.drawdown_ratio = max(tally.drawdown_ratio, event.drawdown_ratio)
    elif isinstance(event, e.PredictionResolved):
        if event.outcome is not None:
            outcome = (event.probability_up, event.outcome, event.predicted_close_ns)
            tally.outcomes.append(outcome)
    elif isinstance(event, e.HealthSampled):
        tally.health = event.status
    elif isinstance(event, e.TradingHalted):
        tally.halted[event.reason.value] = event.detail
    elif isinstance(event, e.TradingResumed):
        tally.halted.clear()


def _has_gap(tally: Tally, row: e.Prediction, lookback: int) -> bool:
    """Looked up in the bars themselves, not asked of layer 2, whose promise this checks."""
    assert tally.opened is not None
    length_ns = tally.opened.timeframe_ns
    known = tally.opens.get(row.instrument, set())
    return any(row.close_ns - k * length_ns not in known for k in range(1, lookback + 1))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def money(value: Decimal) -> str:
    """Money for people: two decimals."""
    return f"{value:.2f}"
