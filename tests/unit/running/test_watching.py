"""When a daemon gives a sign of life, and when it does not."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from daemon.config import load
from daemon.core.inbox import Inbox
from daemon.running.watching import Watching
from tests.builders import a_bars_closed, a_halt_requested

TWO_BARS_S = 2 * 3_600.0


class Bench:
    """A daemon with bars of an hour, on a clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 0.0
        self.inbox = Inbox()
        reporter: Any = SimpleNamespace(
            emit=lambda _event, **_fields: None, watch_process=lambda _status: None
        )
        wire: Any = SimpleNamespace(monotonic_s=lambda: self.now_s)
        paths: Any = SimpleNamespace(state_dir=folder, journal=folder / "journal.db")
        self.watching = Watching(
            load(None, {}, {}),
            paths,
            wire=wire,
            market_ns=lambda: 0,
            reporter=reporter,
            inbox=self.inbox,
            sites={},
            is_idle=lambda: True,
            each_second=self._nothing,
        )

    async def _nothing(self) -> None: ...

    def is_alive_at(self, now_s: float) -> bool:
        self.now_s = now_s
        return self.watching.is_alive()

    def steps_at(self, now_s: float) -> None:
        self.now_s = now_s
        self.watching.progress.note((a_bars_closed(),))


def test_a_daemon_that_steps_is_alive_until_bars_have_been_missing_for_long(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.steps_at(1_000.0)
    late_s = 1_000.0 + TWO_BARS_S

    alive = [bench.is_alive_at(each) for each in (1_001.0, late_s, late_s + 120, late_s + 121)]
    bench.steps_at(late_s + 200)

    assert alive == [True, True, True, False]
    assert bench.is_alive_at(late_s + 201)


async def test_inputs_that_wait_without_a_step_are_no_life(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.steps_at(10.0)
    bench.is_alive_at(100.0)
    await bench.inbox.put(a_halt_requested())

    assert [bench.is_alive_at(each) for each in (119.0, 120.0)] == [True, False]


def test_a_disk_without_room_is_no_life(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.steps_at(10.0)
    before = bench.is_alive_at(11.0)
    levels = bench.watching._process._levels
    levels.note(critical_figures(), is_standing=False)

    assert (before, bench.is_alive_at(12.0)) == (True, False)


def critical_figures() -> Any:
    """A sample of a disk with 90 MB left."""
    reading = SimpleNamespace(
        memory_bytes=0, disk_free_bytes=90_000_000, disk_error="", open_files=1, open_files_max=10
    )
    return SimpleNamespace(
        lag_p99_ms=0.0, waiting_s=0.0, depths={}, reading=reading, full_in_days=None
    )
