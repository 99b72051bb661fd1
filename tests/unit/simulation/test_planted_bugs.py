"""Tests of the test: each line of defence, taken away, is noticed within a few hundred runs."""

from daemon.simulation.judge import Wrong
from daemon.simulation.ours import Parts
from daemon.simulation.runs import run_ours
from tests.unit.simulation.planted import (
    SendsFirst,
    fills_have_other_names_on_the_stream,
    no_answer_is_a_refusal,
    settles_nothing,
)

SEEDS_MAX = 300


def is_noticed(parts: Parts, kind: Wrong | None = None) -> bool:
    """Whether a run of the first few hundred is wrong, in this way if one is named."""
    wrong = (run_ours(seed, parts).wrong for seed in range(SEEDS_MAX))
    return any(kind in each if kind else each for each in wrong)


def test_sending_before_the_intent_is_durable_is_noticed() -> None:
    assert is_noticed(Parts(runner=SendsFirst))


def test_giving_up_before_an_order_can_still_show_up_is_noticed() -> None:
    assert is_noticed(Parts(exchange="embedded", validity_ms=100, grace_s=0.2), Wrong.GIVEN_UP)


def test_booking_a_fill_twice_is_noticed() -> None:
    parts = Parts(venue=fills_have_other_names_on_the_stream, compares=False)

    assert is_noticed(parts, Wrong.POSITION)


def test_taking_no_answer_for_a_refusal_is_noticed() -> None:
    assert is_noticed(Parts(venue=no_answer_is_a_refusal), Wrong.GIVEN_UP)


def test_a_start_without_recovery_is_noticed_when_nothing_else_looks() -> None:
    assert is_noticed(Parts(settles=settles_nothing, compares=False))
