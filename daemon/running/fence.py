"""What keeps an order back in the moment in which it would leave: a halt, the file HALT, a stop.

Belongs here: saying so. An order waits for the ones before it, and for room in the budget; what was
decided before a halt must not leave after it. Asking is the outbox's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from daemon.running.halt_file import HaltFile


class Fence:
    """Asked before every order. In lock-step only the file counts, since a halt that is on its way
    into the journal would be there in one run and not in the next.
    """

    def __init__(
        self,
        file: HaltFile,
        halts: Callable[[], Collection[str]],
        is_stopping: Callable[[], bool],
        *,
        is_lockstep: bool,
    ) -> None:
        self._file = file
        self._halts = halts
        self._is_stopping = is_stopping
        self._is_lockstep = is_lockstep

    def __call__(self, is_exit: bool) -> str:  # the outbox asks it so
        """Why an order must not leave now, or nothing; nobody is kept from getting out."""
        if is_exit:
            return ""
        if reason := self._file.fence(is_exit):
            return reason
        if self._is_lockstep:
            return ""
        if halts := self._halts():
            return f"trading is halted: {', '.join(sorted(halts))}"
        return "the daemon stops" if self._is_stopping() else ""
