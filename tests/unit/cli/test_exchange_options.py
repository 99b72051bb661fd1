from decimal import Decimal
from pathlib import Path

import pytest

from daemon.cli.exchange_options import balances_of, fees_of, scope_of
from daemon.cli.exchange_state import (
    ExchangeFile,
    ExchangeRefused,
    FeeOptions,
    MarketOptions,
    check_balances,
    settled_fees,
)
from daemon.core.errors import UsageRefused
from tests.exchange.fake_market import FakeMarket

KNOWN = ExchangeFile(
    market=MarketOptions(),
    fingerprint="0",
    speed="1",
    fees=FeeOptions(taker_bps="7", maker_bps="5", asset="ETH"),
)


def test_single_balances_go_beside_or_in_the_place_of_the_others() -> None:
    balances = balances_of('{"USDT":"100","BTC":"1"}', ("USDT=5000", "SOL=0.5"))

    assert balances == {"USDT": Decimal(5000), "BTC": Decimal(1), "SOL": Decimal("0.5")}


@pytest.mark.parametrize("text", ["USDT", "USDT=", "USDT=much", "USDT=-1", "usdt=1", "=1", "X=nan"])
def test_a_balance_that_is_none_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(UsageRefused, match=r"expected ASSET=AMOUNT, as USDT=5000"):
        balances_of("{}", (text,))


@pytest.mark.parametrize("text", ['{"USDT":"-1"}', '{"USDT":"NaN"}', '{"USDT":"Infinity"}'])
def test_balances_nobody_can_own_are_refused(text: str) -> None:
    with pytest.raises(UsageRefused, match="less than nothing"):
        balances_of(text)


def test_an_account_that_began_otherwise_is_not_begun_again(tmp_path: Path) -> None:
    start = {"USDT": Decimal(100)}

    check_balances(tmp_path, ("USDT=100.0",), start)
    with pytest.raises(ExchangeRefused, match=r"began with 100 USDT, not 200; choose another"):
        check_balances(tmp_path, ("USDT=200",), start)


def test_fees_that_are_not_said_are_those_of_last_time_and_a_maker_pays_like_a_taker() -> None:
    assert settled_fees(None, None, None, KNOWN) == KNOWN.fees
    assert settled_fees("4", None, "", KNOWN) == FeeOptions(taker_bps="4", maker_bps="4")
    assert settled_fees(None, "-1", None, None) == FeeOptions(maker_bps="-1")


def test_fees_are_read_in_basis_points() -> None:
    fees = fees_of(FeeOptions(taker_bps="7.5", maker_bps="-1", asset="ETH"), FakeMarket())

    assert (fees.taker_ratio, fees.maker_ratio) == (Decimal("0.00075"), Decimal("-0.0001"))
    assert fees.asset == "ETH"


@pytest.mark.parametrize("text", ["0,1", "nan", "1001", "-1001", ""])
def test_a_fee_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageRefused, match=r"--maker-fee-bps .*: expected a number from -1000"):
        fees_of(FeeOptions(maker_bps=text), FakeMarket())


def test_a_fee_asset_whose_worth_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageRefused, match=r"--fee-asset BNB: BNB/USDT is not listed .* --symbols"):
        fees_of(FeeOptions(asset="BNB"), FakeMarket())


def test_the_key_is_allowed_what_is_said_and_no_more() -> None:
    scope = scope_of("read,trade,withdraw", is_ip_restricted=False, expires="2030-01-01T00:00Z")
    reader = scope_of("read", is_ip_restricted=True, expires=None)

    assert (scope.may_trade, scope.may_withdraw, scope.is_ip_restricted) == (True, True, False)
    assert scope.expires_ms == 1_893_456_000_000
    assert (reader.may_trade, reader.may_withdraw, reader.expires_ms) == (False, False, None)


@pytest.mark.parametrize("allows", ["", "trade", "read,steal"])
def test_a_permission_that_is_none_is_refused(allows: str) -> None:
    with pytest.raises(UsageRefused, match="expected read, with trade"):
        scope_of(allows, is_ip_restricted=True, expires=None)


def test_an_expiry_without_a_zone_is_refused() -> None:
    with pytest.raises(UsageRefused, match="--key-expires"):
        scope_of("read", is_ip_restricted=True, expires="2030-01-01T00:00")
