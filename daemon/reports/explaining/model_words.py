"""What happened to a model, or to the trust in it, as a sentence: from one event to words.

Belongs here: sentences. Which events are told, and in which order, belongs to `story`; single
reasons belong to `vocabulary`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core import events as e
from daemon.layers.monitoring.explaining import REASONS, amount, why
from daemon.reports.explaining.forms import moment, signed
from daemon.reports.explaining.vocabulary import DROPPED, HALTED, RETRAINED, SWAPPED

if TYPE_CHECKING:
    from daemon.core.events import Comparison

BY_RULE = "rule"


def halted(event: e.TradingHalted) -> str:
    """Why trading was halted, with the number that decided and its limit."""
    why_not = "; ".join(REASONS.get(each, each) for each in event.detail.split("; "))
    numbers = [amount(each) for each in (event.value, event.limit) if each is not None]
    told = f" ({', limit '.join(numbers)})" if numbers else ""
    return f"{HALTED[event.reason]}: {why_not}{told}"


def compared(known: Comparison | None) -> str:
    """What was known of a model in shadow; an operator may ask before anything is."""
    if known is None:
        return ""
    return (
        f" ({known.bars} bars in shadow; {signed(known.score_gain, 4)} nats a prediction over "
        f"{known.other} on {known.pairs} of both, evidence {known.evidence:.3g}; "
        f"{signed(known.chance_gain, 4)} over a constant, evidence {known.evidence_skill:.3g})"
    )


def swapped(event: e.ModelPromoted | e.ModelRolledBack) -> str:
    """Why another model took over, and what was known of it."""
    detail = f" ({event.detail})" if event.detail else ""
    return f"{SWAPPED[event.reason]}{compared(event.comparison) or detail}"


def first_sentence(verdict: str) -> str:
    """Of a verdict, which goes on with all its numbers: those are in the log and with the model."""
    return verdict.split(". ", maxsplit=1)[0].removesuffix(".")


def passed(event: e.CandidateTrained, asked: e.RetrainingOpened | None) -> str:
    because = "a new model was asked for"
    if asked is not None:
        because = f"since {RETRAINED[asked.reason]}, {because}"
    held = event.held_out
    return (
        f"{because}: {event.model} passed on bars it was not made of, AUC {held.auc:.3f} "
        f"({held.auc_low:.3f} to {held.auc_high:.3f}). {first_sentence(event.verdict)}"
    )


def activated(event: e.ModelActivated) -> str:
    return (
        f"{event.model} decides from here on: taught with labels that ended "
        f"{moment(event.trained_through_ns)}, AUC of the training {event.auc:.3f} "
        f"({event.auc_low:.3f} to {event.auc_high:.3f})"
    )


def sampled(event: e.HealthSampled) -> str:
    skill = "" if event.auc is None else f"; AUC {event.auc:.3f} of {event.auc_n} outcomes"
    known = {
        e.HealthStatus.HEALTHY: "is healthy: its skill was shown, and nothing drifts",
        e.HealthStatus.UNKNOWN: "is of unknown health",
        e.HealthStatus.WARNING: "asks to be looked at (warning)",
        e.HealthStatus.CRITICAL: "must not be believed any more (critical)",
    }[event.status]
    reasons = "; ".join(why(event))
    return f"{event.model or 'the model'} {known}{f': {reasons}' if reasons else ''}{skill}"


def challenges(event: e.ChallengerOpened) -> str:
    return f"{event.model} predicts in shadow from here on, beside {event.champion}"


def dropped(event: e.ChallengerDropped) -> str:
    return f"{event.model} was dropped: {DROPPED[event.reason]}{compared(event.comparison)}"


def promoted(event: e.ModelPromoted) -> str:
    return f"{event.model} took over from {event.replaced}{_by(event.who)}: {swapped(event)}"


def came_back(event: e.ModelRolledBack) -> str:
    return (
        f"{event.model} came back in the place of {event.replaced}{_by(event.who)}: "
        f"{swapped(event)}"
    )


def _by(who: str) -> str:
    return "" if who in {"", BY_RULE} else f", asked for by {who}"


def proposed(event: e.PromotionProposed) -> str:
    return (
        f"{event.model} should take over from {event.champion}: {SWAPPED[event.reason]}"
        f"{compared(event.comparison)}; tradingd models promote {event.model} would do it"
    )


def stays(event: e.WatchEnded) -> str:
    return (
        f"{event.active} stays: {event.model} is not watched any more{compared(event.comparison)}"
    )


def stopped(event: e.TradingHalted) -> str:
    return f"trading was halted: {halted(event)}. Nothing new is opened, exits go on"


def resumed(event: e.TradingResumed) -> str:
    return f"trading was resumed by {event.who}: {event.reason}"


def probation(event: e.TradingStateChanged) -> str:
    if event.state is not e.TradingState.ACTIVE or not event.probation_trades:
        return ""
    return f"trading goes on with small entries until {event.probation_trades} trades are closed"
