"""Says in one sentence whether a training has shown an edge, by tests that were declared before.

The tests and their words belong here; what they are fed with belongs in `training`.
"""

import math
from dataclasses import dataclass

import numpy as np

from daemon.core.manifests import NetReturn
from daemon.layers.monitoring.skill import Skill
from daemon.research.net_returns import NetReturns
from daemon.research.series import FloatArray

RESAMPLES = 2_000
ENTRIES_MIN = 30
BPS = 10_000.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of all declared tests, each one-sided at 2.5 %."""

    edge_shown: bool
    sentence: str


def bootstrap_net_return(returns: NetReturns, *, horizon_bars: int, seed: int) -> NetReturn:
    """Mean net return per bar with a 95 % interval by the circular block bootstrap.

    Politis and Romano (1992). Blocks of max(n^(1/3), 2 horizons) bars keep what hangs together in
    time together; all symbols of a bar are one observation, so they stay together too.
    """
    bars = len(returns.ratio)
    block = min(bars, max(math.ceil(bars ** (1.0 / 3.0)), 2 * horizon_bars))
    means = _block_means(returns.ratio, block, np.random.default_rng(seed))
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    return NetReturn(
        per_bar_ratio=float(returns.ratio.mean()),
        per_bar_low=low,
        per_bar_high=high,
        total_ratio=float(returns.ratio.sum()),
        bars=bars,
        entries=returns.entries,
    )


def judge(skill: Skill, baseline: Skill, net: NetReturn, *, cost_bps: float) -> Verdict:
    """An edge is shown when all three hold; `cost_bps` is what one side of a trade was charged.

    1. The low end of the AUC's 95 % interval is above 0.5;
    2. it is above the AUC of minus the last return on the same rows;
    3. the low end of the net return per bar is above 0, over at least ENTRIES_MIN entries.
    """
    beats_chance = skill.auc is not None and skill.low > 0.5
    to_beat = 0.5 if baseline.auc is None else baseline.auc
    beats_baseline = skill.auc is not None and skill.low > to_beat
    pays = net.entries >= ENTRIES_MIN and net.per_bar_low > 0.0
    edge_shown = beats_chance and beats_baseline and pays
    auc = math.nan if skill.auc is None else skill.auc
    sentence = (
        f"{'Edge shown' if edge_shown else 'No edge shown'}: out of sample the AUC is {auc:.3f} "
        f"({skill.low:.3f} to {skill.high:.3f}, n {skill.n}), "
        f"{'above' if beats_chance else 'not surely above'} 0.5 and "
        f"{'above' if beats_baseline else 'not surely above'} the {to_beat:.3f} of minus the last "
        f"return; at {cost_bps:g} bps a side {_earnings(net)}."
    )
    return Verdict(edge_shown, sentence)


def _earnings(net: NetReturn) -> str:
    if net.entries == 0:
        return "no predicted move was worth its costs"
    interval = (
        f"{net.per_bar_ratio * BPS:+.2f} bps a bar "
        f"({net.per_bar_low * BPS:+.2f} to {net.per_bar_high * BPS:+.2f})"
    )
    if net.entries < ENTRIES_MIN:
        return f"{net.entries} trades are too few to judge, at {interval}"
    if net.per_bar_low > 0.0:
        return f"{net.entries} trades earn {interval}"
    return f"{net.entries} trades do not surely pay, at {interval}"


def _block_means(values: FloatArray, block: int, rng: np.random.Generator) -> FloatArray:
    bars = len(values)
    running = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[: block - 1]]))])
    sums = running[block:] - running[:-block]
    starts = rng.integers(0, bars, size=(RESAMPLES, math.ceil(bars / block)))
    means: FloatArray = sums[starts].mean(axis=1) / block
    return means
