"""When a new model is asked for: every rule, and every reason to wait."""

from typing import Any

import pytest

from daemon.config import RetrainingSection
from daemon.core import events as e
from daemon.core.pipeline import Pipeline, apply, on
from daemon.core.timeframes import DAY_NS
from daemon.layers.monitoring.retraining import Retraining
from tests.builders import (
    BTC,
    ETH,
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_candidate_trained,
    a_challenger_dropped,
    a_health_sample,
    a_model_activated,
    a_run_opened,
    a_shift,
    a_start,
    a_stop_requested,
    a_training_failed,
)

START_NS = OPEN_NS
CRITICAL = {"status": e.HealthStatus.CRITICAL, "reasons": ("skill_below_chance",)}


class Desk:
    """A decider with a clock of hourly bars; everything it says is kept."""

    def __init__(self, *, mode: str = "paper", **config: Any) -> None:
        self.config = RetrainingSection(**{"after_days": 0.0, **config})
        self.taken: list[e.Event] = []
        self.asked: list[e.StartTraining] = []
        self.now_ns = START_NS
        self.again()
        self.take(a_run_opened(mode=mode))
        self.take(a_model_activated(ts_ns=START_NS, trained_through_ns=START_NS))
        self.take(a_start(ts_ns=START_NS))

    def again(self) -> None:
        """The same from the journal alone, as after a crash."""
        deciding = Retraining(self.config, timeframe_ns=HOUR_NS)
        self.pipeline = Pipeline(
            [
                apply(e.RunOpened, deciding.apply_run_opened),
                apply(e.ModelActivated, deciding.apply_model_activated),
                apply(e.HistoryLoaded, deciding.apply_history_loaded),
                apply(e.Started, deciding.apply_started),
                on(e.Started, deciding.on_started, e.StartTraining),
                apply(e.StopRequested, deciding.apply_stop_requested),
                apply(e.BarsClosed, deciding.apply_bars_closed),
                on(e.BarsClosed, deciding.on_bars_closed, e.RetrainingOpened),
                apply(e.HealthSampled, deciding.apply_health_sampled),
                on(e.HealthSampled, deciding.on_health_sampled, e.RetrainingOpened),
                apply(e.RetrainingOpened, deciding.apply_retraining_opened),
                on(e.RetrainingOpened, deciding.on_retraining_opened, e.StartTraining),
                apply(e.CandidateTrained, deciding.apply_candidate_trained),
                apply(e.TrainingFailed, deciding.apply_training_failed),
                apply(e.ChallengerDropped, deciding.apply_challenger_dropped),
            ]
        )
        self.pipeline.recover(self.taken)

    def take(self, event: e.Event) -> e.RetrainingOpened | None:
        step = self.pipeline.step(event)
        self.taken += step.events
        self.asked += [each for each in step.commands if isinstance(each, e.StartTraining)]
        return next((each for each in step.events if isinstance(each, e.RetrainingOpened)), None)

    def bars(self, hours: int) -> list[e.RetrainingOpened]:
        """So many hours go by."""
        opened = []
        for _ in range(hours):
            bar = a_bar(instrument=BTC, open_ns=self.now_ns)
            self.now_ns += HOUR_NS
            opened.append(self.take(e.BarsClosed(ts_ns=self.now_ns, bars=(bar,))))
        return [each for each in opened if each is not None]

    def sampled(self, **changes: Any) -> e.RetrainingOpened | None:
        return self.take(a_health_sample(ts_ns=self.now_ns, **changes))

    def fails(self, fault: e.TrainingFault = e.TrainingFault.CANDIDATE) -> None:
        opened_ns = self.asked[-1].opened_ns
        self.take(a_training_failed(ts_ns=self.now_ns, opened_ns=opened_ns, fault=fault))

    def hours_until_asked(self, hours_max: int = 24 * 30) -> int:
        """How long a model whose skill is lost waits for the next attempt."""
        for hours in range(1, hours_max):
            if self.bars(1) or self.sampled(**CRITICAL) is not None:
                return hours
        return hours_max


def drifting(psi: float) -> dict[str, Any]:
    return {"reasons": ("feature_drift",), "shifts": (a_shift(feature="rsi_14", psi=psi),)}


def test_a_model_that_has_lost_its_skill_is_to_be_replaced() -> None:
    desk = Desk()
    desk.bars(60)

    opened = desk.sampled(**CRITICAL)

    assert opened is not None
    assert (opened.reason, opened.attempt) == (e.RetrainReason.SKILL, 1)
    assert opened.until_ns == desk.now_ns
    asked = desk.asked[-1]
    assert (asked.opened_ns, asked.until_ns, asked.start) == (opened.ts_ns, opened.until_ns, 1)


@pytest.mark.parametrize("status", [e.HealthStatus.UNKNOWN, e.HealthStatus.HEALTHY])
def test_a_model_whose_skill_is_not_lost_is_left_alone(status: e.HealthStatus) -> None:
    desk = Desk()
    desk.bars(60)

    assert desk.sampled(status=status) is None


def test_drift_has_to_last() -> None:
    desk = Desk(drift_samples=3)
    desk.bars(60)

    told = [desk.sampled(**drifting(psi)) for psi in (0.4, 0.4, 0.1, 0.4, 0.4, 0.41)]

    assert told[:-1] == [None] * 5
    assert told[-1] is not None
    assert (told[-1].reason, told[-1].value) == (e.RetrainReason.DRIFT, 0.41)
    assert told[-1].detail == "PSI of rsi_14 of binance:BTC/USDT in 3 samples"


def test_a_shift_that_only_one_of_two_measures_sees_asks_for_nothing() -> None:
    desk = Desk(drift_samples=1)
    desk.bars(60)

    disputed = a_shift(psi=0.9, is_drift=False, is_disputed=True)

    assert desk.sampled(reasons=(), psi_worst=0.9, shifts=(disputed,)) is None


def test_a_prediction_that_shifts_is_drift_too() -> None:
    desk = Desk(drift_samples=1)
    desk.bars(60)

    opened = desk.sampled(reasons=("prediction_drift",), shifts=(a_shift(feature=None, psi=0.5),))

    assert opened is not None
    assert opened.detail == "PSI of the prediction of binance:BTC/USDT in 1 samples"


def test_a_model_that_grows_old_is_to_be_replaced_before_its_use_ends() -> None:
    desk = Desk(after_days=30.0)

    opened = desk.bars(24 * 31)

    assert [each.reason for each in opened] == [e.RetrainReason.AGE]
    assert opened[0].ts_ns == START_NS + 30 * DAY_NS


def test_a_regular_training_comes_at_its_hour() -> None:
    desk = Desk(every_days=2, at_hour=3, new_bars_min=1)

    opened = desk.bars(24 * 3)

    assert [each.reason for each in opened] == [e.RetrainReason.SCHEDULE]
    assert opened[0].ts_ns // HOUR_NS % 24 == 3


def test_there_is_no_second_training_beside_an_open_one() -> None:
    desk = Desk()
    desk.bars(60)
    desk.sampled(**CRITICAL)
    desk.bars(24 * 20)

    assert desk.sampled(**CRITICAL) is None


def test_too_few_new_bars_are_nothing_to_learn_from() -> None:
    desk = Desk(new_bars_min=100, min_gap_hours=1.0)

    assert desk.hours_until_asked() == 100


def test_each_failure_in_a_row_makes_the_wait_longer_up_to_a_limit() -> None:
    desk = Desk(new_bars_min=1, min_gap_hours=24.0, backoff_factor=2.0, max_gap_hours=100.0)
    waits = []

    for _ in range(5):
        waits.append(desk.hours_until_asked())
        desk.fails()

    assert waits == [24, 24, 48, 96, 100]
    assert [each.attempt for each in desk.asked] == [1, 2, 3, 4, 5]


def test_who_cancels_a_training_is_not_asked_again_soon() -> None:
    desk = Desk(new_bars_min=1, min_gap_hours=24.0, max_gap_hours=168.0)
    desk.hours_until_asked()

    desk.fails(e.TrainingFault.OPERATOR)

    assert desk.hours_until_asked() == 168


def trained(desk: Desk) -> None:
    """The training that is open makes a candidate."""
    opened_ns = desk.asked[-1].opened_ns
    desk.take(a_candidate_trained(ts_ns=desk.now_ns, opened_ns=opened_ns))


def test_a_candidate_is_given_time_before_the_next_is_asked_for() -> None:
    desk = Desk(new_bars_min=1, min_gap_hours=24.0, shadow_hours=100.0)
    desk.hours_until_asked()

    trained(desk)

    assert desk.hours_until_asked() == 100
    assert desk.asked[-1].attempt == 1


def test_a_candidate_that_is_dropped_has_failed_and_the_next_waits_its_turn() -> None:
    desk = Desk(new_bars_min=1, min_gap_hours=24.0, max_gap_hours=100.0)
    for _ in range(2):
        desk.hours_until_asked()
        desk.fails()
    desk.hours_until_asked()
    trained(desk)
    desk.bars(10)

    desk.take(a_challenger_dropped(ts_ns=desk.now_ns, reason=e.DropReason.WORSE))

    assert desk.hours_until_asked() == 96
    assert desk.asked[-1].attempt == 4


@pytest.mark.parametrize("reason", [e.DropReason.REPLACED, e.DropReason.BUSY])
def test_of_two_candidates_one_goes_on(reason: e.DropReason) -> None:
    desk = Desk(new_bars_min=1, shadow_hours=100.0)
    desk.hours_until_asked()
    trained(desk)

    desk.take(a_challenger_dropped(ts_ns=desk.now_ns, reason=reason))

    assert desk.hours_until_asked() == 100
    assert desk.asked[-1].attempt == 1


@pytest.mark.parametrize("reason", [e.DropReason.UNFIT, e.DropReason.SILENT])
def test_a_candidate_that_is_gone_is_no_failed_attempt_and_the_next_is_not_kept_waiting(
    reason: e.DropReason,
) -> None:
    desk = Desk(new_bars_min=1, shadow_hours=100.0)
    desk.hours_until_asked()
    trained(desk)

    desk.take(a_challenger_dropped(ts_ns=desk.now_ns, reason=reason))

    assert desk.hours_until_asked() == 24
    assert desk.asked[-1].attempt == 1


def test_a_new_model_ends_the_row_of_failures() -> None:
    desk = Desk(new_bars_min=1)
    for _ in range(3):
        desk.hours_until_asked()
        desk.fails()

    desk.take(a_model_activated(ts_ns=desk.now_ns, model="new", trained_through_ns=desk.now_ns))

    assert desk.hours_until_asked() == 24
    assert desk.asked[-1].attempt == 1


def test_an_answer_to_an_earlier_training_ends_nothing() -> None:
    desk = Desk()
    desk.bars(60)
    desk.sampled(**CRITICAL)

    desk.take(a_training_failed(ts_ns=desk.now_ns, opened_ns=START_NS))

    desk.bars(24 * 20)
    assert desk.sampled(**CRITICAL) is None


def test_bars_that_not_every_instrument_has_are_not_asked_for() -> None:
    desk = Desk()
    desk.bars(60)
    other = a_bar(instrument=ETH, open_ns=desk.now_ns)
    desk.take(e.BarsClosed(ts_ns=desk.now_ns + HOUR_NS, bars=(other,)))

    opened = desk.sampled(**CRITICAL)

    assert opened is not None
    assert opened.until_ns == desk.now_ns


def test_a_restart_begins_an_open_training_once_more_and_says_which_time_it_is() -> None:
    desk = Desk()
    desk.bars(60)
    desk.sampled(**CRITICAL)

    for _ in range(2):
        desk.again()
        desk.take(a_start(ts_ns=desk.now_ns))

    assert [each.start for each in desk.asked] == [1, 2, 3]
    assert len({each.opened_ns for each in desk.asked}) == 1


def test_a_stop_that_was_asked_for_is_not_held_against_the_training() -> None:
    desk = Desk()
    desk.bars(60)
    desk.sampled(**CRITICAL)

    desk.take(a_stop_requested(ts_ns=desk.now_ns))
    desk.again()
    desk.take(a_start(ts_ns=desk.now_ns))

    assert [each.start for each in desk.asked] == [1, 1]


def test_a_restart_begins_nothing_that_has_ended() -> None:
    desk = Desk()
    desk.bars(60)
    desk.sampled(**CRITICAL)
    desk.fails()

    desk.again()
    desk.take(a_start(ts_ns=desk.now_ns))

    assert len(desk.asked) == 1


def test_the_waits_come_back_from_the_journal() -> None:
    desk = Desk(new_bars_min=1)
    for _ in range(3):
        desk.hours_until_asked()
        desk.fails()
    desk.again()

    assert desk.hours_until_asked() == 96


def test_a_daemon_that_ends_asks_for_nothing_more() -> None:
    desk = Desk()
    desk.bars(60)
    desk.take(a_stop_requested(ts_ns=desk.now_ns))

    assert desk.sampled(**CRITICAL) is None
    desk.take(a_start(ts_ns=desk.now_ns))
    assert desk.sampled(**CRITICAL) is not None


@pytest.mark.parametrize("on_skill", [True, False])
def test_an_old_model_whose_skill_is_lost_is_not_replaced_by_one_its_past_would_vouch_for(
    *, on_skill: bool
) -> None:
    desk = Desk(on_skill=on_skill, after_days=10.0)
    desk.bars(24 * 9)
    desk.sampled(**CRITICAL)
    if on_skill:
        desk.fails()

    opened = desk.bars(24 * 3)

    assert [each.reason for each in opened] == [e.RetrainReason.SKILL]


def test_a_model_that_has_lost_what_it_promised_is_to_be_replaced_too() -> None:
    desk = Desk()
    desk.bars(60)

    opened = desk.sampled(skill_lost=True, evidence=41.0, evidence_limit=20.0)

    assert opened is not None
    assert (opened.value, opened.limit) == (41.0, 20.0)


@pytest.mark.parametrize("changes", [{"enabled": False}, {"on_skill": False}, {"mode": "backtest"}])
def test_where_retraining_is_off_nothing_is_asked_for(changes: dict[str, Any]) -> None:
    desk = Desk(**changes)
    desk.bars(60)

    assert desk.sampled(**CRITICAL) is None
