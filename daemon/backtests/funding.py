"""Funding rates of swaps from files: reads when what was charged.

Belongs here: the form of such a file. What a rate costs belongs to the book.
"""

from __future__ import annotations

import csv
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from daemon.core.errors import UsageRefused
from daemon.core.instruments import is_swap_symbol
from daemon.core.timeframes import NS_PER_MS, parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

Rates: TypeAlias = "dict[str, dict[int, Decimal]]"
RATE_MAX = Decimal("0.1")  # a tenth of the notional at once is no rate, but one in per cent or bps


def funding_rates(named: Sequence[str], symbols: Sequence[str]) -> Rates:
    """Rates by symbol and time in ns, from `FILE` or `BTC/USDT:USDT=FILE`; UsageRefused with what
    is wrong, and in which line.
    """
    swaps = [each for each in symbols if is_swap_symbol(each)]
    found: Rates = {}
    for text in named:
        name, is_named, path = text.partition("=")
        symbol = name if is_named and "/" in name else None
        if symbol is None and len(swaps) == 1:
            symbol, path = swaps[0], text
        if symbol not in swaps:
            known = ", ".join(swaps) or "no swap is tested"
            msg = f"--funding {text}: whose rates are these? SYMBOL=FILE, of {known}"
            raise UsageRefused(msg)
        found.setdefault(symbol, {}).update(_read(Path(path)))
    return found


def _read(path: Path) -> dict[int, Decimal]:
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
        raise UsageRefused(msg) from None
    rates: dict[int, Decimal] = {}
    for number, row in enumerate(lines, 1):
        if not row or (number == 1 and not row[0][:1].isdigit()):
            continue  # a header
        at_ns, rate = _row(path, number, row)
        if at_ns in rates:
            raise UsageRefused(f"{path}:{number}: tells of {row[0]} twice")
        rates[at_ns] = rate
    if not rates:
        raise UsageRefused(f"{path}: holds no rate; each line is a time and a rate: {EXAMPLE}")
    return rates


EXAMPLE = "2024-01-01T08:00:00Z,0.0001"


def _row(path: Path, number: int, row: Sequence[str]) -> tuple[int, Decimal]:
    try:
        time, rate = row[0].strip(), Decimal(row[1].strip())
        at_ns = int(time) * NS_PER_MS if time.isdigit() else parse_time(time)
    except (IndexError, InvalidOperation, ValueError):
        msg = f"{path}:{number}: {','.join(row)}: is no time and rate, such as {EXAMPLE}"
        raise UsageRefused(msg) from None
    if not (rate.is_finite() and abs(rate) < RATE_MAX):
        msg = f"{path}:{number}: a rate of {row[1]} is a ratio of the notional? 0.0001 is one bps"
        raise UsageRefused(msg)
    return at_ns, rate
