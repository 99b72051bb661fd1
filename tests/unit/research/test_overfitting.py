import numpy as np
import pytest

from daemon.research.overfitting import probability_of_overfitting


def test_the_best_that_stays_the_best_is_no_luck() -> None:
    noise = np.random.default_rng(1).normal(size=(240, 5))
    noise[:, 3] += 3.0

    assert probability_of_overfitting(noise) == 0.0


def test_a_winner_that_loses_elsewhere_is_luck_by_hand() -> None:
    # Two blocks: the first candidate wins the first one only, the second the other one only.
    returns = np.array([[2.0, -1.0], [1.0, -2.0], [-1.0, 2.0], [-2.0, 1.0]])

    assert probability_of_overfitting(returns, blocks=2) == 1.0


def test_each_half_is_judged_by_the_other_by_hand() -> None:
    # Four blocks of two bars; the first candidate wins in the first block only, but by so much
    # that it wins every half with that block in it: 3 of 6, and loses the other half each time.
    # The other 3 halves are won by the second, which loses what is left of the time to the first.
    first = [3.0, 4.0, -1.0, -2.0, -1.0, -2.0, -1.0, -2.0]
    second = [0.1, 0.2, 0.3, 0.1, 0.1, 0.3, 0.2, 0.1]

    assert _wins_by_hand(first, second) == probability_of_overfitting(
        np.column_stack([first, second]), blocks=4
    )


def _wins_by_hand(first: list[float], second: list[float]) -> float:
    missed = 0
    halves = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    for half in halves:
        inside = [bar for block in half for bar in (2 * block, 2 * block + 1)]
        outside = [bar for bar in range(8) if bar not in inside]
        totals = []
        for bars in (inside, outside):
            scores = []
            for candidate in (first, second):
                values = [candidate[bar] for bar in bars]
                scores.append(float(np.mean(values) / np.std(values)))
            totals.append(scores)
        best = totals[0].index(max(totals[0]))
        missed += totals[1][best] < totals[1][1 - best]
    return missed / len(halves)


def test_among_candidates_without_an_edge_the_choice_means_nothing() -> None:
    found = [
        probability_of_overfitting(np.random.default_rng(seed).normal(size=(240, 7)), blocks=8)
        for seed in range(40)
    ]

    assert 0.35 < float(np.mean(found)) < 0.65


def test_what_cannot_be_compared_is_refused() -> None:
    for shape, blocks in (((100, 1), 4), ((100, 3), 5), ((7, 3), 4), ((100, 3), 0)):
        with pytest.raises(ValueError, match=r"candidates|blocks"):
            probability_of_overfitting(np.zeros(shape), blocks)
