"""Ninety days in which a model's edge dies and another appears, killed and resumed ten times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.core import events as e
from tests.e2e.model_story import DIES, SHIFTS, TURNS, State, random_bars, story

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

KILLS = 10
ASKED = (
    ("explain", "story"),
    ("explain", "halt"),
    ("explain", "swap"),
    ("explain", "last"),
    ("health", "--explain"),
)
FOUND_WITHIN_DAYS = 10


# Trainings, ten starts and 4,320 bars: minutes, and more of them beside other tests.
@pytest.mark.timeout(1_500)
def test_a_daemon_gives_up_a_model_that_died_and_finds_the_next_one_over_ten_kills(
    tmp_path: Path,
) -> None:
    with story(tmp_path, seed=3) as run:
        finished = run.told(random_bars(KILLS, seed=3))
        states = run.states()
        replayed = run.tradingd.query("replay", "last")
        drifted_days = [
            run.day_of(event)
            for event in run.events()
            if isinstance(event, e.HealthSampled) and "feature_drift" in event.reasons
        ]
        pages = {
            " ".join(asked): " ".join(run.tradingd.command(*asked).stdout.split())
            for asked in ASKED
        }

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
    # The shift of volume was seen, and the journal says it all again.
    assert drifted_days
    assert max(drifted_days) > SHIFTS
    assert replayed["identical"]
    assert_told(pages, len([each for each in refused if each.day > lost.day]))


def assert_told(pages: Mapping[str, str], refused: int) -> None:
    """A person who asks is told of all of it in words."""
    story = pages["explain story"]
    places = [
        story.find(words)
        for words in (
            "is healthy: its skill was shown",
            "must not be believed any more (critical): the skill it promised is lost (evidence",
            "Trading was halted: the model is critical: the skill it promised is lost",
            "what was trained did not pass, and was refused. The last time: No edge shown",
            "passed on bars it was not made of",
            "predicts in shadow from here on",
            "took over from",
            "Trading was resumed by rule",
        )
    ]
    assert -1 not in places, dict(enumerate(places))
    # A candidate that was dropped in shadow comes before the halt, the one that holds behind it.
    assert places[:4] == sorted(places[:4])
    assert story.rfind("passed on bars") > places[3]
    assert places[6:] == sorted(places[6:])
    assert places[6] > story.rfind("predicts in shadow")
    assert f"a new model was asked for {refused} times" in story
    assert "WHY With this bar trading was halted: the model is critical" in pages["explain halt"]
    assert "and after it: critical: the skill it promised is lost" in pages["explain halt"]
    assert "took over from" in pages["explain swap"].partition("WHY")[2].partition("BAR")[0]
    assert "RECOMPUTED identical" in pages["explain last"]
    assert "how it errs - measured on 200 simulated models" in pages["health --explain"]
    assert "delay when the edge dies:" in pages["health --explain"]


def _first(states: list[State], is_wanted: Callable[[str], bool]) -> State:
    return next(each for each in states if is_wanted(each.what))
