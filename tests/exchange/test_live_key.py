"""The rights of a key, asked over the wire of the exchange in the box as of a real one."""

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.config import Settings, load
from daemon.core.clock import WireClock
from daemon.core.errors import ExchangeUnreachable, LiveRefused, LockHeld
from daemon.core.instruments import InstrumentId
from daemon.core.reasons import Outcome
from daemon.core.timeframes import NS_PER_MS, NS_PER_S
from daemon.embedded.fees import Fees
from daemon.embedded.key_scope import KeyScope
from daemon.running.golive.checks import asked
from daemon.running.golive.gate import fingerprint, refuse_unarmed
from daemon.running.world.real import real_account, real_site
from daemon.running.world.sites import Site
from daemon.store.golive import Entry, GoliveState, GoliveStore
from daemon.venues.ccxt_budget import shared_budget
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_live import LiveChecks
from tests.builders import a_run_opened, a_submission, an_instrument
from tests.exchange.loopback import BALANCES, CREDENTIALS, Loopback, loopback
from tests.unit.running.paper_story import an_arming

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


def settings_of(folder: Path, **changes: object) -> Settings:
    environ = {
        "TRADINGD__EXCHANGE__API_KEY": CREDENTIALS.key,
        "TRADINGD__EXCHANGE__API_SECRET": CREDENTIALS.secret,
    }
    told = {"run.mode": "live", "data.exchange": "binance", "run.state_dir": folder / "state"}
    return load(None, {**told, **changes}, environ)


def armed(settings: Settings) -> None:
    """As `golive arm` leaves it."""
    GoliveStore(settings.run.state_dir).write(
        GoliveState(arming=an_arming(settings)), Entry(ts="now", what="arm", who="a test")
    )


def live_site(
    settings: Settings, lab: Loopback, mode: str = "live", **options: Any
) -> Coroutine[object, object, Site]:
    """Binance's own name and client, with a stand-in behind its urls."""
    ends = lab.endpoints
    urls = {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}
    symbols = settings.data.symbols
    return real_site(settings, exchange="binance", symbols=symbols, mode=mode, urls=urls, **options)


async def test_a_real_exchange_is_connected_once_it_is_armed_and_its_key_is_asked_about(
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path)
    async with loopback(tmp_path) as lab:
        with pytest.raises(LiveRefused, match="live trading on binance is not armed: paper_days"):
            await live_site(settings, lab)
        armed(settings)
        site = await live_site(settings, lab)
        try:
            assert site.arming is not None
            assert site.paper is None
            assert (site.label, site.account) == (
                "LIVE MARKET binance, REAL ORDERS",
                "live-tradingd",
            )
            assert site.key is not None
            assert await site.key.ask() == site.key.remarks == ()
            report = await site.venue.submit(
                a_submission(instrument=site.instruments[0].id, quantity=Decimal("0.001"))
            )
            assert report.outcome is Outcome.ACKNOWLEDGED
        finally:
            await site.close()


async def test_two_copies_of_a_state_directory_never_trade_one_account_at_once(
    tmp_path: Path,
) -> None:
    first, copy = (settings_of(tmp_path / name) for name in ("first", "copy"))
    other = settings_of(tmp_path / "other", **{"run.name": "another"})
    for each in (first, copy, other):
        armed(each)
    async with loopback(tmp_path) as lab:
        site = await live_site(first, lab)
        for is_closing in (False, True):
            with pytest.raises(LockHeld, match="another process on this machine trades this"):
                await live_site(copy, lab, is_closing=is_closing)
        await (await live_site(other, lab)).close()
        await site.close()
        await (await live_site(copy, lab)).close()


async def test_the_account_of_a_live_run_is_read_behind_the_wall(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    instrument = an_instrument(id=InstrumentId("binance", "BTC/USDT"))
    opened = a_run_opened(ts_ns=0, instruments=(instrument,))
    async with loopback(tmp_path) as lab:
        await lab.client.create_order("BTC/USDT", "market", "buy", "0.01")
        ends = lab.endpoints
        urls = {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}
        account = await real_account(settings, "binance", opened, urls)

    assert account.totals["BTC"] > BALANCES["BTC"]
    assert sum(each.fill.quantity for each in account.fills) == Decimal("0.01")


async def test_an_arming_does_not_make_an_unfit_key_fit(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    armed(settings)
    async with loopback(tmp_path, scope=KeyScope(may_withdraw=True)) as lab:
        with pytest.raises(LiveRefused, match="may move money out"):
            await live_site(settings, lab)


async def test_a_change_of_configuration_or_key_disarms_and_closing_needs_no_arming(
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path)
    armed(settings)
    changed = settings_of(tmp_path, **{"risk.kelly_ratio": 0.5})
    async with loopback(tmp_path) as lab:
        text = "not armed any more, risk.kelly_ratio was 0.25 and is 0.5"
        with pytest.raises(LiveRefused, match=text):
            await live_site(changed, lab)
        site = await live_site(changed, lab, is_closing=True)
        await site.close()


async def test_the_gate_asks_the_exchange_about_key_and_clock_and_keeps_what_it_said(
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path)
    key = fingerprint(settings)
    assert key is not None
    async with loopback(tmp_path, scope=KeyScope(may_withdraw=True)) as lab:
        ends = lab.endpoints
        urls = {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}
        told, clock = await asked(settings, key, accepts_unverified=False, urls=urls)

        assert (told.exchange, told.key) == ("binance", key)
        assert "may move money out" in told.refused
        assert abs(clock.offset_ms) < 500 + clock.error_ms
        assert CREDENTIALS.key not in str(told)
        lab.faults.add({"path": "/api/v3/time", "kind": "status", "status": 503})
        with pytest.raises(ExchangeUnreachable):
            await asked(settings, key, accepts_unverified=False, urls=urls)


async def test_a_shadow_reads_the_account_with_a_key_that_may_not_trade_and_sends_nothing(
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path, **{"run.mode": "shadow"})
    noted: list[Any] = []
    fees = Fees(maker_ratio=Decimal("0.0002"), taker_ratio=Decimal("0.0004"))
    async with loopback(tmp_path, scope=KeyScope(may_trade=False), fees=fees) as lab:
        site = await live_site(settings, lab, "shadow", note=noted.append)
        instrument = site.instruments[0]
        try:
            assert site.key is not None
            assert site.key.remarks == (
                "paper pays the fees of this account: maker 2, taker 4 bps",
            )
            before = await site.venue.account([instrument.id], 0)
            order = a_submission(instrument=instrument.id, quantity=Decimal("0.001"))
            report = await site.venue.submit(order)
            after = await site.venue.account([instrument.id], 0)
        finally:
            await site.close()
        ledger = await lab.get("ledger")

    assert site.label == "LIVE MARKET binance, SHADOW ORDERS"
    assert before.totals == BALANCES
    (fill,) = report.fills
    assert after.totals["BTC"] == BALANCES["BTC"] + fill.quantity - fill.fee
    assert fill.fee == fill.quantity * Decimal("0.0004")
    assert [each["order"] for each in noted] == [order.client_order_id]
    assert ledger["orders"] == []


async def test_a_shadow_with_a_key_that_may_withdraw_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, **{"run.mode": "shadow"})
    async with loopback(tmp_path, scope=KeyScope(may_withdraw=True)) as lab:
        with pytest.raises(LiveRefused, match="may move money out"):
            await live_site(settings, lab, "shadow")


def test_without_a_key_that_is_what_is_said_first(tmp_path: Path) -> None:
    settings = load(None, {"data.exchange": "binance", "run.state_dir": tmp_path}, {})
    with pytest.raises(LiveRefused, match="live trading on binance needs its key"):
        refuse_unarmed(settings)
