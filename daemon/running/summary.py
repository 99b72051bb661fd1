"""Turns a run's journal into the numbers and the sentence it ends with.

Belongs here: counting what the journal holds. It decides nothing, so it may be computed again at
any time.
"""

from __future__ import annotations

from collections import Counter
from decimal import localcontext
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from daemon.core import events as e
from daemon.core.applying import appliers
from daemon.core.bars import HARMLESS_REASONS, MissCause
from daemon.core.book import Book
from daemon.core.costs import distribution
from daemon.core.instruments import InstrumentId, names_of, plain
from daemon.core.pipeline import ARITHMETIC
from daemon.layers.monitoring.outcomes import Outcomes
from daemon.layers.monitoring.skill import auc_with_interval
from daemon.layers.monitoring.trades import run_verdict
from daemon.research.run_evidence import RunEvidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Recorded bars are there in full, so a backtest gets the verdict of a training.
JUDGED_WHOLE = "backtest"


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
    rejected: Counter[str] = field(default_factory=Counter)
    quarantined_slots: int = 0
    denied: Counter[str] = field(default_factory=Counter)
    probabilities: list[float] = field(default_factory=list)
    outcomes: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)  # of each outcome: which share their luck
    block_ns: dict[str, int] = field(default_factory=dict)  # by model
    model: str = ""
    trip_blocks: list[int] = field(default_factory=list)  # of each round trip, likewise
    opens: dict[InstrumentId, set[int]] = field(default_factory=dict)
    by_exchange: dict[str, Counter[str]] = field(default_factory=dict)
    lookback: int = 0
    slippage_bps: list[float] = field(default_factory=list)
    arrival_slippage_bps: list[float] = field(default_factory=list)


def summarise(events: Iterable[e.Event], *, lookback: int) -> dict[str, object]:
    """The fields of `run.finished` from all events of one journal.

    Money is decimal text, ratios are 0 to 1; `lookback` is how many bars a feature window holds.
    """
    with localcontext(ARITHMETIC):
        return _summarised(events, lookback)


def _summarised(events: Iterable[e.Event], lookback: int) -> dict[str, object]:
    tally, book = Tally(lookback=lookback), Book()
    folds = appliers(book)
    evidence = None
    for event in events:
        if isinstance(event, e.RunOpened) and event.mode == JUDGED_WHOLE:
            evidence = RunEvidence(event.timeframe_ns)
        if evidence is not None:
            evidence.note(event)
        for fold in folds.get(type(event), ()):
            fold(event)
        if count := COUNTED.get(type(event)):
            count(tally, event)
    opened = tally.opened
    assert opened is not None, "a journal begins with RunOpened"
    skill = auc_with_interval(tally.probabilities, tally.outcomes, tally.blocks)
    edge_shown, sentence = run_verdict(skill, book.returns, tally.trip_blocks)
    several = _each(opened, tally, book) if opened.accounts else {}
    return {
        "run": opened.run,
        "mode": opened.mode,
        "market": opened.market,
        "symbols": list(names_of(each.id for each in opened.instruments).values()),
        **several,
        "bars": tally.bars,
        "decisions": tally.decisions,
        "signals": tally.signals,
        "suppressed": dict(sorted(tally.suppressed.items())),
        "denied": dict(sorted(tally.denied.items())),
        "rejected": dict(sorted(tally.rejected.items())),
        "quarantined_slots": tally.quarantined_slots,
        "orders": tally.orders,
        "fills": tally.fills,
        "round_trips": book.round_trips,
        "holes": tally.holes,
        "outage_slots": tally.outage_slots,
        "gaps_traded": tally.gaps_traded,
        **_slippage(tally),
        "currency": book.reporting,
        "fees_quote": opened.shown(book.fees),
        **_others(book),
        **({"funding_quote": opened.shown(book.funding)} if book.funding else {}),
        "pnl_quote": opened.shown(book.equity - book.allotted),
        **_revaluation(opened, book),
        "equity_quote": opened.shown(book.equity),
        "drawdown_ratio": round(tally.drawdown_ratio, 6),
        "auc": _rounded(skill.auc),
        "auc_low": _rounded(skill.low),
        "auc_high": _rounded(skill.high),
        "auc_n": skill.n,
        "health": tally.health.value,
        "halted": tally.halted,
        "edge_shown": edge_shown,
        "verdict": sentence,
        **({} if evidence is None else evidence.fields(entries=book.round_trips)),
    }


def _slippage(tally: Tally) -> dict[str, object]:
    """Mean and 95th percentile of all fills, against the decision price and the arrival quote."""
    shown: dict[str, object] = {}
    for what, values in (("", tally.slippage_bps), ("arrival_", tally.arrival_slippage_bps)):
        known = distribution(values)
        shown[f"{what}slippage_bps_mean"] = None if known is None else known.mean_bps
        shown[f"{what}slippage_bps_p95"] = None if known is None else known.p95_bps
    return shown


def _each(opened: e.RunOpened, tally: Tally, book: Book) -> dict[str, object]:
    """What happened on each of several exchanges; equity there is its cash and its positions."""
    shown: dict[str, object] = {}
    for account in opened.accounts:
        name, counted = account.exchange, tally.by_exchange.get(account.exchange, Counter())
        equity = book.equity_on(name)
        shown[name] = {
            **{what: counted[what] for what in ("bars", "orders", "fills", "round_trips")},
            "pnl_quote": opened.shown(equity - book.allotted_on(name)),
            "equity_quote": opened.shown(equity),
        }
    return {"exchanges": shown}


def _others(book: Book) -> dict[str, object]:
    """Fees that nothing could value; they are no part of the equity."""
    fees = {name: plain(fee) for name, fee in sorted(book.foreign_fees.items())}
    return {"fees_other": fees} if fees else {}


def _revaluation(opened: e.RunOpened, book: Book) -> dict[str, object]:
    """Of the profit, what exchange rates made of the capital itself."""
    return {"revaluation_quote": opened.shown(book.revaluation)} if book.revaluation else {}


def _on_exchange(tally: Tally, instrument: InstrumentId, what: str) -> None:
    tally.by_exchange.setdefault(instrument.exchange, Counter())[what] += 1


def _opened(tally: Tally, event: e.RunOpened) -> None:
    tally.opened = event


def _activated(tally: Tally, event: e.ModelActivated) -> None:
    # Asked of the ledger of outcomes, so that run and health judge skill by the same clusters.
    assert tally.opened is not None
    ledger = Outcomes(timeframe_ns=tally.opened.timeframe_ns, window_outcomes=1)
    ledger.apply_model_activated(event)
    tally.block_ns[event.model] = ledger.block_ns(event.model)
    tally.model = event.model


def _loaded(tally: Tally, event: e.HistoryLoaded) -> None:
    for bar in event.bars:
        tally.opens.setdefault(bar.instrument, set()).add(bar.open_ns)


def _closed(tally: Tally, event: e.BarsClosed) -> None:
    tally.bars += len(event.bars)
    for bar in event.bars:
        tally.opens.setdefault(bar.instrument, set()).add(bar.open_ns)
        _on_exchange(tally, bar.instrument, "bars")


def _missed(tally: Tally, event: e.BarsMissed) -> None:
    if event.cause is MissCause.QUARANTINED:
        tally.quarantined_slots += event.count
    if event.cause is MissCause.OUTAGE:
        tally.holes += 1
        tally.outage_slots += event.count


def _predicted(tally: Tally, event: e.Predictions) -> None:
    tally.decisions += len(event.rows)
    tally.gaps_traded += sum(_has_gap(tally, row) for row in event.rows)


def _thinned(tally: Tally, event: e.JournalThinned) -> None:
    """What was taken out of the journal still counts."""
    tally.bars += sum(event.bars.values())
    tally.decisions += event.decisions
    tally.suppressed.update(event.suppressed)
    for exchange, bars in event.bars.items():
        tally.by_exchange.setdefault(exchange, Counter())["bars"] += bars


def _signalled(tally: Tally, _event: e.SignalEmitted) -> None:
    tally.signals += 1


def _rejected(tally: Tally, event: e.BarRejected) -> None:
    if event.reason not in HARMLESS_REASONS:
        tally.rejected[event.reason.value] += 1


def _suppressed(tally: Tally, event: e.SignalSuppressed) -> None:
    tally.suppressed[event.reason.value] += 1


def _denied(tally: Tally, event: e.OrderDenied) -> None:
    tally.denied[event.reason.value] += 1


def _intended(tally: Tally, event: e.OrderIntended) -> None:
    tally.orders += 1
    _on_exchange(tally, event.instrument, "orders")


def _filled(tally: Tally, event: e.OrderFilled) -> None:
    tally.fills += 1
    tally.slippage_bps.append(event.slippage_bps)
    if event.arrival_slippage_bps is not None:
        tally.arrival_slippage_bps.append(event.arrival_slippage_bps)
    _on_exchange(tally, event.instrument, "fills")


def _moved(tally: Tally, event: e.PositionChanged) -> None:
    if event.closed_return_ratio is not None:
        assert tally.opened is not None
        block_ns = tally.block_ns.get(tally.model, tally.opened.timeframe_ns)
        tally.trip_blocks.append(event.ts_ns // block_ns)
        _on_exchange(tally, event.instrument, "round_trips")


def _marked(tally: Tally, event: e.EquityMarked) -> None:
    tally.drawdown_ratio = max(tally.drawdown_ratio, event.drawdown_ratio)


def _resolved(tally: Tally, event: e.PredictionResolved) -> None:
    if event.outcome is not None and not event.is_shadow:
        tally.probabilities.append(event.probability_up)
        tally.outcomes.append(event.outcome)
        tally.blocks.append(event.predicted_close_ns // tally.block_ns[event.model])


def _sampled(tally: Tally, event: e.HealthSampled) -> None:
    tally.health = event.status


def _halted(tally: Tally, event: e.TradingHalted) -> None:
    tally.halted[event.reason.value] = event.detail


def _resumed(tally: Tally, _event: e.TradingResumed) -> None:
    tally.halted.clear()


COUNTED: dict[type[e.Event], Callable[[Tally, Any], None]] = {
    e.RunOpened: _opened,
    e.ModelActivated: _activated,
    e.HistoryLoaded: _loaded,
    e.BarsClosed: _closed,
    e.BarsMissed: _missed,
    e.BarRejected: _rejected,
    e.Predictions: _predicted,
    e.SignalEmitted: _signalled,
    e.SignalSuppressed: _suppressed,
    e.OrderDenied: _denied,
    e.OrderIntended: _intended,
    e.OrderFilled: _filled,
    e.PositionChanged: _moved,
    e.EquityMarked: _marked,
    e.PredictionResolved: _resolved,
    e.JournalThinned: _thinned,
    e.HealthSampled: _sampled,
    e.TradingHalted: _halted,
    e.TradingResumed: _resumed,
}


def _has_gap(tally: Tally, row: e.Prediction) -> bool:
    """Looked up in the bars themselves, not asked of layer 2, whose promise this checks."""
    assert tally.opened is not None
    length_ns = tally.opened.timeframe_ns
    known = tally.opens.get(row.instrument, set())
    return any(row.close_ns - k * length_ns not in known for k in range(1, tally.lookback + 1))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
