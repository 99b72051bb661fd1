"""Where every remembered model stands: from the ledger and the tests to one row per symbol.

Belongs here: what a person asks for. What the daemon acts on is in `HealthSampled`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.instruments import InstrumentId
from daemon.layers.monitoring.figures import window_of
from daemon.layers.monitoring.skill import brier, calibration_slope, log_loss

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.layers.monitoring.handler import Monitoring
    from daemon.layers.monitoring.outcomes import Scored


class Figures(Struct, frozen=True, kw_only=True):
    """Of the newest outcomes; `effective_n` independent ones would tell as much of the AUC."""

    n: int
    effective_n: float | None
    auc: float | None
    auc_low: float
    auc_high: float
    brier: float | None
    log_loss: float | None
    calibration_slope: float | None


class SymbolStanding(Struct, frozen=True, kw_only=True):
    """A model in one symbol."""

    instrument: InstrumentId
    figures: Figures
    evidence: float
    evidence_limit: float
    shown: float
    is_lost: bool
    pending: int


class Standing(Struct, frozen=True, kw_only=True):
    """A model over all symbols; counts are since it was first used."""

    model: str
    is_active: bool
    horizon_bars: int
    scored: int
    ties: int
    lost: int
    pending: int
    evidence: float
    evidence_limit: float
    shown: float
    doubted_ns: int | None
    lost_ns: int | None
    shown_ns: int | None
    late: int
    figures: Figures
    symbols: tuple[SymbolStanding, ...]


def standings(monitoring: Monitoring) -> list[Standing]:
    """The active model first, then the others, those used last before those used long ago."""
    models = reversed(monitoring.outcomes.models())
    told = [_standing(monitoring, model) for model in models]
    return sorted(told, key=lambda each: not each.is_active)


def _standing(monitoring: Monitoring, model: str) -> Standing:
    scores, tests = monitoring.outcomes.scores(model), monitoring.evidence.of(model)
    pending, rules = monitoring.outcomes.pending(model), monitoring.rules
    limit = tests.limit(rules)
    recent = list(scores.recent)[-monitoring.window_outcomes :]
    block_ns, symbols = monitoring.outcomes.block_ns(model), []
    for instrument in sorted({*tests.by_symbol, *pending}):
        test = tests.of_symbol(instrument)
        symbols.append(
            SymbolStanding(
                instrument=instrument,
                figures=_figures(_of(recent, instrument), block_ns),
                evidence=test.against,
                evidence_limit=limit,
                shown=test.in_favour,
                is_lost=test.against >= limit,
                pending=pending[instrument],
            )
        )
    return Standing(
        model=model,
        is_active=model == monitoring.model,
        horizon_bars=scores.horizon_bars,
        scored=scores.scored,
        ties=scores.ties,
        lost=scores.lost,
        pending=sum(pending.values()),
        evidence=tests.all.against,
        evidence_limit=rules.limit,
        shown=tests.all.in_favour,
        doubted_ns=tests.all.doubted_ns,
        lost_ns=tests.all.lost_ns,
        shown_ns=tests.all.shown_ns,
        late=tests.all.late,
        figures=_figures(recent, block_ns),
        symbols=tuple(symbols),
    )


def _figures(scored: Iterable[Scored], block_ns: int) -> Figures:
    window = window_of(scored, block_ns)
    skill = window.skill()
    return Figures(
        n=skill.n,
        effective_n=skill.effective_n,
        auc=skill.auc,
        auc_low=skill.low,
        auc_high=skill.high,
        brier=brier(window.probabilities, window.outcomes),
        log_loss=log_loss(window.probabilities, window.outcomes),
        calibration_slope=calibration_slope(window.probabilities, window.outcomes),
    )


def _of(scored: Iterable[Scored], instrument: InstrumentId) -> list[Scored]:
    return [each for each in scored if each.instrument == instrument]
