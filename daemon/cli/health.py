"""`tradingd health`: how far the model of a run can be believed, from its journal, in full.

Belongs here: recovering the ledger and printing it. What is measured belongs to
`layers.monitoring`, and so are the words for the rule.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import msgspec

from daemon.cli.output import show
from daemon.cli.replays import replayable
from daemon.core.errors import CheckFailed
from daemon.core.events import (
    FeaturesChecked,
    HealthSampled,
    HealthStatus,
    HealthTick,
    ModelActivated,
)
from daemon.core.timeframes import rfc3339
from daemon.layers.monitoring.explaining import (
    Explained,
    checked_in_words,
    drift_lines,
    explain,
    why,
)
from daemon.layers.monitoring.standing import Figures, Standing, standings
from daemon.layers.risk.gates import may_open_unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from daemon.cli.replays import Replayable
    from daemon.config import Settings
    from daemon.core.events import RunOpened
    from daemon.core.instruments import InstrumentId
    from daemon.core.scores import Shift

SYMBOL_COLUMNS = (
    "symbol", "n", "n_eff", "auc", "low", "high", "brier", "slope", "against", "shown", "pending",
)  # fmt: skip
TEXT_COLUMNS = 100
WINDOW_COLUMNS = ("window", "n", "auc", "low", "high", "brier", "log_loss")


def show_health(
    run: str,
    config: Path | None,
    state_dir: Path | None,
    *,
    is_explained: bool,
    as_json: bool,
) -> int:
    """Exit 0, or 4 while the model is critical. What is sampled is the journal as it is now."""
    known = replayable(run, config, state_dir)
    core = known.core(is_resuming=True)
    newest_ns, acted_on, activated = known.opened.ts_ns, None, None
    events = []
    for _, event in known.journal.read():
        events.append(event)
        newest_ns = max(newest_ns, event.ts_ns)
        acted_on = event if isinstance(event, HealthSampled) else acted_on
        activated = event if isinstance(event, ModelActivated) else activated
    core.pipeline.recover(events)
    sampled = next(
        each
        for each in core.pipeline.step(HealthTick(ts_ns=newest_ns)).events
        if isinstance(each, HealthSampled)
    )
    told = standings(core.monitoring)
    words = explain(sampled, activated, known.settings.health, known.opened.timeframe_ns)
    result = _result(known, sampled, acted_on, activated, told)
    checked = next((each for each in reversed(events) if isinstance(each, FeaturesChecked)), None)
    result["features_checked"] = None if checked is None else _checked(checked)
    result["trading"] = list(_trading(sampled, known.settings, known.opened))
    if is_explained:
        result["explained"] = msgspec.to_builtins(words)
    lines = _lines(result, sampled, told, words if is_explained else None)
    show(result, lines, as_json=as_json)
    return CheckFailed.exit_code if sampled.status is HealthStatus.CRITICAL else 0


def _result(
    known: Replayable,
    sampled: HealthSampled,
    acted_on: HealthSampled | None,
    activated: ModelActivated | None,
    told: Sequence[Standing],
) -> dict[str, object]:
    figures = {
        name: value
        for name, value in msgspec.to_builtins(sampled).items()
        if name not in {"type", "ts_ns", "since_ns", "model", "status", "reasons", "symbols"}
    }
    figures["shifts"] = [_shift(each) for each in sampled.shifts]
    figures["psi_worst_instrument"] = _told(sampled.psi_worst_instrument)
    promised = None
    if activated is not None:
        promised = {
            "auc": activated.auc,
            "auc_low": activated.auc_low,
            "auc_high": activated.auc_high,
        }
    return {
        "run": known.run,
        "at": rfc3339(sampled.ts_ns),
        "status": sampled.status.value,
        "reasons": list(sampled.reasons),
        "since": _time(sampled.since_ns),
        "acted_on": None
        if acted_on is None
        else {"status": acted_on.status.value, "at": rfc3339(acted_on.ts_ns)},
        "model": sampled.model,
        "horizon_bars": None if activated is None else activated.horizon_bars,
        "promised": promised,
        **figures,
        "models": [_model(each) for each in told],
    }


def _model(standing: Standing) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(standing)
    for name in ("doubted", "lost", "shown"):
        at = told.pop(f"{name}_ns")
        told[f"{name}_since"] = _time(at if isinstance(at, int) else None)
    told["symbols"] = []
    for each in standing.symbols:
        one = msgspec.to_builtins(each)
        figures = one.pop("figures")
        told["symbols"].append({**one, **figures, "instrument": str(each.instrument)})
    figures = told.pop("figures")
    return {**told, **figures}


def _checked(event: FeaturesChecked) -> dict[str, object]:
    told = {**msgspec.to_builtins(event), "instrument": _told(event.instrument)}
    del told["type"], told["ts_ns"]
    for name in ("from_ns", "until_ns", "close_ns"):
        told[name.removesuffix("_ns")] = _time(told.pop(name) or None)
    return {"at": rfc3339(event.ts_ns), **told, "words": checked_in_words(event)}


def _shift(shift: Shift) -> dict[str, object]:
    return {**msgspec.to_builtins(shift), "instrument": _told(shift.instrument)}


def _told(instrument: InstrumentId | None) -> str | None:
    return None if instrument is None else str(instrument)


def _trading(sampled: HealthSampled, settings: Settings, opened: RunOpened) -> Iterator[str]:
    """What the status does, as this run is configured."""
    if sampled.status is HealthStatus.CRITICAL:
        action = settings.policy.model_critical
        yield "trading is halted: nothing is opened, and a resume lasts until the next sample"
        yield f"what is held: policy.model_critical = {action}; exits go on"
        return
    if sampled.status is HealthStatus.UNKNOWN:
        allowed = settings.risk.trade_unknown_model
        may = may_open_unknown(allowed, is_live=opened.is_real_money)
        yield (
            f"positions are {'opened' if may else 'not opened'} in mode {opened.mode}: "
            f"risk.trade_unknown_model = {allowed}"
        )
        yield f"what is held: policy.model_unknown = {settings.policy.model_unknown}"
        return
    yield "trades as its signals say"
    for each in sampled.symbols:
        if each.is_lost:
            yield f"but opens nothing in {each.instrument}: the skill is lost there"


def _lines(
    result: dict[str, object],
    sampled: HealthSampled,
    told: Sequence[Standing],
    words: Explained | None,
) -> Iterator[str]:
    since = f" since {result['since']}" if result["since"] else ""
    yield f"{sampled.status.value.upper()}{since}  ({result['run']}, as of {result['at']})"
    acted_on = result["acted_on"]
    if isinstance(acted_on, dict) and acted_on["status"] != sampled.status.value:
        yield f"  the daemon still acts on {acted_on['status']}, sampled at {acted_on['at']}"
    reasons = list(why(sampled)) or ["skill was shown, and nothing drifts"]
    yield from _labelled("why", "; ".join(reasons))
    trading = result["trading"]
    assert isinstance(trading, list)
    for line in trading:
        yield from _labelled("trading", line)
    yield from _model_lines(result, sampled)
    for standing in told:
        bars = "bar" if standing.horizon_bars == 1 else "bars"
        name = f"{standing.model}, {standing.horizon_bars} {bars} ahead"
        role = "active" if standing.is_active else "not active"
        yield ""
        yield (
            f"{name} ({role}): {standing.scored} scored, {standing.ties} ties, "
            f"{standing.lost} lost, {standing.pending} pending"
        )
        if standing.symbols:
            limit = standing.symbols[0].evidence_limit
            yield f"  lost in one symbol where `against` reaches {limit:,.0f}"
        yield from _table(SYMBOL_COLUMNS, list(_symbol_rows(standing)))
    if words is not None:
        yield from _explained(words)


def _symbol_rows(standing: Standing) -> Iterator[tuple[object, ...]]:
    """One row per symbol, and one of all where there are several."""
    for each in standing.symbols:
        tested = (each.evidence, each.shown, each.pending)
        yield (str(each.instrument), *_figure_cells(each.figures), *tested)
    if len(standing.symbols) > 1:
        tested = (standing.evidence, standing.shown, standing.pending)
        yield ("all", *_figure_cells(standing.figures), *tested)


def _figure_cells(told: Figures) -> tuple[object, ...]:
    effective = None if told.effective_n is None else round(told.effective_n)
    return (
        told.n, effective, told.auc, told.auc_low, told.auc_high, told.brier,
        told.calibration_slope,
    )  # fmt: skip


def _model_lines(result: dict[str, object], sampled: HealthSampled) -> Iterator[str]:
    promised = result["promised"]
    if isinstance(promised, dict):
        low, high = promised["auc_low"], promised["auc_high"]
        yield f"  promised AUC {promised['auc']:.3f} ({low:.3f} to {high:.3f})"
    against, limit = sampled.evidence or 0.0, sampled.evidence_limit or 0.0
    yield (
        f"  evidence against {against:,.4g} of {limit:,.0f}, "
        f"for {sampled.shown or 0.0:,.4g} of {sampled.shown_limit or 0.0:,.0f} (rule "
        f"{sampled.policy})"
    )
    yield f"  calibration slope {_number(sampled.calibration_slope)}, 1 is calibrated"
    trades = sampled.trades
    net = "unknown"
    if trades.net_ratio is not None:
        net = f"{trades.net_ratio * 1e4:+.1f} bps"
        if trades.net_low is not None and trades.net_high is not None:
            net += f" ({trades.net_low * 1e4:+.1f} to {trades.net_high * 1e4:+.1f})"
    yield (
        f"  traded   {trades.outcomes} calls, hit ratio {_number(trades.hit_ratio)}; "
        f"{trades.round_trips} round trips, net edge {net}"
    )
    for line in drift_lines(sampled.shifts):
        yield from _labelled("drift", line)
    checked = result["features_checked"]
    words = checked["words"] if isinstance(checked, dict) else "no day is over yet"
    yield from _labelled("features", words)
    newest = (
        f"newest {sampled.auc_n}",
        sampled.auc_n,
        sampled.auc,
        sampled.auc_low,
        sampled.auc_high,
        sampled.brier,
        sampled.log_loss,
    )
    by_time = [
        (f"{w.days:g} days", w.n, w.auc, w.auc_low, w.auc_high, w.brier, w.log_loss)
        for w in sampled.windows
    ]
    yield ""
    yield from _table(WINDOW_COLUMNS, [newest, *by_time])


def _explained(words: Explained) -> Iterator[str]:
    yield ""
    yield "the rule"
    yield from _wrapped(words.rule)
    if words.errors:
        yield "how it errs"
        yield from _wrapped(words.errors)
    yield "what would change the status"
    yield from _wrapped(words.changes)


def _labelled(label: str, text: str) -> Iterator[str]:
    first = f"  {label:<8} "
    yield from wrap(text, TEXT_COLUMNS, initial_indent=first, subsequent_indent=" " * len(first))


def _wrapped(sentences: Sequence[str]) -> Iterator[str]:
    for each in sentences:
        yield from wrap(each, TEXT_COLUMNS, initial_indent="  - ", subsequent_indent="    ")


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    cells = [list(columns), *([_cell(each) for each in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    for row in cells:
        first, *others = (f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        yield "  " + "  ".join((f"{first.strip():<{widths[0]}}", *others))


def _cell(value: object) -> str:
    return _number(value) if isinstance(value, float) or value is None else str(value)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if 0.001 <= abs(value) < 100 else f"{value:,.4g}"


def _time(at_ns: int | None) -> str | None:
    return None if at_ns is None else rfc3339(at_ns)
