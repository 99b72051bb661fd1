import asyncio

import pytest

from daemon.simulation.virtual_loop import Timeline, new_loop


def test_hours_pass_at_once_and_the_world_goes_on_between_the_timers() -> None:
    timeline, seen = Timeline(), []
    timeline.after(10.0, lambda: seen.append(f"world {timeline.now_s:.0f}"))

    async def main() -> None:
        await asyncio.sleep(7_200.0)
        seen.append(f"bot {timeline.now_s:.0f}")

    assert new_loop(timeline).run(main(), 10_000.0)
    assert seen == ["world 10", "bot 7200"]


def test_a_killed_process_runs_not_one_line_more_that_reaches_anything() -> None:
    timeline, seen = Timeline(), []
    loop = new_loop(timeline)
    loop.kill_at(4)

    async def main() -> None:
        for number in range(10):
            seen.append(number)
            await asyncio.sleep(1.0)

    assert not loop.run(main(), 100.0)
    assert loop.was_killed
    assert seen == [0, 1]  # each second is two callbacks: the timer and the task


def test_what_ends_with_a_killed_process_asks_for_no_real_loop() -> None:
    timeline, asked = Timeline(), []
    loop = new_loop(timeline)

    async def main() -> None:
        try:
            await asyncio.sleep(50.0)
        finally:
            asked.append(asyncio.get_running_loop())

    assert not loop.run(main(), 20.0)
    assert asked == [loop]


def test_time_that_is_over_ends_a_run_without_killing_it() -> None:
    timeline = Timeline()
    loop = new_loop(timeline)

    assert not loop.run(asyncio.sleep(50.0), 20.0)
    assert not loop.was_killed


def test_a_timeout_is_heard_in_virtual_time() -> None:
    timeline = Timeline()

    async def main() -> None:
        async with asyncio.timeout(30.0):
            await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        new_loop(timeline).run(main(), 100.0)
    assert timeline.now_s == 30.0


def test_a_task_that_fails_unheard_is_told() -> None:
    loop = new_loop(Timeline())

    async def fail() -> None:
        raise ValueError("nobody waits for this")

    async def main() -> None:
        asyncio.create_task(fail())  # noqa: RUF006  # that is the point
        await asyncio.sleep(1.0)

    assert loop.run(main(), 10.0)
    assert any("nobody waits for this" in each for each in loop.troubles)
