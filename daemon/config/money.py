"""Amounts by name: reads tables of currencies and weights, and says what can be valued by which.

Belongs here: currencies as the configuration names them. Rates between them belong to
`core.currencies`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from daemon.core.instruments import base_of, quote_of

# Coins in which an exchange takes its fees at a discount, from whoever holds them.
FEE_ASSETS: Mapping[str, str] = {
    "binance": "BNB",
    "bitget": "BGB",
    "bitmart": "BMX",
    "cryptocom": "CRO",
    "embedded": "BNB",
    "gate": "GT",
    "htx": "HT",
    "kucoin": "KCS",
    "mexc": "MX",
    "okx": "OKB",
}


def amounts_by_name(value: Any) -> Any:
    """A table, from a table or from text: "USDT=10000,BTC=0.1"; a single word stays one."""
    if not isinstance(value, str) or "=" not in value:
        return value
    table: dict[str, str] = {}
    for part in value.split(","):
        name, equals, amount = (each.strip() for each in part.partition("="))
        if not equals or name in table:
            raise PydanticCustomError("amounts", "should be name=amount, each name once")
        table[name] = amount
    return table


def word_or_table(value: Any) -> str:
    """Which of both a value is meant to be, in brackets: no part of its key."""
    return "[table]" if isinstance(value, Mapping) else "[word]"


def unvalued(symbols: Iterable[str], reporting: str, currencies: Iterable[str]) -> list[str]:
    """Those currencies from which no symbols lead to the reporting one."""
    pairs = [{base_of(each), quote_of(each)} for each in symbols]
    reached, before = {reporting}, 0
    while len(reached) > before:
        before = len(reached)
        reached |= {name for pair in pairs if pair & reached for name in pair}
    return [each for each in currencies if each not in reached]
