"""`tradingd backtest`: recorded bars through the live route table, kept as a run of its own.

Belongs here: which bars, which model, and where the run is kept. The backtest itself belongs to
`backtests`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daemon.backtests.backtest import Backtest
from daemon.backtests.funding import funding_rates
from daemon.cli.markets import timeframes_of
from daemon.cli.output import pairs, progress, show
from daemon.cli.running import config_path
from daemon.config import config_hash, load, recorded
from daemon.core.clock import WireClock
from daemon.core.errors import UsageRefused
from daemon.store.lock import holder
from daemon.store.runs import (
    BACKTEST,
    RunSpec,
    placed,
    read_spec,
    resolve,
    run_id_for,
    write_result,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.backtests.funding import Rates
    from daemon.config import Settings

LABEL = "BACKTEST"
TRIES_MAX = 100


def run_backtest(  # noqa: PLR0917  # the options of the command
    data: Sequence[str],
    model: str | None,
    symbol: str | None,
    start: str | None,
    config: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
    funding: Sequence[str] = (),
) -> int:
    """Prints what `run.finished` would say, and keeps the run for parity, export and report."""
    settings, files = asked_bars(data, symbol, config, state_dir)
    rates = funding_rates(funding, settings.data.symbols)
    backtest = Backtest(settings, files, model=model, start=start, say=progress, funding=rates)
    identity = _identity(settings, backtest, model, start, rates)
    spec = RunSpec(
        run=_id(settings.run.state_dir, backtest.first_ns, identity),
        created_ns=WireClock().now_ns(),
        mode=BACKTEST,
        market=backtest.recorded.name,
        symbols=settings.data.symbols,
        timeframe=settings.data.timeframe,
        seed=settings.run.seed,
        config_hash=config_hash(settings),
        start=start,
        label=f"{LABEL} {backtest.recorded.name}",
        options={"content": identity},
        settings=recorded(settings),
    )
    # A daemon's own run stays the last one while it lives.
    is_last = holder(settings.run.state_dir) is None
    with placed(settings.run.state_dir, spec, is_last=is_last) as paths:
        result = {**backtest.run(paths.journal), "run": spec.run}
        write_result(paths, {**result, "is_closed": True})
    show(result, pairs(result), as_json=as_json)
    return 0


def asked_bars(
    data: Sequence[str], symbol: str | None, config: Path | None, state_dir: Path | None
) -> tuple[Settings, Mapping[str, Sequence[Path]]]:
    """The settings for these bars, and the files by symbol."""
    overrides: dict[str, object] = {"run.state_dir": state_dir, "data.exchange": "embedded"}
    overrides["data.also"] = ()  # the exchanges are those of the bars
    if symbol is not None:
        overrides["data.symbols"] = (symbol,)
    settings = load(config_path(config), overrides)
    files = _files(data, settings.data.symbols[0])
    if files:
        first = next(iter(files.values()))[0]
        overrides |= timeframes_of(first, _timeframe_of(first), settings)
        overrides["data.symbols"] = tuple(files)
        settings = load(config_path(config), overrides)
    return settings, files


def _files(data: Sequence[str], symbol: str) -> dict[str, list[Path]]:
    """`FILE` is of the one symbol asked for, `BTC/USDT=FILE` names its own."""
    files: defaultdict[str, list[Path]] = defaultdict(list)
    for text in data:
        name, is_named, path = text.partition("=")
        if is_named and "/" in name and not Path(text).exists():
            files[name].append(Path(path))
        else:
            files[symbol].append(Path(text))
    return dict(files)


def _timeframe_of(path: Path) -> str:
    from daemon.store.recordings import read_recording, timeframe_of

    try:
        return timeframe_of(read_recording(path))
    except ValueError as error:
        raise UsageRefused(str(error)) from error


def _identity(
    settings: Settings,
    backtest: Backtest,
    model: str | None,
    start: str | None,
    rates: Rates,
) -> str:
    """Equal for backtests that must give the same journal."""
    simulated = msgspec.json.encode(settings.backtest.model_dump(), order="sorted").decode()
    told = [f"{symbol} {sorted(times.items())}" for symbol, times in sorted(rates.items())]
    parts = (config_hash(settings), simulated, backtest.recorded.market, model, start, *told)
    text = "|".join(str(part) for part in (*parts, backtest.until_ns))
    return hashlib.sha256(text.encode()).hexdigest()


def _id(state_dir: Path, first_ns: int, identity: str) -> str:
    """The same backtest again has the same id; another one never takes it."""
    for attempt in range(TRIES_MAX):
        run = run_id_for(first_ns, identity, attempt)
        try:
            known = read_spec(resolve(state_dir, run))
        except UsageRefused:
            return run
        if known.options.get("content") == identity:
            return run
    raise AssertionError("a hundred other backtests have these ids")
