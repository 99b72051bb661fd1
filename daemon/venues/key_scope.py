"""What a key may do, by the exchange's own word: read before it is used, never tried out.

Belongs here: each exchange's reply about a key, and which rights make it unfit. Asking is in
`ccxt_live`. Nothing here or there ever attempts a withdrawal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from daemon.core.errors import LiveRefused
from daemon.core.timeframes import NS_PER_MS, NS_PER_S, parse_time, rfc3339

# Rights that move money out of the account, by whatever name an exchange has for them.
MOVES_MONEY = re.compile(r"withdraw|transfer|^wallet$|^(sub_?)?accounts?$|payment", re.IGNORECASE)
WARN_BEFORE_NS = 14 * 86_400 * NS_PER_S
ACCEPT = "--accept-unverified-key-scope"


class Scope(Struct, frozen=True, kw_only=True):
    """None is what the exchange does not tell."""

    rights: tuple[str, ...]
    may_trade: bool | None = None
    is_bound: bool | None = None  # to addresses
    expires_ns: int | None = None


class Probe(Struct, frozen=True):
    """Which method of ccxt asks, and how the reply is read; ValueError or LookupError if odd."""

    method: str
    read: Callable[[Any, str], Scope]


def judge(exchange: str, scope: Scope, now_ns: int, *, must_trade: bool = True) -> tuple[str, ...]:
    """What a person should know of this key; LiveRefused when it must not be used.

    To look at an account, a key that may not even trade is the better one.
    """
    moving = sorted(each for each in scope.rights if MOVES_MONEY.search(each))
    if moving:
        msg = f"{exchange}: the key may move money out ({', '.join(moving)}); use one that may not"
        raise LiveRefused(msg)
    if scope.may_trade is False and must_trade:
        msg = f"{exchange}: the key may not trade on spot; use one that may, and may not withdraw"
        raise LiveRefused(msg)
    if scope.is_bound is False:
        msg = f"{exchange}: the key works from any address; bind it to this machine's address"
        raise LiveRefused(msg)
    return tuple(_remarks(exchange, scope, now_ns))


def _remarks(exchange: str, scope: Scope, now_ns: int) -> Iterable[str]:
    if scope.is_bound is None:
        yield f"{exchange} does not tell whether the key is bound to an address"
    if scope.expires_ns is None:
        return
    if scope.expires_ns <= now_ns:
        msg = f"{exchange}: the key expired at {rfc3339(scope.expires_ns)}; make a new one"
        raise LiveRefused(msg)
    if scope.expires_ns - now_ns <= WARN_BEFORE_NS:
        days = (scope.expires_ns - now_ns) // (86_400 * NS_PER_S)
        yield f"the key of {exchange} expires in {days} days, at {rfc3339(scope.expires_ns)}"


def require_accepted(exchange: str, why: str, *, is_accepted: bool) -> str:
    """The remark about a key whose rights cannot be verified; LiveRefused unless accepted."""
    if not is_accepted:
        msg = (
            f"{exchange}: what the key may do cannot be verified ({why}); make sure that it may"
            f" not withdraw, then run with {ACCEPT}"
        )
        raise LiveRefused(msg)
    return f"what the key of {exchange} may do was not verified ({why}); accepted by {ACCEPT}"


# --- each exchange's words ------------------------------------------------------------------------


def _binance(reply: Any, _key: str) -> Scope:
    flags = {name: _flag(reply[name]) for name in _BINANCE_NEEDED}
    others = {name: _flag(value) for name, value in reply.items() if name.startswith("enable")}
    rights = [name for name, is_on in {**others, **flags}.items() if is_on and name != "ipRestrict"]
    expiry = reply.get("tradingAuthorityExpirationTime")
    return Scope(
        rights=tuple(rights),
        may_trade=flags["enableSpotAndMarginTrading"],
        is_bound=flags["ipRestrict"],
        expires_ns=None if expiry is None else int(expiry) * NS_PER_MS,
    )


_BINANCE_NEEDED = (
    "ipRestrict",
    "enableWithdrawals",
    "enableInternalTransfer",
    "permitsUniversalTransfer",
    "enableSpotAndMarginTrading",
)


def _okx(reply: Any, _key: str) -> Scope:
    (account,) = reply["data"]
    rights = _words(account["perm"])
    return Scope(rights=rights, may_trade="trade" in rights, is_bound=bool(account["ip"]))


def _bybit(reply: Any, _key: str) -> Scope:
    told = reply["result"]
    rights = [each for group in told["permissions"].values() for each in group]
    addresses = [each for each in told["ips"] if each != "*"]
    return Scope(
        rights=tuple(rights),
        may_trade="SpotTrade" in rights and str(told["readOnly"]) == "0",
        is_bound=bool(addresses),
        expires_ns=_time(told.get("expiredAt")),
    )


def _kraken(reply: Any, _key: str) -> Scope:
    told = reply["result"]
    granted = told["permissions"]
    if isinstance(granted, dict):
        granted = [name for name, is_on in granted.items() if is_on]
    addresses = told.get("ip_allowlist")
    return Scope(
        rights=tuple(str(each) for each in granted),
        is_bound=None if addresses is None else bool(addresses),
    )


def _kucoin(reply: Any, _key: str) -> Scope:
    told = reply["data"]
    rights = _words(told["permission"])
    addresses = told.get("ipWhitelist")
    return Scope(
        rights=rights,
        may_trade=not {"Spot", "Trade"}.isdisjoint(rights),
        is_bound=None if addresses is None else bool(addresses),
    )


def _gate(reply: Any, key: str) -> Scope:
    """Of all keys that are listed, with most of each hidden, the one that ours could be."""
    rows = reply if isinstance(reply, list) else [reply]
    ours = [row for row in rows if key.startswith(str(row["key"]).rstrip("*"))]
    (row,) = ours
    rights = [str(each["name"]) for each in row["perms"] if not _flag(each["read_only"])]
    return Scope(
        rights=tuple(rights), may_trade="spot" in rights, is_bound=bool(row["ip_whitelist"])
    )


def _bitget(reply: Any, _key: str) -> Scope:
    """Its rights are abbreviations; ValueError for one that nobody here knows the meaning of."""
    told = reply["data"]
    names = [str(each) for each in told["authorities"]]
    rights = tuple(_BITGET_MOVES.get(each, each) for each in names)
    is_known = all(each in _BITGET_MOVES or each in _BITGET_STAYS for each in names)
    if not is_known and not any(MOVES_MONEY.search(each) for each in rights):
        msg = "a right that is not documented"
        raise ValueError(msg)
    may_trade = not {"stow", "trade"}.isdisjoint(names)
    return Scope(rights=rights, may_trade=may_trade, is_bound=bool(told["ips"]))


_BITGET_MOVES = {
    "wwow": "wwow: withdrawal",
    "wtow": "wtow: transfer",
    "chow": "chow: transfer between subaccounts",
    "p2p": "p2p: payment",
    "p2pw": "p2pw: payment",
}
# Those that read, and those that trade, borrow or report within the account.
_BITGET_STAYS = frozenset(
    {
        *("read", "readonly", "coor", "cpor", "stor", "smor", "ttor", "wtor", "taxr", "chor"),
        *("p2pr", "pllr", "trade", "coow", "cpow", "stow", "smow", "ttow", "pllw", "taxw"),
    }
)


def _coinbase(reply: Any, _key: str) -> Scope:
    names = ("can_view", "can_trade", "can_transfer")
    rights = tuple(name for name in names if _flag(reply[name]))
    return Scope(rights=rights, may_trade="can_trade" in rights)


# Only Binance's reply was ever held against a server, the one in the box; the others are read as
# they are documented. Binance US has no such question.
PROBES: dict[str, Probe] = {
    "embedded": Probe("sapiGetAccountApiRestrictions", _binance),
    "binance": Probe("sapiGetAccountApiRestrictions", _binance),
    "okx": Probe("privateGetAccountConfig", _okx),
    "bybit": Probe("privateGetV5UserQueryApi", _bybit),
    "kraken": Probe("privatePostGetApiKeyInfo", _kraken),
    "kucoin": Probe("privateGetUserApiKey", _kucoin),
    "gate": Probe("privateAccountGetMainKeys", _gate),
    "bitget": Probe("privateSpotGetV2SpotAccountInfo", _bitget),
    "coinbase": Probe("v3PrivateGetBrokerageKeyPermissions", _coinbase),
}


def _words(text: object) -> tuple[str, ...]:
    words = tuple(each.strip() for each in str(text).split(",") if each.strip())
    if not words:
        msg = "no right is named"
        raise ValueError(msg)
    return words


def _flag(value: object) -> bool:
    """A boolean, by whichever of JSON's ways it came; ValueError for anything else."""
    if value in {True, "true"}:
        return True
    if value in {False, "false"}:
        return False
    msg = f"{type(value).__name__} where true or false was expected"
    raise ValueError(msg)


def _time(text: object) -> int | None:
    return None if not text else parse_time(str(text))
