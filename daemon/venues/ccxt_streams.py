"""One exchange's streams of a kind: turns ccxt's shared, mutated caches into a queue per symbol.

Belongs here: subscribing, copying and opening the connection anew. What is asked of ccxt for
candles and for trades is in `ccxt_candles` and `ccxt_trades`; what they mean belongs to layer 1.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from weakref import WeakSet

from daemon.core.errors import ExchangeUnreachable
from daemon.venues.ccxt_outcomes import explain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

WAITING_MAX = 2_000
RESET_EVERY_S = 5.0


Said = TypeVar("Said")


class Kind(Protocol[Said]):
    """What is streamed: how ccxt is asked for it, and how it is heard."""

    @property
    def name(self) -> str: ...

    @property
    def can_prime(self) -> bool:
        """Whether one request may subscribe to many symbols."""
        ...

    @property
    def may_lose(self) -> bool:
        """Whether a message that nobody took may be let go, because a later one stands for it."""
        ...

    def tap(self, hear: Callable[[str, Said], None]) -> bool:
        """Have `hear` called with each symbol's messages as they come; False when that cannot be
        done.
        """
        ...

    async def watch(self, symbol: str) -> list[Said]:
        """Wait for the next message; what ccxt makes of it, for when there is no tap."""
        ...

    async def prime(self, symbols: list[str]) -> None:
        """Subscribe to all of them in one message."""
        ...


class Streams(Generic[Said]):
    """All subscriptions of one kind of one client, thus of one connection."""

    def __init__(self, client: Any, exchange: str, kind: Kind[Said], *, per_message: int) -> None:
        self._client = client
        self._exchange = exchange
        self._kind = kind
        self._per_message = per_message
        self._waiting: dict[str, asyncio.Queue[Said | ExchangeUnreachable]] = {}
        self._symbols: set[str] = set()
        self._primes: set[asyncio.Task[None]] = set()
        self._is_primed = False
        self._is_left = False  # somebody stopped listening although the stream had not ended
        self._reset_s = float("-inf")
        self._is_tapped = kind.tap(self._hear)
        self._abandoned: WeakSet[Any] = WeakSet()  # connections that we ourselves have ended
        self._listen_for_ends()

    def expect(self, symbols: tuple[str, ...]) -> None:
        """These will be watched: they are subscribed to together, so many in each message."""
        self._symbols.update(symbols)

    async def of(self, symbol: str) -> AsyncIterator[Said]:
        """What the stream says of one symbol; ExchangeUnreachable when it ends.

        Whoever stops listening and comes back did so because the stream was silent: the connection
        is then opened anew.
        """
        self._symbols.add(symbol)
        if self._is_left:
            await self._reset()
        waiting: asyncio.Queue[Said | ExchangeUnreachable] = asyncio.Queue(WAITING_MAX)
        self._waiting[symbol] = waiting
        pump = asyncio.create_task(self._pump(symbol, waiting))
        has_ended = False
        try:
            while True:
                said = await waiting.get()
                if isinstance(said, ExchangeUnreachable):
                    has_ended = True
                    raise said
                yield said
        finally:
            self._is_left = self._is_left or not has_ended
            if self._waiting.get(symbol) is waiting:
                del self._waiting[symbol]
            pump.cancel()
            await asyncio.wait({pump})

    async def close(self) -> None:
        for prime in tuple(self._primes):
            prime.cancel()
        if self._primes:
            await asyncio.wait(self._primes)

    async def _pump(self, symbol: str, waiting: asyncio.Queue[Said | ExchangeUnreachable]) -> None:
        """Wait for the stream and do nothing else: an event nobody waits for wakes nobody."""
        try:
            await self._prime()
            while True:
                said = await self._kind.watch(symbol)
                if not self._is_tapped:
                    for each in said:
                        self._put(waiting, each)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            reason = "the connection was closed"
        except Exception as error:  # noqa: BLE001  # a stream may raise anything, KeyError included
            reason = explain(error)
        self._is_primed = False
        self._put(waiting, self._ended(reason))

    async def _prime(self) -> None:
        """Subscribe to all together; each one's own watch then finds itself subscribed."""
        if not (self._kind.can_prime and len(self._symbols) > 1 and self._is_tapped):
            return
        if not self._is_primed:
            self._is_primed = True
            symbols = sorted(self._symbols)
            for start in range(0, len(symbols), self._per_message):
                chunk = symbols[start : start + self._per_message]
                prime = asyncio.create_task(self._subscribe(chunk))
                self._primes.add(prime)
                prime.add_done_callback(self._primes.discard)
        await asyncio.sleep(0)  # the requests are noted before any symbol asks for itself

    async def _subscribe(self, symbols: list[str]) -> None:
        # A failure reaches the symbols' own watches too; cancellation by a closed connection
        # likewise.
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await self._kind.prime(symbols)

    def _listen_for_ends(self) -> None:
        """Hear of every connection that ends.

        When one ends while nobody waits for its next message, ccxt opens another by itself and
        tells no one: what was said in between is missing, so the streams have ended all the same.
        """
        if not hasattr(self._client, "clients"):
            return
        for name in ("on_error", "on_close"):
            setattr(self._client, name, self._noting(getattr(self._client, name)))

    def _noting(self, end: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def ended(socket: Any, error: Any) -> None:
            end(socket, error)
            if socket in self._abandoned:
                return
            self._abandoned.add(socket)
            self._is_primed = False
            reason = explain(error) if isinstance(error, Exception) else "the connection was closed"
            for waiting in self._waiting.values():
                self._put(waiting, self._ended(reason))

        return ended

    def _ended(self, reason: str) -> ExchangeUnreachable:
        return ExchangeUnreachable(
            f"{self._exchange}: the {self._kind.name} stream ended: {reason}"
        )

    async def _reset(self) -> None:
        self._is_left = False
        now_s = asyncio.get_running_loop().time()
        if now_s - self._reset_s < RESET_EVERY_S:
            return
        self._reset_s = now_s
        self._is_primed = False
        sockets = list(self._client.clients.values())
        self._client.clients.clear()
        for socket in sockets:
            self._abandoned.add(socket)
            # With an error set, ccxt does not take the new connection for the one that closes here.
            socket.error = socket.error or ExchangeUnreachable("silent for too long")
            with contextlib.suppress(Exception):
                await socket.close()

    def _hear(self, symbol: str, said: Said) -> None:
        waiting = self._waiting.get(symbol)
        if waiting is not None:
            self._put(waiting, said)

    def _put(
        self,
        waiting: asyncio.Queue[Said | ExchangeUnreachable],
        said: Said | ExchangeUnreachable,
    ) -> None:
        """Queue a copy; when nobody takes them the oldest goes, and layer 1 fetches the rest.

        Of messages that each count the stream has then ended, or nobody would know of the loss.
        """
        if waiting.full() and not self._kind.may_lose:
            while not waiting.empty():
                waiting.get_nowait()
            waiting.put_nowait(self._ended("more came than could be taken"))
        if waiting.full():
            waiting.get_nowait()
        waiting.put_nowait(said)
