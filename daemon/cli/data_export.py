"""`tradingd data export`: one series of the store as a file, whole or not at all.

Belongs here: which bars and which file. Their form belongs to `store.bar_files`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.cli.data_store import chosen_one, moment_of, named, opened_store
from daemon.cli.output import pairs, show
from daemon.core.errors import UsageRefused
from daemon.core.timeframes import rfc3339, timeframe_text
from daemon.store.artifacts import replace_durably
from daemon.store.bar_files import ENDINGS, bar_file
from daemon.store.bars import ALWAYS_NS

if TYPE_CHECKING:
    from pathlib import Path


def export_bars(  # noqa: PLR0917  # the options of the command
    output: Path,
    market: str | None,
    symbol: str,
    timeframe: str | None,
    start: str | None,
    until: str | None,
    config: Path | None,
    state_dir: Path | None,
    *,
    is_forced: bool,
    as_json: bool,
) -> int:
    """Prints what was written; UsageRefused for a file that is there, or when there is no bar."""
    if not output.name.endswith(ENDINGS):
        msg = f"-o {output}: a file that ends in {', '.join(ENDINGS)}"
        raise UsageRefused(msg)
    if output.exists() and not is_forced:
        msg = f"{output} is there already: --force overwrites it, or name another file"
        raise UsageRefused(msg)
    since_ns, until_ns = moment_of("--from", start) or 0, moment_of("--until", until) or ALWAYS_NS
    with opened_store(config, state_dir) as store:
        key = chosen_one(store, market=market, symbol=symbol, timeframe=timeframe)
        opens, ohlcv = store.read_arrays(
            key.market, key.symbol, key.timeframe_ns, since_ns, until_ns
        )
    if not len(opens):
        msg = f"{named(key)} has no bar in that time; `tradingd data list` shows what there is"
        raise UsageRefused(msg)
    content = bar_file(output.name, opens, ohlcv)
    assert content is not None, "the ending was looked at above"
    try:
        replace_durably(output, content)
    except OSError as error:
        msg = f"{output} cannot be written: {error.strerror}"
        raise UsageRefused(msg) from error
    result: dict[str, object] = {
        "file": str(output),
        "market": key.market,
        "symbol": key.symbol,
        "timeframe": timeframe_text(key.timeframe_ns),
        "from": rfc3339(int(opens[0])),
        "until": rfc3339(int(opens[-1]) + key.timeframe_ns),
        "bars": len(opens),
        "bytes": len(content),
    }
    show(result, pairs(result), as_json=as_json)
    return 0
