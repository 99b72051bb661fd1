import asyncio
import threading
from collections.abc import Iterator

from daemon.core import events as e
from daemon.core.pipeline import Pipeline, on
from daemon.running.process.loop_watchdog import LoopWatchdog, Stuck, where
from daemon.running.process.stage_times import StageTimes
from tests.builders import a_health_tick


class Watched:
    """A watchdog on a clock of its own, asked without its thread."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.told: list[Stuck] = []
        self.dog = LoopWatchdog(self.told.append, after_s=10.0, monotonic_s=lambda: self.now_s)

    def looks_at(self, *seconds: float) -> list[int]:
        """How often it has told by each of these moments."""
        counts = []
        for each in seconds:
            self.now_s = each
            self.dog.look(each)
            counts.append(len(self.told))
        return counts


def test_a_loop_that_stands_still_is_told_of_once_and_again_after_a_minute() -> None:
    assert Watched().looks_at(9.9, 10.0, 10.5, 69.9, 70.0, 70.5, 130.0) == [0, 1, 1, 1, 2, 2, 3]


def test_a_loop_that_turns_again_is_told_of_anew() -> None:
    watched = Watched()
    before = watched.looks_at(11.0)
    watched.dog.beat()

    assert before + watched.looks_at(20.0, 21.5) == [1, 1, 2]


def test_a_handler_that_does_not_return_is_named_with_its_stack() -> None:
    """The real thread, a real handler that waits inside a step, and a real loop that it blocks."""
    told: list[Stuck] = []
    go_on = threading.Event()

    def hear(stuck: Stuck) -> None:
        told.append(stuck)
        go_on.set()

    class Thinker:
        def on_tick(self, _event: e.HealthTick) -> Iterator[e.Event]:
            self.wait()
            yield from ()

        def wait(self) -> None:
            assert go_on.wait(30.0)

    async def scenario() -> None:
        dog = LoopWatchdog(hear, after_s=0.05, wait=lambda end, _timeout_s: end.wait(0.01))
        dog.start()
        pipeline = StageTimes().timed(Pipeline([on(e.HealthTick, Thinker().on_tick)]))
        pipeline.step(a_health_tick())
        dog.stop()

    asyncio.run(scenario())

    (stuck, *_) = told
    assert stuck.stage.endswith("Thinker.on_tick")
    inside = [each for each in stuck.stack if "Thinker" in each]
    assert stuck.silent_s >= 0.05
    assert len(inside) == 2
    assert "test_loop_watchdog.py:" in inside[0]
    assert any("Pipeline._run" in each for each in stuck.stack)


def test_a_process_that_was_stopped_whole_is_no_loop_that_hangs() -> None:
    """After a SIGSTOP thread and loop wake up together, and nobody was stuck."""
    now_s = 0.0
    told: list[Stuck] = []

    def sleeping_through(end: threading.Event, _timeout_s: float) -> bool:
        nonlocal now_s
        now_s += 500.0
        return end.is_set() or now_s > 2_000.0

    dog = LoopWatchdog(told.append, after_s=10.0, monotonic_s=lambda: now_s, wait=sleeping_through)
    dog.start()
    dog.stop()

    assert told == []


def test_nothing_to_look_at_is_unknown() -> None:
    assert where(None) == ("unknown", ())
