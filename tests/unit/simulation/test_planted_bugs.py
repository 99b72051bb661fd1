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


def found_in(parts: Parts) -> set[str]:
    """The ways in which the first wrong run is wrong; empty when none of them was."""
    for seed in range(SEEDS_MAX):
        wrong = run_ours(seed, parts).wrong
        if wrong:
            return set(wrong)
    return set()


def test_sending_before_the_intent_is_durable_is_noticed() -> None:
    assert found_in(Parts(runner=SendsFirst))


def test_giving_up_before_an_order_can_still_show_up_is_noticed() -> None:
    assert Wrong.GIVEN_UP in found_in(Parts(exchange="embedded", validity_ms=100, grace_s=0.2))


def test_booking_a_fill_twice_is_noticed() -> None:
    parts = Parts(venue=fills_have_other_names_on_the_stream, compares=False)

    assert Wrong.POSITION in found_in(parts)


def test_taking_no_answer_for_a_refusal_is_noticed() -> None:
    assert Wrong.GIVEN_UP in found_in(Parts(venue=no_answer_is_a_refusal))


def test_a_start_without_recovery_is_noticed_when_nothing_else_looks() -> None:
    assert found_in(Parts(settles=settles_nothing, compares=False))
