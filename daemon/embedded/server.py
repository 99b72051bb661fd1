"""The server: joins one exchange with its sockets on loopback and keeps it running.

Belongs here: assembly, start and stop. Files, locks and command lines belong in cli.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aiohttp import web

from daemon.embedded.access import MAINTENANCE, Access
from daemon.embedded.books import PublishedBooks
from daemon.embedded.budget import WEIGHT_MAX, Budget
from daemon.embedded.conditions import Conditions
from daemon.embedded.connections import Connection
from daemon.embedded.exchange import Exchange, Listener
from daemon.embedded.fault_kinds import FaultKind
from daemon.embedded.faults import Faults
from daemon.embedded.incidents import Incidents
from daemon.embedded.key_scope import KeyScope
from daemon.embedded.market import MarketBar
from daemon.embedded.order_faults import OrderFaults
from daemon.embedded.past_balances import PastBalances
from daemon.embedded.public import PublicData
from daemon.embedded.refusals import RequestError
from daemon.embedded.rest import RestFace
from daemon.embedded.settlement import Outcome
from daemon.embedded.signing import Credentials
from daemon.embedded.streams import MarketStreams
from daemon.embedded.tape import Step
from daemon.embedded.trading import Trading
from daemon.embedded.user_api import UserApi

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


class Everyone:
    """One listener made of several."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = tuple(listeners)

    def stepped(self, step: Step) -> None:
        for each in self._listeners:
            each.stepped(step)

    def settled(self, outcome: Outcome) -> None:
        for each in self._listeners:
            each.settled(outcome)

    def closed(self, bars: Sequence[tuple[str, MarketBar]]) -> None:
        for each in self._listeners:
            each.closed(bars)

    def flush(self) -> None:
        for each in self._listeners:
            each.flush()


class ExchangeServer:
    """Serves one exchange on 127.0.0.1."""

    def __init__(
        self,
        exchange: Exchange,
        credentials: Credentials,
        *,
        faults: Faults,
        start_at_once: bool = False,
        weight_max: int = WEIGHT_MAX,
        scope: KeyScope | None = None,
    ) -> None:
        books = PublishedBooks(exchange)
        budget = Budget(lambda: exchange.clock.wire_ms() // 1_000, weight_max)
        self._conditions = conditions = _obeying(exchange, faults)
        access = Access(credentials, conditions)
        public = PublicData(exchange, books, budget, conditions)
        past = PastBalances(exchange.settlement.account.balances, exchange.clock.wire_ms)
        trading = Trading(
            exchange, conditions, OrderFaults(exchange, faults), past, scope or KeyScope()
        )
        incidents = Incidents(exchange, faults)
        exchange.after_slot = incidents.happen
        self._exchange = exchange
        self._wire = exchange.clock.wire
        self._faults = faults
        self._streams = MarketStreams(exchange, books, public, faults)
        self._user_api = UserApi(
            exchange, trading=trading, public=public, budget=budget, access=access, faults=faults
        )
        exchange.listener = Everyone((self._streams, self._user_api, past))
        self._rest = RestFace(
            exchange,
            public=public,
            trading=trading,
            budget=budget,
            access=access,
            faults=faults,
            incidents=incidents,
            flush=exchange.listener.flush,
        )
        self._may_start = asyncio.Event()
        if start_at_once:
            self._may_start.set()
        self._streams.on_bars_watched = self._may_start.set
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
        self._streams.close()
        self._user_api.close()
        self._rest.close()
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
            return await self._rest.handle(request)
        finally:
            self._requests -= 1
            self._last_request_s = self._wire.monotonic_s()

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        """/ws-api/v3 is the ws-api; /stream?streams=a/b is combined; all else is raw streams."""
        if self._conditions.is_in_maintenance():
            return web.Response(status=MAINTENANCE)
        if request.path.startswith("/ws-api/"):
            connection = Connection(is_combined=False, wire=self._wire)
            return await self._run(
                connection,
                request,
                lambda text: self._user_api.on_message(connection, text),
                self._user_api.drop,
            )
        struck = self._faults.on_connection(self._exchange.clock.market_ms())
        if FaultKind.REFUSED in struck:
            return web.Response(status=struck[FaultKind.REFUSED].status)
        is_combined = _is_combined(request)
        connection = Connection(is_combined=is_combined, wire=self._wire, faults=struck)
        try:
            self._streams.subscribe_texts(connection, _stream_texts(request))
        except RequestError as error:
            self._streams.drop(connection)
            raise web.HTTPBadRequest(text=error.text) from None
        return await self._run(
            connection,
            request,
            lambda text: self._streams.on_message(connection, text),
            self._streams.drop,
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


def _obeying(exchange: Exchange, faults: Faults) -> Conditions:
    """The conditions that a fault script makes, and an exchange that keeps to them."""
    faults.follow(exchange.market)
    settlement = exchange.settlement
    conditions = Conditions(exchange.market, exchange.clock, faults, exchange.fees)
    exchange.is_closed = conditions.is_closed
    settlement.listed = conditions.listed
    settlement.fees.stated = conditions.fees
    settlement.fees.surcharge = conditions.surcharge
    return conditions


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
