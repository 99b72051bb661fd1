"""A client of each exchange that signs and sends nothing: every request ends here, captured.

Belongs here: injected markets, keys that open nothing, and the port at which requests are caught.
"""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_departures import fields_of

SYMBOL = "BTC/USDT"
# How each exchange calls BTC/USDT; binance's form where nothing is said.
NAMES = {
    "okx": "BTC-USDT",
    "kucoin": "BTC-USDT",
    "coinbase": "BTC-USDT",
    "gate": "BTC_USDT",
    "kraken": "XXBTZUSDT",
}
# What an exchange is asked before the order itself, and answers.
ASKED_BEFORE = {
    "user/query-api": {"result": {"uta": "1"}},
    "account/info": {"result": {"unifiedMarginStatus": "5"}},
}


class Caught(Exception):
    """Ends a request where it would have gone out."""


@dataclass
class Signed:
    """One request as it would have left."""

    method: str
    url: str
    body: str | None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def told(self) -> str:
        return f"{self.url} {self.body or ''}"

    @property
    def fields(self) -> dict[str, list[str]]:
        return fields_of(self.url, self.body)


def a_signing_client(
    exchange: str, *, tick: float = 1e-8, replies: dict[str, Any] | None = None
) -> tuple[Any, list[Signed]]:
    """The daemon's own client with one market; what it signs is in the list.

    `replies` answer requests by a part of "METHOD url"; what has none ends the request.
    """
    client = make_client(exchange, credentials=("canary-key", _secret(exchange), "canary-pass"))
    client.set_markets([_market(NAMES.get(exchange, "BTCUSDT"), tick)])
    signed: list[Signed] = []

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        for path, reply in ASKED_BEFORE.items():
            if path in url:
                return reply
        signed.append(Signed(method, url, body, dict(headers or {})))
        for path, reply in (replies or {}).items():
            if path in f"{method} {url}":
                text = json.dumps(reply)
                client.handle_errors(200, "", url, method, {}, text, reply, headers, body)
                return reply
        raise Caught

    async def throttle(_: float | None = None) -> None: ...

    client.fetch, client.throttle = fetch, throttle
    return client, signed


def _secret(exchange: str) -> str:
    if exchange != "coinbase":
        return "Y2FuYXJ5LXNlY3JldC1jYW5hcnk="
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, form, serialization.NoEncryption()).decode()


def _market(name: str, tick: float) -> dict[str, Any]:
    base, _, quote = SYMBOL.partition("/")
    kinds = ("margin", "swap", "future", "option", "contract")
    return {
        **dict.fromkeys(kinds, False),
        "id": name,
        "lowercaseId": name.lower(),
        "symbol": SYMBOL,
        "type": "spot",
        "base": base,
        "quote": quote,
        "baseId": base,
        "quoteId": quote,
        "spot": True,
        "active": True,
        "settle": None,
        "linear": None,
        "inverse": None,
        "precision": {"amount": 1e-8, "price": tick},
        "limits": {"amount": {"min": 1e-8, "max": None}, "price": {}, "cost": {}},
        "info": {"orderTypes": ["LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"]},
    }
