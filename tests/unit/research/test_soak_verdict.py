"""The soak that measures the verdict is measured itself: its truth, and that it can fail."""

from dataclasses import dataclass

import msgspec
import numpy as np
import pytest

from tests.soak import verdict
from tests.soak.verdict import Case, expected_auc, summary

GOOD = Case(
    seed=1,
    edge=verdict.STRONG,
    auc=0.80,
    auc_low=0.78,
    auc_high=0.82,
    baseline_auc=0.7,
    truth=0.81,
    best=0.9,
    shuffled_auc=0.5,
    net_low=0.001,
    deflated_sharpe=1.0,
    entries=100,
    edge_shown=True,
    failed=(),
    free_entries=100,
    free_edge_shown=True,
    free_failed=(),
)
NOTHING = msgspec.structs.replace(GOOD, edge=verdict.NONE, edge_shown=False, free_edge_shown=False)


def with_some(case: Case, count: int, **changes: object) -> list[Case]:
    """100 of a kind, `count` of them changed."""
    other = msgspec.structs.replace(case, **changes)
    return [other] * count + [case] * (verdict.SEEDS - count)


@dataclass(frozen=True)
class Missed:
    strong: list[Case]
    nothing: list[Case]
    is_ok: bool


@pytest.mark.parametrize(
    "made",
    [
        Missed(with_some(GOOD, 0), with_some(NOTHING, 0), is_ok=True),
        Missed(with_some(GOOD, 10, edge_shown=False), with_some(NOTHING, 0), is_ok=True),
        Missed(with_some(GOOD, 11, edge_shown=False), with_some(NOTHING, 0), is_ok=False),
        Missed(with_some(GOOD, 10, truth=0.83), with_some(NOTHING, 0), is_ok=True),
        Missed(with_some(GOOD, 11, truth=0.83), with_some(NOTHING, 0), is_ok=False),
        Missed(with_some(GOOD, 0), with_some(NOTHING, 7, edge_shown=True), is_ok=True),
        Missed(with_some(GOOD, 0), with_some(NOTHING, 8, edge_shown=True), is_ok=False),
        Missed(with_some(GOOD, 0), with_some(NOTHING, 8, free_edge_shown=True), is_ok=False),
        Missed(with_some(GOOD, 0)[1:], with_some(NOTHING, 0), is_ok=False),
    ],
)
def test_every_bound_can_be_missed(made: Missed) -> None:
    assert summary([*made.strong, *made.nothing])["ok"] is made.is_ok


def test_the_true_auc_of_scores_is_that_of_all_outcomes_there_could_be() -> None:
    scores = np.array([0.1, 0.4, 0.4, 0.8])
    chances = np.array([0.2, 0.5, 0.6, 0.9])
    won = total = 0.0
    for i in range(4):
        for j in range(4):
            weight = chances[i] * (1.0 - chances[j])
            won += weight * (1.0 if scores[i] > scores[j] else 0.5 * (scores[i] == scores[j]))
            total += weight

    assert expected_auc(scores, chances) == pytest.approx(won / total)
    assert expected_auc(scores, np.full(4, 0.5)) == pytest.approx(0.5)
