"""The watch over what an exchange trades, in virtual time."""

import asyncio

from daemon.core.events import Input, ListingChanged
from daemon.running.listing_watch import EVERY_S, ListingWatch
from tests.builders import BTC, ETH
from tests.fakes import FakeMarketData
from tests.virtual_time import run_virtual


def test_a_symbol_that_is_traded_no_more_is_told_once_and_again_when_it_is() -> None:
    told: list[ListingChanged] = []

    async def put(event: Input) -> None:
        assert isinstance(event, ListingChanged)
        told.append(event)

    async def scenario() -> None:
        market = FakeMarketData()
        watch = ListingWatch(market, [BTC, ETH], now_ns=lambda: 7, put=put)
        running = asyncio.create_task(watch.run())
        states: list[dict[str, str]] = [{}, {BTC.symbol: "BREAK"}, {BTC.symbol: "BREAK"}, {}]
        for untraded in states:
            market.not_traded = untraded
            await asyncio.sleep(EVERY_S)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(scenario())

    assert [(each.instrument, each.is_tradable, each.detail) for each in told] == [
        (BTC, False, "BREAK"),
        (BTC, True, "the exchange trades it again"),
    ]
