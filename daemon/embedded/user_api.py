"""The ws-api: signed requests and the user data stream over one socket.

Belongs here: session, subscription and method names. What the requests do belongs in trading and
public.
"""

from collections.abc import Callable, Mapping, Sequence

import orjson
from aiohttp import web

from daemon.embedded.access import Access
from daemon.embedded.budget import Budget
from daemon.embedded.connections import Connection
from daemon.embedded.dialect import Payload
from daemon.embedded.dialect_orders import outcome_events
from daemon.embedded.exchange import Exchange
from daemon.embedded.faults import Faults
from daemon.embedded.market import MarketBar
from daemon.embedded.public import PublicData
from daemon.embedded.refusals import RequestError
from daemon.embedded.settlement import Outcome
from daemon.embedded.tape import Step
from daemon.embedded.trading import Trading
from daemon.embedded.user_faults import UserFaults

Method = tuple[int, Callable[[dict[str, str]], object]]


class UserApi:
    """Every ws-api connection of one exchange; hears it as a Listener."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        trading: Trading,
        public: PublicData,
        budget: Budget,
        access: Access,
        faults: Faults,
    ) -> None:
        self._exchange = exchange
        self._budget = budget
        self._access = access
        self._faults = UserFaults(exchange, faults, self._unsubscribe)
        self._logged_on: set[Connection] = set()
        self._subscribed: dict[Connection, int] = {}
        self._pending: list[Payload] = []
        self._open_methods: dict[str, Method] = {
            "ping": (1, public.ping),
            "time": (1, public.time),
            "exchangeInfo": (20, public.exchange_info),
            "klines": (2, public.klines),
            "depth": (5, public.depth),
            "ticker.24hr": (2, public.day),
            "ticker.book": (2, public.book_ticker),
            "ticker.price": (2, public.price),
        }
        self._signed_methods: dict[str, Method] = {
            "order.place": (1, trading.place),
            "order.test": (1, trading.test),
            "order.status": (4, trading.query),
            "order.cancel": (1, trading.cancel),
            "openOrders.status": (6, trading.open_orders),
            "openOrders.cancelAll": (1, trading.cancel_all),
            "allOrders": (20, trading.all_orders),
            "myTrades": (20, trading.my_trades),
            "account.status": (20, trading.account),
        }

    def takes(self, request: web.Request) -> bool:
        return request.path.startswith("/ws-api/")

    def opened(self, connection: Connection, request: web.Request) -> None:
        """Nobody is told anything before it subscribes."""

    def on_message(self, connection: Connection, text: str) -> None:
        """Answer one request; the reply carries the request's id."""
        request_id: object = None
        reply: Payload
        try:
            message = _message(text)
            request_id = message.get("id")
            result = self._answer(connection, str(message.get("method")), message.get("params"))
            reply = {"id": request_id, "status": 200, "result": result}
        except RequestError as error:
            refusal = {"code": error.code, "msg": error.text}
            reply = {"id": request_id, "status": error.status, "error": refusal}
        connection.send(reply | {"rateLimits": self._budget.limits(with_counts=True)})

    def drop(self, connection: Connection) -> None:
        self._logged_on.discard(connection)
        self._unsubscribe(connection)

    def close(self) -> None:
        """Forget what was to be sent later."""
        self._faults.close()

    def stepped(self, step: Step) -> None: ...

    def settled(self, outcome: Outcome) -> None:
        if self._subscribed:
            self._pending += outcome_events(outcome, self._exchange.clock.market_ms())

    def closed(self, bars: Sequence[tuple[str, MarketBar]]) -> None: ...

    def flush(self) -> None:
        pending, self._pending = self._pending, []
        for event in pending:
            for connection, subscription_id in list(self._subscribed.items()):
                self._faults.send(connection, subscription_id, event)

    def _unsubscribe(self, connection: Connection) -> None:
        self._subscribed.pop(connection, None)
        self._faults.drop(connection)

    def _answer(self, connection: Connection, method: str, raw: object) -> object:
        self._access.check_open()
        params: Mapping[str, object] = raw if isinstance(raw, dict) else {}
        texts = {name: _text(value) for name, value in params.items()}
        if method in self._open_methods:
            weight, handler = self._open_methods[method]
            self._budget.spend(weight)
            return handler(texts)
        if method in self._signed_methods:
            weight, handler = self._signed_methods[method]
            self._budget.spend(weight)
            self._check_signed(connection, params, texts)
            if method == "order.place":
                self._budget.count_order()
            return handler(texts)
        self._budget.spend(2)
        return self._session(connection, method, params, texts)

    def _session(
        self,
        connection: Connection,
        method: str,
        params: Mapping[str, object],
        texts: Mapping[str, str],
    ) -> object:
        if method == "session.logon":
            self._access.check_ws(params, texts)
            self._logged_on.add(connection)
            return self._session_status(connection)
        if method == "session.status":
            return self._session_status(connection)
        if method == "session.logout":
            self._logged_on.discard(connection)
            return self._session_status(connection)
        if method == "userDataStream.subscribe.signature":
            self._access.check_ws(params, texts)
            return {"subscriptionId": self._subscribed.setdefault(connection, 0)}
        if method == "userDataStream.subscribe":
            self._check_signed(connection, params, texts)
            return {"subscriptionId": self._subscribed.setdefault(connection, 0)}
        if method == "userDataStream.unsubscribe":
            self._unsubscribe(connection)
            return {}
        raise RequestError(-1000, f"Method {method!r} is not supported.")

    def _session_status(self, connection: Connection) -> Payload:
        is_logged_on = connection in self._logged_on
        now_ms = self._exchange.clock.wire_ms()
        return {
            "apiKey": self._access.key if is_logged_on else None,
            "authorizedSince": now_ms if is_logged_on else None,
            "connectedSince": now_ms,
            "returnRateLimits": True,
            "serverTime": now_ms,
            "userDataStream": connection in self._subscribed,
        }

    def _check_signed(
        self, connection: Connection, params: Mapping[str, object], texts: Mapping[str, str]
    ) -> None:
        if connection in self._logged_on:
            self._access.check_session(texts)
        else:
            self._access.check_ws(params, texts)


def _message(text: str) -> dict[str, object]:
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise RequestError(-1135, "Invalid JSON Request") from None
    if not isinstance(message, dict):
        raise RequestError(-1135, "Invalid JSON Request")
    return message


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return orjson.dumps(value).decode()
    return str(value)
