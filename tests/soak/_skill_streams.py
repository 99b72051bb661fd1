"""Makes probabilities and outcomes of models whose skill is known, and asks each rule about them.

A hidden lean of every symbol moves slowly, and each bar's return is drawn around it, so that the
best possible probability of the return over the horizon is known exactly; that is what the model
says. Leans and returns of several symbols move together, returns over overlapping horizons share
bars, and volatility has regimes. What becomes of the skill is a factor on the lean that returns are
drawn around: 1 holds what the model says, 0 is no skill, -1 the opposite.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from daemon.config import HealthSection
from daemon.core.events import HealthStatus
from daemon.core.timeframes import HOUR_NS
from daemon.layers.monitoring.health import BySkill, by_evidence, by_interval, by_last
from daemon.layers.monitoring.outcomes import BLOCK_HORIZONS
from daemon.layers.monitoring.sequential import SkillTest, rules_of
from daemon.layers.monitoring.skill import auc, auc_with_interval

YEAR_BARS = 8_760
LASTING = 0.8  # of a lean, from bar to bar
LEANS_SHARED = 0.5
RETURNS_SHARED = 0.7
CHANGE_BAR = 2_000

Floats = NDArray[np.float64]


class Fate(StrEnum):
    """What becomes of the skill."""

    HOLDS = "holds"
    THREE_QUARTERS = "three_quarters"  # is so much of the promised one all the time
    NEVER = "never"  # was there
    DIES = "dies"
    TURNS = "turns"


FACTORS = {
    Fate.HOLDS: 1.0,
    Fate.THREE_QUARTERS: 0.75,
    Fate.NEVER: 0.0,
    Fate.DIES: 0.0,
    Fate.TURNS: -1.0,
}
CHANGES = frozenset({Fate.DIES, Fate.TURNS})


@dataclass(frozen=True, slots=True)
class Kind:
    """A model: its promised AUC, its horizon, and how many symbols it speaks of every hour."""

    auc: float
    horizon: int
    symbols: int


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Probabilities and outcomes (bars, symbols) of hourly bars."""

    chance_up: Floats
    outcome: NDArray[np.int64]


def stream(kind: Kind, fate: Fate, seed: int, bars: int = YEAR_BARS) -> Stream:
    """The same seed gives the same leans and noise for every fate."""
    rng = np.random.default_rng(seed)
    strength = strength_of(kind)
    shape = bars + kind.horizon, kind.symbols
    lean = _shared(rng, shape, LEANS_SHARED)
    for bar in range(1, len(lean)):
        lean[bar] = LASTING * lean[bar - 1] + math.sqrt(1.0 - LASTING**2) * lean[bar]
    factor = np.full((shape[0], 1), FACTORS[fate])
    if fate in CHANGES:
        factor[:CHANGE_BAR] = 1.0
    wild = np.exp(np.repeat(rng.normal(0.0, 0.5, -(-shape[0] // 200)), 200)[: shape[0], None])
    returns = wild * (strength * factor * lean + _shared(rng, shape, RETURNS_SHARED))
    path = np.vstack((np.zeros(kind.symbols), np.cumsum(returns, axis=0)))
    rises = path[kind.horizon : kind.horizon + bars] > path[:bars]
    return Stream(_chance(lean[:bars], strength, kind.horizon), rises.astype(np.int64))


@cache
def strength_of(kind: Kind) -> float:
    """How far returns lean so that the best possible probability has this AUC."""
    leans = np.random.default_rng(0).normal(size=20_000)
    low, high = 0.0, 3.0
    for _ in range(40):
        middle = (low + high) / 2
        sorted_ = np.sort(_chance(leans, middle, kind.horizon))
        n, usual = len(sorted_), float(sorted_.mean())
        apart = float((2 * np.arange(1, n + 1) - n - 1) @ sorted_) * 2 / n**2  # mean |p - p'|
        if 0.5 + apart / (4 * usual * (1 - usual)) < kind.auc:
            low = middle
        else:
            high = middle
    return low


def first_critical(
    told: Stream, kind: Kind, config: HealthSection, policies: Sequence[str], from_bar: int = 0
) -> dict[str, int | None]:
    """The bar of the first sample after `from_bar` that is CRITICAL, by rule, None if none is.

    A rule that is CRITICAL before is asked on, as if somebody had resumed.
    """
    found: dict[str, int | None] = dict.fromkeys(policies)
    rules, test = rules_of(config), SkillTest(block_ns(kind))
    every, window = config.sample_every_bars, config.window_outcomes
    for bar, (chances, outcomes) in enumerate(
        zip(told.chance_up.tolist(), told.outcome.tolist(), strict=True)
    ):
        due = bar + kind.horizon
        for chance, outcome in zip(chances, outcomes, strict=True):
            test.add(rules, due * HOUR_NS, bar * HOUR_NS, chance, outcome)
        if due % every or due <= from_bar:
            continue
        first = max(0, bar + 1 - -(-window // kind.symbols))
        for policy in policies:
            if found[policy] is None:
                seen = _seen(told, kind, first, bar + 1)
                status, _ = _judged(policy, test, seen, config)
                found[policy] = due if status is HealthStatus.CRITICAL else None
        if None not in found.values():
            break
    return found


def block_ns(kind: Kind) -> int:
    return HOUR_NS * (1 if kind.horizon == 1 else kind.horizon * BLOCK_HORIZONS)


def _seen(
    told: Stream, kind: Kind, first: int, end: int
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    chances, outcomes = told.chance_up[first:end].ravel(), told.outcome[first:end].ravel()
    closes = np.repeat(np.arange(first, end) * HOUR_NS, kind.symbols)
    return chances, outcomes, closes // block_ns(kind)


def _judged(
    policy: str,
    test: SkillTest,
    seen: tuple[Floats, NDArray[np.int64], NDArray[np.int64]],
    config: HealthSection,
) -> BySkill:
    chances, outcomes, blocks = seen
    if policy == "sequential":
        # Only whether it is CRITICAL is asked, which does not need the interval.
        return by_evidence(test, auc_with_interval((), ()), config.min_resolved)
    if policy == "auc_window":
        return by_interval(auc_with_interval(chances, outcomes, blocks), config.min_resolved)
    last = outcomes[-config.last_n :]
    return by_last(auc(chances[-config.last_n :], last), len(last), config.last_n)


def _shared(rng: np.random.Generator, shape: tuple[int, int], share: float) -> Floats:
    own, common = rng.normal(size=shape), rng.normal(size=(shape[0], 1))
    drawn: Floats = math.sqrt(1.0 - share) * own + math.sqrt(share) * common
    return drawn


def _chance(lean: Floats, strength: float, horizon: int) -> Floats:
    """Of a positive sum of the next returns: its mean by the lean as it fades, over its spread."""
    variance = float(horizon)
    for bar in range(1, horizon):
        follows = sum(LASTING**j for j in range(horizon - bar))
        variance += (strength * follows) ** 2 * (1.0 - LASTING**2)
    mean = strength * sum(LASTING**j for j in range(horizon))
    steps = mean * lean / math.sqrt(2.0 * variance)
    return 0.5 + 0.5 * np.array([math.erf(each) for each in steps.ravel()]).reshape(lean.shape)
