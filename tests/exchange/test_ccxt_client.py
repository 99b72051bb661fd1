"""What every client of the daemon is made of, asked of the installed ccxt; no network."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from daemon.venues.ccxt_client import (
    assert_loopback,
    assert_sends_once,
    make_client,
    reachable_urls,
)

URLS = {
    "rest": "http://127.0.0.1:8080",
    "stream": "ws://127.0.0.1:8080/stream",
    "ws_api": "ws://127.0.0.1:8080/ws-api/v3",
}


@asynccontextmanager
async def a_client(exchange: str = "embedded", **settings: Any) -> AsyncIterator[Any]:
    if exchange == "embedded":
        settings.setdefault("urls", URLS)
    client = make_client(exchange, **settings)
    try:
        yield client
    finally:
        await client.close()


async def test_no_url_of_an_embedded_client_points_anywhere_but_loopback() -> None:
    async with a_client() as client:
        urls = dict(reachable_urls(client))

        assert len(urls) > 30
        assert all("//127.0.0.1:8080/" in url for url in urls.values())
        assert urls["api.private"] == "http://127.0.0.1:8080/api/v3"
        assert urls["api.ws.spot"] == "ws://127.0.0.1:8080/stream/ws"
        assert urls["api.ws.ws-api.spot"] == "ws://127.0.0.1:8080/ws-api/v3"


async def test_a_client_with_one_url_to_the_outside_is_refused() -> None:
    async with a_client() as client:
        client.urls["api"]["ws"]["papi"] = "wss://fstream.binance.com/pm/ws"

        with pytest.raises(ValueError, match=r"api\.ws\.papi .* fstream\.binance\.com"):
            assert_loopback(client)


async def test_urls_that_are_not_loopback_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="need loopback"):
        make_client("embedded", urls={**URLS, "rest": "http://10.0.0.1:8080"})


def test_the_embedded_exchange_needs_its_urls() -> None:
    with pytest.raises(ValueError, match="ready line"):
        make_client("embedded")


def test_an_exchange_ccxt_does_not_know_is_named() -> None:
    with pytest.raises(ValueError, match="does not know an exchange 'nowhere'"):
        make_client("nowhere")


async def test_signed_requests_are_valid_for_as_long_as_was_said() -> None:
    async with a_client(credentials=("key", "secret"), validity_ms=2_500) as client:
        request = client.sign("order", ["private"], "POST", {"symbol": "BTCUSDT"})

        assert "recvWindow=2500" in request["body"]


async def test_ccxt_never_repeats_a_request_by_itself() -> None:
    async with a_client() as client:
        assert_sends_once(client)
        client.options["createOrder"] = {"maxRetriesOnFailure": 2}

        with pytest.raises(ValueError, match=r"createOrder\.maxRetriesOnFailure is 2"):
            assert_sends_once(client)


async def test_a_dead_peer_is_noticed_in_seconds_rather_than_minutes() -> None:
    async with a_client() as client, a_client("kraken") as kraken:
        assert client.streaming["keepAlive"] == 10_000
        assert kraken.streaming["keepAlive"] == 6_000


async def test_only_spot_instruments_are_loaded() -> None:
    for exchange in ("binance", "okx", "bybit"):
        async with a_client(exchange) as client:
            assert client.options["fetchMarkets"]["types"] == ["spot"]


async def test_an_exchange_without_streams_can_still_be_polled() -> None:
    async with a_client("coinspot") as client:
        assert not client.has.get("watchOHLCV")


def test_the_settings_hold_no_secret_text() -> None:
    client = make_client("embedded", urls=URLS, credentials=("key", "the-secret"))

    assert "the-secret" not in json.dumps(client.urls)
    assert "the-secret" not in json.dumps(client.options, default=str)
