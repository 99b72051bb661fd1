"""The server: joins one exchange with its sockets on loopback and keeps it running.

Belongs here: assembly, start and stop. Files, locks and command lines belong in cli.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from daemon.embedded.access import MAINTENANCE
from daemon.embedded.budget import WEIGHT_MAX
from daemon.embedded.connections import Connection
from daemon.embedded.exchange import Exchange
from daemon.embedded.fault_kinds import FaultKind
from daemon.embedded.faults import Faults
from daemon.embedded.futures.exchange import SwapExchange
from daemon.embedded.futures.house import swap_house
from daemon.embedded.house import House, Plan, spot_house
from daemon.embedded.key_scope import KeyScope
from daemon.embedded.refusals import RequestError
from daemon.embedded.signing import Credentials
from daemon.embedded.stage import Stage

LOOPBACK = "127.0.0.1"
BODY_MAX_BYTES = 1 << 20
SHUTDOWN_S = 1.0


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where an exchange answers."""

    rest: str
    stream: str
    ws_api: str
    port: int


class ExchangeServer:
    """Serves one exchange on 127.0.0.1."""

    def __init__(
        self,
        exchange: Stage,
        credentials: Credentials,
        *,
        faults: Faults,
        start_at_once: bool = False,
        weight_max: int = WEIGHT_MAX,
        scope: KeyScope | None = None,
    ) -> None:
        plan = Plan(
            credentials=credentials,
            faults=faults,
            weight_max=weight_max,
            scope=scope or KeyScope(),
        )
        self._house = house_of(exchange, plan)
        self._exchange = exchange
        self._wire = exchange.clock.wire
        self._faults = faults
        self._may_start = asyncio.Event()
        if start_at_once:
            self._may_start.set()
        self._house.streams.on_bars_watched = self._may_start.set
        self._connections: set[Connection] = set()
        self._runner: web.AppRunner | None = None
        self._pace: asyncio.Task[None] | None = None
        self._last_request_s = self._wire.monotonic_s()
        self._requests = 0

    @property
    def pace(self) -> asyncio.Task[None] | None:
        """The task that moves a paced market, for whoever must notice that it died."""
        return self._pace

    async def start(self, port: int = 0) -> Endpoints:
        """Bind 127.0.0.1:`port` (0: any free one) and serve; OSError when the port is taken."""
        application = web.Application(client_max_size=BODY_MAX_BYTES)
        application.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        if self._exchange.clock.bars_per_s is not None:
            self._pace = asyncio.create_task(self._run_pace())
        self.endpoints = _endpoints(self._runner)
        return self.endpoints

    async def stop(self) -> None:
        """Close every socket and the market; the ledger belongs to whoever opened it."""
        if self._pace is not None:
            self._pace.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pace
        self._house.streams.close()
        self._house.private.close()
        self._house.rest.close()
        await asyncio.gather(*(connection.close() for connection in self._connections))
        if self._runner is not None:
            await self._runner.cleanup()

    def idle_s(self) -> float:
        """Wall seconds without a request and without an open socket."""
        if self._connections or self._requests:
            return 0.0
        return self._wire.monotonic_s() - self._last_request_s

    async def _run_pace(self) -> None:
        await self._may_start.wait()
        await self._exchange.pace()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._requests += 1
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._serve_socket(request)
            return await self._house.rest.handle(request)
        finally:
            self._requests -= 1
            self._last_request_s = self._wire.monotonic_s()

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        """Private ones first; /stream?streams=a/b is combined; all else is raw streams."""
        house = self._house
        if house.conditions.is_in_maintenance():
            return web.Response(status=MAINTENANCE)
        is_private = house.private.takes(request)
        now_ms = self._exchange.clock.market_ms()
        struck = self._faults.on_connection(now_ms, is_private=is_private)
        if FaultKind.REFUSED in struck:
            return web.Response(status=struck[FaultKind.REFUSED].status)
        if is_private:
            connection = Connection(is_combined=False, wire=self._wire, faults=struck)
            try:
                house.private.opened(connection, request)
            except RequestError as error:
                raise web.HTTPBadRequest(text=error.text) from None
            return await self._run(
                connection,
                request,
                lambda text: house.private.on_message(connection, text),
                house.private.drop,
            )
        is_combined = _is_combined(request)
        connection = Connection(is_combined=is_combined, wire=self._wire, faults=struck)
        try:
            house.streams.subscribe_texts(connection, _stream_texts(request))
        except RequestError as error:
            house.streams.drop(connection)
            raise web.HTTPBadRequest(text=error.text) from None
        return await self._run(
            connection,
            request,
            lambda text: house.streams.on_message(connection, text),
            house.streams.drop,
        )

    async def _run(
        self,
        connection: Connection,
        request: web.Request,
        on_message: Callable[[str], None],
        drop: Callable[[Connection], None],
    ) -> web.StreamResponse:
        self._connections.add(connection)
        try:
            return await connection.run(request, on_message)
        finally:
            self._connections.discard(connection)
            drop(connection)


def house_of(exchange: Stage, plan: Plan) -> House:
    """The house of an exchange, by its kind."""
    if isinstance(exchange, SwapExchange):
        return swap_house(exchange, plan)
    assert isinstance(exchange, Exchange), "an exchange is one of spot or of swaps"
    return spot_house(exchange, plan)


def _endpoints(runner: web.AppRunner) -> Endpoints:
    port = int(runner.addresses[0][1])
    place = f"{LOOPBACK}:{port}"
    return Endpoints(f"http://{place}", f"ws://{place}/stream", f"ws://{place}/ws-api/v3", port)


def _is_combined(request: web.Request) -> bool:
    return request.path.rstrip("/") == "/stream"


def _stream_texts(request: web.Request) -> list[str]:
    if _is_combined(request):
        return [each for each in request.query.get("streams", "").split("/") if each]
    # ccxt numbers its connections, /stream/ws/0; others name streams, /ws/a@trade/b@trade.
    return [each for each in request.path.split("/") if "@" in each]
