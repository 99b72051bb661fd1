"""The file HALT in the state directory: asks for a halt as long as it lies there, whoever made it.

Belongs here: looking at the file. What a halt means belongs to risk, keeping orders back to the
outbox.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from daemon.core.events import HaltRequested

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "HALT"
REASON_BYTES_MAX = 200


class HaltFile:
    """Anything of that name counts; what cannot be looked at counts too."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / NAME

    @property
    def is_there(self) -> bool:
        try:
            self.path.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True  # who cannot see whether to stop, stops
        return True

    def asks(self, now_ns: int) -> Iterator[HaltRequested]:
        """A halt where the file lies; that it is taken away resumes nothing."""
        if self.is_there:
            yield HaltRequested(ts_ns=now_ns, reason=self._reason(), who=f"file {NAME}")

    def must_stay_halted(self) -> str:
        """Why a resume is of no use yet, or nothing."""
        return f"take the file {self.path} away first: it halts" if self.is_there else ""

    def _reason(self) -> str:
        """The first line that is written in it, or that it lies there."""
        try:
            # Of a pipe nobody waits for somebody to write into it: the loop is asking.
            file = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            try:
                is_file = stat.S_ISREG(os.fstat(file).st_mode)
                text = os.read(file, REASON_BYTES_MAX).decode(errors="replace") if is_file else ""
            finally:
                os.close(file)
        except OSError:
            text = ""
        line = "".join(each for each in text.partition("\n")[0] if each.isprintable()).strip()
        return line or f"the file {self.path} is there"

    def fence(self, is_exit: bool) -> str:  # the outbox asks it so
        """Why an order must not leave now, or nothing; nobody is kept from getting out."""
        return "" if is_exit or not self.is_there else f"the file {self.path} is there"
