import asyncio

from hypothesis import given
from hypothesis import strategies as st

from daemon.core import events as e
from daemon.core.timeframes import DAY_NS
from daemon.running.health import HealthTask
from daemon.running.process.progress import Progress
from tests.builders import CLOSE_NS, HOUR_NS, a_bar, a_bars_missed, an_order_reported


def closed(hour: int, late_ns: int = 0) -> tuple[e.Event, ...]:
    bar = a_bar(open_ns=CLOSE_NS + (hour - 1) * HOUR_NS)
    return (e.BarsClosed(ts_ns=bar.close_ns + late_ns, bars=(bar,)),)


async def ticks_of(
    steps: list[tuple[e.Event, ...]], every_bars: int, before: list[e.Event] | None = None
) -> list[int]:
    """When samples were asked for, each step's tick taken before the next step."""
    ticks: list[int] = []
    arrived = asyncio.Event()

    async def publish(tick: e.HealthTick) -> None:
        ticks.append(tick.ts_ns)
        arrived.set()

    task = HealthTask(publish, every_bars=every_bars, timeframe_ns=HOUR_NS)
    for event in before or []:
        task.recall(event)
    running = asyncio.create_task(task.run())
    for step in steps:
        task.note(step)
        if task.is_due:
            await arrived.wait()
            arrived.clear()
    running.cancel()
    return ticks


async def test_a_sample_is_asked_for_every_so_many_bars() -> None:
    ticks = await ticks_of([closed(hour) for hour in range(10)], every_bars=3)

    assert ticks == [CLOSE_NS + hour * HOUR_NS for hour in (3, 6, 9)]


async def test_after_a_day_of_market_time_a_sample_is_due_in_any_case() -> None:
    ticks = await ticks_of([closed(hour) for hour in range(60)], every_bars=500)

    assert ticks == [CLOSE_NS + DAY_NS, CLOSE_NS + 2 * DAY_NS]


@given(st.lists(st.integers(0, HOUR_NS // 2), min_size=13, max_size=13))
def test_how_late_bars_arrive_does_not_shift_the_samples(late_ns: list[int]) -> None:
    steps = [closed(hour, late) for hour, late in enumerate(late_ns)]

    ticks = asyncio.run(ticks_of(steps, every_bars=4))

    assert ticks == [CLOSE_NS + hour * HOUR_NS + late_ns[hour] for hour in (4, 8, 12)]


async def test_bars_of_several_instruments_in_one_slot_are_one_slot() -> None:
    steps = [closed(hour) for hour in (0, 0, 1, 1, 2, 2, 3, 3, 4)]

    assert await ticks_of(steps, every_bars=2) == [CLOSE_NS + hour * HOUR_NS for hour in (2, 4)]


async def test_a_hole_does_not_count_as_no_time() -> None:
    ticks = await ticks_of([closed(0), closed(7), closed(8)], every_bars=3)

    assert ticks == [CLOSE_NS + 7 * HOUR_NS]


@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 3))
def test_a_run_that_was_interrupted_is_sampled_at_the_same_bars(
    kept: int, every: int, step_hours: int
) -> None:
    steps = [closed(hour) for hour in range(0, 31 * step_hours, step_hours)]
    whole = asyncio.run(ticks_of(steps, every))
    journal: list[e.Event] = []
    for step in steps[:kept]:
        journal += step
        journal += [e.HealthTick(ts_ns=each) for each in whole if each == step[0].ts_ns]

    after = asyncio.run(ticks_of(steps[kept:], every, journal))

    assert [each for each in whole if each <= journal[-1].ts_ns] + after == whole


async def test_a_sample_that_was_owed_when_a_run_ended_comes_first() -> None:
    journal = [event for hour in range(4) for event in closed(hour)]

    assert await ticks_of([closed(4), closed(5)], 3, journal) == [CLOSE_NS + 3 * HOUR_NS]


async def test_other_steps_are_no_bars() -> None:
    steps: list[tuple[e.Event, ...]] = [closed(0), (a_bars_missed(),), (an_order_reported(),)]

    assert await ticks_of(steps, every_bars=1) == []


async def test_a_sample_is_owed_until_its_tick_is_in_the_queue() -> None:
    """Lock-step reads this: a bar is acknowledged only when the tick it caused is there too."""
    go_on = asyncio.Event()

    async def publish(_tick: e.HealthTick) -> None:
        await go_on.wait()

    task = HealthTask(publish, every_bars=1, timeframe_ns=HOUR_NS)
    running = asyncio.create_task(task.run())
    task.note(closed(0))
    due = [task.is_due]
    task.note(closed(1))
    due.append(task.is_due)
    await asyncio.sleep(0)
    due.append(task.is_due)
    go_on.set()
    await asyncio.sleep(0)
    due.append(task.is_due)
    running.cancel()

    assert due == [False, True, True, False]


# --- progress -----------------------------------------------------------------------------------


class Watched:
    """A daemon as the watchdog sees it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waiting = 0
        self.progress = Progress(lambda: self.now_s, lambda: self.waiting, stuck_after_s=20.0)


def test_a_quiet_market_is_no_standstill() -> None:
    watched = Watched()
    watched.now_s = 1e6

    assert watched.progress.is_made()


def test_inputs_that_wait_too_long_are_a_standstill() -> None:
    watched = Watched()
    watched.waiting = 3
    watched.now_s = 19.9
    before = watched.progress.is_made()
    watched.now_s = 20.0

    assert (before, watched.progress.is_made()) == (True, False)


def test_every_step_is_progress() -> None:
    watched = Watched()
    watched.waiting = 3
    for _ in range(5):
        watched.now_s += 19.0
        watched.progress.note(closed(0))

    assert watched.progress.is_made()


def test_the_time_nothing_waited_does_not_count() -> None:
    watched = Watched()
    watched.now_s = 100.0
    watched.progress.is_made()
    watched.waiting = 1
    watched.now_s = 119.0

    assert watched.progress.is_made()


def test_how_long_ago_the_last_step_was_counts_while_nothing_waits_too() -> None:
    watched = Watched()
    watched.now_s = 100.0
    watched.progress.note(closed(0))
    watched.now_s = 700.0

    assert watched.progress.is_made()
    assert watched.progress.quiet_s() == 600.0
