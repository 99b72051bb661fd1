import asyncio
from collections.abc import Iterator, Sequence

import pytest

from daemon.core import events as e
from daemon.core.errors import JournalBroken
from daemon.core.inbox import Inbox
from daemon.core.pipeline import Pipeline, on
from daemon.running.runner import Runner
from tests.builders import (
    a_bars_closed,
    a_halt_requested,
    a_health_tick,
    a_look_up,
    a_submission,
    an_intent,
    an_order_reported,
)


class MemoryJournal:
    """Holds steps; `held` makes it wait as a slow disk does, `is_broken` makes it refuse."""

    def __init__(self) -> None:
        self.steps: list[tuple[tuple[e.Event, ...], bool]] = []
        self.is_broken = False
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.is_waited_for = asyncio.Event()

    async def append(self, events: Sequence[e.Event], *, is_durable: bool) -> None:
        self.is_waited_for.set()
        await self.go_on.wait()
        if self.is_broken:
            raise JournalBroken("the disk is full")
        self.steps.append((tuple(events), is_durable))

    def read(self) -> Iterator[tuple[int, e.Event]]:
        return ((n, each) for n, (events, _) in enumerate(self.steps) for each in events)


class Desk:
    """A runner whose core answers every tick with an order and every halt with a look-up."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.inbox = Inbox()
        self.acted: list[e.Command] = []
        self.seen: list[str] = []
        self.runner = Runner(
            Pipeline(
                [
                    on(e.HealthTick, lambda _event: iter([an_intent(), a_submission()])),
                    on(e.HaltRequested, lambda _event: iter([a_look_up()])),
                ]
            ),
            self.journal,
            self.inbox,
            act=self._act,
        )

    def _act(self, command: e.Command) -> None:
        assert self.journal.steps, "a command left before its step was committed"
        self.acted.append(command)
        self.seen.append("acted")


async def test_commands_leave_only_after_the_commit_has_returned() -> None:
    desk = Desk()
    desk.journal.go_on.clear()
    taking = asyncio.create_task(desk.runner.take(a_health_tick()))
    await desk.journal.is_waited_for.wait()

    acted_before = list(desk.acted)
    desk.journal.go_on.set()
    await taking

    assert acted_before == []
    assert desk.acted == [a_submission()]
    assert [each for _, each in desk.journal.read()] == [a_health_tick(), an_intent()]


async def test_a_journal_that_fails_lets_nothing_leave_and_ends_the_loop() -> None:
    desk = Desk()
    desk.runner.observers.append(lambda _events: desk.seen.append("observed"))
    desk.journal.is_broken = True
    await desk.inbox.put(a_health_tick())
    await desk.inbox.put(a_halt_requested())

    with pytest.raises(JournalBroken, match="full"):
        await desk.runner.run()

    assert (desk.acted, desk.seen, desk.runner.steps) == ([], [], 0)
    assert len(desk.inbox) == 1


async def test_only_steps_that_need_it_are_flushed_at_once() -> None:
    desk = Desk()
    for event in (a_health_tick(), a_bars_closed(), a_halt_requested(), an_order_reported()):
        await desk.runner.take(event)

    assert [is_durable for _, is_durable in desk.journal.steps] == [True, False, True, False]


async def test_observers_hear_of_a_step_after_its_commands_have_left() -> None:
    desk = Desk()
    desk.runner.observers.append(lambda events: desk.seen.append(type(events[0]).__name__))

    await desk.runner.take(a_health_tick())

    assert desk.seen == ["acted", "HealthTick"]


async def test_the_runner_is_idle_between_steps_and_busy_until_the_commit() -> None:
    desk = Desk()
    desk.journal.go_on.clear()
    idle = [desk.runner.is_idle]
    taking = asyncio.create_task(desk.runner.take(a_health_tick()))
    await desk.journal.is_waited_for.wait()
    idle.append(desk.runner.is_idle)
    desk.journal.go_on.set()
    await taking

    assert [*idle, desk.runner.is_idle] == [True, False, True]
    assert desk.runner.steps == 1


async def test_a_step_that_raises_is_not_committed_and_nothing_leaves() -> None:
    journal, acted = MemoryJournal(), list[e.Command]()
    broken = Pipeline([on(e.HealthTick, lambda _event: 1 / 0)])  # type: ignore[arg-type,return-value]
    runner = Runner(broken, journal, Inbox(), act=acted.append)

    with pytest.raises(ZeroDivisionError):
        await runner.take(a_health_tick())

    assert (journal.steps, acted) == ([], [])


async def test_the_loop_takes_inputs_in_the_order_of_the_queue() -> None:
    desk = Desk()
    committed = asyncio.Event()

    def note(events: tuple[e.Event, ...]) -> None:
        if isinstance(events[0], e.BarsClosed):
            committed.set()

    desk.runner.observers.append(note)
    for event in (a_bars_closed(), a_health_tick(), an_order_reported()):
        await desk.inbox.put(event)
    running = asyncio.create_task(desk.runner.run())
    await committed.wait()
    running.cancel()

    inputs = [events[0] for events, _ in desk.journal.steps]
    assert inputs == [a_health_tick(), an_order_reported(), a_bars_closed()]
