"""What an embedded exchange keeps beside its ledger: its market, its keys, where it answers.

Belongs here: exchange.json and credentials.json. The command that serves it belongs in exchange,
the account's books in the ledger.
"""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from daemon.core.errors import TradingdError
from daemon.core.instruments import plain
from daemon.store.artifacts import replace_durably

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT")
DEFAULT_TIMEFRAME = "1h"
DEFAULT_HISTORY_BARS = 20_000
DEFAULT_SEED = 42
DEFAULT_EDGE = 0.4
DEFAULT_SPEED = "1"
DEFAULT_FEE_BPS = "10"
SPOT, SWAP = "spot", "swap"


class ExchangeRefused(TradingdError):
    """The exchange asked for is not the one this state holds, or its market cannot be made."""

    exit_code = 78


class MarketOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which market: None is not said. `data` are absolute paths, `start` an RFC 3339 time, `kind`
    "swap" or, not said, spot."""

    data: tuple[str, ...] | None = None
    kind: str | None = None
    start: str | None = None
    symbols: tuple[str, ...] | None = None
    timeframe: str | None = None
    seed: int | None = None
    edge: float | None = None
    change: tuple[str, ...] | None = None
    history_bars: int | None = None


class FeeOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a trade costs, in basis points; an empty asset is what the trade brings."""

    taker_bps: str = DEFAULT_FEE_BPS
    maker_bps: str = DEFAULT_FEE_BPS
    asset: str = ""


SWAP_FEES = FeeOptions(taker_bps="5", maker_bps="2")


class ExchangeFile(Struct, frozen=True, kw_only=True):
    """exchange.json: the market by its options and fingerprint, speed, fees, and the last endpoint.

    `endpoint` is the ready line without its secrets, with `pid`, which is null when nobody serves.
    """

    market: MarketOptions
    fingerprint: str
    speed: str
    endpoint: dict[str, Any] = {}
    fees: FeeOptions = FeeOptions()


def read_file(state_dir: Path) -> ExchangeFile | None:
    """What this state holds, or None when it is new; ExchangeRefused when it cannot be read."""
    path = state_dir / "exchange.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=ExchangeFile)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise ExchangeRefused(f"{path} is not an exchange's own file: {error}") from None


def write_file(state_dir: Path, content: ExchangeFile) -> None:
    """Replace exchange.json in one step, so that a reader never meets half of it."""
    text = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
    replace_durably(state_dir / "exchange.json", text)


def read_keys(state_dir: Path) -> tuple[str, str]:
    """Key and secret of the account; made from the system's randomness the first time."""
    path = state_dir / "credentials.json"
    try:
        known = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        return known["key"], known["secret"]
    except FileNotFoundError:
        pass
    except (msgspec.MsgspecError, KeyError) as error:
        raise ExchangeRefused(f"{path} holds no credentials: {error}") from None
    keys = {"key": secrets.token_hex(32), "secret": secrets.token_hex(32)}
    replace_durably(path, msgspec.json.encode(keys))  # half of them would keep it from ever serving
    return keys["key"], keys["secret"]


def settled(asked: MarketOptions, known: ExchangeFile | None) -> MarketOptions:
    """The options that hold: those of the state; what is asked may not contradict them."""
    if known is None:
        return _completed(asked)
    for name in MarketOptions.__struct_fields__:
        wanted, held = getattr(asked, name), getattr(known.market, name)
        held = held or SPOT if name == "kind" else held
        if wanted is not None and wanted != held:
            option = "from" if name == "start" else name.replace("_", "-")
            has = f"without --{option}" if held is None else f"with --{option} {_said(held)}"
            msg = f"this state holds a market {has}, not {_said(wanted)}"
            raise ExchangeRefused(f"{msg}; choose another --state")
    return known.market


def settled_fees(
    taker_bps: str | None,
    maker_bps: str | None,
    asset: str | None,
    known: ExchangeFile | None,
    *,
    is_swap: bool = False,
) -> FeeOptions:
    """What is asked, else what held last; a maker pays like a taker unless it was said."""
    held = SWAP_FEES if is_swap else FeeOptions()
    held = held if known is None else known.fees
    if is_swap and asset:
        raise ExchangeRefused(f"--fee-asset {asset}: swaps take their fees from the margin")
    if maker_bps is None:
        maker_bps = held.maker_bps if taker_bps is None else taker_bps
    return FeeOptions(
        taker_bps=held.taker_bps if taker_bps is None else taker_bps,
        maker_bps=maker_bps,
        asset=held.asset if asset is None else asset,
    )


def check_balances(state_dir: Path, single: Sequence[str], start: Mapping[str, Decimal]) -> None:
    """ExchangeRefused when an account that is there began with other amounts than are asked."""
    for text in single:
        asset, _, amount = text.partition("=")
        if start.get(asset) != Decimal(amount):
            held = plain(start.get(asset, Decimal(0)))
            msg = f"the account of {state_dir} began with {held} {asset}, not {amount}"
            raise ExchangeRefused(f"{msg}; choose another --state")


def _completed(asked: MarketOptions) -> MarketOptions:
    if asked.data is not None:
        return msgspec.structs.replace(asked, symbols=asked.symbols or DEFAULT_SYMBOLS[:1])
    return MarketOptions(
        kind=asked.kind,
        start=asked.start,
        symbols=asked.symbols or DEFAULT_SYMBOLS,
        timeframe=asked.timeframe or DEFAULT_TIMEFRAME,
        seed=DEFAULT_SEED if asked.seed is None else asked.seed,
        edge=DEFAULT_EDGE if asked.edge is None else asked.edge,
        change=asked.change,
        history_bars=asked.history_bars or DEFAULT_HISTORY_BARS,
    )


def _said(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
