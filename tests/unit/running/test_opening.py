"""What a run opens with: its accounts, and the share of the capital each of them gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from daemon.config import Settings
from daemon.core.clock import ManualClock
from daemon.core.events import RunOpened
from daemon.core.instruments import InstrumentId
from daemon.core.ports import Account
from daemon.running.opening import CapitalMissing, opening
from daemon.running.world.sites import Site, World
from daemon.store.runs import RunSpec
from tests.builders import BTC, HOUR_NS, OPEN_NS, an_instrument
from tests.fakes import FakeMarketData, FakeVenue
from tests.virtual_time import run_virtual

SPEC = RunSpec(
    run="r", created_ns=1, mode="paper", market="binance", symbols=("BTC/USDT",), timeframe="1h",
    seed=1, config_hash="h", bars=3,
)  # fmt: skip


@dataclass
class Purse(FakeVenue):
    """Holds so much, and has done nothing yet."""

    held: str

    async def account(self, instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        assert since_ns == 0 or instruments, "what it holds, whatever was done before"
        return Account(totals={"USDT": Decimal(self.held)}, fills=(), open_client_order_ids=())


def a_site(exchange: str, held: str, **changes: Any) -> Site:
    made: dict[str, Any] = {
        "exchange": exchange,
        "market": exchange,
        "market_key": exchange,
        "label": "",
        "account": f"account-{exchange}",
        "clock": ManualClock(OPEN_NS),
        "market_data": FakeMarketData(exchange),
        "history_data": FakeMarketData(exchange),
        "venue": Purse(held),
        "instruments": (an_instrument(id=InstrumentId(exchange, BTC.symbol)),),
        "first_open_ns": OPEN_NS,
    }
    return Site(**made | changes)


def opened(*sites: Site) -> RunOpened:
    return run_virtual(opening(World(sites), Settings.model_construct(), SPEC, {}))


def test_one_exchange_gives_all_that_is_allotted() -> None:
    event = opened(a_site("binance", "12000"))

    assert event.accounts == ()
    assert event.account == "account-binance"
    assert event.allotted_quote == 10_000
    assert event.each_account()[0].allotted_quote == 10_000


def test_several_give_what_is_allotted_as_they_hold_it() -> None:
    sites = (a_site("binance", "15000"), a_site("okx", "5000", first_open_ns=OPEN_NS + HOUR_NS))

    event = opened(*sites)

    assert {each.exchange: each.allotted_quote for each in event.accounts} == {
        "binance": 7_500,
        "okx": 2_500,
    }
    assert [each.account for each in event.accounts] == ["account-binance", "account-okx"]
    assert [str(each.id) for each in event.instruments] == ["binance:BTC/USDT", "okx:BTC/USDT"]
    assert (event.first_open_ns, event.end_ns) == (OPEN_NS, OPEN_NS + 3 * HOUR_NS)


def test_accounts_that_hold_too_little_together_are_refused() -> None:
    with pytest.raises(CapitalMissing, match="the accounts hold 9000 USDT together, less than"):
        opened(a_site("binance", "5000"), a_site("okx", "4000"))


def test_an_account_that_holds_nothing_is_refused_by_name() -> None:
    with pytest.raises(CapitalMissing, match="okx holds no USDT"):
        opened(a_site("binance", "50000"), a_site("okx", "0"))
