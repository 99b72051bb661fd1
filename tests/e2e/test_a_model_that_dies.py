"""Ninety days in which a model's edge dies and another appears, killed and resumed ten times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.core import events as e
from tests.e2e.model_story import DIES, SHIFTS, TURNS, State, story

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLS = 10
FOUND_WITHIN_DAYS = 10


# Trainings, ten starts and 4,320 bars: minutes, and more of them beside other tests.
@pytest.mark.timeout(1_500)
def test_a_daemon_gives_up_a_model_that_died_and_finds_the_next_one_over_ten_kills(
    tmp_path: Path,
) -> None:
    with story(tmp_path, seed=3) as run:
        finished = run.told(kills=KILLS, seed=3)
        states = run.states()
        replayed = run.tradingd.query("replay", "last")
        drifted_days = [
            run.day_of(event)
            for event in run.events()
            if isinstance(event, e.HealthSampled) and "feature_drift" in event.reasons
        ]
        at_promotion = run.trace_of(e.ModelPromoted)
        told = run.tradingd.command("explain", at_promotion).stdout

    told_in_order = [each.what for each in states]
    lost = _first(states, lambda what: what == "critical")
    promoted = _first(states, lambda what: what.startswith("promoted"))

    # While the edge lives the model is found healthy, and nothing is wrong with it.
    assert _first(states, lambda what: what == "healthy").day < DIES
    # When it dies, trust is lost, within days, and nothing more is opened.
    assert DIES < lost.day < DIES + FOUND_WITHIN_DAYS
    assert _first(states, lambda what: what == "halted: model_critical").bar == lost.bar
    # Candidates are made and refused while there is nothing to find.
    refused = [each for each in states if each.what == "refused: candidate"]
    assert len([each for each in refused if lost.day < each.day < TURNS]) >= 3
    assert not [each for each in states if each.what.startswith("promoted") and each.day < TURNS]
    # When something is there to be found, a candidate passes, holds in shadow, and takes over.
    assert promoted.day > TURNS
    assert "challenger" in told_in_order[: states.index(promoted)]
    assert _first(states, lambda what: what == "resumed").bar == promoted.bar
    assert "critical" not in told_in_order[states.index(promoted) :]
    assert (finished["halted"], finished["mode"]) == ({}, "paper")
    # The shift of volume was seen, the journal says it all again, and a person is told of it.
    assert drifted_days
    assert max(drifted_days) > SHIFTS
    assert replayed["identical"]
    assert "promoted" in told


def _first(states: list[State], is_wanted: Callable[[str], bool]) -> State:
    return next(each for each in states if is_wanted(each.what))
