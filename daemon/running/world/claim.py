"""Claims an account for one process of this machine: turns its key and the bot's name into a name
that only one process can hold.

Belongs here: two copies of one state directory. Each has a lock of its own, and both would order
under the same ids, which most exchanges take a second time. Copies on two machines are found by the
comparison of the books, after the fact.
"""

from __future__ import annotations

import errno
import hashlib
import socket
from typing import TYPE_CHECKING

from daemon.core.errors import LockHeld
from daemon.core.instruments import exchange_behind

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME_DIGITS = 40


class Claim:
    """A socket nobody talks to, in the kernel's own names: it goes when its process goes."""

    def __init__(self, held: socket.socket) -> None:
        self._held = held

    @classmethod
    def take(cls, bot: str, exchange: str, key: str, urls: Mapping[str, str] | None) -> Claim:
        """LockHeld where another process trades this account as this bot. `urls` are those of a
        stand-in, which is another account, whatever its key.
        """
        where = sorted((urls or {}).items())
        told = f"tradingd|{bot}|{exchange_behind(exchange)}|{key}|{where}"
        digest = hashlib.sha256(told.encode()).hexdigest()[:NAME_DIGITS]
        held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            held.bind(f"\0tradingd-{digest}")
        except OSError as error:
            held.close()
            if error.errno != errno.EADDRINUSE:
                raise
            msg = (
                f"another process on this machine trades this account of {exchange} as the bot"
                f" {bot}, from another state directory: stop it first, or give one of the two"
                " another run.name"
            )
            raise LockHeld(msg) from None
        return cls(held)

    def close(self) -> None:
        """Let the next one have it."""
        self._held.close()
