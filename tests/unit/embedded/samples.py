"""Long synthetic samples as arrays, each computed once for all the tests that read them."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from daemon.embedded.synthetic import SyntheticMarket

HOUR_MS = 3_600_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Arrays of shape (n,): log close over open, its parts, and what the market knew before."""

    returns: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    volumes: Floats
    hours: Floats
    probability_up: Floats

    @property
    def ups(self) -> npt.NDArray[np.bool_]:
        return self.returns > 0


@cache
def sample(
    edge: float,
    bars: int = 30_000,
    seed: int = 11,
    symbol: str = "BTC/USDT",
    timeframe_ms: int = HOUR_MS,
) -> Sample:
    market = SyntheticMarket([symbol], timeframe_ms, seed=seed, edge=edge)
    symbol_id = symbol.replace("/", "")
    slots = range(market.from_ms, market.from_ms + bars * timeframe_ms, timeframe_ms)
    made = market.bars(symbol_id, slots[0], slots[-1], bars)
    table = np.array([[b.open, b.high, b.low, b.close, b.volume] for b in made], dtype=np.float64)
    return Sample(
        returns=np.log(table[:, 3] / table[:, 0]),
        highs=table[:, 1],
        lows=table[:, 2],
        closes=table[:, 3],
        volumes=table[:, 4],
        hours=np.array([slot // HOUR_MS % 24 for slot in slots], dtype=np.float64),
        probability_up=np.array([market.probability_up(symbol_id, slot) for slot in slots]),
    )


def auc(scores: Floats, ups: npt.NDArray[np.bool_]) -> float:
    """Mann and Whitney's form; ties count one half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle_ranks = np.cumsum(counts) - (counts - 1) / 2.0
    positives = int(ups.sum())
    rank_sum = float(middle_ranks[inverse][ups].sum())
    return (rank_sum - positives * (positives + 1) / 2.0) / (positives * (len(ups) - positives))


def auc_standard_error(area: float, ups: npt.NDArray[np.bool_]) -> float:
    """Hanley and McNeil (1982)."""
    positives, negatives = int(ups.sum()), int((~ups).sum())
    q1, q2 = area / (2.0 - area), 2.0 * area * area / (1.0 + area)
    spread = area * (1.0 - area)
    spread += (positives - 1) * (q1 - area * area) + (negatives - 1) * (q2 - area * area)
    return float(np.sqrt(spread / (positives * negatives)))
