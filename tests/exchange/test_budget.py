"""One budget for all clients of an exchange: the real ccxt client against one that counts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import Outcome
from daemon.core.orders import OrderState
from daemon.core.timeframes import NS_PER_MS
from daemon.venues.budget import Budget, Use
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_market import CcxtMarket
from daemon.venues.ccxt_venue import CcxtVenue
from tests.exchange.fake_market import FROM_MS
from tests.exchange.loopback import CREDENTIALS, Loopback, loopback, next_within
from tests.unit.venues.orders import BTC, an_order

WEIGHT_MAX = 200
FROM_NS = FROM_MS * NS_PER_MS
HOUR_NS = 3_600 * 1_000_000_000
ORDERS = "/api/v3/order"
KLINES = "/api/v3/klines"


@dataclass
class Clients:
    lab: Loopback
    budget: Budget
    history: CcxtMarket
    live: CcxtMarket
    venue: CcxtVenue

    def counted(self) -> int:
        """What the exchange itself has counted, by its last reply to any of the clients."""
        return int(self.lab.client.last_response_headers["X-MBX-USED-WEIGHT-1M"])


@asynccontextmanager
async def clients(directory: Path) -> AsyncIterator[Clients]:
    async with loopback(directory, weight_max=WEIGHT_MAX) as lab:
        ends = lab.endpoints
        urls = {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}
        keys = (CREDENTIALS.key, CREDENTIALS.secret)
        history = CcxtMarket(make_client("embedded", urls=urls, use=Use.HISTORY), "embedded", "1h")
        live = CcxtMarket(make_client("embedded", urls=urls), "embedded", "1h")
        client = make_client("embedded", urls=urls, credentials=keys, use=Use.ACCOUNT)
        venue = CcxtVenue(client, "embedded", grace_s=0.1)
        try:
            yield Clients(lab, client.budget, history, live, venue)
        finally:
            for each in (history, live, venue):
                await each.close()


async def test_history_of_many_pages_never_takes_what_polls_and_orders_need(
    tmp_path: Path,
) -> None:
    async with clients(tmp_path) as all_:
        await all_.venue.account([BTC], 0)
        await all_.live.instruments(["BTC/USDT"])
        pages = 0

        async def load() -> None:
            nonlocal pages
            for _ in range(500):
                await all_.history.fetch(BTC, FROM_NS - 3 * HOUR_NS, 2)
                pages += 1

        loading = asyncio.gather(*(load() for _ in range(4)), return_exceptions=True)
        async with asyncio.timeout(20):
            while all_.budget.used < 0.8 * WEIGHT_MAX - 20:  # noqa: ASYNC110  # two sides, one count
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        used, read = all_.budget.used, pages
        poll = await next_within(all_.live.fetch(BTC, FROM_NS - HOUR_NS, 1))
        report = await next_within(all_.venue.submit(an_order()))

        assert all_.budget.limit.weight == WEIGHT_MAX  # as exchangeInfo said it
        assert used <= 0.8 * WEIGHT_MAX
        assert pages == read > 10
        assert len(poll) == 1
        assert report.state is OrderState.FILLED
        loading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loading
        await all_.lab.client.fetch_time()
        assert all_.counted() <= all_.budget.used + 1 <= WEIGHT_MAX


async def test_a_ban_that_one_client_hears_of_silences_all_and_no_order_is_sent(
    tmp_path: Path,
) -> None:
    async with clients(tmp_path) as all_:
        await all_.venue.account([BTC], 0)
        await all_.live.instruments(["BTC/USDT"])
        until_ms = all_.budget.wall_ms() + 90_000
        body = f'{{"code":-1003,"msg":"Way too many requests; IP banned until {until_ms}."}}'
        all_.lab.faults.add(
            {"kind": "status", "path": KLINES, "status": 418, "body": body, "nth": [1]}
        )
        with pytest.raises(ExchangeUnreachable):
            await all_.live.fetch(BTC, FROM_NS - HOUR_NS, 1)
        await all_.lab.client.fetch_time()
        before = all_.counted()

        report = await next_within(all_.venue.submit(an_order()))
        with pytest.raises(ExchangeUnreachable, match=r"silence, (8[5-9]|90) s are left"):
            await all_.live.server_ns()

        assert report.outcome is Outcome.NOT_SENT
        assert "it asked for silence" in report.reason
        await all_.lab.client.fetch_time()
        assert all_.counted() == before + 1  # this very question
        assert (await all_.lab.get("ledger"))["orders"] == []


async def test_a_fresh_process_learns_from_the_first_reply_what_others_have_used(
    tmp_path: Path,
) -> None:
    async with clients(tmp_path) as all_:
        for _ in range(40):
            await all_.lab.client.fetch_time()

        await all_.live.server_ns()

        assert all_.budget.used == all_.counted() + 1
