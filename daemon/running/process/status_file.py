"""The file that `tradingd status` shows: makes it anew from the state of the last commit.

Belongs here: that a reader finds it whole, and that a disk without room ends nothing. What stands
in it belongs to `reporting`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FILE_MODE = 0o600


class StatusFile:
    """One that cannot be written is old, which its own time says, and no reason to stop trading."""

    def __init__(self, path: Path, emit: Callable[..., None]) -> None:
        self._path = path
        self._emit = emit
        self._is_old = False

    def write(self, status: Mapping[str, object]) -> None:
        """Replace it atomically; what keeps it from that is said once, until it works again."""
        fresh = self._path.with_name(f".{self._path.name}.new")
        try:
            fresh.write_bytes(msgspec.json.format(msgspec.json.encode(status), indent=1))
            fresh.chmod(FILE_MODE)
            fresh.replace(self._path)
        except OSError as error:
            if not self._is_old:
                self._emit("status.failed", error=str(error))
            self._is_old = True
        else:
            self._is_old = False
