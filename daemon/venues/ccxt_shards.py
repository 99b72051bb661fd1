"""Spreads one exchange's streams over connections: a ccxt client for as many as one may carry.

Belongs here: which symbol is on which connection, and the clients behind them. What happens on one
belongs to `ccxt_streams`, how much it may carry to `stream_limits`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from daemon.venues.ccxt_streams import Kind, Streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from daemon.venues.stream_limits import StreamLimits

Said = TypeVar("Said")


class Spread:
    """Which symbol is on which connection; once said, that stays."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._place: dict[str, int] = {}
        self._counts = [0]

    def add(self, symbols: Iterable[str]) -> None:
        """Give each new one a place: on as few connections as will do, evenly."""
        new = [each for each in dict.fromkeys(symbols) if each not in self._place]
        if self._most is not None:
            needed = math.ceil((len(self._place) + len(new)) / self._most)
            self._counts += [0] * (needed - len(self._counts))
        for symbol in new:
            place = self._counts.index(min(self._counts))
            self._place[symbol] = place
            self._counts[place] += 1

    def place(self, symbol: str) -> int:
        self.add((symbol,))
        return self._place[symbol]

    def on(self, place: int) -> tuple[str, ...]:
        return tuple(symbol for symbol, found in self._place.items() if found == place)


class Clients:
    """The first client, which also asks over REST, and its siblings; each has own connections.

    Siblings share the first one's request budget and the instruments it has loaded.
    """

    def __init__(self, first: Any) -> None:
        self._all = {0: first}

    def at(self, place: int) -> Any:
        client = self._all.get(place)
        if client is None:
            client = self._all[place] = self._all[0].sibling()
            client.set_markets_from_exchange(self._all[0])
        return client

    async def close(self) -> None:
        for client in self._all.values():
            await client.close()


class Shards(Generic[Said]):
    """All subscriptions of one kind: a `Streams` for each connection, made when first needed.

    They know nothing of each other, so one that ends or is opened anew leaves the others alone.
    """

    def __init__(
        self,
        clients: Clients,
        exchange: str,
        kind_of: Callable[[Any], Kind[Said]],
        *,
        spread: Spread,
        limits: StreamLimits,
    ) -> None:
        self._clients = clients
        self._exchange = exchange
        self._kind_of = kind_of
        self._spread = spread
        self._limits = limits
        self._shards: dict[int, Streams[Said]] = {}

    def of(self, symbol: str) -> AsyncIterator[Said]:
        """What the stream says of one symbol; ExchangeUnreachable when it ends."""
        place = self._spread.place(symbol)
        streams = self._shards.get(place)
        if streams is None:
            streams = self._shards[place] = self._open(place)
            streams.expect(self._spread.on(place))
        return streams.of(symbol)

    async def close(self) -> None:
        for streams in self._shards.values():
            await streams.close()

    def _open(self, place: int) -> Streams[Said]:
        client = self._clients.at(place)
        most = self._limits.streams_per_message
        return Streams(client, self._exchange, self._kind_of(client), per_message=most)
