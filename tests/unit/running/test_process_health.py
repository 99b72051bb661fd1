import asyncio
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from daemon.config import ProcessSection
from daemon.core.events import DiskChecked, Input
from daemon.running.process.health import ProcessHealth
from daemon.running.process.progress import Progress
from daemon.running.process.reading import Reading
from daemon.running.process.stage_times import StageTimes
from tests.builders import a_health_tick
from tests.virtual_time import VirtualWire, run_virtual

MB = 1_000_000
WELL = Reading(
    memory_bytes=200 * MB,
    disk_free_bytes=50_000 * MB,
    disk_error="",
    journal_bytes=10 * MB,
    open_files=40,
    open_files_max=1_024,
    threads=6,
)


class Bench:
    """A process whose readings are made up, on virtual time."""

    def __init__(self, **config: Any) -> None:
        self.reading = WELL
        self.waiting = 0
        self.depths = {"market": (0, 4_096), "outbox": (0, 10_000)}
        self.put: list[Input] = []
        self.lines: list[tuple[str, dict[str, Any]]] = []
        wire = VirtualWire()
        self.times = StageTimes()
        self.progress = Progress(wire.monotonic_s, lambda: self.waiting, stuck_after_s=20.0)
        self.health = ProcessHealth(
            ProcessSection(**config),
            self._read,
            times=self.times,
            progress=self.progress,
            depths=lambda: self.depths,
            monotonic_s=wire.monotonic_s,
            market_ns=lambda: 42,
            put=self._put,
            emit=self._emit,
        )

    async def _read(self) -> Reading:
        return self.reading

    async def _put(self, event: Input) -> None:
        self.put.append(event)

    def _emit(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    @property
    def said(self) -> list[str]:
        return [event for event, _ in self.lines]

    @property
    def unwell(self) -> object:
        return self.health.status()["unwell"]


def watched(bench: Callable[[], Bench], *acts: tuple[float, Callable[[Bench], None]]) -> Bench:
    """Check once, run for as long as the acts need, each after so many seconds more."""

    async def scenario() -> Bench:
        made = bench()
        await made.health.check()
        task = asyncio.create_task(made.health.run())
        for wait_s, act in acts:
            await asyncio.sleep(wait_s)
            act(made)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return made

    return run_virtual(scenario())


def nothing(_bench: Bench) -> None: ...


def reads(**changes: Any) -> Callable[[Bench], None]:
    def act(bench: Bench) -> None:
        bench.reading = replace(WELL, **changes)

    return act


def test_a_process_that_is_well_says_so_every_quarter_of_an_hour() -> None:
    bench = watched(Bench, (3_600.0, nothing))

    assert bench.said == ["process.sampled"] * 3
    assert bench.lines[0][1]["unwell"] == []
    assert bench.lines[0][1]["memory_megabytes"] == 200.0
    assert bench.put == []
    assert bench.health.is_well


def test_the_status_has_a_sentence_for_people_and_every_figure_for_machines() -> None:
    bench = watched(Bench, (60.0, nothing))
    status = bench.health.status()

    assert status["level"] == "ok"
    assert status["summary"] == (
        "well; loop lag p99 0.0 ms, step p99 -, 0 queued, memory 200 MB, disk free 50.0 GB"
    )
    assert {"lag_p50_ms", "queues", "journal_megabytes", "times", "waiting_s"} <= status.keys()


def test_a_level_that_changes_is_told_at_once_and_ends_when_it_has_been_calm() -> None:
    bench = watched(
        Bench,
        (7.0, reads(memory_bytes=900 * MB)),
        (5.0, nothing),
        (5.0, reads()),
        (50.0, nothing),
    )
    during = list(bench.lines)
    later = watched(Bench, (7.0, reads(memory_bytes=900 * MB)), (5.0, reads()), (70.0, nothing))

    assert [fields["unwell"] for _, fields in during] == [["memory warning (900 MB, limit 700)"]]
    assert [fields["unwell"] for _, fields in later.lines] == [
        ["memory warning (900 MB, limit 700)"],
        [],
    ]


def test_a_level_that_flaps_is_told_once() -> None:
    flaps = [(20.0, reads(open_files=n % 2 * 1_000)) for n in range(20)]

    bench = watched(Bench, *flaps)

    assert bench.said == ["process.sampled"]
    assert bench.unwell == ["files warning (1000 open, limit 819.2)"]


def test_a_full_queue_and_a_journal_that_fills_the_disk_are_warnings() -> None:
    def fill(bench: Bench) -> None:
        bench.depths = {"market": (3_000, 4_096), "outbox": (0, 10_000)}

    queue = watched(Bench, (1.0, fill), (5.0, nothing))
    grown = watched(
        Bench, (1.0, nothing), (4_000.0, reads(journal_bytes=2_010 * MB)), (5.0, nothing)
    )

    assert queue.unwell == ["queues warning (market 3000 of 4096)"]
    assert grown.unwell == ["disk warning (50000 MB free, full in 1.2 days)"]


# --- the disk -----------------------------------------------------------------------------------


def test_entries_stop_before_the_disk_is_full_and_go_on_once_there_is_room() -> None:
    bench = watched(
        Bench,
        (7.0, reads(disk_free_bytes=900 * MB)),
        (7.0, reads(disk_free_bytes=255 * MB)),
        (7.0, reads(disk_free_bytes=300 * MB)),
        (7.0, reads(disk_free_bytes=308 * MB)),
        (7.0, nothing),
    )

    assert bench.put == [
        DiskChecked(ts_ns=42, is_enough=False, free_megabytes=255, limit_megabytes=256),
        DiskChecked(ts_ns=42, is_enough=True, free_megabytes=308, limit_megabytes=256),
    ]
    assert bench.lines[0][1]["unwell"] == ["disk warning (900 MB free)"]
    assert bench.lines[1][1]["unwell"] == ["disk critical (255 MB free, nothing is opened)"]


def test_too_little_room_at_the_start_is_known_before_anything_is_decided() -> None:
    async def scenario() -> list[Input]:
        bench = Bench()
        bench.reading = replace(WELL, disk_free_bytes=0)
        await bench.health.check()
        return bench.put

    (told,) = run_virtual(scenario())

    assert isinstance(told, DiskChecked)
    assert not told.is_enough


def test_a_limit_of_zero_never_stops_and_a_disk_that_cannot_be_asked_changes_nothing() -> None:
    off = watched(
        lambda: Bench(disk_stop_megabytes=0), (7.0, reads(disk_free_bytes=0)), (7.0, nothing)
    )
    silent = watched(
        Bench, (7.0, reads(disk_free_bytes=None, disk_error="Input/output error")), (7.0, nothing)
    )

    assert off.put == silent.put == []
    assert silent.unwell == ["disk warning (cannot be asked: Input/output error)"]


# --- standing still -----------------------------------------------------------------------------


def test_a_step_that_does_not_end_is_named_and_no_sign_of_life_is_left() -> None:
    def stand(bench: Bench) -> None:
        bench.times.begin(a_health_tick())
        bench.times.thought(a_health_tick())
        bench.waiting = 1

    def go_on(bench: Bench) -> None:
        well.append(bench.health.is_well)
        bench.times.end(a_health_tick())
        bench.waiting = 0

    well: list[bool] = []
    bench = watched(Bench, (7.0, stand), (30.0, go_on), (5.0, nothing))

    stuck, turning = (fields for event, fields in bench.lines if event != "process.sampled")
    assert stuck["stage"] == turning["stage"] == "writing HealthTick into the journal"
    assert 20.0 <= stuck["silent_s"] <= 25.0
    assert well == [False]


def test_a_loop_that_is_late_is_a_warning() -> None:
    async def scenario() -> object:
        bench = Bench()
        task = asyncio.create_task(bench.health.run())
        loop: Any = asyncio.get_running_loop()
        for _ in range(200):
            await asyncio.sleep(0.05)
            loop._jumping.now_s += 0.4  # as a handler that takes its time
        await asyncio.sleep(5.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return bench.unwell

    unwell = run_virtual(scenario())

    assert isinstance(unwell, list)
    assert len(unwell) == 1
    assert unwell[0].startswith("loop warning (")
