"""One decision as text for a terminal: why first, then everything in the order it happened.

Belongs here: the page from its head to the risk. Orders and what came of them belong to
`order_words`, single reasons to `vocabulary`.
"""

from __future__ import annotations

import re
import textwrap
from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core import events as e
from daemon.core.bars import Bar, BarQuality
from daemon.core.instruments import plain
from daemon.core.timeframes import DAY_NS, NS_PER_MS
from daemon.layers.monitoring.explaining import amount, why
from daemon.layers.monitoring.health import HealthReason
from daemon.reports.explaining.facts import feature_places, placed, stored
from daemon.reports.explaining.forms import BPS, moment
from daemon.reports.explaining.order_words import order_lines, outcome_lines
from daemon.reports.explaining.risk_words import judgement_lines
from daemon.reports.explaining.summary import summary
from daemon.reports.explaining.vocabulary import SIGNALLED, SUPPRESSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.layers.signals import Asked
    from daemon.reports.explaining.facts import Happenings, Placed, Told

INDENT = "  "
TEXT_MAX = 80  # of what a log line says in a whole sentence
RULES = {
    "routed": "decided on this exchange's bar",
    "not_finite": "a probability",
    "duplicate_bar": "last signal before this bar",
    "stale_bar": "seconds after the close",
    "no_model": "a model",
    "model_too_old": "days since the last label",
    "low_confidence": "confidence",
    "opposite": "held, and wanted",
    "short_not_allowed": "direction",
    "too_soon": "bars since the last signal",
    "below_cost": "edge after costs",
}


def lines(told: Told, width: int) -> Iterator[str]:
    """The whole page, wrapped to the width."""
    for section, rows in _sections(told):
        body = [row for row in rows if row]
        if not body:
            continue
        if section:
            yield ""
            yield section
        for row in body:
            yield from _wrapped(row, width, INDENT if section else "")


def _wrapped(row: str, width: int, indent: str) -> Iterator[str]:
    own = row[: len(row) - len(row.lstrip())]
    hanging = indent + own + INDENT
    found = textwrap.wrap(
        row.strip(), width, initial_indent=indent + own, subsequent_indent=hanging,
        break_long_words=False, break_on_hyphens=False, drop_whitespace=True,
        replace_whitespace=False,
    )  # fmt: skip
    yield from (found if len(indent + row) > width else [indent + row])


def _sections(told: Told) -> Iterator[tuple[str, Iterable[str]]]:
    yield "", _head(told)
    yield "WHY", summary(told)
    yield "BAR", _bar(told)
    yield "FEATURES", _features(told)
    yield "MODEL", _model(told)
    yield "SIGNAL", _signal(told)
    yield "RISK", judgement_lines(told)
    yield "ORDERS", order_lines(told)
    yield "OUTCOME", outcome_lines(told)
    yield "AROUND IT", _around(told)
    yield "RECOMPUTED", _recomputed(told)


def _head(told: Told) -> Iterator[str]:
    found = told.evidence
    name = f"{found.instrument.symbol} on {found.instrument.exchange}"
    yield f"{name}, {found.run.timeframe} bar closed {moment(found.close_ns)} UTC"
    yield f"trace {found.trace}, {told.because}"
    yield ", ".join(each for each in (f"run {told.run}", told.mode, told.label) if each)


def _bar(told: Told) -> Iterator[str]:
    found, bar = told.evidence, told.evidence.bar
    if bar is None:
        yield "no bar of this slot is in the journal"
    else:
        prices = f"open {bar.open!r}, high {bar.high!r}, low {bar.low!r}, close {bar.close!r}"
        yield f"{prices}, volume {bar.volume!r} {found.listed.base}"
        late_ms = (bar.received_ns - bar.close_ns) // NS_PER_MS
        yield f"told by {bar.source} {late_ms} ms after its close; {', '.join(_quality(told, bar))}"
    for each in found.late_bars:
        yield (
            f"revised later by {each.bar.source}: close {each.was.close!r} became "
            f"{each.bar.close!r}, volume {each.was.volume!r} became {each.bar.volume!r}; "
            "the decision stands"
        )
    for refused in found.rejected:
        yield f"also told of this slot and not believed ({refused.reason}): {refused.detail}"
    yield _window(told)


def _quality(told: Told, bar: Bar) -> Iterator[str]:
    yield {
        BarQuality.OK: "nothing wrong with it",
        BarQuality.NO_TRADES: "nobody traded in it",
        BarQuality.REVISED: "a revised bar",
    }[bar.quality]
    if bar.suspicion is not None:
        yield f"hard to believe ({bar.suspicion}), and confirmed by a second read"
    if not bar.is_final:
        yield "over only because the next one began"
    told_of_store = {
        "same": "stored as it was decided on",
        "different": "THE STORE NOW HOLDS OTHER NUMBERS",
        "absent": "not in the store any more",
        "unknown": "",
    }[stored(told)]
    if told_of_store:
        yield told_of_store


def _window(told: Told) -> str:
    found = told.evidence
    length_ns = found.run.timeframe_ns
    since_ns = found.close_ns - told.lookback * length_ns
    holes = [
        f"{each.count} from {moment(each.first_open_ns)} ({each.cause})"
        for each in found.missed
        if each.first_open_ns + each.count * length_ns > since_ns
    ]
    window = f"its features read the last {told.lookback} bars"
    return f"{window}; missing: {', '.join(holes)}" if holes else f"{window}: no hole in them"


def _features(told: Told) -> Iterator[str]:
    refused = told.evidence.features
    if isinstance(refused, e.FeaturesRefused):
        yield f"none: {SUPPRESSED[e.SuppressReason(refused.reason.value)]}"
    rows = feature_places(told)
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, value, place in rows:
        yield f"{name:<{width}} {value:>14.6g}  {_place_text(place)}"


def _place_text(place: Placed | None) -> str:
    return "no reference of the training is known" if place is None else str(place)


def _model(told: Told) -> Iterator[str]:
    found, model = told.evidence, told.evidence.model
    if model is None:
        yield "none was in use"
        return
    age = (found.close_ns - model.trained_through_ns) / DAY_NS
    since = "" if found.model_since_ns is None else f", in use since {moment(found.model_since_ns)}"
    yield f"{model.model}{since}"
    yield (
        f"taught with labels that ended {moment(model.trained_through_ns)}, {age:.1f} days before; "
        f"horizon {model.horizon_bars} bars; AUC of the training {model.auc:.3f} "
        f"({model.auc_low:.3f} to {model.auc_high:.3f})"
    )
    yield f"health at the bar: {_health(found.health, model.model)}"
    if found.sampled is not None:
        yield f"and after it: {_health(found.sampled, found.sampled.model)}"
    yield from _probability(told)
    for name, row in found.shadows.items():
        yield f"in shadow, and nothing was decided on it: {name} said {row.probability_up:.4f} up"
    yield from _happenings(told.life)


def _health(sample: e.HealthSampled | None, model: str) -> str:
    if sample is None:
        return "never sampled before it, so unknown"
    if sample.model != model:
        return f"of this model never sampled, so unknown; {sample.model} was {sample.status}"
    reasons = "; ".join(why(sample))
    told = f": {reasons}" if reasons else ""
    return f"{sample.status}{told}{_skill(sample)}; sampled {moment(sample.ts_ns)}"


def _skill(sample: e.HealthSampled) -> str:
    skill = "" if sample.auc is None else f"; AUC {sample.auc:.3f} of {sample.auc_n} outcomes"
    if sample.auc_low is not None and sample.auc_high is not None:
        skill += f" ({sample.auc_low:.3f} to {sample.auc_high:.3f})"
    is_told = {HealthReason.SKILL_LOST, HealthReason.SKILL_DOUBTFUL} & set(sample.reasons)
    if sample.evidence is not None and sample.evidence_limit is not None and not is_told:
        against, limit = sample.evidence, sample.evidence_limit
        skill += f"; evidence of lost skill {amount(against)}, limit {amount(limit)}"
    return skill


def _probability(told: Told) -> Iterator[str]:
    row = told.evidence.prediction
    if row is None:
        return
    if isinstance(row, e.FeaturesRefused):
        yield f"no probability: {SUPPRESSED[e.SuppressReason(row.reason.value)]}"
        return
    yield (
        f"probability of up: raw {row.raw_probability_up:.4f}, calibrated "
        f"{row.probability_up:.4f} +- {row.standard_error:.4f} (one standard error)"
    )
    if told.manifest is not None:
        place = placed(told.manifest.reference_probability, row.probability_up)
        yield f"that is {_place_text(place)}"


def _signal(told: Told) -> Iterator[str]:
    found, seen = told.evidence, told.recomputed.seen
    for suppressed in found.suppressed:
        yield f"none ({suppressed.reason}): {SUPPRESSED[suppressed.reason]}"
    for signal in found.signals:
        yield f"{signal.direction} ({signal.reason}): {SIGNALLED[signal.reason]}"
    if seen is None:
        return
    if seen.desired is not None:
        until = seen.desired.expires_ns
        expiry = "" if until is None else f", until {moment(until)}"
        asked = f"{seen.desired.direction} at {moment(seen.desired.close_ns)}{expiry}"
        yield f"before it: {seen.held or 'nothing'} held; the last signal asked for {asked}"
    for each in seen.asked:
        yield _rule(each)
    if seen.weighing is not None and any(each.rule == "below_cost" for each in seen.asked):
        yield from _weighing(told)


def _rule(asked: Asked) -> str:
    if asked.rule == "below_cost":
        value, limit = (f"{float(each) * BPS:.2f} bps" for each in (asked.value, asked.limit))
    else:
        value, limit = (_number(each) for each in (asked.value, asked.limit))
    mark = "ok" if asked.is_met else "NO"
    held = f"limit {limit}" if limit else ""
    return f"{mark}  {RULES[asked.rule]:<30} {value:<24} {held}".rstrip()


def _number(value: float | str) -> str:
    return _time(value) if isinstance(value, str) else f"{value:.6g}"


def _time(text: str) -> str:
    """Times as everywhere on the page."""
    return re.sub(r"(\d{4}-\d\d-\d\d)T([\d:]+)(\.000)?(\.\d+)?Z", r"\1 \2\4", text)


def _weighing(told: Told) -> Iterator[str]:
    seen = told.recomputed.seen
    assert seen is not None, "asked before"
    assert seen.weighing is not None, "asked before"
    known = seen.weighing
    win, loss = known.payoff.win_ratio * BPS, known.payoff.loss_ratio * BPS
    won = f"{known.win_probability:.4f} x {win:.2f} bps won"
    lost = f"{1 - known.win_probability:.4f} x {loss:.2f} bps lost"
    cost = (
        "no costs, since it is held already"
        if known.is_held
        else f"{known.cost_ratio * BPS:.2f} bps costs of the round trip with margin"
    )
    yield (
        f"    {won} - {lost} = {known.gross_ratio * BPS:.2f} bps; less {cost} = "
        f"{known.edge_ratio * BPS:.2f} bps (probability one standard error nearer to one half; "
        f"payoffs of {known.payoff.n} trades out of sample)"
    )


def _around(told: Told) -> Iterator[str]:
    found = told.evidence
    for halt in found.halts.values():
        yield f"halted at the time: {halt.reason} since {moment(halt.ts_ns)}: {halt.detail}"
    yield from _happenings(told.happened)


def _happenings(told: Happenings) -> Iterator[str]:
    for when, rows in told.items():
        for at, name, fields in rows:
            yield _time(f"{when:<13} {at}  {name} {_fields(fields)}").rstrip()


def _fields(fields: dict[str, object]) -> str:
    shown = {
        name: value
        for name, value in fields.items()
        if value not in (None, "", [], {}) and name not in {"exchange", "symbol", "at", "trace"}
    }
    return " ".join(f"{name}={_plain(value)}" for name, value in shown.items())


def _plain(value: object) -> str:
    """Cut where it is a whole text: JSON has all of it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    text = plain(value) if isinstance(value, Decimal) else str(value)
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX].rstrip()}..."


def _recomputed(told: Told) -> Iterator[str]:
    known = told.recomputed
    is_other = known.recorded_by not in {"", known.code}
    by = f"; recorded by {known.recorded_by}" if is_other else ""
    if known.seen is None:
        yield f"not recomputed: {known.why_not}; numbers above are the journal's alone"
    elif known.difference is None:
        steps = "this step" if known.steps == 1 else f"these {known.steps} steps"
        yield f"identical: code {known.code} decides {steps} the same, bit for bit{by}"
    else:
        yield (
            f"DIFFERENT: code {known.code} does not decide this as the journal says{by}. Gates, "
            "rules and sizes above are of the recomputation, all else is of the journal"
        )
        parts = known.difference
        yield (
            f"step {parts['step']}, {parts['event']}.{parts['field']}: recorded "
            f"{parts['recorded']}, recomputed {parts['recomputed']}"
        )
