"""Says the rule of health in words: from its settings, a sample and what was measured to sentences.

Belongs here: what the rule asks, how often it errs, and what would change its answer. What the
answer does to trading belongs to whoever knows the rest of the configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import HealthStatus
from daemon.core.timeframes import DAY_NS, rfc3339
from daemon.layers.monitoring.health import HealthReason
from daemon.layers.monitoring.measured import Delay, Measured, nearest
from daemon.layers.monitoring.sequential import DOUBT_SHARE, Rules, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from daemon.config import HealthSection
    from daemon.core.events import FeaturesChecked, HealthSampled, ModelActivated
    from daemon.core.scores import Shift


class Explained(Struct, frozen=True):
    """The rule, how often it is wrong, how late it is right, and what would change the status."""

    rule: tuple[str, ...]
    errors: tuple[str, ...]
    changes: tuple[str, ...]
    measured: Measured | None


def explain(
    sampled: HealthSampled, model: ModelActivated | None, config: HealthSection, timeframe_ns: int
) -> Explained:
    """In words, for this model as it was sampled."""
    rules = rules_of(config)
    row = None
    if model is not None:
        symbols = max(len(sampled.symbols), 1)
        row = nearest(config.policy, model.horizon_bars, model.auc, symbols)
    return Explained(
        rule=(*_rule(config, rules), *_drift_rule(config)),
        errors=() if row is None else tuple(_errors(row, timeframe_ns)),
        changes=tuple(_changes(sampled, config, rules)),
        measured=row,
    )


REASONS: Mapping[str, str] = {
    HealthReason.NO_MODEL: "there is no model",
    HealthReason.NO_ANSWER: "it gives no probability any more",
    HealthReason.TOO_FEW_OUTCOMES: "too few outcomes are known",
    HealthReason.ONE_CLASS: "all outcomes so far went the same way",
    HealthReason.SKILL_LOST: "the skill it promised is lost",
    HealthReason.SKILL_DOUBTFUL: "the skill it promised is in doubt",
    HealthReason.SKILL_NOT_SHOWN: "its skill is not shown yet",
    HealthReason.SYMBOL_SKILL_LOST: "its skill is lost in single symbols",
    HealthReason.FEATURE_DRIFT: "what it is fed has left its place",
    HealthReason.PREDICTION_DRIFT: "what it says has left its place",
    HealthReason.NO_REFERENCE: "nobody knows what was usual in its training",
    HealthReason.TOO_FEW_ROWS: "there are too few rows to measure drift",
}


JUDGED: Mapping[str, str] = {
    "auc_window": "upper end of the AUC's interval",
    "last_n": "AUC of the last outcomes",
}


def amount(units: float | None) -> str:
    """Of evidence, which may be next to nothing or very large."""
    known = units or 0.0
    return f"{known:,.0f}" if known >= 1_000 else f"{known:.4g}"


def why(sampled: HealthSampled) -> Iterator[str]:
    """Each reason of a sample in words, with the number that decided."""
    for reason in sampled.reasons:
        numbers = _deciding(sampled, reason)
        yield REASONS.get(reason, reason) + (f" ({numbers})" if numbers else "")


def _deciding(sampled: HealthSampled, reason: str) -> str:
    """The number behind a reason, where there is one."""
    is_tested = sampled.policy == "sequential"
    skill = "" if sampled.auc is None else f"AUC {sampled.auc:.3f}"
    lost = skill
    if sampled.policy in JUDGED and sampled.judged is not None:
        lost = f"{JUDGED[sampled.policy]} {sampled.judged:.3f}, limit {sampled.judged_limit}"
    against = f"evidence {amount(sampled.evidence)}, limit {amount(sampled.evidence_limit)}"
    shown = f"evidence {amount(sampled.shown)} of {amount(sampled.shown_limit)}"
    numbers = {
        HealthReason.TOO_FEW_OUTCOMES: f"{sampled.auc_n}",
        HealthReason.SKILL_LOST: against if is_tested else lost,
        HealthReason.SKILL_DOUBTFUL: against if is_tested else skill,
        HealthReason.SKILL_NOT_SHOWN: shown if is_tested else skill,
        HealthReason.FEATURE_DRIFT: _farthest(sampled, is_fed=True),
        HealthReason.PREDICTION_DRIFT: _farthest(sampled, is_fed=False),
    }
    return {each.value: text for each, text in numbers.items()}.get(reason, "")


def _farthest(sampled: HealthSampled, *, is_fed: bool) -> str:
    """The feature, or the prediction, that has drifted most; the worst are told first."""
    drifted = (each for each in sampled.shifts if each.is_drift)
    shift = next((each for each in drifted if (each.feature is not None) is is_fed), None)
    if shift is None:
        return ""
    return f"PSI of {shift.what} {shift.psi:.3f}, {_limit(shift.psi_limit)}"


def _rule(config: HealthSection, rules: Rules) -> Iterator[str]:
    if config.policy == "auc_window":
        yield (
            f"auc_window: CRITICAL when the whole 95 % interval of the AUC over the last "
            f"{config.window_outcomes} outcomes is below 0.5, WARNING when it holds 0.5"
        )
        return
    if config.policy == "last_n":
        yield (
            f"last_n: CRITICAL when the AUC of the last {config.last_n} outcomes is below 0.5, "
            "else HEALTHY"
        )
        return
    kept = f"{config.skill_kept_ratio:.0%}"
    yield (
        "sequential: every week somebody comes with one unit and bets that the model has less "
        f"than {kept} of the skill its probabilities promise. While it has that, no bet wins on "
        "average"
    )
    yield (
        f"when all of them own {rules.limit:,.0f} units the skill is lost: CRITICAL. That happens "
        f"to at most {config.false_alarm_ratio:.0%} of models that keep {kept} of their promise, "
        f"within {config.false_alarm_days} days; at {rules.limit * DOUBT_SHARE:,.0f} there is a "
        "WARNING"
    )
    yield (
        "somebody else bets for the model, with one unit in all, against its being no better than "
        f"a constant. When he owns {rules.shown_limit:,.0f} the skill is shown, which happens to "
        f"at most {config.false_health_ratio:.0%} of models that have none, ever"
    )


def checked_in_words(event: FeaturesChecked) -> str:
    """What the newest nightly check of the feature rows has found."""
    when = rfc3339(event.ts_ns)
    if event.error:
        return f"could not be checked at {when}: {event.error}"
    revised = f", {event.revised} more read a bar that was revised since" if event.revised else ""
    if not event.differing:
        return f"{event.rows} rows are those of the stored bars, to the bit, at {when}{revised}"
    return (
        f"{event.differing} of {event.rows} rows are NOT those of the stored bars, at {when}: "
        f"first {event.feature} of {event.instrument} at {rfc3339(event.close_ns or 0)}, fed "
        f"{event.live!r}, stored {event.stored!r}{revised}"
    )


def drift_lines(shifts: Iterable[Shift]) -> Iterator[str]:
    """A line for each that is told, the worst first."""
    for each in sorted(shifts, key=lambda one: (one.is_drift, one.is_disputed), reverse=True):
        word = "DRIFT" if each.is_drift else "disputed" if each.is_disputed else "as usual"
        yield (
            f"{word}: {each.what}, PSI {each.psi:.3f} ({_limit(each.psi_limit)}), "
            f"KS {each.ks:.3f} ({_limit(each.ks_limit)}), {each.n} rows"
        )


def _limit(limit: float | None) -> str:
    return "no limit known" if limit is None else f"limit {limit:.3f}"


def _drift_rule(config: HealthSection) -> Iterator[str]:
    yield (
        f"drift: the newest rows, at most {config.window_outcomes} of each symbol and at least "
        f"{config.drift_rows_min}, are compared with training's. WARNING when the PSI of a feature "
        f"or of the prediction, in one symbol or in all together, is above {config.psi_warn:g} and "
        "above what chance reaches in so many rows in a row, and its KS distance is above what "
        "chance reaches; where only one of them is, it is told as disputed and nothing comes of it"
    )
    yield (
        "what chance reaches is measured on the model's own training rows, for all features and "
        "symbols together: while nothing has changed, about one look of a hundred finds any "
        "beyond it (make soak SOAK=drift)"
    )


def _errors(row: Measured, timeframe_ns: int) -> Iterator[str]:
    yield (
        f"measured on {row.seeds} simulated models of {row.symbols} symbols with an AUC of "
        f"{row.auc:.2f} over {row.horizon_bars} bars, hourly (make soak SOAK=skill)"
    )
    yield (
        f"false alarms: {row.alarms_ratio:.1%} of those that hold their promise were CRITICAL "
        f"within a year, and {row.alarms_kept_ratio:.1%} of those that hold three quarters of it"
    )
    yield f"delay when the edge dies: {_delay(row.dies, timeframe_ns)}"
    yield f"delay when it turns into its opposite: {_delay(row.turns, timeframe_ns)}"
    if row.shown is not None and row.shown_wrongly_ratio is not None:
        yield (
            f"skill is shown after: {_delay(row.shown, timeframe_ns)}; of models without any, "
            f"{row.shown_wrongly_ratio:.1%} were ever shown to have some"
        )


def _delay(delay: Delay, timeframe_ns: int) -> str:
    if delay.median_bars is None:
        return f"in {delay.found_ratio:.0%} of cases within 6,760 bars, so mostly never"
    late = "more than 6,760 bars" if delay.late_bars is None else f"{delay.late_bars:,} bars"
    days = delay.median_bars * timeframe_ns / DAY_NS
    found = "" if delay.found_ratio >= 1 else f" ({delay.found_ratio:.0%} within 6,760 bars)"
    return f"{delay.median_bars:,} bars in the median, {days:,.1f} days; nine of ten {late}{found}"


def _changes(sampled: HealthSampled, config: HealthSection, rules: Rules) -> Iterator[str]:
    reasons = set(sampled.reasons)
    if HealthReason.NO_MODEL in reasons:
        yield "a model"
    if HealthReason.NO_ANSWER in reasons:
        yield "a probability: see in the log why its process ends, then start the daemon anew"
    if HealthReason.TOO_FEW_OUTCOMES in reasons:
        needed = config.last_n if config.policy == "last_n" else config.min_resolved
        yield f"{needed - sampled.auc_n} more outcomes, until there are {needed}"
    if HealthReason.ONE_CLASS in reasons:
        yield "outcomes of both kinds: all so far went the same way"
    if config.policy == "sequential":
        yield from _changes_of_evidence(sampled, rules)
    if {HealthReason.FEATURE_DRIFT, HealthReason.PREDICTION_DRIFT} & reasons:
        yield "features and predictions that are distributed again as in training, or a new model"
    if {HealthReason.NO_REFERENCE, HealthReason.TOO_FEW_ROWS} & reasons:
        yield "enough rows to measure drift, and a model that says what was usual in training"
    if HealthReason.SYMBOL_SKILL_LOST in reasons:
        yield "in the symbols named lost: evidence that falls below their limit, or a new model"


def _changes_of_evidence(sampled: HealthSampled, rules: Rules) -> Iterator[str]:
    against, shown = amount(sampled.evidence), amount(sampled.shown)
    doubt, limit = amount(rules.limit * DOUBT_SHARE), amount(rules.limit)
    if sampled.skill_lost:
        yield f"to better: evidence against it that falls from {against} below {doubt}"
        yield "or a new model; a resume alone does not help, for the next sample halts again"
        return
    if HealthReason.SKILL_NOT_SHOWN in sampled.reasons:
        needed = amount(rules.shown_limit)
        yield f"to better: evidence for it that grows from {shown} to {needed}"
    if sampled.status is not HealthStatus.WARNING:
        yield f"to WARNING: evidence against it that grows from {against} to {doubt}"
    yield f"to CRITICAL: evidence against it that grows from {against} to {limit}"
