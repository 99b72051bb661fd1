"""A stand-in for a signed ccxt client: carries requests to the model exchange, and loses some.

Belongs here: the network and the library with their faults. What the exchange does with a request
belongs to `exchange`; who asks is the shipped `CcxtVenue`, or one of the `patterns`.
"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from daemon.core.errors import ExchangeUnreachable
from daemon.core.orders import OrderType, Side
from daemon.simulation.faults import Fault
from daemon.simulation.ledger import Refusal, Wish
from daemon.venues.budget import Budget, Limit
from daemon.venues.ccxt_outcomes import explain, note_reply

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from daemon.core.instruments import Instrument
    from daemon.simulation.exchange import ModelExchange
    from daemon.simulation.faults import Faults
    from daemon.simulation.virtual_loop import Timeline, VirtualWire

TIMEOUT_S = 5.0
LATE_MAX_S = 4.9  # a request is valid for 5 s
PUSH_LATE_MAX_S = 8.0
LIMITED_MAX_S = 20.0
PLENTY = Limit(1_000_000.0, 60.0)
KINDS = {"MARKET": OrderType.MARKET, "LIMIT": OrderType.LIMIT, "STOP_LOSS": OrderType.STOP}
TICK_SIZE = 4  # as ccxt numbers the way in which it tells steps
PAGE = "<html>502 Bad Gateway</html>"
# How ccxt names what the model exchange refuses.
NAMES = {
    -1003: "RateLimitExceeded",
    -1013: "BadRequest",
    -1021: "InvalidNonce",
    -2010: "InsufficientFunds",
    -2011: "OrderNotFound",
    -2013: "OrderNotFound",
}


class ModelClient:
    """One connection of one process; a dead process hears nothing any more, yet what it sent
    arrives.
    """

    def __init__(  # noqa: PLR0917  # the parts of one world
        self,
        timeline: Timeline,
        rng: random.Random,
        faults: Faults,
        exchange: ModelExchange,
        instrument: Instrument,
        wire: VirtualWire,
    ) -> None:
        self._timeline = timeline
        self._rng = rng
        self._faults = faults
        self._exchange = exchange
        self._symbol = instrument.id.symbol
        self._limited_until_s = -1.0
        self._heard: asyncio.Future[None] | None = None
        self._is_connected = False
        self.is_dead = False
        self.tag = ""  # what the next order was decided for; only the judge reads it
        self.options: dict[str, Any] = {}
        self.clients: dict[str, Any] = {}
        self.precisionMode = TICK_SIZE
        self.markets = {self._symbol: _listed(instrument)}
        self.budget = Budget(PLENTY, wire=wire)
        exchange.push = self._push

    # --- orders ---------------------------------------------------------------------------------

    async def create_order(
        self,
        _symbol: str,
        kind: str,
        side: str,
        quantity: str,
        price: str | None = None,
        params: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """One new order, as ccxt would send it."""
        params = params or {}
        stop_price = params.get("stopLossPrice")
        fields = {
            # Without an id of ours ccxt draws one, which is new each time.
            "newClientOrderId": params.get("newClientOrderId")
            or f"x-{self._rng.randrange(10**12)}",
            "side": side.upper(),
            "quantity": quantity,
            "type": "STOP_LOSS" if stop_price else kind.upper(),
        }
        if price is not None:
            fields |= {"price": price, "timeInForce": "GTC"}
        if stop_price is not None:
            fields["stopPrice"] = stop_price
        raw = await self.fetch("https://model/order", "POST", None, urlencode(fields))
        if self._faults.hits(Fault.LIBRARY_RAISES):
            msg = "float() argument must be a string or a real number, not 'NoneType'"
            raise TypeError(msg)
        if self._faults.hits(Fault.EMPTY_REPLY):
            nothing = dict.fromkeys(raw) | {"orderId": raw["orderId"]}
            return {"id": str(raw["orderId"]), "filled": None, "average": None, "info": nothing}
        return _structure(raw)

    async def fetch(self, _url: str, _method: str, _headers: Any, body: str) -> Any:
        """An order leaves here; the shipped watch over departures stands before it."""
        wish = _wish_of(body, self.tag)

        def place() -> dict[str, Any]:
            return self._exchange.place(wish)

        faults = self._faults
        self._refuse_when_limited()
        if faults.hits(Fault.REQUEST_LOST):
            return await self._time_out()
        if faults.hits(Fault.REFUSED):
            code, text = self._rng.choice(
                [(-2010, "insufficient balance"), (-1013, "Filter failure"), (-1021, "recvWindow")]
            )
            await self._gone(self._latency())
            raise self._refused(Refusal(code, text))
        if faults.hits(Fault.REPLY_LOST):
            self._send(place, self._latency())
            return await self._time_out()
        if faults.hits(Fault.ACCEPTED_LATE):
            self._send(place, self._rng.uniform(0.5, LATE_MAX_S))
            return await self._fail_anyhow()
        if faults.hits(Fault.BUSY_ACCEPTED):
            self._send(place, self._latency())
            return await self._busy()
        if faults.hits(Fault.HTML_REPLY):
            if self._rng.random() < 0.5:
                self._send(place, self._latency())
            await self._gone(self._latency() * 2)
            raise _error("BadResponse", 200, PAGE)
        return await self._answer(place)

    async def cancel_order(
        self, _id: str | None, _symbol: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        ours = params["clientOrderId"]
        self._refuse_when_limited()
        if self._faults.hits(Fault.CANCEL_LOST):
            await self._time_out()
        if self._faults.hits(Fault.CANCEL_REPLY_LOST):
            self._send(lambda: self._exchange.cancel(ours), self._latency())
            await self._time_out()
        return _structure(await self._answer(lambda: self._exchange.cancel(ours)))

    # --- questions ------------------------------------------------------------------------------

    async def fetch_order(
        self, _id: str | None, _symbol: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        return _structure(await self._ask(lambda: self._exchange.order(params["clientOrderId"])))

    async def fetch_open_orders(self, *_asked: Any) -> list[dict[str, Any]]:
        rows = await self._ask(lambda: self._exchange.all_orders(only_open=True))
        return [_structure(each) for each in rows]

    async def fetch_orders(
        self, _symbol: str, _since: Any, _limit: Any, params: dict[str, Any]
    ) -> list[dict[str, Any]]:
        since_id = int(params.get("orderId", 0))
        rows = await self._ask(lambda: self._exchange.all_orders(since_id))
        return [_structure(each) for each in rows]

    async def fetch_order_trades(self, theirs: str, *_asked: Any) -> list[dict[str, Any]]:
        rows = await self._ask(lambda: self._exchange.trades(int(theirs)))
        return [{"id": each["id"], "info": each} for each in rows]

    async def fetch_my_trades(
        self, _symbol: str, since_ms: int | None, *_asked: Any
    ) -> list[dict[str, Any]]:
        rows = await self._ask(lambda: self._exchange.trades(since_ms=since_ms or 0))
        return [{"id": each["id"], "info": each} for each in rows]

    async def fetch_balance(self) -> dict[str, Any]:
        rows = await self._ask(self._exchange.told_balances)
        return {"info": {"balances": rows}}

    async def fetch_time(self) -> int:
        told: int = await self._ask(lambda: self._exchange.ms(self._timeline.now_s))
        return told

    async def fetch_book(self) -> Any:
        """Both sides of the order book; ExchangeUnreachable as `CcxtMarket` raises it."""
        import ccxt

        try:
            return await self._ask(self._exchange.book)
        except ccxt.BaseError as error:
            raise ExchangeUnreachable(f"no book: {explain(error)}") from None

    async def load_markets(self) -> dict[str, Any]:
        return self.markets

    # --- the stream -----------------------------------------------------------------------------

    async def watch_orders(self) -> list[Any]:
        """Until the next push; raises when the connection breaks."""
        self._is_connected = True
        self._heard = asyncio.get_running_loop().create_future()
        await self._heard
        return []

    def handle_order_update(self, _socket: Any, _message: Any) -> None:
        """What ccxt does with a push; the shipped code listens here."""

    def handle_event_stream_terminated(self, _socket: Any, _message: Any) -> None:
        """What ccxt does when the exchange ends a stream."""

    def _push(self, message: dict[str, Any]) -> None:
        faults = self._faults
        if self.is_dead or not self._is_connected or faults.hits(Fault.PUSH_LOST):
            return
        if faults.hits(Fault.STREAM_BREAKS):
            self._is_connected = False
            if self._heard is not None and not self._heard.done():
                self._heard.set_exception(_error("NetworkError"))
            return
        late_s = self._rng.uniform(0.5, PUSH_LATE_MAX_S) if faults.hits(Fault.PUSH_LATE) else 0.0
        for _ in range(2 if faults.hits(Fault.PUSH_TWICE) else 1):
            delay_s = self._latency() + late_s
            self._timeline.after(delay_s, lambda: self._deliver_push(message))

    def _deliver_push(self, message: dict[str, Any]) -> None:
        if self.is_dead or not self._is_connected:
            return
        self.handle_order_update(None, message)
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    # --- the way there and back -----------------------------------------------------------------

    async def close(self) -> None:
        self.is_dead = True

    async def _ask(self, question: Callable[[], Any]) -> Any:
        """A reading, which may fail or be refused for its number."""
        self._refuse_when_limited()
        if self._faults.hits(Fault.RATE_LIMITED):
            self._limited_until_s = self._timeline.now_s + self._rng.uniform(1.0, LIMITED_MAX_S)
        if self._faults.hits(Fault.READ_FAILS):
            await self._fail_anyhow()
        return await self._answer(question)

    async def _answer(self, happens: Callable[[], Any]) -> Any:
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def arrive() -> None:
            try:
                answer = happens()
            except Refusal as refusal:
                answer = refusal
            self._timeline.after(self._latency(), lambda: deliver(answer))

        def deliver(answer: Any) -> None:
            if not (self.is_dead or answered.done()):
                answered.set_result(answer)

        self._timeline.after(self._latency(), arrive)
        answer = await answered
        if isinstance(answer, Refusal):
            raise self._refused(answer)
        return answer

    def _send(self, happens: Callable[[], Any], delay_s: float) -> None:
        """A request of which nobody will hear."""

        def arrive() -> None:
            try:
                happens()
            except Refusal:
                return

        self._timeline.after(delay_s, arrive)

    async def _fail_anyhow(self) -> Any:
        failing = self._rng.choice((self._time_out, self._busy, self._page))
        await failing()

    async def _time_out(self) -> Any:
        await self._gone(TIMEOUT_S)
        raise _error("RequestTimeout")

    async def _busy(self) -> Any:
        await self._gone(self._latency() * 2)
        code = self._rng.choice((-1006, -1007, -1008))
        name = "RequestTimeout" if code == -1007 else "OperationFailed"
        raise _error(name, 503, json.dumps({"code": code, "msg": "busy"}))

    async def _page(self) -> Any:
        await self._gone(self._latency() * 2)
        raise _error("ExchangeNotAvailable", 502, PAGE)

    async def _gone(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)

    def _refuse_when_limited(self) -> None:
        if self._timeline.now_s < self._limited_until_s:
            raise self._refused(Refusal(-1003, "Too many requests.", 429))

    @staticmethod
    def _refused(refusal: Refusal) -> Exception:
        body = json.dumps({"code": refusal.code, "msg": refusal.text})
        return _error(NAMES.get(refusal.code, "ExchangeError"), refusal.status, body)

    def _latency(self) -> float:
        return self._rng.uniform(0.01, 0.3)


def _listed(instrument: Instrument) -> dict[str, Any]:
    """As ccxt tells it, as far as the venue reads it."""
    return {
        "symbol": instrument.id.symbol,
        "base": instrument.base,
        "quote": instrument.quote,
        "precision": {"price": str(instrument.tick), "amount": str(instrument.lot)},
    }


def _error(name: str, status: int = 0, body: str = "") -> Exception:
    import ccxt

    error: Exception = getattr(ccxt, name)(f"model {body}")
    if status:
        note_reply(error, status, body)
    return error


def _structure(raw: dict[str, Any]) -> dict[str, Any]:
    """What ccxt makes of a raw order, as far as anybody here reads it."""
    return {"id": str(raw["orderId"]), "filled": float(raw["executedQty"]), "info": raw}


def _wish_of(body: str, tag: str) -> Wish:
    fields = dict(parse_qsl(body))
    price, stop_price = fields.get("price"), fields.get("stopPrice")
    return Wish(
        tag=tag or fields["newClientOrderId"],
        client_order_id=fields["newClientOrderId"],
        side=Side(fields["side"].lower()),
        kind=KINDS[fields["type"]],
        quantity=Decimal(fields["quantity"]),
        price=None if price is None else Decimal(price),
        stop_price=None if stop_price is None else Decimal(stop_price),
    )
