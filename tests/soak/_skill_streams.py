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
from tests.soak._skill_batch import marks

YEAR_BARS = 8_760
LASTING = 0.8  # of a lean, from bar to bar
LEANS_SHARED = 0.5
RETURNS_SHARED = 0.7
CHANGE_BAR = 2_000
REGIME_BARS = 200  # of volatility

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


def streams(kind: Kind, fate: Fate, seeds: Sequence[int], bars: int = YEAR_BARS) -> list[Stream]:
    """One for each seed, which gives the same leans and noise for every fate."""
    strength = strength_of(kind)
    shape = bars + kind.horizon, kind.symbols
    drawn = [_drawn(seed, shape) for seed in seeds]
    lean = np.stack([each[0] for each in drawn], axis=1)  # (bars, seeds, symbols)
    for bar in range(1, len(lean)):
        lean[bar] = LASTING * lean[bar - 1] + math.sqrt(1.0 - LASTING**2) * lean[bar]
    factor = np.full((shape[0], 1), FACTORS[fate])
    if fate in CHANGES:
        factor[:CHANGE_BAR] = 1.0
    found = []
    for row, (_, noise, wild) in enumerate(drawn):
        pull = strength * lean[:, row]
        path = np.cumsum(wild * (factor * pull + noise), axis=0)
        path = np.vstack((np.zeros(kind.symbols), path))
        rises = path[kind.horizon : kind.horizon + bars] > path[:bars]
        said = _chance(pull[:bars], kind.horizon, strength)
        found.append(Stream(said, rises.astype(np.int64)))
    return found


def _drawn(seed: int, shape: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """What moves leans, what moves returns, and how wild the market is."""
    rng = np.random.default_rng(seed)
    lean, noise = _shared(rng, shape, LEANS_SHARED), _shared(rng, shape, RETURNS_SHARED)
    regimes = np.exp(rng.normal(0.0, 0.5, -(-shape[0] // REGIME_BARS)))
    return lean, noise, np.repeat(regimes, REGIME_BARS)[: shape[0], None]


@cache
def strength_of(kind: Kind) -> float:
    """How far returns lean so that the best possible probability has this AUC."""
    leans = np.random.default_rng(0).normal(size=20_000)
    low, high = 0.0, 3.0
    for _ in range(40):
        middle = (low + high) / 2
        sorted_ = np.sort(_chance(middle * leans, kind.horizon, middle))
        n, usual = len(sorted_), float(sorted_.mean())
        apart = float((2 * np.arange(1, n + 1) - n - 1) @ sorted_) * 2 / n**2  # mean |p - p'|
        if 0.5 + apart / (4 * usual * (1 - usual)) < kind.auc:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True, slots=True)
class Told:
    """What the rules said of one stream."""

    critical: dict[str, int | None]  # by rule, the bar of the first sample that was CRITICAL
    shown: int | None  # the bar at which the sequential test had shown skill
    doubted: int | None  # the first sample by which it had doubts, or worse


def told_of(
    given: Stream, kind: Kind, config: HealthSection, policies: Sequence[str], from_bar: int = 0
) -> Told:
    """Judge a stream at every sample after `from_bar`, until each rule has been CRITICAL.

    A rule that is CRITICAL before is asked on, as if somebody had resumed.
    """
    found: dict[str, int | None] = dict.fromkeys(policies)
    rules, test, doubted = rules_of(config), SkillTest(block_ns(kind)), None
    every, window = config.sample_every_bars, config.window_outcomes
    for bar, (chances, outcomes) in enumerate(
        zip(given.chance_up.tolist(), given.outcome.tolist(), strict=True)
    ):
        due = bar + kind.horizon
        for chance, outcome in zip(chances, outcomes, strict=True):
            test.add(rules, due * HOUR_NS, bar * HOUR_NS, chance, outcome)
        if due % every or due <= from_bar:
            continue
        if doubted is None and test.doubted_ns is not None:
            doubted = due
        first = max(0, bar + 1 - -(-window // kind.symbols))
        for policy in policies:
            if found[policy] is None:
                seen = _seen(given, kind, first, bar + 1)
                status, _ = _judged(policy, test, seen, config)
                found[policy] = due if status is HealthStatus.CRITICAL else None
        if policies and None not in found.values():
            break
    return Told(found, None if test.shown_ns is None else test.shown_ns // HOUR_NS, doubted)


def told_of_all(
    given: Sequence[Stream], kind: Kind, config: HealthSection, from_bar: int = 0
) -> list[Told]:
    """What the sequential rule says of many streams of as many bars."""
    bars_per_block = block_ns(kind) // HOUR_NS
    marked = marks(
        np.stack([each.chance_up for each in given]),
        np.stack([each.outcome for each in given]),
        rules_of(config),
        bars_per_block,
    )
    bars = len(given[0].chance_up)
    # A block is settled with the first outcome after one of the next block but one.
    settled_due = (np.arange(bars // bars_per_block) + 2) * bars_per_block + 1 + kind.horizon
    samples = np.arange(0, bars + kind.horizon, config.sample_every_bars)
    samples = samples[(samples > from_bar) & (samples >= settled_due[0])]
    newest = np.searchsorted(settled_due, samples, side="right") - 1
    return [
        Told(
            {"sequential": _first(marked.lost[newest, row], samples)},
            _first(marked.shown[:, row], settled_due),
            _first(marked.doubted[newest, row], samples),
        )
        for row in range(len(given))
    ]


def _first(is_so: NDArray[np.bool_], bars: NDArray[np.int64]) -> int | None:
    return int(bars[int(is_so.argmax())]) if is_so.any() else None


def block_ns(kind: Kind) -> int:
    return HOUR_NS * (1 if kind.horizon == 1 else kind.horizon * BLOCK_HORIZONS)


def _seen(
    given: Stream, kind: Kind, first: int, end: int
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    chances, outcomes = given.chance_up[first:end].ravel(), given.outcome[first:end].ravel()
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


def _chance(pull: Floats, horizon: int, strength: float) -> Floats:
    """Of a positive sum of the next returns: its mean by the lean as it fades, over its spread."""
    variance = float(horizon)
    for bar in range(1, horizon):
        follows = sum(LASTING**j for j in range(horizon - bar))
        variance += (strength * follows) ** 2 * (1.0 - LASTING**2)
    mean = pull * sum(LASTING**j for j in range(horizon))
    steps = (mean / math.sqrt(2.0 * variance)).ravel().tolist()
    return 0.5 + 0.5 * np.array([math.erf(each) for each in steps]).reshape(pull.shape)
