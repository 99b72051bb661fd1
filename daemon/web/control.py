"""The control socket: takes halts, resumes and swaps of models, answers once they are journaled.

Belongs here: the socket, its limits, and who asked. What a halt does belongs to layer 5; the
commands that ask belong to `cli`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec
from msgspec import Struct

from daemon.core.errors import ModelRefused
from daemon.core.events import (
    FlattenRequested,
    HaltRequested,
    ModelPromoted,
    ModelRolledBack,
    PromotionRequested,
    ResumeRequested,
    RollbackRequested,
)
from daemon.core.timeframes import rfc3339

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from daemon.core.events import Event, Input, ModelActivated

    Asked = (
        HaltRequested | ResumeRequested | FlattenRequested | PromotionRequested | RollbackRequested
    )

SOCKET_NAME = "control.sock"
SOCKET_MODE = 0o600
LINE_BYTES_MAX = 4_096
REASON_BYTES_MAX = 1_024
CONNECTIONS_MAX = 8
WITHIN_S = 5.0  # for the request to come, and once more for its commit
_ASKED: dict[str, type[HaltRequested | ResumeRequested | FlattenRequested]] = {
    "halt": HaltRequested,
    "resume": ResumeRequested,
    "flatten": FlattenRequested,
}
_SWAPS: dict[str, type[PromotionRequested | RollbackRequested]] = {
    "promote": PromotionRequested,
    "rollback": RollbackRequested,
}
_UCRED = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid


class Request(Struct, forbid_unknown_fields=True):
    """The one line a client sends."""

    command: Literal[
        "halt", "resume", "flatten", "promote", "rollback", "status", "reconcile", "cancel_training"
    ]
    reason: str = ""
    model: str = ""


class Swap(Protocol):
    """Gets a model ready to be the active one; ModelRefused where none may be."""

    def __call__(self, command: str, model: str, /) -> Awaitable[ModelActivated]: ...


class Answer(Struct, kw_only=True):
    """The one line it gets back, after the commit."""

    ok: bool
    error: str = ""
    is_late: bool = False  # asked for, but not committed in time: it may still take effect
    at: str = ""  # the request's time in the journal, RFC 3339 UTC
    who: str = ""
    caused: tuple[str, ...] = ()  # events of its step behind the request itself
    model: str = ""  # the active one after a swap, and the one it replaced
    replaced: str = ""
    status: dict[str, object] = {}


class Control:
    """Serves the socket of one state directory, whose lock the caller holds.

    Whoever may write to the socket may ask: its mode and the folder's leave that to the daemon's
    own user and root. The kernel says who it was.
    """

    def __init__(
        self,
        folder: Path,
        *,
        put: Callable[[Input], Awaitable[None]],
        now_ns: Callable[[], int],
        status: Callable[[], dict[str, object]],
        reconcile: Callable[[], None] = lambda: None,
        must_stay_halted: Callable[[], str] = lambda: "",
        cancel_training: Callable[[str], bool] = lambda _why: False,
        swap: Swap | None = None,
        within_s: float = WITHIN_S,
    ) -> None:
        self._folder = folder
        self._put = put
        self._now_ns = now_ns
        self._status = status
        self._reconcile = reconcile
        self._must_stay_halted = must_stay_halted
        self._cancel_training = cancel_training
        self._swap = swap
        self._within_s = within_s
        self._waiting: dict[int, asyncio.Future[tuple[Event, ...]]] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self.ready = asyncio.Event()

    def note(self, events: tuple[Event, ...]) -> None:
        """Hear of a committed step: whoever waits for its input gets an answer."""
        waiting = self._waiting.get(id(events[0]))
        if waiting is not None and not waiting.done():
            waiting.set_result(events)

    async def run(self) -> None:
        """Serve until cancelled; OSError when the socket cannot be made."""
        with short_path(self._folder) as address:
            server = await asyncio.start_unix_server(
                self._accept, sock=_listener(self._folder, address), limit=LINE_BYTES_MAX
            )
            self.ready.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                server.close()
                for task in self._serving:
                    task.cancel()
                await asyncio.gather(*self._serving, return_exceptions=True)
                await server.wait_closed()
                _remove(self._folder)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._serving) >= CONNECTIONS_MAX:
            writer.write(_line(_refusal("too many connections: try again")))
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._answer(reader, _peer(writer))
            if answer is not None:
                writer.write(_line(answer))
                await writer.drain()
        except ConnectionError:
            pass  # whoever asked has gone; what was asked is in the journal all the same
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, who: str) -> Answer | None:
        try:
            async with asyncio.timeout(self._within_s):
                line = await reader.readline()
        except TimeoutError:
            return _refusal(f"no request within {self._within_s:g} s")
        except ValueError:
            return _refusal(f"a request has at most {LINE_BYTES_MAX} bytes")
        return await self._decide(line, who) if line else None

    async def _decide(self, line: bytes, who: str) -> Answer:
        try:
            request = msgspec.json.decode(line, type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _refusal(f"not a request: {error}")
        if request.command == "reconcile":
            self._reconcile()
        if request.command in {"status", "reconcile"}:
            return Answer(ok=True, who=who, status=self._status())
        return await self._act(request, who)

    async def _act(self, request: Request, who: str) -> Answer:
        if wrong := wrong_reason(request.reason):
            return _refusal(wrong)
        if request.command == "cancel_training":
            return self._end_training(f"cancelled by {who}: {request.reason}", who)
        if request.command == "resume" and (why := self._must_stay_halted()):
            return _refusal(why)
        if request.command in _SWAPS:
            return await self._decide_swap(request, who)
        kind = _ASKED[request.command]
        return await self._ask(kind(ts_ns=self._now_ns(), reason=request.reason, who=who))

    def _end_training(self, why: str, who: str) -> Answer:
        if not self._cancel_training(why):
            return _refusal("no model is being trained")
        return Answer(ok=True, at=rfc3339(self._now_ns()), who=who, status=self._status())

    async def _decide_swap(self, request: Request, who: str) -> Answer:
        """Another model: read and proven before anybody decides on it."""
        if self._swap is None:
            return _refusal("no model can be changed here")
        try:
            wanted = await self._swap(request.command, request.model)
        except ModelRefused as refused:
            return _refusal(str(refused))
        kind = _SWAPS[request.command]
        event = kind(ts_ns=self._now_ns(), activation=wanted, reason=request.reason, who=who)
        return await self._ask(event)

    async def _ask(self, event: Asked) -> Answer:
        """Queue the request and wait until a step that begins with this very object is committed.

        Two requests may be equal in every field, so it is known by identity.
        """
        committed: asyncio.Future[tuple[Event, ...]] = asyncio.get_running_loop().create_future()
        self._waiting[id(event)] = committed
        try:
            async with asyncio.timeout(self._within_s):
                await self._put(event)
                events = await committed
        except TimeoutError:
            error = f"not committed within {self._within_s:g} s; it may still take effect"
            return Answer(ok=False, is_late=True, error=error)
        finally:
            del self._waiting[id(event)]
        swaps = [each for each in events if isinstance(each, ModelPromoted | ModelRolledBack)]
        return Answer(
            ok=True,
            model=swaps[0].model if swaps else "",
            replaced=swaps[0].replaced if swaps else "",
            at=rfc3339(event.ts_ns),
            who=event.who,
            caused=tuple(type(each).__name__ for each in events[1:]),
            status=self._status(),
        )


def wrong_reason(reason: str) -> str:
    """What is wrong with a reason, or nothing; it is read in logs and at terminals for years."""
    if not reason.strip():
        return "a reason is needed: it goes into the journal"
    if not reason.isprintable():
        return "a reason is one line of printable text"
    if len(reason.encode(errors="replace")) > REASON_BYTES_MAX:
        return f"a reason has at most {REASON_BYTES_MAX} bytes"
    return ""


@contextmanager
def short_path(folder: Path) -> Iterator[str]:
    """The socket's path by way of an open folder: an address has room for 107 bytes, no more.

    Good while the context lasts, for this process. OSError when there is no such folder.
    """
    opened = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{opened}/{SOCKET_NAME}"
    finally:
        os.close(opened)


def _listener(folder: Path, address: str) -> socket.socket:
    _remove(folder)  # of a daemon that was killed; the lock says that it is gone
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # Before bind, so that there is no moment at which others could connect: unix(7) makes the
        # file with the mode the socket has.
        os.fchmod(listener.fileno(), SOCKET_MODE)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove(folder: Path) -> None:
    (folder / SOCKET_NAME).unlink(missing_ok=True)


def _peer(writer: asyncio.StreamWriter) -> str:
    connection = writer.get_extra_info("socket")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(credentials)
    return f"uid {uid} pid {pid}"


def _refusal(error: str) -> Answer:
    return Answer(ok=False, error=error)


def _line(answer: Answer) -> bytes:
    return msgspec.json.encode(answer) + b"\n"
