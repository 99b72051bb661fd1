"""Alerts of one run: hears what the log hears, and tells people in a thread of its own.

Belongs here: the thread, its queue, its end, and the sign of life. A loop that stands still can
be told of, because none of this runs on it; nothing here makes a step wait.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from daemon.core.clock import WireClock
from daemon.logs.tap import Tap
from daemon.running.alerts.addresses import (
    Mailbox,
    Ping,
    checked,
    close_all,
    mailboxes,
)
from daemon.running.alerts.desk import Desk
from daemon.running.alerts.rules import BY_EVENT, ENDED_BY, Alert, Fields, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.config import Settings
    from daemon.core.events import Event
    from daemon.store.runs import RunSpec

QUEUED_MAX = 10_000
TICK_S = 1.0
CLOSE_WITHIN_S = 10.0
PULSE = Alert(severity=Severity.INFO, title="", body="")
INTERESTING = frozenset({*BY_EVENT, *ENDED_BY})


class Alerts:
    """Takes log events from any thread; without an address every call does nothing."""

    def __init__(
        self,
        settings: Settings,
        spec: RunSpec,
        *,
        emit: Callable[..., None],
        clean: Callable[[str], str],
    ) -> None:
        config = settings.alerts
        self._emit = emit
        self._wire = WireClock()
        self._events: deque[tuple[str, Fields]] = deque(maxlen=QUEUED_MAX)
        self._arrived = threading.Event()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._lacking = checked(config)
        can_send = bool(config.addresses) and not self._lacking
        self._boxes = mailboxes(config.addresses, self._tell) if can_send else ()
        self._tap = Tap(self) if self._boxes else None
        self._heart: Mailbox | None = None
        if config.heartbeat_url is not None:
            ping = Ping(config.heartbeat_url.get_secret_value())
            self._heart = Mailbox("heartbeat", ping, self._tell, waiting_max=1, tries_max=1)
        self._desk = Desk(
            config,
            self._post,
            bot=settings.run.name,
            origin=f"run: {spec.run}, {spec.mode}, {spec.label}",
            clean=clean,
        )

    # --- what the log tells ---------------------------------------------------------------------

    def is_enabled(self, event: str) -> bool:
        """Whether anything comes of such an event."""
        return bool(self._boxes) and event in INTERESTING

    def write(self, event: str, fields: Mapping[str, object]) -> None:
        """Hear of a log event; returns at once, from any thread."""
        if self.is_enabled(event):
            self._events.append((event, dict(fields)))
            self._arrived.set()

    def tap(self, events: Sequence[Event]) -> None:
        """Hear of a committed step."""
        if self._tap is not None:
            self._tap(events)

    # --- its life -------------------------------------------------------------------------------

    def start(self) -> None:
        """Say where to, or why nowhere."""
        if self._lacking:
            self._emit("alerts.off", reason=self._lacking)
        boxes = self._all()
        if not boxes:
            return
        self._emit("alerts.on", addresses=[each.name for each in boxes])
        for each in boxes:
            each.start()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send what is left, within bounds; blocks for so long at most."""
        if self._thread is None:
            return
        self._end.set()
        self._arrived.set()
        self._thread.join(CLOSE_WITHIN_S)
        close_all(self._all(), CLOSE_WITHIN_S)

    def beat(self) -> None:
        """Ask the heartbeat's address, which holds up nobody."""
        if self._heart is not None:
            self._heart.post(PULSE)

    @property
    def has_heart(self) -> bool:
        return self._heart is not None

    def _all(self) -> tuple[Mailbox, ...]:
        return (*self._boxes, self._heart) if self._heart is not None else self._boxes

    def _run(self) -> None:
        while not self._end.is_set():
            self._arrived.wait(TICK_S)
            self._arrived.clear()
            self._work_off()
            self._desk.tick(self._wire.monotonic_s())
        self._work_off()
        self._desk.close(self._wire.monotonic_s())

    def _work_off(self) -> None:
        while self._events:
            event, fields = self._events.popleft()
            self._desk.hear(event, fields, self._wire.monotonic_s())

    def _post(self, alert: Alert) -> None:
        for each in self._boxes:
            each.post(alert)

    def _tell(self, address: str, error: str, lost: int) -> None:
        """From a mailbox's thread: once when it fails, once when it is well again."""
        if error:
            self._emit("alerts.failed", address=address, error=error)
        else:
            self._emit("alerts.back", address=address, lost=lost)
