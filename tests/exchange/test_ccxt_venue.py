"""Signed orders over the wire: the real ccxt client against an exchange in this process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemon.core.clock import WireClock
from daemon.core.errors import ExchangeUnreachable, LiveRefused
from daemon.core.events import OrderReported, Outcome, ReportSource, SubmitOrder
from daemon.core.orders import OrderState, Side
from daemon.core.timeframes import NS_PER_S
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_venue import CcxtVenue
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket
from tests.exchange.loopback import CREDENTIALS, Loopback, loopback, next_within
from tests.unit.venues.orders import BTC, ETH, a_look_up, an_order

SECRET = CREDENTIALS.secret
ORDER = "/api/v3/order"
NO_BALANCES = '{"code":-1102,"msg":"not like this"}'


def urls_of(lab: Loopback) -> dict[str, str]:
    ends = lab.endpoints
    return {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}


def a_signed_client(lab: Loopback, secret: str = SECRET, validity_ms: int = 300) -> Any:
    return make_client(
        "embedded",
        urls=urls_of(lab),
        credentials=(CREDENTIALS.key, secret),
        validity_ms=validity_ms,
    )


@asynccontextmanager
async def a_venue(
    directory: Path,
    market: FakeMarket | None = None,
    *,
    validity_ms: int = 300,
    grace_s: float = 0.1,
) -> AsyncIterator[tuple[Loopback, CcxtVenue]]:
    async with loopback(directory, market=market) as lab:
        client = a_signed_client(lab, validity_ms=validity_ms)
        venue = CcxtVenue(client, "embedded", validity_ms=validity_ms, grace_s=grace_s)
        try:
            yield lab, venue
        finally:
            await venue.close()


async def ledger(lab: Loopback) -> list[tuple[str, str]]:
    """(client id, status) of every order the exchange has written down."""
    told = await lab.get("ledger")
    return [(each["client_order_id"], each["status"]) for each in told["orders"]]


async def test_a_market_order_is_filled_exactly_and_told_with_every_fill(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (_, venue):
        report = await venue.submit(an_order(quantity="0.75"))

        assert (report.outcome, report.state) == (Outcome.ACKNOWLEDGED, OrderState.FILLED)
        assert report.filled_quantity == Decimal("0.75")
        assert [
            (each.price, each.quantity, each.fee, each.fee_currency) for each in report.fills
        ] == [
            (Decimal("50000.01"), Decimal("0.5"), Decimal("0.0005"), "BTC"),
            (Decimal("50000.02"), Decimal("0.25"), Decimal("0.00025"), "BTC"),
        ]
        assert {each.ts_ns for each in report.fills} == {FROM_MS * 1_000_000}
        assert report.ts_ns == FROM_MS * 1_000_000


async def test_what_the_book_cannot_fill_expires(tmp_path: Path) -> None:
    market = FakeMarket(level_quantity=Decimal("0.0001"))
    async with a_venue(tmp_path, market) as (_, venue):
        report = await venue.submit(an_order(quantity="0.01"))

        assert report.state is OrderState.EXPIRED
        assert report.filled_quantity == Decimal("0.005")
        assert len(report.fills) == 50


async def test_tiny_quantities_leave_as_plain_numbers(tmp_path: Path) -> None:
    async with a_venue(tmp_path, FakeMarket(base={"BTCUSDT": 900_000, "ETHUSDT": 3_000})) as (
        lab,
        venue,
    ):
        report = await venue.submit(an_order(quantity="0.00009"))

        assert report.filled_quantity == Decimal("0.00009")
        assert (await ledger(lab)) == [("tdone", "filled")]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (an_order(quantity="0.00001"), "-1013: Filter failure: NOTIONAL"),
        (an_order(quantity="99999"), "-1013: Filter failure"),
        (an_order(quantity="1.5", side=Side.SELL), "-2010"),
    ],
)
async def test_a_definite_refusal_is_told_as_one(
    tmp_path: Path, order: SubmitOrder, reason: str
) -> None:
    async with a_venue(tmp_path) as (_, venue):
        report = await venue.submit(order)

        assert report.outcome is Outcome.REFUSED
        assert reason in report.reason
        assert (await venue.look_up(a_look_up())).outcome is Outcome.ABSENT


async def test_what_ccxt_refuses_by_itself_never_left(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        report = await venue.submit(an_order(quantity="0.000001"))

        assert report.outcome is Outcome.NOT_SENT
        assert "InvalidOrder" in report.reason
        assert await ledger(lab) == []


async def test_a_quantity_that_ccxt_would_cut_never_leaves(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        report = await venue.submit(an_order(quantity="0.123456789"))

        assert report.outcome is Outcome.NOT_SENT
        assert "NotAsIntended" in report.reason
        assert await ledger(lab) == []


REPLY_LOST: list[dict[str, Any]] = [
    {"kind": "drop_after"},
    {"kind": "status_after", "status": 502, "body": "<html>Bad Gateway</html>"},
    {"kind": "status_after", "status": 504, "body": ""},
    {"kind": "status_after", "status": 503, "body": '{"code":-1006,"msg":"status unknown"}'},
    {"kind": "status_after", "status": 400, "body": '{"code":-1007,"msg":"Timeout"}'},
    {"kind": "status_after", "status": 503, "body": '{"code":-1008,"msg":"overloaded"}'},
    {"kind": "status_after", "status": 400, "body": '{"code":-9999,"msg":"never seen"}'},
    {"kind": "body_after", "body": ""},
    {"kind": "body_after", "body": '{"symbol":"BTCUSDT","ord'},
    {"kind": "body_after", "body": "null"},
    {"kind": "body_after", "body": "[]"},
    {"kind": "body_after", "body": "{}"},
    {"kind": "body_after", "body": '{"symbol":"BTCUSDT","orderId":null,"status":"FILLED"}'},
]


@pytest.mark.parametrize("fault", REPLY_LOST)
async def test_an_accepted_order_whose_reply_is_lost_is_unknown_and_then_found(
    tmp_path: Path, fault: dict[str, Any]
) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        lab.faults.add({"path": ORDER, "method": "POST", "nth": [1], **fault})

        report = await venue.submit(an_order())
        found = await next_within(venue.look_up(a_look_up()))

        assert report.outcome is Outcome.UNKNOWN
        assert (found.outcome, found.state) == (Outcome.ACKNOWLEDGED, OrderState.FILLED)
        assert found.source is ReportSource.LOOKUP
        assert sum(each.quantity for each in found.fills) == Decimal("0.5")
        assert await ledger(lab) == [("tdone", "filled")]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"},
        {"kind": "status", "status": 503, "body": "<html>"},
        {"kind": "status", "status": 403, "body": "<html>Forbidden</html>"},
    ],
)
async def test_an_order_that_never_arrived_is_unknown_and_then_absent(
    tmp_path: Path, fault: dict[str, Any]
) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        lab.faults.add({"path": ORDER, "method": "POST", "nth": [1], **fault})

        report = await venue.submit(an_order())
        found = await next_within(venue.look_up(a_look_up()))

        assert report.outcome is Outcome.UNKNOWN
        assert found.outcome is Outcome.ABSENT
        assert await ledger(lab) == []


async def test_an_order_is_not_called_absent_while_it_may_still_arrive(tmp_path: Path) -> None:
    async with a_venue(tmp_path, validity_ms=1_000, grace_s=0.5) as (lab, venue):
        lab.faults.add({"path": ORDER, "method": "POST", "kind": "drop_before"})
        await venue.submit(an_order())
        looking = asyncio.create_task(venue.look_up(a_look_up()))
        done, _ = await asyncio.wait({looking}, timeout=1.2)
        assert not done

        assert (await next_within(looking)).outcome is Outcome.ABSENT


async def test_a_look_up_waits_until_every_source_can_be_read(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        lab.faults.add({"path": "/api/v3/allOrders", "kind": "status", "nth": [1, 2]})

        found = await next_within(venue.look_up(a_look_up()))

        assert found.outcome is Outcome.ABSENT


async def test_an_order_that_shows_up_late_is_found(tmp_path: Path) -> None:
    async with a_venue(tmp_path, grace_s=2.0) as (lab, venue):
        not_there = {
            "kind": "status",
            "status": 400,
            "body": '{"code":-2013,"msg":"no such order"}',
        }
        lab.faults.add([{"path": ORDER, "method": "POST", "kind": "drop_after", "nth": [1]}])
        lab.faults.add([{"path": ORDER, "method": "GET", "nth": [1, 2], **not_there}])
        await venue.submit(an_order())

        found = await next_within(venue.look_up(a_look_up()))

        assert found.state is OrderState.FILLED


async def test_fills_the_trade_list_does_not_show_yet_are_waited_for(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        lab.faults.add({"path": "/api/v3/myTrades", "kind": "body_after", "body": "[]", "nth": [1]})
        lab.faults.add({"path": ORDER, "method": "POST", "kind": "drop_after", "nth": [1]})
        await venue.submit(an_order())

        found = await next_within(venue.look_up(a_look_up()))

        assert found.state is OrderState.FILLED
        assert sum(each.quantity for each in found.fills) == found.filled_quantity


async def test_the_same_id_is_never_sent_twice(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        await venue.submit(an_order())
        again = await venue.submit(an_order())

        assert again.outcome is Outcome.UNKNOWN
        assert await ledger(lab) == [("tdone", "filled")]


async def test_an_id_of_an_earlier_process_is_not_sent_once_it_was_looked_for(
    tmp_path: Path,
) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        assert (await venue.look_up(a_look_up())).outcome is Outcome.ABSENT

        assert (await venue.submit(an_order())).outcome is Outcome.UNKNOWN
        assert await ledger(lab) == []


async def test_a_submit_that_is_cancelled_on_its_way_can_be_looked_up(tmp_path: Path) -> None:
    async with a_venue(tmp_path, grace_s=1.0) as (lab, venue):
        lab.faults.add({"path": ORDER, "method": "POST", "kind": "delay_after", "sec": 1.0})
        sending = asyncio.create_task(venue.submit(an_order()))
        while await ledger(lab) == []:  # noqa: ASYNC110  # the ledger has no event to wait for
            await asyncio.sleep(0.01)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

        assert (await venue.submit(an_order())).outcome is Outcome.UNKNOWN
        assert (await next_within(venue.look_up(a_look_up()))).state is OrderState.FILLED


async def test_an_exchange_that_is_not_there_was_sent_nothing(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        client = a_signed_client(lab)
        venue = CcxtVenue(client, "embedded", validity_ms=300, grace_s=0.1)
        await venue.account([BTC], 0)
    report = await next_within(venue.submit(an_order()))
    await venue.close()

    assert report.outcome is Outcome.NOT_SENT


async def test_a_refused_key_is_a_refusal_and_ends_readings(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        venue = CcxtVenue(a_signed_client(lab, "wrong"), "embedded")
        report = await venue.submit(an_order())
        with pytest.raises(LiveRefused, match=r"refuses the key: AuthenticationError -1022"):
            await venue.account([BTC], 0)
        await venue.close()

    assert report.outcome is Outcome.REFUSED


async def test_a_late_time_stamp_is_refused_and_the_clock_set(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (_, venue):
        await venue.account([BTC], 0)
        venue._client.budget.set_time(WireClock().now_ns() - 10 * NS_PER_S)

        late = await venue.submit(an_order("tdlate"))
        then = await venue.submit(an_order("tdthen"))

        assert late.outcome is Outcome.REFUSED
        assert "-1021" in late.reason
        assert then.state is OrderState.FILLED


async def test_no_reason_ever_tells_the_key_or_the_signature(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        for number, fault in enumerate(REPLY_LOST, 1):
            lab.faults.add({"path": ORDER, "method": "POST", "nth": [number], **fault})
        reports = [await venue.submit(an_order(f"td{each}")) for each in range(len(REPLY_LOST))]

        text = str(reports)
        assert CREDENTIALS.key not in text
        assert SECRET not in text
        assert "signature" not in text
        assert "http" not in text


def test_an_exchange_without_a_row_of_its_own_takes_no_orders() -> None:
    with pytest.raises(LiveRefused, match="orders on mexc are not supported"):
        CcxtVenue(object(), "mexc")


# --- the account ----------------------------------------------------------------------------------


async def test_the_account_tells_balances_and_every_fill_with_its_order(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (_, venue):
        bought = await venue.submit(an_order("tda", "0.75"))
        await venue.submit(an_order("tdb", "2", instrument=ETH, side=Side.SELL))
        account = await venue.account([BTC, ETH], 0)

        own = [each for each in account.fills if each.client_order_id == "tda"]
        assert {each.fill.trade_id for each in own} == {each.trade_id for each in bought.fills}
        assert {(each.client_order_id, each.side) for each in account.fills} == {
            ("tda", Side.BUY),
            ("tdb", Side.SELL),
        }
        assert account.totals["BTC"] == Decimal("1.74925")
        assert account.open_client_order_ids == ()


async def test_a_process_that_did_not_send_them_finds_the_ids_of_all_fills(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        for number in range(7):
            await venue.submit(an_order(f"td{number}", "0.01"))
        other = CcxtVenue(a_signed_client(lab), "embedded")
        account = await other.account([BTC], FROM_MS * 1_000_000)
        await other.close()

        assert [each.client_order_id for each in account.fills] == [
            f"td{each}" for each in range(7)
        ]


async def test_an_account_of_more_fills_than_a_page_is_read_whole(tmp_path: Path) -> None:
    market = FakeMarket(level_quantity=Decimal("0.0001"))
    async with a_venue(tmp_path, market) as (lab, venue):
        for number in range(21):
            await lab.ack_all(FROM_MS + number * HOUR_MS)
            report = await venue.submit(an_order(f"td{number}", "0.005"))
            assert len(report.fills) == 50
        for since_ns in (0, FROM_MS * 1_000_000):
            account = await venue.account([BTC], since_ns)
            assert len(account.fills) == 21 * 50
            assert len({each.fill.trade_id for each in account.fills}) == 21 * 50


async def test_an_account_that_cannot_be_read_is_unreachable(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        await venue.account([BTC], 0)
        lab.faults.add(
            {"path": "/api/v3/account", "kind": "status", "status": 404, "body": NO_BALANCES}
        )

        with pytest.raises(ExchangeUnreachable, match="embedded gives no balances"):
            await venue.account([BTC], 0)


# --- the user data stream -------------------------------------------------------------------------


class Hints:
    def __init__(self, venue: CcxtVenue) -> None:
        self.said: asyncio.Queue[OrderReported] = asyncio.Queue()
        self.task = asyncio.create_task(self._listen(venue))

    async def _listen(self, venue: CcxtVenue) -> None:
        async for report in venue.reports():
            self.said.put_nowait(report)

    async def trades(self, count: int) -> list[str]:
        """Ids of the next fills that are told."""
        found: list[str] = []
        while len(found) < count:
            report = await next_within(self.said.get())
            found += [fill.trade_id for fill in report.fills]
        return found

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until_subscribed(venue: CcxtVenue) -> Any:
    """The socket of the user data stream once the exchange has confirmed it."""
    url = venue._client.urls["api"]["ws"]["ws-api"]["spot"]
    async with asyncio.timeout(10):
        while True:
            socket = venue._client.clients.get(url)
            if socket is not None and "orders" in socket.futures:
                return socket
            await asyncio.sleep(0.01)


async def test_the_stream_tells_every_fill_of_our_orders_as_a_hint(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (_, venue):
        hints = Hints(venue)
        await until_subscribed(venue)
        report = await venue.submit(an_order(quantity="1.6"))

        assert await hints.trades(4) == [fill.trade_id for fill in report.fills]
        await hints.stop()


async def test_orders_of_others_are_not_told_and_one_named_like_ours_is_a_doubt(
    tmp_path: Path,
) -> None:
    async with a_venue(tmp_path) as (lab, venue):
        hints = Hints(venue)
        doubts: list[str] = []
        venue.tell_doubts_to(lambda: doubts.append("doubt"))
        await until_subscribed(venue)
        other = CcxtVenue(a_signed_client(lab), "embedded")
        await other.submit(an_order("theirs"))
        await venue.submit(an_order("tdours"))
        await hints.trades(1)
        assert doubts == []
        await other.submit(an_order("tdanother", "0.001"))
        await venue.submit(an_order("tdagain", "0.001"))
        await hints.trades(1)
        assert doubts
        await other.close()
        await hints.stop()

        told = {report.client_order_id for report in hints.said._queue}  # type: ignore[attr-defined]
        assert told <= {"tdours", "tdagain"}


async def test_the_user_stream_survives_being_cut_again_and_again(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (_, venue):
        hints = Hints(venue)
        for number in range(4):
            socket = await until_subscribed(venue)
            report = await venue.submit(an_order(f"td{number}", "0.001"))
            assert await hints.trades(1) == [report.fills[0].trade_id]
            socket.connection._conn.transport.abort()
            async with asyncio.timeout(10):
                while venue._client.clients.get(socket.url) is socket:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await hints.stop()


async def test_a_stream_the_exchange_terminates_is_subscribed_to_again(tmp_path: Path) -> None:
    async with a_venue(tmp_path) as (_, venue):
        hints = Hints(venue)
        socket = await until_subscribed(venue)
        event = {"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": FROM_MS}}
        socket.handle_message(aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, json.dumps(event), None))
        assert "spot" not in socket.subscriptions
        async with asyncio.timeout(10):
            while "spot" not in socket.subscriptions:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await until_subscribed(venue)
        report = await venue.submit(an_order())

        assert await hints.trades(1) == [report.fills[0].trade_id]
        await hints.stop()


async def test_a_refused_subscription_does_not_hang_the_stream_for_ever(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        client = a_signed_client(lab, "wrong")
        venue = CcxtVenue(client, "embedded")
        hints = Hints(venue)
        await asyncio.sleep(0.5)
        client.secret = SECRET
        await until_subscribed(venue)
        report = await venue.submit(an_order())

        assert await hints.trades(1) == [report.fills[0].trade_id]
        await hints.stop()
        await venue.close()
