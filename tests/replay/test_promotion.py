"""Champion and challenger in a whole core, with planted models: swaps, ways back, and replays."""

from daemon.core import events as e
from daemon.research.parity import compare
from tests.replay.duels import ALIKE, CHAMPION, RIGHT, WRONG, Duel, a_core, a_duel

QUICK = {"min_outcomes": 40, "shadow_max_bars": 400}


def test_a_better_model_takes_over_between_two_bars() -> None:
    duel = Duel(a_duel(**QUICK))
    duel.run(60)
    duel.challenge(RIGHT)

    bars = duel.until(e.ModelPromoted)

    step = duel.events[-1]
    kinds = [type(each) for each in step]
    promoted = step[kinds.index(e.ModelPromoted)]
    assert isinstance(promoted, e.ModelPromoted)
    assert 40 <= bars <= 400
    assert (promoted.model, promoted.replaced, promoted.who) == (RIGHT, CHAMPION, "rule")
    assert promoted.reason is e.PromotionReason.BETTER
    assert promoted.comparison is not None
    assert promoted.comparison.evidence >= 20
    assert kinds[0] is e.BarsClosed
    assert kinds[kinds.index(e.ModelPromoted) + 1] is e.ModelActivated
    predicted = step[kinds.index(e.Predictions)]
    assert isinstance(predicted, e.Predictions)
    assert predicted.model == RIGHT


def test_until_then_the_challenger_predicts_the_same_bars_and_gives_no_signal() -> None:
    duel = Duel(a_duel(**QUICK))
    duel.run(60)
    duel.challenge(RIGHT)
    before = len(duel.events)
    duel.run(20)

    for step in duel.events[before:]:
        said = [each for each in step if isinstance(each, e.Predictions)]
        shadow = [each for each in step if isinstance(each, e.ChallengerPredictions)]
        assert [each.model for each in said] == [CHAMPION]
        assert [each.model for each in shadow] == [RIGHT]
        assert [row.trace for row in shadow[0].rows] == [row.trace for row in said[0].rows]
        signals = [each for each in step if isinstance(each, e.SignalEmitted)]
        assert all(each.model == CHAMPION for each in signals)


def test_what_was_replaced_comes_back_when_the_new_one_does_worse() -> None:
    duel = Duel(a_duel(**QUICK, rollback_bars=400))
    duel.run(60)
    duel.challenge(RIGHT)
    duel.until(e.ModelPromoted)
    duel.echo = 0.35  # the market turns round

    bars = duel.until(e.ModelRolledBack)

    assert 0 < bars < 400
    assert duel.active == CHAMPION
    assert duel.core.roles.previous is None
    assert duel.run(300) == []  # and there is no way back to the one that was taken back


def test_the_way_back_closes_when_the_new_one_has_done_well_for_long() -> None:
    duel = Duel(a_duel(**QUICK, rollback_bars=100))
    duel.run(60)
    duel.challenge(RIGHT)
    duel.until(e.ModelPromoted)

    bars = duel.until(e.WatchEnded)

    assert bars == 100
    assert duel.active == RIGHT


def test_a_worse_model_is_dropped_before_its_time() -> None:
    duel = Duel(a_duel(**QUICK))
    duel.run(60)
    duel.challenge(WRONG)

    bars = duel.until(e.ChallengerDropped)

    dropped = duel.events[-1]
    assert 0 < bars < 400
    assert [each.reason for each in dropped if isinstance(each, e.ChallengerDropped)] in (
        [e.DropReason.WORSE],
        [e.DropReason.UNSKILLED],
    )
    assert duel.active == CHAMPION


def test_a_model_that_is_no_better_is_dropped_when_its_time_is_over() -> None:
    duel = Duel(a_duel(**QUICK), echo=0.5)
    duel.run(60)
    duel.challenge(ALIKE)

    assert duel.until(e.ChallengerDropped) == 400
    assert duel.active == CHAMPION


def test_a_challenger_that_cannot_be_loaded_any_more_is_dropped_at_once_and_never_takes_over() -> (
    None
):
    duel = Duel(a_duel(**QUICK, error_rate=1e-6))
    duel.run(60)
    duel.challenge(RIGHT)
    duel.run(200)
    in_shadow = duel.core.roles.challenger

    dropped = duel.take(e.ModelUnfit(ts_ns=duel.now_ns, model=RIGHT, error="its files are gone"))

    assert in_shadow is not None, "it must not have been decided on before"
    assert [each.reason for each in dropped if isinstance(each, e.ChallengerDropped)] == [
        e.DropReason.UNFIT
    ]
    duel.health(e.HealthStatus.CRITICAL)  # from here on its own skill would have been enough
    assert duel.run(100) == []
    assert duel.active == CHAMPION


def test_what_was_replaced_and_cannot_be_loaded_any_more_closes_the_way_back() -> None:
    duel = Duel(a_duel(**QUICK))
    duel.run(60)
    duel.challenge(RIGHT)
    duel.until(e.ModelPromoted)

    ended = duel.take(e.ModelUnfit(ts_ns=duel.now_ns, model=CHAMPION, error="its files are gone"))

    assert [type(each) for each in ended] == [e.ModelUnfit, e.WatchEnded]
    assert duel.core.roles.shadows() == ()


def test_a_challenger_that_gives_no_probability_any_more_is_dropped_after_three_bars() -> None:
    duel = Duel(a_duel(**QUICK))
    duel.run(60)
    duel.challenge(ALIKE)
    duel.run(20)

    duel.silence(ALIKE)
    bars = duel.until(e.ChallengerDropped)

    (dropped,) = [each for each in duel.events[-1] if isinstance(each, e.ChallengerDropped)]
    assert (bars, dropped.reason) == (4, e.DropReason.SILENT)


def test_hours_in_which_nobody_was_asked_are_no_silence() -> None:
    duel = Duel(a_duel(**QUICK))
    duel.run(60)
    duel.challenge(ALIKE)
    duel.run(20)

    duel.silence(ALIKE)
    duel.run(1)
    duel.outage(10)

    assert duel.run(1) == []
    assert duel.core.roles.challenger is not None


def test_beside_a_dead_champion_skill_of_its_own_is_enough_and_nothing_leads_back() -> None:
    duel = Duel(a_duel(**QUICK, error_rate=1e-9))
    duel.run(60)
    duel.challenge(RIGHT)
    assert duel.run(60) == []
    duel.health(e.HealthStatus.CRITICAL)

    duel.until(e.ModelPromoted)

    promoted = next(each for each in duel.events[-1] if isinstance(each, e.ModelPromoted))
    assert promoted.reason is e.PromotionReason.SKILLED
    assert not promoted.is_watched
    assert duel.core.roles.previous is None


def test_where_an_operator_promotes_the_rule_proposes_once() -> None:
    duel = Duel(a_duel(**QUICK, by="operator"))
    duel.run(60)
    duel.challenge(RIGHT)

    verdicts = duel.run(350)

    assert [type(each) for each in verdicts] == [e.PromotionProposed]
    asked = e.PromotionRequested(
        ts_ns=duel.now_ns, activation=duel.activation(RIGHT), reason="seen", who="uid 7"
    )
    assert [type(each) for each in duel.take(asked)] == [
        e.PromotionRequested, e.ModelPromoted, e.ModelActivated,
    ]  # fmt: skip
    assert duel.active == RIGHT


def test_an_operator_takes_a_model_back() -> None:
    duel = Duel(a_duel(**QUICK))
    duel.run(60)
    for kind, model in ((e.PromotionRequested, WRONG), (e.RollbackRequested, CHAMPION)):
        duel.take(
            kind(ts_ns=duel.now_ns, activation=duel.activation(model), reason="try", who="uid 7")
        )
        assert duel.active == model
        duel.run(3)


def test_a_candidate_that_cannot_be_compared_is_refused() -> None:
    duel = Duel(a_duel(**QUICK))
    duel.run(60)
    own = duel.activation(RIGHT)
    other = e.ModelActivated(
        **{
            **{name: getattr(own, name) for name in own.__struct_fields__},
            "feature_fingerprint": "f" * 64,
        }
    )

    said = duel.challenge(RIGHT, activation=other)

    assert [each.reason for each in said if isinstance(each, e.ChallengerDropped)] == [
        e.DropReason.OTHER_FEATURES
    ]
    assert duel.core.roles.challenger is None


def test_a_second_candidate_takes_the_place_of_one_that_had_its_time_and_shows_nothing() -> None:
    duel = Duel(a_duel(**{**QUICK, "min_outcomes": 20}))
    duel.run(60)
    duel.challenge(WRONG)
    early = duel.challenge(RIGHT)
    duel.run(25)
    late = duel.challenge(RIGHT)

    assert [each.reason for each in early if isinstance(each, e.ChallengerDropped)] == [
        e.DropReason.BUSY
    ]
    assert [each.reason for each in late if isinstance(each, e.ChallengerDropped)] == [
        e.DropReason.REPLACED
    ]
    assert duel.core.roles.challenger is not None
    assert duel.core.roles.challenger.model == RIGHT


def a_story() -> Duel:
    """A promotion, a way back, a challenger that is dropped."""
    duel = Duel(a_duel(**QUICK, rollback_bars=400))
    duel.run(60)
    duel.challenge(RIGHT)
    duel.until(e.ModelPromoted)
    duel.echo = 0.35
    duel.until(e.ModelRolledBack)
    duel.challenge(ALIKE)
    duel.run(30)
    return duel


def test_a_replay_swaps_at_the_same_bars() -> None:
    duel = a_story()
    journal = [(number, event) for number, step in enumerate(duel.events, 1) for event in step]

    parity = compare(journal, a_core(duel.settings).pipeline)

    assert parity.first_difference is None
    assert parity.compared["probabilities"] > 300


def test_a_core_that_is_killed_anywhere_in_the_story_goes_on_the_same() -> None:
    """Roles, records and open blocks come back from the journal alone."""
    duel = a_story()
    swaps = [n for n, step in enumerate(duel.events) if any(isinstance(x, SWAPS) for x in step)]
    cuts = {n + d for n in swaps for d in (-1, 0, 1, 2)} | {len(duel.events) // 2}

    for cut in sorted(cuts):
        fresh = a_core(duel.settings)
        fresh.pipeline.recover(each for step in duel.events[: cut + 1] for each in step)
        for step in duel.events[cut + 1 : cut + 40]:
            assert list(fresh.pipeline.step(step[0]).events) == step


SWAPS = (e.ModelPromoted, e.ModelRolledBack, e.ChallengerOpened)
