"""The closed flag of each dialect, read through the installed ccxt: its own handlers are fed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from daemon.core.bars import RawBar
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_taps import READINGS, tap_candles

OPEN_MS = 1_704_067_200_000
BINANCE = {
    "e": "kline",
    "E": OPEN_MS,
    "s": "BTCUSDT",
    "k": {
        "t": OPEN_MS,
        "T": OPEN_MS + 3_599_999,
        "s": "BTCUSDT",
        "i": "1h",
        "o": "100.10",
        "c": "101.20",
        "h": "102.30",
        "l": "99.40",
        "v": "7.50",
        "x": True,
    },
}
OKX = {
    "arg": {"channel": "candle1H", "instId": "BTC-USDT"},
    "data": [[str(OPEN_MS), "100.10", "102.30", "99.40", "101.20", "7.50", "750", "750", "1"]],
}
BYBIT = {
    "topic": "kline.60.BTCUSDT",
    "type": "snapshot",
    "ts": OPEN_MS,
    "data": [
        {
            "start": OPEN_MS,
            "end": OPEN_MS + 3_599_999,
            "interval": "60",
            "open": "100.10",
            "close": "101.20",
            "high": "102.30",
            "low": "99.40",
            "volume": "7.50",
            "turnover": "750",
            "confirm": True,
            "timestamp": OPEN_MS,
        }
    ],
}
CASES = {
    "binance": ("wss://stream.binance.com:9443/ws/0", "BTCUSDT", BINANCE),
    "binanceus": ("wss://stream.binance.us:9443/ws/0", "BTCUSDT", BINANCE),
    "okx": ("wss://ws.okx.com:8443/ws/v5/business", "BTC-USDT", OKX),
    "bybit": ("wss://stream.bybit.com/v5/public/spot", "BTCUSDT", BYBIT),
}


@asynccontextmanager
async def a_tapped_client(exchange: str, said: list[Any]) -> AsyncIterator[Any]:
    client = make_client(exchange)
    market_id = CASES[exchange][1]
    client.set_markets(
        [
            {
                "id": market_id,
                "symbol": "BTC/USDT",
                "base": "BTC",
                "quote": "USDT",
                "baseId": "BTC",
                "quoteId": "USDT",
                "type": "spot",
                "spot": True,
                "swap": False,
                "contract": False,
                "active": True,
                "precision": {"price": 0.01, "amount": 0.00001},
                "limits": {},
                "info": {},
            }
        ]
    )
    assert tap_candles(client, lambda *heard: said.append(heard))
    try:
        yield client
    finally:
        await client.close()


def receive(client: Any, exchange: str, message: Any) -> Any:
    """Give ccxt a message as if it had come from the exchange."""
    socket = client.client(CASES[exchange][0])
    frame = aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, json.dumps(message), None)
    socket.handle_message(frame)
    return socket


def test_every_reading_has_a_case() -> None:
    assert set(READINGS) == set(CASES)


@pytest.mark.parametrize("exchange", sorted(CASES))
async def test_a_closed_candle_is_heard_with_its_flag_and_its_own_text(exchange: str) -> None:
    said: list[Any] = []
    async with a_tapped_client(exchange, said) as client:
        receive(client, exchange, CASES[exchange][2])

        candle = RawBar(OPEN_MS, "100.10", "102.30", "99.40", "101.20", "7.50", is_closed=True)
        assert said == [("BTC/USDT", "1h", candle)]
        assert client.ohlcvs["BTC/USDT"]["1h"][0] == [OPEN_MS, 100.1, 102.3, 99.4, 101.2, 7.5]


@pytest.mark.parametrize("exchange", sorted(CASES))
async def test_an_unfinished_candle_is_heard_as_one(exchange: str) -> None:
    said: list[Any] = []
    text = json.dumps(CASES[exchange][2])
    text = text.replace('"x": true', '"x": false').replace('"confirm": true', '"confirm": false')
    message = json.loads(text.replace('"750", "1"]', '"750", "0"]'))
    async with a_tapped_client(exchange, said) as client:
        receive(client, exchange, message)

        assert [raw.is_closed for _, _, raw in said] == [False]


@pytest.mark.parametrize("exchange", sorted(CASES))
async def test_a_message_ccxt_cannot_read_ends_the_connection_and_is_not_heard(
    exchange: str,
) -> None:
    said: list[Any] = []
    broken = {
        "binance": {"e": "kline", "s": "BTCUSDT", "k": [1]},
        "binanceus": {"e": "kline", "s": "BTCUSDT", "k": [1]},
        "okx": {"arg": {"channel": "candle1H", "instId": "BTC-USDT"}, "data": [{}]},
        "bybit": {"topic": "kline.60.BTCUSDT", "data": ["x"]},
    }
    async with a_tapped_client(exchange, said) as client:
        socket = receive(client, exchange, broken[exchange])

        assert said == []
        assert socket.error is not None


async def test_a_dialect_nobody_has_read_is_left_alone() -> None:
    client = make_client("kraken")
    handle = client.handle_ohlcv

    assert not tap_candles(client, lambda *_: None)
    assert client.handle_ohlcv == handle
    await client.close()
