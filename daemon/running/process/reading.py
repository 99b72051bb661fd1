"""What the system says of this process: reads memory, disk, journal, files and threads as numbers.

Belongs here: reading, nothing but standard files of Linux. What a number means belongs to
`process.health`. It may block, so it is called in a thread.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

MEGABYTE = 1_000_000
OWN = Path("/proc/self")


class Reading(Struct, frozen=True, kw_only=True):
    """None where the system does not say."""

    memory_bytes: int | None
    disk_free_bytes: int | None
    disk_error: str
    journal_bytes: int
    open_files: int | None
    open_files_max: int
    threads: int | None


def read_process(state_dir: Path, journal: Path, own: Path = OWN) -> Reading:
    """Everything at once; a disk that cannot be asked is told by its error."""
    free, error = _free(state_dir)
    return Reading(
        memory_bytes=_resident(own / "statm"),
        disk_free_bytes=free,
        disk_error=error,
        journal_bytes=_size(journal.with_name(journal.name + end) for end in ("", "-wal")),
        open_files=_count(own / "fd"),
        open_files_max=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        threads=_count(own / "task"),
    )


def _free(folder: Path) -> tuple[int | None, str]:
    try:
        told = os.statvfs(folder)
    except OSError as error:
        return None, error.strerror or type(error).__name__
    return told.f_bavail * told.f_frsize, ""


def _resident(statm: Path) -> int | None:
    try:
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return None


def _size(files: Iterable[Path]) -> int:
    total = 0
    for each in files:
        with suppress(OSError):
            total += each.stat().st_size
    return total


def _count(folder: Path) -> int | None:
    try:
        return len(os.listdir(folder))  # noqa: PTH208  # only counted
    except OSError:
        return None
