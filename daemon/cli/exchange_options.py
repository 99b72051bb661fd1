"""Reads the options of `tradingd exchange`: a market, a pace, a fault script and start balances.

Belongs here: reading and refusing. What holds when a state already exists belongs in
exchange_state.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daemon.core.errors import UsageRefused

if TYPE_CHECKING:
    from daemon.cli.exchange_state import MarketOptions
    from daemon.embedded.faults import Faults
    from daemon.embedded.market import Market

MAX_SPEED = "max"


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
    from daemon.embedded.synthetic import DEFAULT_FROM_MS, SyntheticMarket

    return SyntheticMarket(
        options.symbols or (),
        timeframe_ms,
        from_ms=DEFAULT_FROM_MS if from_ms is None else from_ms,
        history_bars=options.history_bars or 0,
        seed=options.seed or 0,
        edge=options.edge or 0.0,
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


def balances_of(text: str) -> dict[str, Decimal]:
    """Amounts by asset out of a JSON object."""
    try:
        balances = msgspec.json.decode(text, type=dict[str, Decimal])
    except msgspec.MsgspecError as error:
        raise UsageRefused(f"--balances {text}: {error}") from None
    if any(amount < 0 for amount in balances.values()):
        raise UsageRefused(f"--balances {text}: nobody owns less than nothing")
    return balances
