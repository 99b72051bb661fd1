"""The rights of a key, asked over the wire of the exchange in the box as of a real one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.config import load
from daemon.core.clock import WireClock
from daemon.core.errors import ExchangeUnreachable, LiveRefused
from daemon.core.timeframes import NS_PER_MS, NS_PER_S
from daemon.embedded.key_scope import KeyScope
from daemon.running.live_account import refuse_unarmed
from daemon.venues.ccxt_budget import shared_budget
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_live import LiveChecks
from tests.exchange.loopback import CREDENTIALS, Loopback, loopback

DAY_MS = 86_400_000
RESTRICTIONS = "/sapi/v1/account/apiRestrictions"


@asynccontextmanager
async def checks(
    directory: Path,
    scope: KeyScope | None = None,
    *,
    secret: str = CREDENTIALS.secret,
    accepts_unverified: bool = False,
) -> AsyncIterator[tuple[Loopback, LiveChecks]]:
    async with loopback(directory, scope=scope) as lab:
        ends = lab.endpoints
        urls = {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}
        client = make_client("embedded", urls=urls, credentials=(CREDENTIALS.key, secret))
        try:
            yield lab, LiveChecks(client, "embedded", accepts_unverified=accepts_unverified)
        finally:
            await client.close()


async def test_a_key_that_may_only_read_and_trade_is_fit(tmp_path: Path) -> None:
    async with checks(tmp_path) as (_, ask):
        assert await ask() == ()
        assert await ask() == ()  # and the next day


@pytest.mark.parametrize("off_s", [-3_600, 3_600])
async def test_a_clock_that_is_off_is_set_by_the_exchange_before_it_is_asked_again(
    tmp_path: Path, off_s: int
) -> None:
    async with checks(tmp_path) as (lab, ask):
        # Every client of one address has one budget, and with it one clock.
        budget = shared_budget("embedded", lab.endpoints.rest, 0.0)
        budget.set_time(WireClock().now_ns() + off_s * NS_PER_S)

        assert await ask() == ()


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (KeyScope(may_withdraw=True), r"may move money out \(enableWithdrawals\)"),
        (KeyScope(may_trade=False), "may not trade"),
        (KeyScope(is_ip_restricted=False), "works from any address"),
        (KeyScope(expires_ms=1_700_000_000_000), "the key expired at 2023-11-14"),
    ],
)
async def test_an_unfit_key_is_refused_with_what_to_do(
    tmp_path: Path, scope: KeyScope, text: str
) -> None:
    async with checks(tmp_path, scope, accepts_unverified=True) as (_, ask):
        with pytest.raises(LiveRefused, match=text):
            await ask()


async def test_the_end_of_a_key_is_remarked_two_weeks_before(tmp_path: Path) -> None:
    expires_ms = WireClock().now_ns() // NS_PER_MS + 10 * DAY_MS
    async with checks(tmp_path, KeyScope(expires_ms=expires_ms)) as (_, ask):
        (remark,) = await ask()

        assert "expires in 9 days" in remark


async def test_a_key_that_the_exchange_does_not_know_is_refused_not_unverified(
    tmp_path: Path,
) -> None:
    async with checks(tmp_path, secret="another", accepts_unverified=True) as (_, ask):
        with pytest.raises(LiveRefused, match="embedded refuses the key") as refused:
            await ask()

        assert "another" not in str(refused.value)


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "status", "status": 404, "body": "{}"},
        {"kind": "body_after", "body": "{}"},
        {"kind": "body_after", "body": '{"enableWithdrawals": "no"}'},
    ],
)
async def test_an_answer_that_proves_nothing_needs_a_word(
    tmp_path: Path, rule: dict[str, Any]
) -> None:
    for accepts in (False, True):
        (tmp_path / str(accepts)).mkdir()
        async with checks(tmp_path / str(accepts), accepts_unverified=accepts) as (lab, ask):
            lab.faults.add({"path": RESTRICTIONS, **rule})
            if accepts:
                (remark,) = await ask()
                assert "was not verified" in remark
            else:
                with pytest.raises(LiveRefused, match="--accept-unverified-key-scope"):
                    await ask()


async def test_no_answer_is_no_verdict(tmp_path: Path) -> None:
    async with checks(tmp_path, accepts_unverified=True) as (lab, ask):
        lab.faults.add({"path": RESTRICTIONS, "kind": "status", "status": 503})
        with pytest.raises(ExchangeUnreachable, match="gives no rights of the key"):
            await ask()


async def test_a_real_exchange_whose_every_check_passes_is_still_not_armed(tmp_path: Path) -> None:
    """Binance's own name and client, with a stand-in behind its urls."""
    async with loopback(tmp_path) as lab:
        ends = lab.endpoints
        urls = {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}
        environ = {
            "TRADINGD__EXCHANGE__API_KEY": CREDENTIALS.key,
            "TRADINGD__EXCHANGE__API_SECRET": CREDENTIALS.secret,
        }
        settings = load(None, {"run.mode": "live"}, environ)
        with pytest.raises(LiveRefused, match="live trading on binance is not armed; library, ho"):
            await refuse_unarmed(settings, "binance", accepts_unverified=False, urls=urls)
        with pytest.raises(LiveRefused, match="live trading on binance needs its key"):
            await refuse_unarmed(load(None, {}, {}), "binance", accepts_unverified=False)
