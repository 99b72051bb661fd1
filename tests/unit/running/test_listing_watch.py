"""The watch over what an exchange trades, in virtual time."""

import asyncio
from decimal import Decimal

from msgspec.structs import replace

from daemon.core.events import Input, ListingChanged, RulesChanged
from daemon.running.listing_watch import EVERY_S, ListingWatch, news_of_rules
from tests.builders import BTC, ETH, an_instrument
from tests.fakes import FakeMarketData
from tests.virtual_time import run_virtual

RULES = an_instrument(id=BTC)


def test_a_symbol_that_is_traded_no_more_is_told_once_and_again_when_it_is() -> None:
    told: list[ListingChanged] = []

    async def put(event: Input) -> None:
        assert isinstance(event, ListingChanged)
        told.append(event)

    async def scenario() -> None:
        market = FakeMarketData()
        watch = ListingWatch(market, [RULES, an_instrument(id=ETH)], now_ns=lambda: 7, put=put)
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


def test_what_a_start_found_untraded_is_news_once_it_is_traded_again() -> None:
    told: list[Input] = []

    async def put(event: Input) -> None:
        told.append(event)

    async def scenario() -> None:
        market = FakeMarketData()
        market.not_traded = {BTC.symbol: "BREAK"}
        watch = ListingWatch(market, [RULES], now_ns=lambda: 7, put=put, untraded=[BTC])
        await watch.look()
        assert told == []
        market.not_traded = {}
        await watch.look()

    run_virtual(scenario())

    (changed,) = told
    assert isinstance(changed, ListingChanged)
    assert changed.is_tradable


def test_a_step_that_changes_is_told_once_with_both_numbers_and_nothing_else_is() -> None:
    told: list[Input] = []

    async def put(event: Input) -> None:
        told.append(event)

    async def scenario() -> None:
        market = FakeMarketData()
        market.listed = [RULES]
        watch = ListingWatch(market, [RULES], now_ns=lambda: 7, put=put)
        await watch.look()
        market.listed = [replace(RULES, lot=RULES.lot * 10, maximum_quantity=Decimal(9))]
        await watch.look()
        await watch.look()

    run_virtual(scenario())

    (changed,) = told
    assert isinstance(changed, RulesChanged)
    assert changed.instrument.lot == RULES.lot * 10
    assert changed.detail == "lot 0.00001 -> 0.0001, maximum_quantity none -> 9"


def test_what_an_instrument_is_made_of_never_changes() -> None:
    other = replace(RULES, base="BCH", lot=RULES.lot * 10)

    assert list(news_of_rules({BTC: RULES}, [other], 7)) == []
    assert list(news_of_rules({}, [RULES], 7)) == []
