"""The probability that the best of several candidates was only the luckiest of them.

Comparing candidates' returns belongs here; making the candidates belongs to whoever searches.
"""

from itertools import combinations

import numpy as np

from daemon.research.series import FloatArray

BLOCKS = 12


def probability_of_overfitting(returns: FloatArray, blocks: int = BLOCKS) -> float:
    """Probability of backtest overfitting of `returns` (bars, candidates), by CSCV.

    Bailey, Borwein, López de Prado and Zhu, The Probability of Backtest Overfitting (2017): the
    bars are cut into `blocks` equal stretches of time; for every way of taking half of them, the
    candidate with the best Sharpe ratio there is ranked among all by the other half. The result is
    the share of ways in which it does not reach the median. About one half where picking by the
    past means nothing, 0 where the best stays the best. Raises ValueError for fewer than two
    candidates, an odd number of blocks, or too few bars.
    """
    bars, candidates = returns.shape
    if candidates < 2:
        raise ValueError("overfitting needs at least two candidates to choose from")
    if blocks < 2 or blocks % 2:
        raise ValueError(f"the number of blocks must be even and at least 2, not {blocks}")
    size = bars // blocks
    if size < 2:
        raise ValueError(f"{bars} bars are too few for {blocks} blocks")
    # The oldest bars are left out where the division leaves a rest.
    cut = returns[bars - size * blocks :].reshape(blocks, size, candidates)
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    halves = list(combinations(range(blocks), blocks // 2))
    missed = sum(_is_below_median(sums, squares, list(half)) for half in halves)
    return missed / len(halves)


def _is_below_median(sums: FloatArray, squares: FloatArray, half: list[int]) -> bool:
    chosen = np.zeros(len(sums), dtype=np.bool_)
    chosen[half] = True
    best = int(np.argmax(_scores(sums[chosen], squares[chosen])))
    elsewhere = _scores(sums[~chosen], squares[~chosen])
    # The relative rank of the paper: omega = rank / (candidates + 1), its logit at most 0.
    beaten = int((elsewhere < elsewhere[best]).sum())
    tied = int((elsewhere == elsewhere[best]).sum())
    rank = beaten + (tied + 1) / 2.0
    return rank / (len(elsewhere) + 1.0) <= 0.5


def _scores(sums: FloatArray, squares: FloatArray) -> FloatArray:
    """Mean over root mean square, which orders candidates as Sharpe ratios do."""
    total, size = sums.sum(axis=0), np.sqrt(squares.sum(axis=0))
    scores: FloatArray = np.divide(total, size, out=np.zeros_like(total), where=size > 0.0)
    return scores
