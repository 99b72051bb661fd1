from pathlib import Path

import ccxt
import pytest

from daemon.embedded.key_scope import KeyScope
from tests.exchange.fake_market import StandingWireClock
from tests.exchange.loopback import loopback


async def test_a_key_is_told_what_it_may_do_in_the_words_of_the_exchange(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        told = await lab.client.sapi_get_account_apirestrictions()
        account = await lab.client.private_get_account()

    assert (told["enableReading"], told["enableSpotAndMarginTrading"]) == (True, True)
    assert (told["enableWithdrawals"], told["ipRestrict"]) == (False, True)
    assert "tradingAuthorityExpirationTime" not in told
    assert (account["canTrade"], account["canWithdraw"]) == (True, False)


async def test_a_key_that_may_withdraw_from_anywhere_says_so(tmp_path: Path) -> None:
    scope = KeyScope(may_withdraw=True, is_ip_restricted=False, expires_ms=2_000_000_000_000)
    async with loopback(tmp_path, scope=scope) as lab:
        told = await lab.client.sapi_get_account_apirestrictions()

    assert (told["enableWithdrawals"], told["ipRestrict"]) == (True, False)
    assert told["tradingAuthorityExpirationTime"] == 2_000_000_000_000


async def test_a_key_that_may_only_read_places_and_cancels_nothing(tmp_path: Path) -> None:
    async with loopback(tmp_path, scope=KeyScope(may_trade=False)) as lab:
        await lab.client.fetch_balance()
        with pytest.raises(ccxt.BaseError, match="-2015"):
            await lab.client.create_order("BTC/USDT", "market", "buy", 0.1)
        with pytest.raises(ccxt.BaseError, match="-2015"):
            await lab.client.cancel_order("1", "BTC/USDT")
        ledger = await lab.get("ledger")

    assert ledger["orders"] == []


async def test_a_key_that_has_expired_reads_on_and_trades_no_more(tmp_path: Path) -> None:
    wire = StandingWireClock()
    expires_ms = wire.ns // 1_000_000 + 60_000
    async with loopback(tmp_path, wire=wire, scope=KeyScope(expires_ms=expires_ms)) as lab:
        await lab.client.load_time_difference()
        await lab.client.create_order("BTC/USDT", "market", "buy", 0.1)
        wire.pass_s(60)
        await lab.client.load_time_difference()
        with pytest.raises(ccxt.BaseError, match="-2015"):
            await lab.client.create_order("BTC/USDT", "market", "buy", 0.1)
        balance = await lab.client.fetch_balance()

    assert balance["total"]["BTC"] == 1.0999
