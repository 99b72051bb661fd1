"""The lock of a state directory, held by this process and by another that may be killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.core.errors import LockHeld
from daemon.core.timeframes import parse_time
from daemon.store.lock import StateLock, StateUnusable, holder

STARTED_NS = parse_time("2024-01-01T00:00Z")
HOLD = """
import sys
from pathlib import Path
from daemon.store.lock import StateLock, StateUnusable, holder
with StateLock.acquire(Path(sys.argv[1]), started_ns=int(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(state_dir: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state_dir), str(STARTED_NS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_nobody_holds_a_directory_that_is_not_there(tmp_path: Path) -> None:
    assert holder(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()


def test_the_holder_of_the_lock_is_known_by_its_pid(tmp_path: Path) -> None:
    with StateLock.acquire(tmp_path / "state", started_ns=STARTED_NS):
        assert holder(tmp_path / "state") == os.getpid()

    assert holder(tmp_path / "state") is None


def test_a_lock_held_here_is_refused_here_too(tmp_path: Path) -> None:
    with StateLock.acquire(tmp_path, started_ns=STARTED_NS) as lock:
        with pytest.raises(LockHeld):
            StateLock.acquire(tmp_path, started_ns=STARTED_NS)
        assert holder(tmp_path) == os.getpid()
        lock.close()

        StateLock.acquire(tmp_path, started_ns=STARTED_NS).close()


def test_a_lock_held_by_another_process_is_refused_with_its_pid(tmp_path: Path) -> None:
    with another_process(tmp_path) as other:
        found = holder(tmp_path)
        with pytest.raises(LockHeld) as caught:
            StateLock.acquire(tmp_path, started_ns=STARTED_NS)
        other.communicate()

    assert found == other.pid
    assert f"pid {other.pid}, started 2024-01-01T00:00:00.000Z" in str(caught.value)
    assert caught.value.exit_code == 75
    assert holder(tmp_path) is None


def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    with another_process(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.communicate()

    assert holder(tmp_path) is None
    with StateLock.acquire(tmp_path, started_ns=STARTED_NS):
        assert holder(tmp_path) == os.getpid()


def test_asking_for_the_holder_takes_nothing_away(tmp_path: Path) -> None:
    lock = StateLock.acquire(tmp_path, started_ns=STARTED_NS)

    asked = [holder(tmp_path) for _ in range(10)]
    with pytest.raises(LockHeld):
        StateLock.acquire(tmp_path, started_ns=STARTED_NS)
    lock.close()

    assert asked == [os.getpid()] * 10


def test_a_holder_that_does_not_say_who_it_is_still_holds(tmp_path: Path) -> None:
    with StateLock.acquire(tmp_path, started_ns=STARTED_NS):
        (tmp_path / "lock").write_bytes(b"")

        assert holder(tmp_path) == 0
        with pytest.raises(LockHeld, match="in use by another tradingd"):
            StateLock.acquire(tmp_path, started_ns=STARTED_NS)


def test_a_place_where_nothing_can_be_kept_is_refused_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    for attempt in (lambda: StateLock.acquire(file, started_ns=0), lambda: holder(file)):
        with pytest.raises(StateUnusable, match=f"{file} cannot be the state directory: ") as said:
            attempt()
        assert said.value.exit_code == 78
