"""What a comparison of two models is worth: how often it errs, and what it keeps apart."""

from random import Random

import pytest

from daemon.layers.monitoring.pairing import BLOCKS_BEFORE_BETS, Evidence, Record, log_score
from tests.builders import models_compared
from tests.soak.promotion import CASES, Case, verdicts

LIVES = 300
BLOCKS = 400


def ever(mean: float, needed: float, seed: int) -> bool:
    """Whether the evidence of numbers with that mean ever reaches what is needed."""
    rng, evidence = Random(seed), Evidence()
    for _ in range(BLOCKS):
        evidence.add(rng.gauss(mean, 1.0))
        if evidence.value >= needed:
            return True
    return False


def test_however_often_it_is_looked_at_evidence_without_cause_is_as_rare_as_it_says() -> None:
    false = sum(ever(0.0, 20.0, seed) for seed in range(LIVES))

    # One in twenty at most; four deviations of 300 lives more are chance.
    assert false <= LIVES * (0.05 + 4 * (0.05 * 0.95 / LIVES) ** 0.5)


def test_evidence_is_found_where_there_is_cause_and_never_against_it() -> None:
    found = sum(ever(0.2, 20.0, seed) for seed in range(LIVES // 3))
    against = sum(ever(-0.2, 20.0, seed) for seed in range(LIVES // 3))

    assert found > 0.9 * LIVES // 3
    assert against == 0


def test_numbers_that_are_always_zero_are_no_evidence_and_one_giant_is_little() -> None:
    same, giant = Evidence(), Evidence()
    for number in range(BLOCKS_BEFORE_BETS + 20):
        same.add(0.0)
        giant.add(0.1 if number % 2 else -0.1)
    before = giant.value
    giant.add(1e9)

    assert same.value == 1.0
    assert giant.value < before * 1.5


def test_another_opponent_begins_a_new_comparison_and_skill_stays() -> None:
    record = Record()
    for _ in range(30):
        record.add(models_compared(other="first", score_gain=0.02))
    skill, outcomes = record.skilled.value, record.outcomes

    record.add(models_compared(other="second", score_gain=-0.02, outcomes=0, pairs=3))

    assert (record.other, record.pairs, record.better.value) == ("second", 3, 1.0)
    assert (record.outcomes, record.skilled.value) == (outcomes, skill)


def test_no_forecast_is_so_sure_that_one_surprise_decides() -> None:
    assert log_score(0.0, 1) == log_score(0.02, 1) > -4.0
    assert log_score(1.0, 1) == log_score(0.98, 1)
    assert log_score(0.5, 0) == pytest.approx(-0.693147, abs=1e-6)


def case_of(name: str) -> Case:
    return next(each for each in CASES if each.name == name)


@pytest.mark.parametrize(
    ("name", "wanted", "lives"),
    [
        ("better: 0.58 beside nothing", "ModelPromoted better", 12),
        ("dead champion, 0.58", "ModelPromoted skilled", 12),
        ("worse: nothing beside 0.58", "ChallengerDropped", 12),
        ("no better: both know the same", "ChallengerDropped", 3),
        ("back: the new one knows nothing", "ModelRolledBack worse", 12),
    ],
)
def test_the_whole_rule_decides_as_its_figures_say(name: str, wanted: str, lives: int) -> None:
    """A small part of `make soak SOAK=promotion`, on four symbols."""
    told = verdicts(case_of(name), range(lives), 4)

    assert sum(word.startswith(wanted) for word, _ in told) >= 0.6 * lives
