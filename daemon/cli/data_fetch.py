"""`tradingd data fetch`: brings bars of one symbol from an exchange into the store.

Belongs here: what was typed, and what is said about it. The fetching itself belongs to `fetching`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from daemon.bars.fetching import Fetched, fetch, open_source
from daemon.cli.data_store import length_of, moment_of
from daemon.cli.output import pairs, progress, show
from daemon.cli.running import config_path
from daemon.config import load
from daemon.core.errors import ExchangeUnreachable, UsageRefused
from daemon.core.instruments import EMBEDDED
from daemon.core.timeframes import floor_to_grid, rfc3339
from daemon.store.bars import BarStore
from daemon.store.runs import FOLDER_MODE

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.bars.fetching import Source

FIRST_CONTACT_S = 14.0


def fetch_bars(  # noqa: PLR0917  # the options of the command
    exchange: str,
    symbol: str,
    timeframe: str,
    start: str | None,
    until: str | None,
    url: str | None,
    config: Path | None,
    state_dir: Path | None,
    *,
    again: bool,
    as_json: bool,
) -> int:
    """Prints what came of it; ExchangeUnreachable says what is kept when it was cut short."""
    _require_sense(exchange, url)
    length_of(timeframe)
    overrides: dict[str, object] = {
        "run.state_dir": state_dir,
        "data.exchange": exchange,
        "data.also": (),
        "data.symbols": (symbol,),
        "data.timeframe": timeframe,
    }
    settings = load(config_path(config), overrides)
    since_ns, until_ns = moment_of("--from", start), moment_of("--until", until)
    settings.run.state_dir.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    store = BarStore.open(settings.run.state_dir / "bars.db")
    told = Fetched()
    try:
        result = asyncio.run(
            _fetch(
                (exchange, symbol, timeframe, url),
                store,
                since_ns,
                until_ns,
                settings.data.history_bars,
                told,
                again=again,
            )
        )
    except (ExchangeUnreachable, KeyboardInterrupt) as error:
        kept = f"{told.added} bars came and are kept; the same command goes on from there"
        if isinstance(error, ExchangeUnreachable):
            if not told.added:
                raise
            raise ExchangeUnreachable(f"{error}; {kept}") from error
        sys.stderr.write(f"\ntradingd: stopped: {kept}\n")
        raise
    finally:
        store.close()
    show(result, pairs(result), as_json=as_json)
    return 0


def _require_sense(exchange: str, url: str | None) -> None:
    if exchange == EMBEDDED and url is None:
        msg = "--exchange embedded needs --exchange-url, as `tradingd exchange` prints it (rest)"
        raise UsageRefused(msg)
    if exchange != EMBEDDED and url is not None:
        msg = f"--exchange-url leads to an exchange in the box: --exchange embedded, not {exchange}"
        raise UsageRefused(msg)


async def _fetch(  # noqa: PLR0917  # what was typed
    what: tuple[str, str, str, str | None],
    store: BarStore,
    since_ns: int | None,
    until_ns: int | None,
    history_bars: int,
    told: Fetched,
    *,
    again: bool,
) -> dict[str, object]:
    exchange = what[0]
    try:
        async with asyncio.timeout(FIRST_CONTACT_S):
            source = await open_source(*what)
    except TimeoutError:
        msg = f"{exchange} gave no answer within {FIRST_CONTACT_S:g} s"
        raise ExchangeUnreachable(msg) from None
    except ValueError as error:
        raise UsageRefused(str(error)) from error
    try:
        since_ns, until_ns = _range(source, since_ns, until_ns, history_bars)
        await fetch(
            source,
            store,
            since_ns,
            until_ns,
            again=again,
            told=told,
            progress=lambda done, total: progress("fetching", done, total, what[1]),
        )
    finally:
        await source.market_data.close()
    return _result(source, store, what[2], since_ns, until_ns, told)


def _range(
    source: Source, since_ns: int | None, until_ns: int | None, history_bars: int
) -> tuple[int, int]:
    """Whole slots that have closed; without --from as many bars as a run would fetch."""
    length_ns = source.length_ns
    until = source.until_ns
    if until_ns is not None:
        until = min(until, floor_to_grid(until_ns, length_ns))
    since = until - history_bars * length_ns
    if since_ns is not None:
        since = -floor_to_grid(-since_ns, length_ns)  # the first slot that opens at or after it
    if since >= until:
        msg = (
            f"nothing has closed between {rfc3339(since)} and {rfc3339(until)}: "
            f"the exchange's newest bar closed at {rfc3339(source.until_ns)}"
        )
        raise UsageRefused(msg)
    return since, until


def _result(  # noqa: PLR0917  # what was asked for and what came of it
    source: Source, store: BarStore, timeframe: str, since_ns: int, until_ns: int, told: Fetched
) -> dict[str, object]:
    symbol, length_ns = source.instrument.symbol, source.length_ns
    opens, _ = store.read_arrays(source.market_key, symbol, length_ns, since_ns, until_ns)
    return {
        "market": source.market_key,
        "symbol": symbol,
        "timeframe": timeframe,
        "from": rfc3339(since_ns),
        "until": rfc3339(until_ns),
        "slots_asked": told.slots,
        "added": told.added,
        "revised": told.revised,
        "rejected": dict(told.rejected),
        "gaps_recorded": told.gaps,
        "bars": len(opens),
        "missing": (until_ns - since_ns) // length_ns - len(opens),
    }
