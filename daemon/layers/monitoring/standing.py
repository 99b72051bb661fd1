"""Where every remembered model stands: from the ledger and the tests to one row per symbol.

Belongs here: what a person asks for. What the daemon acts on is in `HealthSampled`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.instruments import InstrumentId
from daemon.layers.monitoring.figures import window_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.layers.monitoring.handler import Monitoring
    from daemon.layers.monitoring.outcomes import Scored


class SymbolStanding(Struct, frozen=True, kw_only=True):
    """A model in one symbol; the AUC is of the newest outcomes there."""

    instrument: InstrumentId
    n: int
    auc: float | None
    auc_low: float
    auc_high: float
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
    shown: float
    doubted_ns: int | None
    lost_ns: int | None
    shown_ns: int | None
    late: int
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
    symbols = []
    for instrument in sorted({*tests.by_symbol, *pending}):
        skill = window_of(_of(recent, instrument), monitoring.outcomes.block_ns(model)).skill()
        test = tests.of_symbol(instrument)
        symbols.append(
            SymbolStanding(
                instrument=instrument,
                n=skill.n,
                auc=skill.auc,
                auc_low=skill.low,
                auc_high=skill.high,
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
        shown=tests.all.in_favour,
        doubted_ns=tests.all.doubted_ns,
        lost_ns=tests.all.lost_ns,
        shown_ns=tests.all.shown_ns,
        late=tests.all.late,
        symbols=tuple(symbols),
    )


def _of(scored: Iterable[Scored], instrument: InstrumentId) -> list[Scored]:
    return [each for each in scored if each.instrument == instrument]
