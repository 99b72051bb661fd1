"""Reads the options of `tradingd exchange`: market, pace, faults, balances, fees, key.

Belongs here: reading and refusing. What holds when a state already exists belongs in
exchange_state.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daemon.core.errors import UsageRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.cli.exchange_state import FeeOptions, MarketOptions
    from daemon.embedded.faults import Faults
    from daemon.embedded.fees import Fees
    from daemon.embedded.futures.ledger import SwapLedger
    from daemon.embedded.key_scope import KeyScope
    from daemon.embedded.ledger import Ledger
    from daemon.embedded.market import Market
    from daemon.embedded.stage import Stage

MAX_SPEED = "max"
ASSET = "[A-Z0-9]{1,20}"
FEE_BPS_MAX = 1_000


def market_of(options: MarketOptions) -> Market:
    """The market of complete options; ExchangeRefused, in one line, when it cannot be made."""
    from daemon.cli.exchange_state import ExchangeRefused
    from daemon.core.timeframes import NS_PER_MS, parse_time, timeframe_ns

    try:
        from_ms = None if options.start is None else parse_time(options.start) // NS_PER_MS
        if options.timeframe is None:
            return _recorded(options, None, from_ms)
        timeframe_ms = timeframe_ns(options.timeframe) // NS_PER_MS
        if options.data:
            return _recorded(options, timeframe_ms, from_ms)
        return _synthetic(options, timeframe_ms, from_ms)
    except ValueError as error:
        raise ExchangeRefused(str(error)) from None


def _synthetic(options: MarketOptions, timeframe_ms: int, from_ms: int | None) -> Market:
    from daemon.embedded.changes import changes_of
    from daemon.embedded.synthetic import DEFAULT_FROM_MS, SyntheticMarket

    return SyntheticMarket(
        options.symbols or (),
        timeframe_ms,
        from_ms=DEFAULT_FROM_MS if from_ms is None else from_ms,
        history_bars=options.history_bars or 0,
        seed=options.seed or 0,
        edge=options.edge or 0.0,
        changes=changes_of(options.change or ()),
    )


def _recorded(options: MarketOptions, timeframe_ms: int | None, from_ms: int | None) -> Market:
    from daemon.embedded.recorded import RecordedMarket
    from daemon.store.recordings import read_recording

    paths = options.data or ()
    symbols = options.symbols or ()
    if len(paths) != len(symbols):
        msg = f"{len(symbols)} symbols ({','.join(symbols)}) for {len(paths)} recordings"
        raise ValueError(f"{msg}: a recording holds one symbol, name one for each with --symbols")
    rows = {symbol: read_recording(path) for symbol, path in zip(symbols, paths, strict=True)}
    history_bars = options.history_bars
    if history_bars is None:
        # Not said: what lies before FROM is history, or the first half of the recording.
        history_bars = 0 if from_ms is not None else min(map(len, rows.values())) // 2
    return RecordedMarket(
        rows,
        timeframe_ms=timeframe_ms,
        from_ms=from_ms,
        history_bars=history_bars,
        name=" ".join(Path(path).name for path in paths),
    )


def bars_per_s_of(speed: str) -> float | None:
    """Slots per wall second, or None for lock-step ("max")."""
    if speed == MAX_SPEED:
        return None
    try:
        bars_per_s = float(speed)
    except ValueError:
        bars_per_s = 0.0
    if not 0 < bars_per_s < float("inf"):
        raise UsageRefused(f"--speed {speed}: a number of bars per second, or max")
    return bars_per_s


def faults_of(script: Path | None, seed: int, market: Market) -> Faults:
    """The rules of a script, or none."""
    from daemon.embedded.fault_rules import read_script
    from daemon.embedded.faults import Faults

    faults = Faults(seed)
    faults.follow(market)
    if script is not None:
        try:
            is_toml = script.suffix == ".toml"
            faults.add_script(read_script(script.read_bytes(), is_toml=is_toml))
        except OSError as error:
            raise UsageRefused(f"--faults {script}: {error.strerror}") from None
        except ValueError as error:
            raise UsageRefused(f"--faults {script}: {error}") from None
    return faults


def balances_of(text: str, single: Sequence[str] = ()) -> dict[str, Decimal]:
    """Amounts by asset out of a JSON object, with single ones put in its place or beside it."""
    try:
        balances = msgspec.json.decode(text, type=dict[str, Decimal])
    except msgspec.MsgspecError as error:
        raise UsageRefused(f"--balances {text}: {error}") from None
    if not all(amount.is_finite() and amount >= 0 for amount in balances.values()):
        raise UsageRefused(f"--balances {text}: nobody owns less than nothing, or without end")
    return balances | dict(_balance_of(each) for each in single)


def _balance_of(text: str) -> tuple[str, Decimal]:
    asset, _, amount = text.partition("=")
    number = _number(amount)
    if not re.fullmatch(ASSET, asset) or number is None or number < 0:
        raise UsageRefused(f"--balance {text}: expected ASSET=AMOUNT, as USDT=5000 or BTC=0")
    return asset, number


def fees_of(kept: FeeOptions, market: Market) -> Fees:
    """The schedule of complete options; UsageRefused for a fee nobody could take."""
    from daemon.embedded.fees import BPS, Fees

    ratios = []
    for option, text in (("fee-bps", kept.taker_bps), ("maker-fee-bps", kept.maker_bps)):
        number = _number(text)
        if number is None or not -FEE_BPS_MAX <= number <= FEE_BPS_MAX:
            expected = f"expected a number from -{FEE_BPS_MAX} to {FEE_BPS_MAX}, below 0 a rebate"
            raise UsageRefused(f"--{option} {text}: {expected}")
        ratios.append(number * BPS)
    _check_fee_asset(kept.asset, market)
    return Fees(taker_ratio=ratios[0], maker_ratio=ratios[1], asset=kept.asset or None)


def _check_fee_asset(asset: str, market: Market) -> None:
    listed = market.symbols.values()
    for symbol in listed:
        priced = {each.base for each in listed if each.quote == symbol.quote} | {symbol.quote}
        if asset and asset not in priced:
            msg = f"{asset}/{symbol.quote} is not listed here, so nobody can say what it is worth"
            raise UsageRefused(f"--fee-asset {asset}: {msg}; add it to --symbols")


def opened(  # one parameter per part
    state_dir: Path,
    market: Market,
    balances: dict[str, Decimal],
    fees: Fees,
    bars_per_s: float | None,
    *,
    is_swap: bool,
) -> tuple[Stage, Ledger | SwapLedger]:
    """The exchange of its kind over the ledger of this state, begun with these balances."""
    from daemon.embedded.exchange import Exchange
    from daemon.embedded.futures.exchange import SwapExchange
    from daemon.embedded.futures.ledger import SwapLedger
    from daemon.embedded.ledger import Ledger

    if is_swap:
        swaps = SwapLedger(state_dir / "swaps.db", balances=balances, closed_ms=market.from_ms)
        return SwapExchange(market, swaps, bars_per_s=bars_per_s, fees=fees), swaps
    ledger = Ledger(state_dir / "ledger.db", balances=balances, closed_ms=market.from_ms)
    return Exchange(market, ledger, bars_per_s=bars_per_s, fees=fees), ledger


def scope_of(allows: str, *, is_ip_restricted: bool, expires: str | None) -> KeyScope:
    """What the key may do: --key-allows read, trade or withdraw, separated by commas."""
    from daemon.core.timeframes import NS_PER_MS, parse_time
    from daemon.embedded.key_scope import KeyScope

    words = {each.strip() for each in allows.split(",")}
    if not words <= {"read", "trade", "withdraw"} or "read" not in words:
        msg = "expected read, with trade and withdraw as wished: read,trade"
        raise UsageRefused(f"--key-allows {allows}: {msg}")
    try:
        expires_ms = None if expires is None else parse_time(expires) // NS_PER_MS
    except ValueError as error:
        raise UsageRefused(f"--key-expires {expires}: {error}") from None
    return KeyScope(
        may_trade="trade" in words,
        may_withdraw="withdraw" in words,
        is_ip_restricted=is_ip_restricted,
        expires_ms=expires_ms,
    )


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
