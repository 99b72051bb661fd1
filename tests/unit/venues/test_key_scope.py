"""A key that may move money is refused, by whatever word an exchange has for it."""

from typing import Any

import pytest

from daemon.core.errors import LiveRefused
from daemon.core.timeframes import NS_PER_MS, parse_time
from daemon.venues.capabilities import CAPABILITIES
from daemon.venues.key_scope import PROBES, Scope, judge, require_accepted

NOW_NS = parse_time("2026-01-01T00:00Z")
DAY_NS = 86_400 * 10**9
KEY = "c5dcfbf1f3a7aaaa"


def binance(**changes: Any) -> dict[str, Any]:
    told = {
        "ipRestrict": True,
        "createTime": 1_698_645_219_000,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableSpotAndMarginTrading": True,
    }
    return told | changes


def okx(**changes: Any) -> dict[str, Any]:
    return {"code": "0", "data": [{"perm": "read_only,trade", "ip": "192.0.2.1"} | changes]}


def bybit(**changes: Any) -> dict[str, Any]:
    told = {
        "readOnly": 0,
        "ips": ["192.0.2.1"],
        "permissions": {"Spot": ["SpotTrade"], "Wallet": [], "Exchange": ["ExchangeHistory"]},
        "expiredAt": "2026-07-01T00:00:00Z",
    }
    return {"retCode": 0, "result": told | changes}


def kraken(*rights: str) -> dict[str, Any]:
    return {"error": [], "result": {"permissions": list(rights), "ip_allowlist": ["192.0.2.1"]}}


def kucoin(permission: str) -> dict[str, Any]:
    return {"code": "200000", "data": {"permission": permission, "ipWhitelist": "192.0.2.1"}}


def gate(key: str = "c5dcfbf1f3a7*****", **rights: bool) -> dict[str, Any]:
    perms = [{"name": name, "read_only": only} for name, only in rights.items()]
    return {"key": key, "state": 1, "perms": perms, "ip_whitelist": ["192.0.2.1"]}


def bitget(*authorities: str) -> dict[str, Any]:
    return {"code": "00000", "data": {"authorities": list(authorities), "ips": "192.0.2.1"}}


def coinbase(**changes: Any) -> dict[str, Any]:
    return {"can_view": True, "can_trade": True, "can_transfer": False} | changes


def told(exchange: str, reply: Any) -> Scope:
    return PROBES[exchange].read(reply, KEY)


FIT = [
    ("binance", binance()),
    ("binance", binance(ipRestrict="true", enableSpotAndMarginTrading="true")),
    ("okx", okx()),
    ("bybit", bybit()),
    ("kraken", kraken("query-funds", "modify-trades")),
    ("kucoin", kucoin("General, Spot")),
    ("gate", [gate(spot=False), gate("52fd0035f665*****", withdraw=False)]),
    ("gate", [gate(spot=False, wallet=True)]),
    ("bitget", bitget("readonly", "stow")),
    ("bitget", bitget("readonly", "trade")),
    ("bitget", bitget("coor", "stor", "wtor", "taxr", "chor", "p2pr", "stow")),
    ("coinbase", coinbase()),
]
UNFIT = [
    ("binance", binance(enableWithdrawals=True), "enableWithdrawals"),
    ("binance", binance(enableInternalTransfer=True), "enableInternalTransfer"),
    ("binance", binance(permitsUniversalTransfer="true"), "permitsUniversalTransfer"),
    ("binance", binance(ipRestrict=False), "from any address"),
    ("binance", binance(enableSpotAndMarginTrading=False), "may not trade"),
    ("okx", okx(perm="read_only,trade,withdraw"), "withdraw"),
    ("okx", okx(perm="read_only"), "may not trade"),
    ("okx", okx(ip=""), "from any address"),
    ("bybit", bybit(permissions={"Wallet": ["AccountTransfer"], "Spot": ["SpotTrade"]}), "Account"),
    ("bybit", bybit(permissions={"Wallet": ["Withdraw"], "Spot": ["SpotTrade"]}), "Withdraw"),
    ("bybit", bybit(ips=["*"]), "from any address"),
    ("bybit", bybit(readOnly=1), "may not trade"),
    ("kraken", kraken("query-funds", "modify-trades", "withdraw-funds"), "withdraw-funds"),
    ("kucoin", kucoin("General,Spot,Withdrawal"), "Withdrawal"),
    ("kucoin", kucoin("General,Spot,Transfer"), "Transfer"),
    ("gate", [gate(spot=False, withdraw=False)], "withdraw"),
    ("gate", [gate(spot=False, wallet=False)], "wallet"),
    ("bitget", bitget("readonly", "withdraw"), "withdraw"),
    ("bitget", bitget("stor", "stow", "wwow"), "wwow: withdrawal"),
    ("bitget", bitget("stor", "stow", "wtow"), "wtow: transfer"),
    ("bitget", bitget("stor", "stow", "chow"), "between subaccounts"),
    ("bitget", bitget("stor", "stow", "p2pw"), "p2pw: payment"),
    ("bitget", bitget("stow", "wwow", "new1"), "wwow: withdrawal"),
    ("bitget", bitget("stor", "wtor"), "may not trade"),
    ("coinbase", coinbase(can_transfer=True), "can_transfer"),
]


@pytest.mark.parametrize(("exchange", "reply"), FIT)
def test_a_key_that_may_read_and_trade_is_fit(exchange: str, reply: Any) -> None:
    remarks = judge(exchange, told(exchange, reply), NOW_NS)

    assert all("does not tell whether" in each for each in remarks)


@pytest.mark.parametrize(("exchange", "reply", "text"), UNFIT)
def test_a_key_that_may_more_or_less_is_refused_in_one_line(
    exchange: str, reply: Any, text: str
) -> None:
    with pytest.raises(LiveRefused, match=text) as refused:
        judge(exchange, told(exchange, reply), NOW_NS)

    assert str(refused.value).startswith(f"{exchange}: the key")
    assert "\n" not in str(refused.value)


def test_every_right_that_could_move_money_is_found_in_a_binance_reply_that_grows() -> None:
    """A right that Binance invents tomorrow is refused by its name."""
    with pytest.raises(LiveRefused, match="enableFastWithdrawals"):
        judge("binance", told("binance", binance(enableFastWithdrawals=True)), NOW_NS)


def test_an_abbreviation_that_nobody_knows_proves_nothing() -> None:
    with pytest.raises(ValueError, match="not documented"):
        told("bitget", bitget("stow", "zzow"))


@pytest.mark.parametrize("exchange", sorted(PROBES))
@pytest.mark.parametrize("reply", [None, {}, [], "<html>", {"data": None}, {"result": {}}])
def test_an_odd_reply_is_never_a_scope(exchange: str, reply: Any) -> None:
    with pytest.raises((LookupError, ValueError, TypeError, AttributeError)):
        told(exchange, reply)


@pytest.mark.parametrize("name", ["enableWithdrawals", "ipRestrict", "permitsUniversalTransfer"])
@pytest.mark.parametrize("value", [None, 2, "yes", "withdraw"])
def test_a_flag_that_is_no_flag_proves_nothing(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match="where true or false was expected"):
        told("binance", binance(**{name: value}))


@pytest.mark.parametrize(
    ("days", "remark"), [(15, ""), (14, "expires in 14 days"), (1, "expires in 1 days")]
)
def test_an_end_of_the_key_is_said_two_weeks_before(days: int, remark: str) -> None:
    expiry_ms = (NOW_NS + days * DAY_NS) // NS_PER_MS
    scope = told("binance", binance(tradingAuthorityExpirationTime=expiry_ms))

    assert remark in "".join(judge("binance", scope, NOW_NS))
    assert bool(judge("binance", scope, NOW_NS)) == bool(remark)


def test_a_key_that_has_expired_is_refused() -> None:
    scope = told("bybit", bybit(expiredAt="2025-12-31T00:00:00Z"))

    with pytest.raises(LiveRefused, match="the key expired at 2025-12-31"):
        judge("bybit", scope, NOW_NS)


def test_what_cannot_be_verified_needs_a_word() -> None:
    with pytest.raises(LiveRefused, match="run with --accept-unverified-key-scope"):
        require_accepted("binanceus", "the exchange does not tell", is_accepted=False)

    said = require_accepted("binanceus", "the exchange does not tell", is_accepted=True)
    assert "was not verified" in said


def test_every_exchange_that_takes_orders_is_asked_or_known_not_to_answer() -> None:
    assert set(CAPABILITIES) - set(PROBES) == {"binanceus"}
