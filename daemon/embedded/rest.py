"""The REST face: routes requests, weighs and checks them, carries out faults and answers in JSON.

Belongs here: HTTP itself. What a request means belongs in public, trading and control.
"""

import asyncio
import re
from collections.abc import Callable

import orjson
from aiohttp import web

from daemon.embedded.access import MAINTENANCE, MAINTENANCE_TEXT, Access
from daemon.embedded.budget import Budget
from daemon.embedded.candle_faults import CandleFaults, with_unknown_words
from daemon.embedded.control import Control
from daemon.embedded.fault_kinds import FaultKind
from daemon.embedded.fault_rules import FaultRule
from daemon.embedded.faults import Faults
from daemon.embedded.params import parse_params
from daemon.embedded.refusals import RequestError
from daemon.embedded.routes import SYSTEM_STATUS, Routes
from daemon.embedded.stage import Stage

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
LABEL_HEADER = "X-Embedded-Market"
DROPPED = frozenset({FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER})
DELAYED_AFTER = frozenset({FaultKind.DELAY_AFTER})
BEFORE = frozenset({FaultKind.DROP_BEFORE, FaultKind.STATUS, FaultKind.LATE_ACCEPT})
WITH_STATUS = frozenset({FaultKind.STATUS, FaultKind.STATUS_AFTER, FaultKind.LATE_ACCEPT})
IDS = frozenset({"symbol", "orderId", "clientOrderId"})


def _bare(told: object) -> object:
    """A reply that says which order, and nothing of it."""
    if isinstance(told, list):
        return [_bare(each) for each in told]
    if not isinstance(told, dict):
        return told
    return {name: value for name, value in told.items() if name in IDS}


def _nulled(told: object) -> object:
    """A reply in which every value is null."""
    if isinstance(told, list):
        return [_nulled(each) for each in told]
    return dict.fromkeys(told) if isinstance(told, dict) else None


REPLIES: dict[FaultKind, Callable[[object], object]] = {
    FaultKind.BARE_REPLY: _bare,
    FaultKind.NULL_REPLY: _nulled,
}


class RestFace:
    """Answers every HTTP request of the exchange."""

    def __init__(
        self,
        exchange: Stage,
        *,
        routes: Routes,
        control: Control,
        budget: Budget,
        access: Access,
        faults: Faults,
        flush: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._budget = budget
        self._access = access
        self._faults = faults
        self._candle_faults = CandleFaults(exchange, faults)
        self._flush = flush
        self._late: set[asyncio.TimerHandle] = set()
        # The label may hold a file's name, and a header only holds printable ASCII.
        label = re.sub(r"[^ -~]", "?", exchange.market.label)
        self._label = {LABEL_HEADER: label}
        self._routes = routes
        self._paths = {path for _, path in self._routes}
        self._control = control.handlers()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; every refusal is a JSON object with a code."""
        body = await request.read()
        if request.path.startswith("/embedded/"):
            return self._controlled(request, body)
        if self._access.is_down() and request.path != SYSTEM_STATUS:
            return web.Response(text=f"<html>{MAINTENANCE_TEXT}</html>", status=MAINTENANCE)
        now_ms = self._exchange.clock.market_ms()
        fault = self._faults.on_request(request.method, request.path, now_ms)
        text = body.decode(errors="replace")
        if fault is not None and fault.kind is FaultKind.DELAY_BEFORE:
            await asyncio.sleep(fault.sec)
        if fault is not None and fault.kind is FaultKind.LATE_ACCEPT:
            self._serve_later(request, text, fault.sec)
        if fault is None or fault.kind not in BEFORE:
            response = self._served(request, text)
        else:
            response = web.Response()
        return response if fault is None else await self._faulted(request, response, fault)

    def _served(self, request: web.Request, body: str) -> web.Response:
        try:
            payload = self._answer(request, body)
        except RequestError as error:
            return self._refused(error)
        self._flush()
        return self._json(payload, 200, {})

    def _serve_later(self, request: web.Request, body: str, sec: float) -> None:
        """Hand a request on that was answered already; it must still be valid by then."""

        def serve() -> None:
            self._late.discard(handle)
            self._served(request, body)

        handle = asyncio.get_running_loop().call_later(sec, serve)
        self._late.add(handle)

    def close(self) -> None:
        """Forget what was to be served later."""
        for handle in self._late:
            handle.cancel()

    def _answer(self, request: web.Request, body: str) -> object:
        route = self._routes.get((request.method, request.path))
        if route is None:
            status = 405 if request.path in self._paths else 404
            raise RequestError(-1000, f"No {request.method} {request.path} here.", status=status)
        query = request.rel_url.raw_query_string
        params = parse_params(query, body)
        if request.path != SYSTEM_STATUS:
            self._access.check_open()
        is_all = "symbol" not in params and bool(route.weight_all)
        self._budget.spend(route.weight_all if is_all else route.weight)
        if route.is_signed:
            self._access.check_rest(request.headers.get("X-MBX-APIKEY"), query, body, params)
        elif route.is_keyed:
            self._access.check_key(request.headers.get("X-MBX-APIKEY"))
        if route.is_order:
            self._budget.count_order()
        if route.is_candles:
            return self._candle_faults.page(params, route.handler)
        return route.handler(params)

    def _controlled(self, request: web.Request, body: bytes) -> web.Response:
        # A web page may make a browser call a loopback address by another name; the name shows it.
        if request.remote not in LOOPBACK_HOSTS or request.url.host not in LOOPBACK_HOSTS:
            raise web.HTTPForbidden
        handler = self._control.get((request.method, request.path))
        if handler is None:
            raise web.HTTPNotFound
        try:
            return self._json(handler(body), 200, {})
        except RequestError as error:
            return self._refused(error)

    async def _faulted(
        self, request: web.Request, response: web.Response, fault: FaultRule
    ) -> web.Response:
        if fault.kind in DROPPED and request.transport is not None:
            request.transport.abort()
        elif fault.kind in DELAYED_AFTER:
            await asyncio.sleep(fault.sec)
        elif fault.kind in WITH_STATUS:
            return web.Response(text=fault.body, status=fault.status, headers=self._headers())
        elif fault.kind is FaultKind.BODY_AFTER:
            return web.Response(text=fault.body, status=200, headers=self._headers())
        elif fault.kind in REPLIES and response.status == 200:
            told = orjson.loads(response.body) if isinstance(response.body, bytes) else None
            return self._json(REPLIES[fault.kind](told), 200, {})
        elif fault.kind is FaultKind.UNKNOWN_WORDS and isinstance(response.body, bytes):
            return self._json(with_unknown_words(orjson.loads(response.body)), 200, {})
        return response

    def _refused(self, error: RequestError) -> web.Response:
        return self._json({"code": error.code, "msg": error.text}, error.status, error.headers)

    def _json(self, payload: object, status: int, headers: dict[str, str]) -> web.Response:
        return web.Response(
            body=orjson.dumps(payload),
            status=status,
            content_type="application/json",
            headers=self._headers() | headers,
        )

    def _headers(self) -> dict[str, str]:
        return self._budget.headers() | self._label
