"""The sequential test of skill of many streams at once: the same sums as `SkillTest`, on arrays.

A year of hourly bars takes a second for two hundred streams instead of a minute. A test holds both
to the same moments. Belongs here: nothing that `sequential` does not do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daemon.core.timeframes import HOUR_NS
from daemon.layers.monitoring.sequential import (
    DOUBT_SHARE,
    FORTUNE_LIMITS_MAX,
    KEPT_WITHIN,
    PRIOR_BLOCKS,
    PRIOR_OUTCOMES,
    SIZE_MAX,
    STAKE_MAX_RATIO,
    WEEK_NS,
    Rules,
)

Floats = NDArray[np.float64]
WEEK_BARS = WEEK_NS // HOUR_NS


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """For each stream whether the skill was lost after each block, in doubt, or shown."""

    lost: NDArray[np.bool_]  # (blocks, streams)
    doubted: NDArray[np.bool_]
    shown: NDArray[np.bool_]


def marks(chance_up: Floats, outcome: NDArray[np.int64], rules: Rules, block_bars: int) -> Marks:
    """Both are (streams, bars, symbols)."""
    streams, bars, symbols = chance_up.shape
    blocks = bars // block_bars
    seen = [np.full((3, streams), PRIOR_OUTCOMES / 2)]  # outcomes, ups, chances through each block
    seen[0][0] = PRIOR_OUTCOMES
    against, in_favour, expected, varied = (np.zeros(streams) for _ in range(4))
    lost, doubted, shown = (np.zeros((blocks, streams), dtype=bool) for _ in range(3))
    is_lost, is_shown = (np.zeros(streams, dtype=bool) for _ in range(2))
    weeks = 0
    for block in range(blocks):
        part = slice(block * block_bars, (block + 1) * block_bars)
        said = chance_up[:, part].reshape(streams, -1)
        came = outcome[:, part].reshape(streams, -1).astype(np.float64)
        # A block is settled once the next but one has begun: until then it is not counted.
        first, later = seen[max(block - 2, 0)], seen[max(block - 1, 0)]
        is_first = np.arange(said.shape[1]) < symbols
        n, ups, usual = np.where(is_first, first[:, :, None], later[:, :, None])
        gain, risked, grows, gain_for, risked_for = _bets(said, came, usual / n, ups / n, rules)
        week = block * block_bars // WEEK_BARS
        if week >= weeks:
            weeks = week + 1
            against += 1.0
            in_favour += 1.0 / (weeks * (weeks + 1))
        prior = PRIOR_BLOCKS * expected / block if block else np.ones(streams)
        size = np.clip((expected + prior) / (varied + prior), 1.0, SIZE_MAX)
        against *= 1.0 + np.minimum(size, STAKE_MAX_RATIO / risked) * gain
        in_favour *= 1.0 + np.minimum(size, STAKE_MAX_RATIO / risked_for) * gain_for
        np.minimum(against, FORTUNE_LIMITS_MAX * rules.limit, out=against)
        np.minimum(in_favour, FORTUNE_LIMITS_MAX * rules.shown_limit, out=in_favour)
        expected += grows
        varied += gain**2
        counted = np.full(streams, float(block_bars * symbols))
        seen.append(seen[-1] + np.stack((counted, came.sum(1), said.sum(1))))
        doubted[block] = against >= DOUBT_SHARE * rules.limit
        is_lost &= doubted[block]
        is_lost |= against >= rules.limit
        is_shown |= in_favour >= rules.shown_limit
        lost[block], shown[block] = is_lost, is_shown
    return Marks(lost, doubted, shown)


def _bets(
    said: Floats, came: Floats, usual: Floats, ups: Floats, rules: Rules
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    middle, often = usual, ups
    kept = np.clip(middle + rules.kept_ratio * (said - middle), KEPT_WITHIN, 1.0 - KEPT_WITHIN)
    lean = kept - middle
    spread, usual_spread = kept * (1.0 - kept), often * (1.0 - often)
    is_up = lean > 0.0
    return (
        (-lean * (came - kept) / spread).mean(1),
        np.where(is_up, lean / kept, -lean / (1.0 - kept)).mean(1),
        (lean * lean / spread).mean(1),
        (lean * (came - often) / usual_spread).mean(1),
        np.where(is_up, lean / (1.0 - often), -lean / often).mean(1),
    )
