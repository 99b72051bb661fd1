"""Commands that bring bars of files into the store, and decide about what was not believed.

Belongs here: what is asked and how the answer looks. What is stored belongs to `bars.importing`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from daemon.bars.files import check_file
from daemon.bars.importing import DECIDABLE, accept_rows, import_bars
from daemon.cli.data_quality import kinds, say_progress
from daemon.cli.data_store import opened_store
from daemon.cli.output import pairs, show
from daemon.cli.running import config_path
from daemon.config import load
from daemon.core.bars import BarRejectReason
from daemon.core.clock import WireClock
from daemon.core.errors import UsageRefused
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import rfc3339, timeframe_text
from daemon.store.bars import BarStore
from daemon.store.quarantine import Quarantine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.bars.files import Checked
    from daemon.bars.importing import Imported
    from daemon.store.quarantine import Quarantined

SHOWN_MAX = 50


def import_file(  # noqa: PLR0917  # the options of the command
    file: Path,
    symbol: str,
    timeframe: str | None,
    exchange: str | None,
    accept: Sequence[str],
    config: Path | None,
    state_dir: Path | None,
    *,
    revises: bool,
    as_json: bool,
) -> int:
    """All of the file is stored, as bars and quarantine, or nothing of it."""
    named = {"exchange": exchange, "symbols": (symbol,), "timeframe": timeframe}
    overrides = {f"data.{key}": value for key, value in named.items()}
    settings = load(config_path(config), {"run.state_dir": state_dir, **overrides})
    market = settings.data.exchange
    instrument = InstrumentId(market, symbol)
    accepts = kinds(accept)
    now_ns = WireClock().now_ns()
    checked = check_file(
        file,
        instrument=instrument,
        now_ns=now_ns,
        timeframe=timeframe,
        spike_scale=settings.data.spike_scale,
        accepts=accepts,
        progress=say_progress,
    )
    directory = settings.run.state_dir
    directory.mkdir(parents=True, exist_ok=True)
    store = BarStore.open(directory / "bars.db")
    try:
        imported = import_bars(
            store,
            checked,
            market=market,
            instrument=instrument,
            origin=file.name,
            now_ns=now_ns,
            revises=revises,
            accepts=accepts,
        )
    finally:
        store.close()
    result = _summary(file, f"{market} {symbol}", checked, imported)
    lines = pairs(result)
    if imported.quarantined:
        lines.append(f"what was not believed: tradingd data quarantine --symbol {symbol}")
    show(result, lines, as_json=as_json)
    return 0


def _summary(file: Path, series: str, checked: Checked, imported: Imported) -> dict[str, object]:
    return {
        "file": str(file),
        "series": f"{series} {checked.timeframe}",
        "from": rfc3339(checked.bars[0].open_ns),
        "until": rfc3339(checked.bars[-1].close_ns),
        "rows": checked.findings.counts["rows"],
        **msgspec.structs.asdict(imported),
    }


def list_quarantine(
    symbol: str | None, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """Candles that wait for a decision, oldest slot first."""
    with opened_store(config, state_dir) as store:
        rows = Quarantine(store).waiting(symbol=symbol or "")
    reasons = Counter(row.reason for row in rows)
    result: dict[str, object] = {
        "waiting": len(rows),
        "reasons": dict(reasons.most_common()),
        "rows": [_shown(row) for row in rows],
    }
    lines = [_line(row) for row in rows[:SHOWN_MAX]]
    if len(rows) > SHOWN_MAX:
        lines.append(f"... and {len(rows) - SHOWN_MAX} more; --json gives all of them")
    counted = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    lines.append(f"{len(rows)} wait for a decision: {counted}" if rows else "nothing waits")
    show(result, lines, as_json=as_json)
    return 0


def accept_quarantined(  # the options of the command
    symbol: str,
    ids: Sequence[int],
    reason: str | None,
    config: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """Believe the named rows, or all of one reason; they become bars, marked."""
    if bool(ids) == (reason is not None):
        msg = "say what to believe: --id N (again for more), or --reason with all of one kind"
        raise UsageRefused(msg)
    if reason is not None and reason not in DECIDABLE:
        msg = f"--reason {reason}: expected {', '.join(sorted(DECIDABLE))}"
        raise UsageRefused(msg)
    with opened_store(config, state_dir, read_only=False) as store:
        waiting = Quarantine(store).waiting(symbol=symbol)
        chosen = [row for row in waiting if row.id in ids or _is_chosen(store, row, reason)]
        missing = set(ids) - {row.id for row in chosen}
        if missing or not chosen:
            wanted = (
                f"row {min(missing)}" if missing else f"row of reason {reason} that lacks a bar"
            )
            msg = f"no {wanted} of {symbol} waits; see tradingd data quarantine --symbol {symbol}"
            raise UsageRefused(msg)
        if reason is not None:
            _require_one_series(chosen)
        instrument = InstrumentId(chosen[0].market, symbol)
        now_ns = WireClock().now_ns()
        accepted = accept_rows(store, chosen, instrument=instrument, now_ns=now_ns)
    result: dict[str, object] = {"accepted": accepted, "waiting": len(waiting) - accepted}
    show(result, pairs(result), as_json=as_json)
    return 0


def _is_chosen(store: BarStore, row: Quarantined, reason: str | None) -> bool:
    """Of a kind those whose slot has no bar yet: where a second telling was believed instead, only
    naming the row puts the first in its place. What conflicts has a bar by its nature.
    """
    if row.reason != reason:
        return False
    if row.open_ns is None or reason == BarRejectReason.CONFLICTING.value:
        return True
    instrument = InstrumentId(row.market, row.symbol)
    span = (row.open_ns, row.open_ns + 1)
    return not store.read(row.market, instrument, row.timeframe_ns, *span)


def _require_one_series(rows: Sequence[Quarantined]) -> None:
    series = sorted({f"{row.market} {timeframe_text(row.timeframe_ns)}" for row in rows})
    if len(series) > 1:
        msg = f"--reason means rows of several series ({', '.join(series)}): name them by --id"
        raise UsageRefused(msg)


def _shown(row: Quarantined) -> dict[str, object]:
    return {
        "id": row.id,
        "market": row.market,
        "symbol": row.symbol,
        "timeframe": timeframe_text(row.timeframe_ns),
        "open": None if row.open_ns is None else rfc3339(row.open_ns),
        "reason": row.reason,
        "detail": row.detail,
        "raw": row.raw,
        "source": row.source,
        "origin": row.origin,
        "seen": rfc3339(row.seen_ns),
    }


def _line(row: Quarantined) -> str:
    at = "no time" if row.open_ns is None else rfc3339(row.open_ns)
    series = f"{row.market} {row.symbol} {timeframe_text(row.timeframe_ns)}"
    return f"{row.id:>6}  {at}  {series}  {row.reason}: {row.detail} · {row.origin} · {row.raw}"
