"""What an exchange cannot give is refused in words before it is asked for anything."""

import asyncio

import pytest

from daemon.cli.connecting import _together
from daemon.config import load
from daemon.core.errors import UsageRefused
from daemon.running.world.real import real_site


def refused(**data: object) -> str:
    overrides = {f"data.{key}": value for key, value in data.items()}
    settings = load(None, overrides, {})

    async def connect() -> None:
        symbols = settings.data.symbols
        site = real_site(settings, exchange=str(data["exchange"]), symbols=symbols, mode="paper")
        await _together({"it": site}, within_s=5.0)

    with pytest.raises(UsageRefused) as caught:
        asyncio.run(connect())
    return str(caught.value)


def test_a_stream_that_is_not_there_is_refused_when_it_is_asked_for_by_name() -> None:
    line = refused(exchange="bitstamp", transport="websocket", symbols=("BTC/USD",))

    assert line == 'bitstamp streams no candles: set data.transport = "auto"'


def test_an_exchange_without_candles_of_the_past_is_refused() -> None:
    line = refused(exchange="coincheck", symbols=("BTC/JPY",))

    assert line.startswith("coincheck tells no candles of the past")


def test_a_timeframe_that_is_not_there_names_those_that_are() -> None:
    line = refused(exchange="kraken", timeframe="3h", symbols=("BTC/USD",))

    assert line.startswith("kraken has no candles of 3h; it has 1m, 5m, 15m, 30m, 1h, 4h, 1d")
    assert line.endswith("(finer ones can be made into it: data.source_timeframe)")
