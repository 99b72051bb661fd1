import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import ClockChecked, Input
from daemon.core.timeframes import NS_PER_MS, NS_PER_S
from daemon.running.clock_watch import ClockWatch
from tests.virtual_time import VirtualWire, run_virtual

EPOCH_NS = 1_700_000_000 * NS_PER_S


class Machine(VirtualWire):
    """This machine: its wall clock can be set to another time; its monotonic one goes on."""

    def __init__(self) -> None:
        super().__init__(EPOCH_NS)
        self.set_by_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.set_by_ns


class Bench:
    """A clock watch with an exchange whose time is true and whose answers take `takes_s`."""

    def __init__(self, limit_ms: float = 2_500.0) -> None:
        self.machine = Machine()
        self.takes_s = [(0.01, 0.01)]
        self.is_away = False
        self.asked = 0
        self.times: list[int] = []
        self.put: list[Input] = []
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.jumps = 0
        self.watch = ClockWatch(
            "embedded",
            self._read_ns,
            wire=self.machine,
            limit_ms=limit_ms,
            market_ns=lambda: 42,
            put=self._put,
            emit=self._emit,
            on_time=self.times.append,
            on_jump=self._jumped,
        )

    async def _read_ns(self) -> int:
        there_s, back_s = self.takes_s[self.asked % len(self.takes_s)]
        self.asked += 1
        await asyncio.sleep(there_s)
        if self.is_away:
            raise ExchangeUnreachable
        told_ns = self.truth_ns()
        await asyncio.sleep(back_s)
        return told_ns

    def truth_ns(self) -> int:
        return EPOCH_NS + round(self.machine.monotonic_s() * NS_PER_S)

    async def _put(self, event: Input) -> None:
        self.put.append(event)

    def _emit(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    def _jumped(self) -> None:
        self.jumps += 1

    @property
    def said(self) -> list[str]:
        return [event for event, _ in self.lines if event != "clock.measured"]

    @property
    def last(self) -> ClockChecked:
        assert isinstance(self.put[-1], ClockChecked)
        return self.put[-1]


def watched(bench: Bench, *acts: tuple[float, Callable[[], None]]) -> None:
    """Check once, then run for as long as the acts need, each after so many seconds more."""

    async def scenario() -> None:
        await bench.watch.check()
        task = asyncio.create_task(bench.watch.run())
        for wait_s, act in acts:
            await asyncio.sleep(wait_s)
            act()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtual(scenario())


def nothing() -> None: ...


def test_a_clock_that_agrees_is_measured_every_five_minutes_and_says_nothing() -> None:
    bench = Bench()

    status: dict[str, object] = {}
    watched(bench, (1_000.0, lambda: status.update(bench.watch.status())))

    assert bench.asked == 4 * 5
    assert bench.put == []
    assert bench.said == []
    assert status == {"offset_ms": 0.0, "error_ms": 10.0, "age_s": 100, "trusted": True}


def test_the_quickest_of_five_answers_is_the_one_that_counts() -> None:
    bench = Bench()
    bench.takes_s = [(2.0, 0.0), (0.0, 3.0), (0.02, 0.01), (1.0, 0.0), (0.5, 0.0)]

    watched(bench, (0.0, nothing))

    ((_, line),) = bench.lines
    assert line["offset_ms"] == pytest.approx(5.0)
    assert line["error_ms"] == pytest.approx(15.0)
    assert bench.times[0] - EPOCH_NS == pytest.approx(6.53 * NS_PER_S, abs=5.1 * NS_PER_MS)


def test_an_offset_above_the_limit_is_told_at_once_and_so_is_its_end() -> None:
    bench = Bench()
    bench.machine.set_by_ns = -3_000 * NS_PER_MS

    def put_right() -> None:
        bench.machine.set_by_ns = 0

    watched(bench, (100.0, put_right), (20.0, nothing))

    off, agrees = bench.put
    assert off == ClockChecked(
        ts_ns=42,
        exchange="embedded",
        is_trusted=False,
        offset_ms=3_000.0,
        error_ms=10.0,
        limit_ms=2_500.0,
    )
    assert isinstance(agrees, ClockChecked)
    assert (agrees.is_trusted, agrees.offset_ms) == (True, 0.0)
    assert bench.said == ["clock.drifted", "clock.jumped"]


def test_a_small_offset_is_warned_of_once_and_trusted() -> None:
    bench = Bench()
    bench.machine.set_by_ns = 800 * NS_PER_MS

    watched(bench, (1_000.0, nothing))

    assert bench.said == ["clock.drifted"]
    assert bench.put == []


def test_answers_too_slow_to_prove_anything_are_not_trusted() -> None:
    bench = Bench(limit_ms=1_000.0)
    bench.takes_s = [(1.5, 1.0)]

    watched(bench, (0.0, nothing))

    assert (bench.last.is_trusted, bench.last.error_ms) == (False, 1_250.0)


def test_a_step_of_this_machines_clock_is_noticed_within_a_second_and_measured_anew() -> None:
    bench = Bench()

    def step() -> None:
        bench.machine.set_by_ns = 3_600 * NS_PER_S

    watched(bench, (30.5, step), (2.0, nothing))

    assert bench.said == ["clock.jumped", "clock.drifted"]
    assert bench.lines[1][1]["jumped_s"] == 3_600.0
    assert bench.jumps == 1
    assert (bench.last.is_trusted, bench.last.offset_ms) == (False, -3_600_000.0)
    # What signatures and decisions use is the exchange's time all the same.
    assert bench.times[-1] - EPOCH_NS == pytest.approx(31.2 * NS_PER_S, abs=NS_PER_S)


def test_a_step_in_the_middle_of_a_measurement_is_noticed_too() -> None:
    bench = Bench()
    bench.takes_s = [(0.2, 0.2)]  # it goes from 302 s to 304 s, and its first answer counts

    def step() -> None:
        bench.machine.set_by_ns = 3_600 * NS_PER_S

    watched(bench, (301.0, step), (6.0, nothing))

    assert bench.jumps == 1
    assert (bench.last.is_trusted, bench.last.offset_ms) == (False, -3_600_000.0)


def test_an_exchange_that_cannot_be_asked_keeps_the_trust_for_an_hour_and_no_longer() -> None:
    bench = Bench()

    def leave() -> None:
        bench.is_away = True

    watched(bench, (10.0, leave), (3_500.0, nothing), (400.0, nothing))

    assert bench.last == ClockChecked(
        ts_ns=42,
        exchange="embedded",
        is_trusted=False,
        offset_ms=0.0,
        error_ms=10.0,
        limit_ms=2_500.0,
    )
    assert len(bench.put) == 1


def test_after_a_jump_that_nothing_can_measure_nothing_is_trusted() -> None:
    bench = Bench()

    def jump() -> None:
        bench.is_away = True
        bench.machine.set_by_ns = NS_PER_S

    def come_back() -> None:
        bench.is_away = False

    watched(bench, (10.0, jump), (60.0, come_back), (20.0, nothing))

    assert [each.is_trusted for each in bench.put if isinstance(each, ClockChecked)] == [
        False,
        True,
    ]
    first = bench.put[0]
    assert isinstance(first, ClockChecked)
    assert first.offset_ms is None
