"""A shadow venue: what would have left is noted, fills are paper's, balances the account's."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from daemon.core.clock import ManualClock
from daemon.core.events import Outcome, SubmitOrder
from daemon.core.instruments import InstrumentId
from daemon.core.ports import Account
from daemon.venues.capabilities import row_of
from daemon.venues.ccxt_requests import NotSupported, Request, request_of
from daemon.venues.paper_terms import PaperTerms
from daemon.venues.paper_venue import PaperVenue
from daemon.venues.shadow_venue import ShadowVenue
from tests.fakes import FakeMarketData
from tests.unit.venues.orders import (
    BTC,
    NOW_NS,
    a_cancel,
    a_look_up,
    a_resting_order,
    an_instrument,
    an_order,
)
from tests.unit.venues.test_paper_venue import HOUR_NS

D = Decimal
START = {"USDT": D(5_000), "BTC": D(1)}


class Desk:
    """A shadow venue on a quiet market, beside an account whose balances a test may move."""

    def __init__(self) -> None:
        self.real = dict(START)
        self.noted: list[Mapping[str, Any]] = []
        self.is_supported = True
        self.is_closed = False
        self.paper = PaperVenue(
            FakeMarketData(), (an_instrument(),), ManualClock(NOW_NS + 1), start=START,
            timeframe_ns=HOUR_NS, terms=PaperTerms(latency_ms=0),
        )  # fmt: skip
        self.venue = ShadowVenue(
            self.paper, read=self._read, close=self._close, start=START,
            request=self._request, note=self.noted.append,
        )  # fmt: skip

    async def _read(self, _instruments: Sequence[InstrumentId], _since_ns: int) -> Account:
        return Account(totals=dict(self.real), fills=(), open_client_order_ids=("theirs",))

    async def _close(self) -> None:
        self.is_closed = True

    def _request(self, order: SubmitOrder) -> Request:
        if not self.is_supported:
            msg = "stop orders are not supported on binance"
            raise NotSupported(msg)
        return request_of(row_of("binance"), order, tick=D("0.01"))


async def test_an_order_is_noted_in_the_exchanges_words_and_filled_on_paper() -> None:
    desk = Desk()

    report = await desk.venue.submit(an_order(quantity="6"))

    assert report.outcome is Outcome.ACKNOWLEDGED
    assert [fill.quantity for fill in report.fills] == [5, 1]
    (noted,) = desk.noted
    assert noted == {
        "ts_ns": NOW_NS, "what": "place", "order": "tdone", "symbol": "BTC/USDT",
        "type": "market", "side": "buy", "quantity": "6", "price": None,
        "params": {"newClientOrderId": "tdone"},
    }  # fmt: skip


async def test_what_the_exchange_would_not_take_is_not_filled_either() -> None:
    desk = Desk()
    desk.is_supported = False

    report = await desk.venue.submit(an_order())
    found = await desk.venue.look_up(a_look_up())

    assert report.outcome is Outcome.NOT_SENT
    assert report.reason == "stop orders are not supported on binance"
    assert found.outcome is Outcome.ABSENT
    assert [each["what"] for each in desk.noted] == ["refused"]


async def test_a_cancel_is_noted_and_ends_the_order_on_paper() -> None:
    desk = Desk()
    await desk.venue.submit(a_resting_order())
    before = await desk.venue.account([BTC], 0)
    await desk.venue.cancel(a_cancel())
    after = await desk.venue.account([BTC], 0)

    assert [each["what"] for each in desk.noted] == ["place", "cancel"]
    assert before.open_client_order_ids == ("tdone", "theirs")
    assert after.open_client_order_ids == ("theirs",)


async def test_balances_are_the_accounts_of_now_with_the_papers_fills_on_top() -> None:
    desk = Desk()
    await desk.venue.submit(an_order(quantity="5"))  # at 100.1, a thousandth of the coin is the fee
    desk.real["USDT"] += 70  # a deposit
    desk.real["ETH"] = D(3)

    account = await desk.venue.account([BTC], 0)

    assert account.totals == {
        "BTC": D("5.995"),
        "ETH": D(3),
        "USDT": D(5_070) - D("500.5"),
    }
    assert len(account.fills) == 1


async def test_closing_lets_go_of_the_account() -> None:
    desk = Desk()
    await desk.venue.close()

    assert desk.is_closed
