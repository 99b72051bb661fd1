"""Notifications: tells systemd how the daemon is, when systemd started it and wants to know.

Belongs here: the protocol of sd_notify(3). What counts as ready or as progress belongs to `app`.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Self

US_PER_S = 1_000_000
EXTEND_S = 60.0  # asked for at each sign of progress of a start, or of an exchange that is away
# A manager that does not read must not stop the event loop for long.
SEND_TIMEOUT_S = 0.5


class Notifier:
    """Sends states to the service manager; without one, every call does nothing."""

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        self._address: str | None = None
        if address and address[0] in "/@":
            # "@" stands for the NUL byte that opens an abstract socket's name.
            self._address = "\0" + address[1:] if address[0] == "@" else address
        self._watchdog_s = watchdog_s if self._address else None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Reads NOTIFY_SOCKET and WATCHDOG_USEC; WATCHDOG_PID is wrong in a PID namespace."""
        variables = os.environ if environ is None else environ
        watchdog_us = variables.get("WATCHDOG_USEC", "")
        watchdog_s = int(watchdog_us) / US_PER_S if watchdog_us.isdecimal() else None
        return cls(variables.get("NOTIFY_SOCKET"), watchdog_s or None)

    @property
    def is_managed(self) -> bool:
        return self._address is not None

    @property
    def watchdog_s(self) -> float | None:
        """Silence after which systemd kills and restarts; None when there is no watchdog."""
        return self._watchdog_s

    def ready(self, status: str) -> bool:
        """The start is complete: reconciled, warm, and trading may begin."""
        return self._send("READY=1", _status(status))

    def status(self, text: str) -> bool:
        """The line that `systemctl status` shows."""
        return self._send(_status(text))

    def stopping(self, status: str = "stopping") -> bool:
        return self._send("STOPPING=1", _status(status))

    def extend_timeout(self, seconds: float) -> bool:
        """Ask for this much more time to start or stop, counted from now; only on real progress."""
        return self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * US_PER_S)}")

    async def feed_watchdog(self, is_progressing: Callable[[], bool]) -> None:
        """Ping twice per watchdog period while `is_progressing` says yes; runs until cancelled.

        It runs on the event loop on purpose: a loop that hangs sends nothing, and neither does one
        whose stages stand still.
        """
        if self._watchdog_s is None:
            return
        while True:
            if is_progressing():
                self._send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_s / 2)

    def _send(self, *states: str) -> bool:
        """Whether the manager took it. It may be gone, which is no reason to stop trading."""
        if self._address is None:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
                manager.settimeout(SEND_TIMEOUT_S)
                manager.sendto("\n".join(states).encode(), self._address)
        except OSError:
            return False
        return True


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())
