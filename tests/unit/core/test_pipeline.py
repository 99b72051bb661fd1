from collections.abc import Callable, Iterator
from decimal import ROUND_DOWN, Context, Decimal, localcontext

import pytest

from daemon.core import events as e
from daemon.core.pipeline import Pipeline, apply, on
from tests.builders import (
    BTC,
    ETH,
    a_bars_closed,
    a_bars_missed,
    a_feed_stale,
    a_halt_requested,
    a_health_tick,
    a_look_up,
    a_resume_requested,
    a_signal,
    an_approval,
    an_intent,
)


def causing(*caused: e.Event) -> Callable[[e.Event], Iterator[e.Event]]:
    return lambda _event: iter(caused)


def test_a_step_begins_with_its_input_and_keeps_commands_apart() -> None:
    signal, command = a_signal(), a_look_up()
    pipeline = Pipeline([on(e.HealthTick, causing(signal, command), e.SignalEmitted)])

    step = pipeline.step(a_health_tick())

    assert step.events == (a_health_tick(), signal)
    assert step.commands == (command,)


def test_an_event_is_applied_everywhere_before_anyone_decides_on_it() -> None:
    seen: list[str] = []

    def decide(_event: e.HealthTick) -> Iterator[e.Event]:
        seen.append("decided")
        return iter(())

    pipeline = Pipeline(
        [
            on(e.HealthTick, decide),
            apply(e.HealthTick, lambda _event: seen.append("applied first")),
            apply(e.HealthTick, lambda _event: seen.append("applied second")),
        ]
    )

    pipeline.step(a_health_tick())

    assert seen == ["applied first", "applied second", "decided"]


def test_what_an_event_causes_runs_to_its_end_before_its_sibling() -> None:
    """Two signals of one bar: the second is sized with the first one's order in the blotter."""
    first, second = a_signal(instrument=BTC), a_signal(instrument=ETH)
    approvals = {
        each.instrument: an_approval(instrument=each.instrument) for each in (first, second)
    }
    intents = {each.instrument: an_intent(instrument=each.instrument) for each in (first, second)}
    pipeline = Pipeline(
        [
            on(e.BarsClosed, causing(first, second)),
            on(e.SignalEmitted, lambda event: iter([approvals[event.instrument]])),
            on(e.OrderApproved, lambda event: iter([intents[event.instrument]])),
        ]
    )

    step = pipeline.step(a_bars_closed())

    assert step.events[1:] == (
        first, approvals[BTC], intents[BTC], second, approvals[ETH], intents[ETH],
    )  # fmt: skip


def test_all_rows_of_an_event_decide_before_its_consequences_run() -> None:
    pipeline = Pipeline(
        [
            on(e.HealthTick, causing(a_halt_requested())),
            on(e.HealthTick, causing(a_feed_stale())),
            on(e.HaltRequested, causing(a_resume_requested())),
        ]
    )

    step = pipeline.step(a_health_tick())

    assert step.events[1:] == (a_halt_requested(), a_resume_requested(), a_feed_stale())


def test_a_row_that_answers_nothing_is_no_error() -> None:
    pipeline = Pipeline([on(e.HealthTick, lambda _event: ())])

    assert pipeline.step(a_health_tick()).events == (a_health_tick(),)


def test_an_event_nobody_waits_for_is_kept_all_the_same() -> None:
    assert Pipeline([]).step(a_bars_missed()).events == (a_bars_missed(),)


def test_events_that_cause_themselves_end_the_daemon_instead_of_running_for_ever() -> None:
    pipeline = Pipeline([on(e.HealthTick, causing(a_health_tick()))])

    with pytest.raises(AssertionError, match="HealthTick causes events without end"):
        pipeline.step(a_health_tick())


def test_commands_that_cause_themselves_are_not_run_at_all() -> None:
    pipeline = Pipeline([on(e.LookUpOrder, causing(a_look_up()))])

    assert pipeline.step(a_look_up()).commands == (a_look_up(),)


def test_recovery_applies_and_never_decides() -> None:
    applied: list[e.Event] = []
    decided: list[e.Event] = []

    def decide(event: e.HealthTick) -> Iterator[e.Event]:
        decided.append(event)
        return iter(())

    pipeline = Pipeline([on(e.HealthTick, decide), apply(e.HealthTick, applied.append)])
    journal = [a_health_tick(ts_ns=n) for n in range(3)] + [a_signal()]

    count = pipeline.recover(journal)

    assert count == 4
    assert applied == journal[:3]
    assert decided == []


def test_the_arithmetic_of_a_decision_is_its_own_whatever_a_library_does_to_the_thread() -> None:
    """ccxt sets the rounding of the whole thread when it is imported."""
    quotients: list[Decimal] = []

    def divide(_event: e.HealthTick) -> Iterator[e.Event]:
        quotients.append(Decimal(2) / Decimal(3))
        return iter(())

    def divide_again(_event: e.HealthTick) -> None:
        quotients.append(Decimal(2) / Decimal(3))

    pipeline = Pipeline([on(e.HealthTick, divide), apply(e.HealthTick, divide_again)])
    pipeline.step(a_health_tick())
    with localcontext(Context(prec=3, rounding=ROUND_DOWN)):
        pipeline.step(a_health_tick())
        pipeline.recover([a_health_tick()])

    assert len(quotients) == 5
    assert len(set(quotients)) == 1


def test_an_empty_journal_recovers_nothing() -> None:
    assert Pipeline([]).recover([]) == 0
