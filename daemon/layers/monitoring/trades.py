"""The verdict on a run: turns skill and net returns per round trip into one sentence that is true.

Belongs here: whether trading paid, with its uncertainty. Skill alone belongs to `skill`: an AUC
above one half can lose to costs, and a profit without it is luck.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from daemon.layers.monitoring.skill import CLUSTERS_MIN, Skill, student_quantile

RETURNS_MIN = 5
OUTCOMES_MIN = 100
ROUND_TRIPS_MIN = 20
NO_SKILL_AUC = 0.5


@dataclass(frozen=True, slots=True)
class NetReturns:
    """Mean net return per round trip, as a ratio; None where the returns cannot tell."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


class Verdict(NamedTuple):
    """Whether an edge was shown, and the sentence that says so with its numbers."""

    edge_shown: bool
    sentence: str


def net_return_interval(
    returns_ratio: Sequence[float], blocks: Sequence[int], level: float = 0.95
) -> NetReturns:
    """Interval of the mean net return per round trip; `returns_ratio` is (n,).

    `blocks` (n,) names for each the block of time in which it closed. Symbols move together, so the
    round trips of one block are one observation: Student's over the blocks, whose residuals are
    summed (Liang and Zeger 1986). No interval under RETURNS_MIN round trips or CLUSTERS_MIN blocks,
    or when all returned the same. ValueError for a return that is not finite.
    """
    returns = np.asarray(returns_ratio, dtype=np.float64)
    if not np.isfinite(returns).all():
        raise ValueError("a return is not finite")
    n = len(returns)
    if len(blocks) != n:
        raise ValueError(f"one block per return: {len(blocks)} against {n}")
    if n == 0:
        return NetReturns(None, None, None, 0)
    mean = float(returns.mean())
    _, place = np.unique(np.asarray(blocks, dtype=np.int64), return_inverse=True)
    sums = np.bincount(place, returns - mean)
    count, squares = len(sums), float((sums**2).sum())
    is_enough = n >= RETURNS_MIN and count >= CLUSTERS_MIN
    if not is_enough or float(np.ptp(returns)) == 0.0 or squares == 0.0:
        return NetReturns(mean, None, None, n)
    error = math.sqrt(count / (count - 1) * squares) / n
    half = student_quantile(0.5 + level / 2, count - 1) * error
    return NetReturns(mean, mean - half, mean + half, n)


def run_verdict(
    skill: Skill,
    trade_returns: Sequence[float],
    blocks: Sequence[int],
    *,
    outcomes_min: int = OUTCOMES_MIN,
    round_trips_min: int = ROUND_TRIPS_MIN,
) -> Verdict:
    """An edge is shown when both hold: the AUC's interval lies above 0.5, and so does the mean net
    return's above 0, each on enough observations. `trade_returns` are ratios, net of fees, and
    `blocks` those of time in which they closed.
    """
    net = net_return_interval(trade_returns, blocks)
    missing = [*_skill_missing(skill, outcomes_min), *_pay_missing(net, round_trips_min)]
    numbers = f"{_skill_text(skill)}; {_pay_text(net)}"
    if missing:
        sentence = f"No edge shown: {' and '.join(missing)} ({numbers})."
    else:
        sentence = f"An edge is shown on this data, which promises nothing about others: {numbers}."
    return Verdict(not missing, sentence)


def _skill_missing(skill: Skill, outcomes_min: int) -> list[str]:
    if skill.n < outcomes_min:
        return [f"too few outcomes to judge the model ({skill.n}, at least {outcomes_min} needed)"]
    if skill.auc is None:
        return ["all outcomes went the same way, so the model cannot be judged"]
    if skill.high < NO_SKILL_AUC:
        return ["the AUC's 95 % interval lies below 0.5, so the model was worse than chance"]
    if skill.low <= NO_SKILL_AUC:
        return ["the AUC's 95 % interval covers 0.5, so the model may be guessing"]
    return []


def _pay_missing(net: NetReturns, round_trips_min: int) -> list[str]:
    if net.n == 0:
        return ["there was not one round trip"]
    if net.n < round_trips_min:
        return [f"too few round trips ({net.n}, at least {round_trips_min} needed)"]
    if net.high is not None and net.high < 0.0:
        return ["the trades lost money after costs"]
    if net.low is None or net.low <= 0.0:
        return ["the trades are not shown to pay their costs"]
    return []


def _skill_text(skill: Skill) -> str:
    if skill.auc is None:
        return f"AUC unknown, n {skill.n}"
    return f"AUC {skill.auc:.3f}, 95 % interval {skill.low:.3f} to {skill.high:.3f}, n {skill.n}"


def _pay_text(net: NetReturns) -> str:
    if net.mean is None:
        return "no round trips"
    mean = f"mean net return {net.mean * 10_000:+.1f} bps per round trip"
    if net.low is None or net.high is None:
        return f"{mean}, interval unknown, n {net.n}"
    interval = f"{net.low * 10_000:+.1f} to {net.high * 10_000:+.1f}"
    return f"{mean}, 95 % interval {interval}, n {net.n}"
