"""One daemon per state directory: a file lock that the kernel releases when its holder dies.

Belongs here: taking the lock and saying who has it. Acting on that belongs to the commands.
"""

import fcntl
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from daemon.core.errors import LockHeld, TradingdError
from daemon.core.timeframes import rfc3339

FOLDER_MODE = 0o700
FILE_MODE = 0o600
# A lock of an open file, like flock's, but one can ask for it without taking it: a `status` that
# looks at the wrong moment keeps no daemon from starting.
_FLOCK = "hhqqi4x"
# Between taking the lock and writing its name into it a holder needs some microseconds.
READS_MAX = 1_000


class StateUnusable(TradingdError):
    """Nothing can be kept in this state directory."""

    exit_code = 78


class Holder(Struct, frozen=True):
    """Who has the lock; written into the lock file by its holder."""

    pid: int
    started: str


class StateLock:
    """The held lock; use it as a context manager, or close it."""

    def __init__(self, file: int) -> None:
        self._file = file

    @classmethod
    def acquire(cls, state_dir: Path, *, started_ns: int) -> "StateLock":
        """Take the lock of a state directory, made if needed; LockHeld names its holder,
        StateUnusable says what keeps it from being one.
        """
        try:
            state_dir.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            file = os.open(_lock_file(state_dir), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise _unusable(state_dir, error) from error
        try:
            _take(file, state_dir)
            os.ftruncate(file, 0)
            os.pwrite(file, msgspec.json.encode(Holder(os.getpid(), rfc3339(started_ns))), 0)
        except BaseException:
            os.close(file)
            raise
        return cls(file)

    def close(self) -> None:
        """Let the next one have it."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def holder(state_dir: Path) -> int | None:
    """Pid of the daemon that has this state directory (0: it does not say); None: nobody has.
    StateUnusable when that cannot be seen.
    """
    try:
        file = os.open(_lock_file(state_dir), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(state_dir, error) from error
    try:
        if not _is_taken(file):
            return None
        found = _written(file)
        return 0 if found is None else found.pid
    finally:
        os.close(file)


def _lock_file(state_dir: Path) -> Path:
    return state_dir / "lock"


def _whole_file(kind: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)


def _take(file: int, state_dir: Path) -> None:
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as POSIX leaves it open
        raise LockHeld(_refusal(state_dir, _written(file))) from None


def _is_taken(file: int) -> bool:
    answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_RDLCK))
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


def _written(file: int) -> Holder | None:
    for _ in range(READS_MAX):
        try:
            return msgspec.json.decode(os.pread(file, 4_096, 0), type=Holder)
        except msgspec.DecodeError:
            continue
    return None


def _unusable(state_dir: Path, error: OSError) -> StateUnusable:
    return StateUnusable(f"{state_dir} cannot be the state directory: {error.strerror or error}")


def _refusal(state_dir: Path, found: Holder | None) -> str:
    if found is None:
        return f"{state_dir} is in use by another tradingd"
    return f"{state_dir} is in use by tradingd with pid {found.pid}, started {found.started}"
