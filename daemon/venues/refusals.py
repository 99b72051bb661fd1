"""The replies after which an order certainly does not exist, per exchange: a list of its own codes.

Belongs here: codes and where they stand in a reply. Whatever is not on the list leaves the order
UNKNOWN until it was looked up, which costs a minute and never a position.

Left out on purpose: "duplicate client id" (the first order is there), everything about a timeout,
a busy or failing system, and codes that an exchange uses for several things.
"""

from __future__ import annotations

import re
from typing import Any

# Codes after which Binance's documentation excludes that the order exists. Two texts are excepted
# below.
_BINANCE = frozenset(
    str(code)
    for code in (
        -1002,  # not authorised
        -1003,  # too many requests: stopped before the engine
        -1013,  # a filter: lot size, price, notional
        -1014,  # unsupported order combination
        -1015,  # too many orders: stopped before the engine
        -1020,  # unsupported operation
        -1021,  # timestamp outside the receive window
        -1022,  # bad signature
        *range(-1106, -1099),  # illegal, missing or unread parameters
        -1108,
        -1111,  # too much precision
        *range(-1118, -1113),  # time in force, order type, side, ids
        -1121,  # invalid symbol
        -1128,
        -1130,  # invalid parameter data
        -1131,  # receive window too long
        -1145,
        -1151,
        -2010,  # new order rejected: balance, market closed and other conditions
        -2014,  # API key format
        -2015,  # API key, address or permissions
    )
)
DEFINITE_REFUSALS: dict[str, frozenset[str]] = {
    "embedded": _BINANCE,
    "binance": _BINANCE,
    "binanceus": _BINANCE,
    # sCode of the one order; the code around it says only that not all went well.
    "okx": frozenset(
        {
            *("50011", "50027", "50061"),  # too often; restricted
            *("50101", "50102", "50103", "50104", "50105", "50106", "50107"),  # key, timestamp
            *("50110", "50111", "50112", "50113", "50114"),  # address, key, signature
            *("51000", "51001", "51015"),  # parameter, instrument
            *("51004", "51005", "51006", "51020", "51121", "51120", "51116", "51122"),  # limits
            *("51008", "51119", "51127", "51131"),  # balance
            *("51009", "51010", "51024"),  # account blocked or of too low a level
            *("51201", "51202", "51203", "51204"),  # market order too large, price missing
        }
    ),
    "bybit": frozenset(
        {
            *("10002", "10003", "10004", "10005", "10006", "10010", "10018"),  # key, clock, limits
            *("170121", "170115", "170116", "170117"),  # symbol, type, time in force, side
            *("170124", "170132", "170133", "170134", "170135", "170136", "170137", "170140"),
            *("170131", "170033"),  # balance
            *("170193", "170194"),  # price bands
        }
    ),
    "kraken": frozenset(
        {
            "EOrder:Insufficient funds",
            "EOrder:Insufficient initial margin",
            "EOrder:Order minimum not met",
            "EOrder:Cost minimum not met",
            "EOrder:Tick size check failed",
            "EOrder:Invalid price",
            "EOrder:Orders limit exceeded",
            "EOrder:Rate limit exceeded",
            "EOrder:Trading agreement required",
            "EGeneral:Permission denied",
            "EGeneral:Temporary lockout",
            "EGeneral:Invalid arguments:volume",
            "EGeneral:Invalid arguments:volume minimum not met",
            "EGeneral:Invalid arguments:price",
            "EAPI:Invalid key",
            "EAPI:Invalid signature",
            "EAPI:Invalid nonce",
            "EAPI:Rate limit exceeded",
            "EQuery:Unknown asset pair",
            "EService:Market in cancel_only mode",
        }
    ),
    "kucoin": frozenset(
        {
            *("200004", "230003"),  # balance
            *("400001", "400002", "400003", "400004", "400005", "400006", "400007"),  # key, clock
            *("400200", "411100"),  # forbidden, frozen
            *("400370", "400600"),  # price bands, trading not open
            "429000",  # too often
        }
    ),
    "gate": frozenset(
        {
            *("BALANCE_NOT_ENOUGH", "AMOUNT_TOO_LITTLE", "AMOUNT_TOO_MUCH", "INVALID_PRECISION"),
            *("INVALID_CURRENCY_PAIR", "INVALID_CURRENCY", "TRADE_RESTRICTED", "ACCOUNT_LOCKED"),
            *("INVALID_KEY", "INVALID_SIGNATURE", "MISSING_REQUIRED_HEADER", "REQUEST_EXPIRED"),
            *("IP_FORBIDDEN", "READ_ONLY", "FORBIDDEN", "TOO_MANY_REQUESTS"),
        }
    ),
    "bitget": frozenset(
        {
            *("40001", "40002", "40003", "40004", "40005", "40006", "40008", "40009"),  # key, clock
            *("40011", "40012", "40014", "40018", "40037"),  # password, permission, address
            *("43012", "40762", "50020"),  # balance
            *("40808", "41103", "43011", "45110", "45113", "41117"),  # precision, limits, bands
            "429",  # too often
        }
    ),
    "coinbase": frozenset(
        {
            *("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND"),
            *("UNSUPPORTED_ORDER_CONFIGURATION", "INVALID_SIDE", "INVALID_PRODUCT_ID"),
            *("INVALID_SIZE_PRECISION", "INVALID_PRICE_PRECISION", "INVALID_LIMIT_PRICE"),
            *("ORDER_ENTRY_DISABLED", "INELIGIBLE_PAIR", "PERMISSION_DENIED"),
        }
    ),
}
# "There is no such order" where ccxt has a broader class for it. A denial, as an empty list is one.
NO_SUCH_ORDER = frozenset({"EOrder:Unknown order"})
# The first order with this id is there, perhaps filled.
EXISTS = re.compile(r"duplicate|already.exist|repeat", re.IGNORECASE)
# Where a reply keeps its codes; what contains others is looked into.
_CODES = ("code", "sCode", "retCode", "err_code", "label", "error", "new_order_failure_reason")
_INSIDE = ("data", "error_response", "error")
_MESSAGES = ("msg", "sMsg", "retMsg", "message", "error_details")


def codes_of(told: Any) -> tuple[str, ...]:
    """Every code in a reply, the outermost first."""
    return tuple(_texts(told, _CODES))


def message_of(told: Any) -> str:
    """The reply's own words, outermost first; empty when it has none."""
    return "; ".join(dict.fromkeys(each for each in _texts(told, _MESSAGES) if each))


def _texts(told: Any, names: tuple[str, ...]) -> list[str]:
    if isinstance(told, list):
        return [text for each in told for text in _texts(each, names)]
    if not isinstance(told, dict):
        return []
    found = [told[name] for name in names if name in told]
    here = [each for value in found for each in (value if isinstance(value, list) else [value])]
    inner = [text for name in _INSIDE for text in _texts(told.get(name), names)]
    return [str(each) for each in here if isinstance(each, str | int)] + inner
