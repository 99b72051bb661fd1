"""An exchange whose clock is not ours: what the real ccxt client signs, and what is believed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.core.clock import WireClock
from daemon.core.events import ClockChecked, Input, Outcome
from daemon.core.orders import OrderState
from daemon.core.timeframes import NS_PER_S
from daemon.running.clock_watch import ClockWatch
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_market import CcxtMarket
from daemon.venues.ccxt_venue import CcxtVenue
from tests.exchange.loopback import CREDENTIALS, Loopback, loopback, next_within
from tests.unit.venues.orders import BTC, an_order

VALIDITY_MS = 1_000


class OtherClock(WireClock):
    """A machine whose wall clock is so many seconds ahead of ours."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s

    def now_ns(self) -> int:
        return super().now_ns() + round(self.ahead_s * NS_PER_S)


def clients(lab: Loopback) -> tuple[CcxtMarket, CcxtVenue, Callable[[int], None]]:
    """A market and an account; what is told of the time reaches both."""
    ends = lab.endpoints
    urls = {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}
    keys = (CREDENTIALS.key, CREDENTIALS.secret)
    public = make_client("embedded", urls=urls)
    private = make_client("embedded", urls=urls, credentials=keys, validity_ms=VALIDITY_MS)
    venue = CcxtVenue(private, "embedded", validity_ms=VALIDITY_MS, grace_s=0.1)
    return CcxtMarket(public, "embedded", "1h"), venue, public.budget.set_time


def watch_of(market: CcxtMarket, put: list[Input], on_time: Callable[[int], None]) -> ClockWatch:
    async def take(event: Input) -> None:
        put.append(event)

    return ClockWatch(
        "embedded",
        market.server_ns,
        wire=WireClock(),
        limit_ms=2_500,
        market_ns=lambda: 0,
        put=take,
        emit=lambda _event, **_fields: None,
        on_time=on_time,
        on_jump=lambda: None,
    )


@pytest.mark.parametrize("ahead_s", [3.0, -3.0])
async def test_a_clock_three_seconds_off_is_told_and_signatures_are_right_all_the_same(
    tmp_path: Path, ahead_s: float
) -> None:
    put: list[Input] = []
    async with loopback(tmp_path, wire=OtherClock(ahead_s)) as lab:
        market, venue, on_time = clients(lab)
        watch = watch_of(market, put, on_time)
        await watch.check()
        account = await venue.account([BTC], 0)
        report = await next_within(venue.submit(an_order()))
        await market.close()
        await venue.close()

    (checked,) = put
    assert isinstance(checked, ClockChecked)
    assert not checked.is_trusted
    assert checked.offset_ms == pytest.approx(ahead_s * 1_000, abs=500)
    assert account.totals["BTC"] == 1
    assert report.state is OrderState.FILLED


async def test_a_time_that_was_never_measured_is_refused_once_and_set_right(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        market, venue, _ = clients(lab)
        await venue.account([BTC], 0)
        lab.exchange.clock.wire = OtherClock(3.0)  # the exchange's clock is put ahead

        first = await next_within(venue.submit(an_order("tdone")))
        second = await next_within(venue.submit(an_order("tdtwo")))
        await market.close()
        await venue.close()

    assert first.outcome is Outcome.REFUSED
    assert "-1021" in first.reason
    assert second.state is OrderState.FILLED
