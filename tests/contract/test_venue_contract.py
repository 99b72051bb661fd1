"""One list of behaviours for every venue: what other tests trust the fake for, the real ones do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.core.clock import ManualClock
from daemon.core.events import CancelOrder, Outcome, ReportSource
from daemon.core.orders import OrderState, OrderType, Side
from daemon.core.ports import Venue
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_venue import CcxtVenue
from daemon.venues.paper_terms import PaperTerms
from daemon.venues.paper_venue import PaperVenue
from tests.exchange.loopback import CREDENTIALS, loopback, next_within
from tests.fakes import FakeMarketData, FakeVenue, Fate
from tests.unit.venues.orders import BTC, ETH, NOW_NS, a_look_up, an_instrument, an_order

KINDS = ("fake", "paper", "ccxt")


@asynccontextmanager
async def a_venue(kind: str, directory: Path, *fates: Fate) -> AsyncIterator[Venue]:
    """A venue with 100 000 USDT and 1 BTC, where `fates` befall the next orders."""
    if kind == "fake":
        yield FakeVenue(*fates)
    elif kind == "paper":
        yield PaperVenue(
            FakeMarketData(),
            [an_instrument(BTC), an_instrument(ETH)],
            ManualClock(NOW_NS),
            start={"USDT": Decimal(100_000), "BTC": Decimal(1)},
            timeframe_ns=3_600 * 1_000_000_000,
            terms=PaperTerms(latency_ms=0),
        )
    else:
        async with loopback(directory) as lab:
            ends = lab.endpoints
            client = make_client(
                "embedded",
                urls={"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api},
                credentials=(CREDENTIALS.key, CREDENTIALS.secret),
                validity_ms=300,
            )
            rules = {
                Fate.REPLY_LOST: {"kind": "drop_after"},
                Fate.REQUEST_LOST: {"kind": "drop_before"},
                Fate.RAISES: {"kind": "body_after", "body": "{}"},
            }
            for number, fate in enumerate(fates, 1):
                if fate in rules:
                    rule = {"path": "/api/v3/order", "method": "POST", "nth": [number]}
                    lab.faults.add({**rule, **rules[fate]})
            venue = CcxtVenue(client, "embedded", validity_ms=300, grace_s=0.1)
            try:
                yield venue
            finally:
                await venue.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def a_cancel(venue_order_id: str | None) -> CancelOrder:
    return CancelOrder(
        ts_ns=NOW_NS,
        client_order_id="tdone",
        instrument=BTC,
        order_type=OrderType.LIMIT,
        venue_order_id=venue_order_id,
        intended_ns=NOW_NS,
        reason="test",
    )


async def test_a_filled_order_is_told_with_fills_that_add_up(kind: str, tmp_path: Path) -> None:
    async with a_venue(kind, tmp_path) as venue:
        report = await venue.submit(an_order(quantity="0.5"))

        assert report.outcome is Outcome.ACKNOWLEDGED
        assert report.source is ReportSource.REPLY
        assert report.state is OrderState.FILLED
        assert report.venue_order_id
        assert report.filled_quantity == Decimal("0.5")
        assert sum(fill.quantity for fill in report.fills) == Decimal("0.5")
        assert all(fill.price > 0 and fill.fee > 0 and fill.fee_currency for fill in report.fills)


async def test_trade_ids_are_unique(kind: str, tmp_path: Path) -> None:
    async with a_venue(kind, tmp_path) as venue:
        reports = [await venue.submit(an_order(f"td{each}", "0.1")) for each in range(5)]

        ids = [fill.trade_id for report in reports for fill in report.fills]
        assert len(ids) == len(set(ids)) >= 5


async def test_a_known_order_is_found_with_the_same_fills(kind: str, tmp_path: Path) -> None:
    async with a_venue(kind, tmp_path) as venue:
        sent = await venue.submit(an_order())
        found = await next_within(venue.look_up(a_look_up()))

        assert found.outcome is Outcome.ACKNOWLEDGED
        assert found.source is ReportSource.LOOKUP
        assert (found.state, found.venue_order_id) == (sent.state, sent.venue_order_id)
        assert {fill.trade_id for fill in found.fills} == {fill.trade_id for fill in sent.fills}
        assert [fill.price for fill in found.fills] == [fill.price for fill in sent.fills]
        assert [fill.fee for fill in found.fills] == [fill.fee for fill in sent.fills]


async def test_an_order_that_never_was_is_absent_in_the_end(kind: str, tmp_path: Path) -> None:
    async with a_venue(kind, tmp_path) as venue:
        found = await next_within(venue.look_up(a_look_up("tdnever")))

        assert found.outcome is Outcome.ABSENT
        assert found.source is ReportSource.LOOKUP
        assert found.fills == ()
        assert found.reason


async def test_looking_up_changes_nothing(kind: str, tmp_path: Path) -> None:
    async with a_venue(kind, tmp_path) as venue:
        await venue.submit(an_order())
        for _ in range(3):
            await next_within(venue.look_up(a_look_up()))

        assert len((await venue.account([BTC], 0)).fills) == 1


async def test_submitting_an_id_again_executes_nothing(kind: str, tmp_path: Path) -> None:
    async with a_venue(kind, tmp_path) as venue:
        await venue.submit(an_order())
        again = await venue.submit(an_order())

        assert again.outcome in {Outcome.UNKNOWN, Outcome.ACKNOWLEDGED}
        assert len((await venue.account([BTC], 0)).fills) == 1


async def test_the_account_tells_each_fill_with_its_order(kind: str, tmp_path: Path) -> None:
    async with a_venue(kind, tmp_path) as venue:
        sent = await venue.submit(an_order())
        account = await venue.account([BTC, ETH], 0)

        assert [each.client_order_id for each in account.fills] == ["tdone"]
        assert [each.venue_order_id for each in account.fills] == [sent.venue_order_id]
        assert account.fills[0].side is Side.BUY
        assert account.fills[0].fill.trade_id == sent.fills[0].trade_id
        assert account.open_client_order_ids == ()


async def test_a_fill_of_another_instrument_is_not_told(kind: str, tmp_path: Path) -> None:
    async with a_venue(kind, tmp_path) as venue:
        await venue.submit(an_order())

        assert (await venue.account([ETH], 0)).fills == ()


async def test_the_stream_of_reports_waits_without_ending(kind: str, tmp_path: Path) -> None:
    async with a_venue(kind, tmp_path) as venue:
        listening = asyncio.ensure_future(anext(venue.reports()))
        done, _ = await asyncio.wait({listening}, timeout=0.3)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

        assert not done


# What only venues beyond a wire can suffer; paper has no wire.
WIRED = pytest.mark.parametrize("wired", ["fake", "ccxt"])


@WIRED
@pytest.mark.parametrize("fate", [Fate.REPLY_LOST, Fate.REQUEST_LOST])
async def test_an_answer_that_does_not_come_is_unknown(
    wired: str, fate: Fate, tmp_path: Path
) -> None:
    async with a_venue(wired, tmp_path, fate) as venue:
        report = await venue.submit(an_order())

        assert report.outcome is Outcome.UNKNOWN
        assert report.reason
        assert report.fills == ()


@WIRED
async def test_an_order_whose_reply_was_lost_is_found_filled(wired: str, tmp_path: Path) -> None:
    async with a_venue(wired, tmp_path, Fate.REPLY_LOST) as venue:
        await venue.submit(an_order())
        found = await next_within(venue.look_up(a_look_up()))

        assert found.state is OrderState.FILLED
        assert sum(fill.quantity for fill in found.fills) == Decimal("0.5")


@WIRED
async def test_an_order_whose_request_was_lost_is_absent(wired: str, tmp_path: Path) -> None:
    async with a_venue(wired, tmp_path, Fate.REQUEST_LOST) as venue:
        await venue.submit(an_order())

        assert (await next_within(venue.look_up(a_look_up()))).outcome is Outcome.ABSENT
        assert (await venue.account([BTC], 0)).fills == ()


@pytest.mark.parametrize("real", ["paper", "ccxt"])
async def test_a_limit_order_far_from_the_market_rests_until_it_is_cancelled(
    real: str, tmp_path: Path
) -> None:
    async with a_venue(real, tmp_path) as venue:
        sent = await venue.submit(
            replace(an_order(), order_type=OrderType.LIMIT, price=Decimal(10))
        )
        found = await next_within(venue.look_up(replace(a_look_up(), order_type=OrderType.LIMIT)))
        resting = await venue.account([BTC], 0)
        ended = await next_within(venue.cancel(a_cancel(sent.venue_order_id)))
        again = await next_within(venue.cancel(a_cancel(sent.venue_order_id)))

        assert (sent.state, found.state) == (OrderState.ACCEPTED, OrderState.ACCEPTED)
        assert resting.open_client_order_ids == ("tdone",)
        assert (ended.state, ended.filled_quantity, ended.fills) == (OrderState.CANCELED, 0, ())
        assert again.state is OrderState.CANCELED
        assert (await venue.account([BTC], 0)).open_client_order_ids == ()


@pytest.mark.parametrize("real", ["paper", "ccxt"])
async def test_a_cancel_that_comes_too_late_tells_the_fill(real: str, tmp_path: Path) -> None:
    async with a_venue(real, tmp_path) as venue:
        sent = await venue.submit(an_order())
        told = await next_within(venue.cancel(a_cancel(sent.venue_order_id)))

        assert told.state is OrderState.FILLED
        assert told.filled_quantity == Decimal("0.5")


@pytest.mark.parametrize("filtered", ["paper", "ccxt"])
@pytest.mark.parametrize("quantity", ["0.00001", "99999"])
async def test_what_the_filters_or_the_account_forbid_is_refused(
    filtered: str, quantity: str, tmp_path: Path
) -> None:
    async with a_venue(filtered, tmp_path) as venue:
        report = await venue.submit(an_order(quantity=quantity, side=Side.SELL))

        assert report.outcome is Outcome.REFUSED
        assert report.reason
        assert (await venue.account([BTC], 0)).fills == ()
