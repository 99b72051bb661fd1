"""Exchange names: which ones there are, and reading several of them with their symbols.

Belongs here: names only, without paying for ccxt's import. Speaking to an exchange belongs to
`daemon.venues`.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from daemon.core.instruments import EMBEDDED, exchange_behind

LABELLED = re.compile(r"[a-z0-9_]+(-[a-z0-9]{1,16})?")


@lru_cache(maxsize=1)
def exchange_ids() -> tuple[str, ...]:
    """The exchange in the box first, then every id of the installed ccxt, sorted."""
    spec = find_spec("ccxt")
    if spec is None or not spec.submodule_search_locations:
        return (EMBEDDED,)
    folder = Path(spec.submodule_search_locations[0]) / "abstract"
    return (EMBEDDED, *sorted(file.stem for file in folder.glob("[a-z]*.py")))


def is_embedded(name: str) -> bool:
    """True for the exchange in the box, by whatever label."""
    return exchange_behind(name) == EMBEDDED


def exchange_name(value: str) -> str:
    """An id of ccxt or the exchange in the box, alone or with a label as in "kraken-b"."""
    behind, known = exchange_behind(value), exchange_ids()
    if len(known) > 1 and behind not in known:
        near = get_close_matches(behind, known, 1, 0.6)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise _refusal(f"is no exchange that the installed ccxt knows{hint}")
    if not LABELLED.fullmatch(value):
        raise _refusal(f"should be {behind}, or {behind}-label with letters and digits, at most 16")
    return value


def symbols_by_exchange(value: Any) -> Any:
    """A table of exchanges, from a table or from text: "okx=BTC/USDT,ETH/USDT;kraken".

    Without symbols an exchange has those of the first one.
    """
    if isinstance(value, str):
        value = [part for part in value.split(";") if part.strip()]
    if isinstance(value, Mapping):
        return {name: _symbols(told) for name, told in value.items()}
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        return value
    table: dict[str, Any] = {}
    for part in value:
        name, _, symbols = (each.strip() for each in part.partition("="))
        if name in table:
            raise _refusal(f"names {name} twice")
        table[name] = _symbols(symbols)
    return table


def as_text(table: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The table as `symbols_by_exchange` reads it: "okx=BTC/USDT,ETH/USDT" each."""
    return tuple(f"{name}={','.join(symbols)}" for name, symbols in table.items())


def _symbols(told: Any) -> Any:
    if isinstance(told, list | tuple):
        return told
    if not isinstance(told, str):
        raise _refusal('should be a table of exchanges with lists of symbols: {okx = ["BTC/USDT"]}')
    return [each.strip() for each in told.split(",") if each.strip()]


def _refusal(text: str) -> PydanticCustomError:
    return PydanticCustomError("exchange", "{text}", {"text": text})
