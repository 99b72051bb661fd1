"""Makes ccxt clients that behave: from an exchange id to an instance without the known traps.

Belongs here: construction and wiring of clients. What is asked of them belongs to `ccxt_market` and
`ccxt_venue`. The embedded exchange is the unmodified Binance client with all its urls on loopback.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daemon.core.instruments import EMBEDDED, exchange_behind
from daemon.venues.budget import Use
from daemon.venues.capabilities import CAPABILITIES
from daemon.venues.ccxt_budget import keep_budget, shared_budget
from daemon.venues.ccxt_outcomes import note_reply
from daemon.venues.ccxt_pace import pace_messages
from daemon.venues.single_file import keep_in_line
from daemon.venues.stream_limits import limits_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


# Exchanges that speak Binance's spot dialect through ccxt's binance class.
BINANCE_DIALECT = frozenset({EMBEDDED, "binance", "binanceus"})
TIMEOUT_MS = 5_000
KEEP_ALIVE_MS = 10_000  # ccxt's default for binance notices a dead peer after nine minutes
VALIDITY_MS = 5_000
CANDLES_KEPT = 5
CANDLE_FIELDS_MIN = 6
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
REACHABLE = ("api", "test", "demo")


def make_client(
    exchange: str,
    *,
    credentials: Sequence[str] | None = None,
    urls: Mapping[str, str] | None = None,
    validity_ms: int = VALIDITY_MS,
    use: Use = Use.LIVE,
) -> Any:
    """A ccxt.pro instance (REST-only where ccxt has no other) for a ccxt id or "embedded", each
    with or without a "-label" behind it.

    `urls` of the embedded exchange are {"rest", "stream", "ws_api"} as its ready line tells them;
    every url of that client is then on loopback, or ValueError. `credentials` are key, secret and,
    where the exchange has one, password. Signed requests are valid for `validity_ms`. What it asks
    is for `use`, out of one budget that it shares with every other client of that exchange in this
    process. `sibling()` makes another of the kind, without a key.
    """
    import ccxt.pro

    exchange = exchange_behind(exchange)
    if exchange == EMBEDDED and urls is None:
        msg = "the embedded exchange needs the urls that its ready line tells"
        raise ValueError(msg)
    ccxt_id = "binance" if exchange == EMBEDDED else exchange
    made: Any = getattr(ccxt.pro, ccxt_id, None) or getattr(ccxt.async_support, ccxt_id, None)
    if made is None or ccxt_id not in ccxt.exchanges:
        msg = f"ccxt {ccxt.__version__} does not know an exchange {exchange!r}"
        raise ValueError(msg)
    client = made(_settings(exchange, credentials, validity_ms))
    types = client.options.get("fetchMarkets")
    if isinstance(types, dict) and isinstance(types.get("types"), list):
        # An exchange that ccxt keeps apart for its swaps has nothing else.
        is_spot = client.has.get("spot") is not False
        types["types"] = ["spot"] if is_spot else ["linear"]
    if credentials is not None:
        # Some ask it of the wallet, which a key that may only trade has no right to.
        client.has = {**client.has, "fetchCurrencies": False}
    keep_alive_ms = min(client.streaming.get("keepAlive", KEEP_ALIVE_MS), KEEP_ALIVE_MS)
    client.streaming = {**client.streaming, "keepAlive": keep_alive_ms}
    if urls is not None:
        client.urls = _on_loopback(client.urls, urls)
        assert_loopback(client)
    assert_sends_once(client)
    guard_frames(client)
    guard_replies(client, is_json=speaks_binance(exchange))
    address = "" if urls is None else urls["rest"]
    keep_budget(client, shared_budget(exchange, address, client.rateLimit), exchange, use)
    row = CAPABILITIES.get(exchange)
    if credentials is not None and row is not None and row.has_counted_nonces:
        keep_in_line(client, exchange)
    pace_messages(client, limits_of(client.id).messages_per_s)
    client.sibling = partial(make_client, exchange, urls=urls, validity_ms=validity_ms, use=use)
    return client


def speaks_binance(exchange: str) -> bool:
    """True where Binance's spot dialect is spoken, by whatever name the exchange goes here."""
    return exchange_behind(exchange) in BINANCE_DIALECT


def is_embedded(exchange: str) -> bool:
    """True for the exchange in the box, by whatever label."""
    return exchange_behind(exchange) == EMBEDDED


def assert_loopback(client: Any) -> None:
    """ValueError when any url this client could call is not on this machine's loopback."""
    for name, url in reachable_urls(client):
        host = urlsplit(url).hostname
        if host not in LOOPBACK:
            msg = f"url {name} of the embedded exchange's client points to {host}, need loopback"
            raise ValueError(msg)


def reachable_urls(client: Any, kinds: Sequence[str] = REACHABLE) -> Iterator[tuple[str, str]]:
    """(dotted name, url) of everything the client may connect to."""
    for kind in kinds:
        yield from _leaves(client.urls.get(kind), kind)


def assert_sends_once(client: Any) -> None:
    """ValueError when an option would make ccxt send a request again by itself, orders included."""
    for name, value in _leaves(client.options, "options"):
        if name.endswith("maxRetriesOnFailure") and value:
            msg = f"{name} is {value}: ccxt would repeat orders by itself"
            raise ValueError(msg)


def guard_frames(client: Any) -> None:
    """Make a frame ccxt cannot read end its connection.

    Left alone, the exception ends ccxt's receive loop while the socket stays open and all watchers
    hang.
    """
    if not hasattr(client, "client"):
        return
    make_socket = client.client

    def guarded(url: str) -> Any:
        socket = make_socket(url)
        if "handle_message" not in vars(socket):
            socket.handle_message = _guarded(socket, socket.handle_message)
        return socket

    client.client = guarded


def guard_replies(client: Any, *, is_json: bool) -> None:
    """Make odd replies with status 200 an error, where ccxt makes them empty results.

    `is_json` when the exchange is known to answer everything in JSON.
    """
    import ccxt

    send, parse = client.fetch, client.parse_ohlcvs

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        reply = await send(url, method, headers, body)
        if is_json and not isinstance(reply, dict | list):
            raise ccxt.BadResponse(f"{client.id} the reply is not JSON")
        return reply

    def parse_ohlcvs(rows: Any, *args: Any, **kwargs: Any) -> Any:
        for row in rows:
            if not isinstance(row, dict | list) or len(row) < CANDLE_FIELDS_MIN:
                raise ccxt.BadResponse(f"{client.id} a candle is not a row of six")
        return parse(rows, *args, **kwargs)

    client.fetch = fetch
    client.parse_ohlcvs = parse_ohlcvs
    client.handle_errors = _noting(client.handle_errors, body_at=5)
    client.handle_http_status_code = _noting(client.handle_http_status_code, body_at=4)


def _noting(judge: Any, body_at: int) -> Any:
    """Have errors raised about a reply carry its status and body, which ccxt's texts may lack."""

    def noting(status: int, *args: Any) -> Any:
        try:
            return judge(status, *args)
        except Exception as error:
            note_reply(error, status, args[body_at - 1])
            raise

    return noting


def _guarded(socket: Any, handle: Any) -> Any:
    import ccxt

    def handle_message(frame: Any) -> None:
        try:
            handle(frame)
        except Exception as error:  # noqa: BLE001  # whatever it is, the stream is unreadable
            socket.on_error(ccxt.NetworkError(f"unreadable frame ({type(error).__name__})"))

    return handle_message


def _settings(exchange: str, credentials: Sequence[str] | None, validity_ms: int) -> dict[str, Any]:
    # A fee for the library's authors is on by default with hyperliquid.
    options: dict[str, Any] = {
        "defaultType": "spot",
        "OHLCVLimit": CANDLES_KEPT,
        "builderFee": False,
    }
    settings: dict[str, Any] = {"timeout": TIMEOUT_MS, "options": options}
    if (row := CAPABILITIES.get(exchange)) is not None:
        options |= row.options
    if speaks_binance(exchange):
        options |= {
            "fetchMarkets": {"types": ["spot"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
            "recvWindow": validity_ms,
            "warnOnFetchOpenOrdersWithoutSymbol": False,
        }
        # Of ccxt's own pacing only the streams' is used; its default makes each message wait for
        # the ones long ago.
        settings |= {"rateLimiterAlgorithm": "rollingWindow", "rollingWindowSize": 60_000.0}
    if credentials is not None:
        settings |= dict(zip(("apiKey", "secret", "password"), credentials, strict=False))
        if not speaks_binance(exchange):
            settings["number"] = str  # what ccxt reads stays the exchange's own digits
    return settings


def _on_loopback(urls: Mapping[str, Any], own: Mapping[str, str]) -> dict[str, Any]:
    """All urls of a binance client on the embedded exchange; what it lacks leads nowhere on it."""
    rest, stream = own["rest"].rstrip("/"), own["stream"].rstrip("/")
    # ccxt tells spot streams from others by this text; without it trades of a shared id hang.
    if "/stream" not in stream:
        stream += "/stream"
    spot = stream if stream.endswith("/ws") else f"{stream}/ws"
    served = {
        "public": f"{rest}/api/v3",
        "private": f"{rest}/api/v3",
        "v1": f"{rest}/api/v1",
        "sapi": f"{rest}/sapi/v1",
        "sapiV2": f"{rest}/sapi/v2",
        "sapiV3": f"{rest}/sapi/v3",
        "sapiV4": f"{rest}/sapi/v4",
        **{f"fapiPublic{name}": f"{rest}/fapi/v{name[1:] or 1}" for name in ("", "V2", "V3")},
    }
    swaps = f"{stream.removesuffix('/ws').removesuffix('/stream')}/ws"
    streams = {"spot": spot, "margin": spot, "linear": swaps}
    api: dict[str, Any] = {
        name: served.get(name, f"{rest}/not-served/{name}") for name in urls["api"] if name != "ws"
    }
    api["ws"] = {
        name: streams.get(name, f"{stream}/not-served/{name}")
        for name in urls["api"]["ws"]
        if name != "ws-api"
    }
    api["ws"]["ws-api"] = {
        name: own["ws_api"] if name == "spot" else f"{stream}/not-served/ws-api-{name}"
        for name in urls["api"]["ws"]["ws-api"]
    }
    return {"api": api, "test": {}, "demo": {}}


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}")
    elif value is not None:
        yield name, value
