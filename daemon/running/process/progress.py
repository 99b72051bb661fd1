"""Whether the daemon still gets anywhere: fed by committed steps, read by the service manager's
watchdog.

Belongs here: the judgement "alive". Telling systemd belongs to `sd_notify`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.core.events import Event


class Progress:
    """Healthy while no input waits longer than `stuck_after_s` without a step being committed."""

    def __init__(
        self, monotonic_s: Callable[[], float], waiting: Callable[[], int], *, stuck_after_s: float
    ) -> None:
        self._monotonic_s = monotonic_s
        self._waiting = waiting
        self._stuck_after_s = stuck_after_s
        self._last_s = self._stepped_s = monotonic_s()

    def note(self, _events: tuple[Event, ...]) -> None:
        self._last_s = self._stepped_s = self._monotonic_s()

    def quiet_s(self) -> float:
        """How long ago the last step was, whether anything waits or not."""
        return self._monotonic_s() - self._stepped_s

    def is_made(self) -> bool:
        """False when inputs wait and none has been taken for too long."""
        return self.standing_s() < self._stuck_after_s

    def standing_s(self) -> float:
        """How long inputs wait already without a step; 0 while none does."""
        now_s = self._monotonic_s()
        if not self._waiting():
            self._last_s = now_s
        return now_s - self._last_s
