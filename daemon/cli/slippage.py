"""The command slippage: what a run's orders paid beyond what they were decided on.

Belongs here: printing it, and the settings it speaks for. Measuring belongs to `reports.slippage`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from daemon.cli.output import show
from daemon.cli.running import config_path
from daemon.config import load
from daemon.reports.slippage import ORDERS_MIN, READ, measured, paid, suggested
from daemon.store.journal_reader import JournalReader
from daemon.store.runs import read_spec, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from daemon.core.costs import Distribution
    from daemon.core.instruments import InstrumentId
    from daemon.reports.slippage import Measured, Paid, Suggested


def slippage_run(run: str, config: Path | None, state_dir: Path | None, *, as_json: bool) -> int:
    """The distribution by exchange and symbol, and settings that would repeat it on paper."""
    settings = load(config_path(config), {"run.state_dir": state_dir})
    paths = resolve(settings.run.state_dir, run)
    spec = read_spec(paths)
    events = (event for _, event in JournalReader.open(paths.journal).read_kinds(*READ))
    orders = paid(events)
    by_instrument: defaultdict[InstrumentId, list[Paid]] = defaultdict(list)
    for each in orders:
        by_instrument[each.intent.instrument].append(each)
    found = {each: measured(known) for each, known in sorted(by_instrument.items())}
    settings_told = suggested(orders)
    result = {
        "run": paths.run,
        "mode": spec.mode,
        "label": spec.label,
        "orders": len(orders),
        "instruments": [
            {
                "exchange": each.exchange,
                "symbol": each.symbol,
                **msgspec.to_builtins(one),
            }
            for each, one in found.items()
        ],
        "suggested": msgspec.to_builtins(settings_told),
    }
    lines = _lines(paths.run, spec.label, len(orders), found, settings_told)
    show(result, lines, as_json=as_json)
    return 0


def _lines(
    run: str,
    label: str,
    orders: int,
    found: Mapping[InstrumentId, Measured],
    settings: Suggested | None,
) -> Iterator[str]:
    yield f"{run}: {orders} orders with fills, {label}"
    yield "slippage in bps, positive is worse for us: mean, 95th percentile, n"
    for instrument, one in found.items():
        yield f"  {instrument}"
        yield f"    against the decision price  {_text(one.decision)}"
        yield f"    against the arrival quote   {_text(one.arrival)}"
        yield f"    beyond what the book showed {_text(one.beyond_book)}"
    if settings is None:
        yield f"no settings follow from fewer than {ORDERS_MIN} orders"
        return
    yield "settings that would make paper orders cost the same:"
    yield "  [execution]"
    for name, value in msgspec.to_builtins(settings).items():
        if value is not None:
            yield f"  {name} = {value}"


def _text(told: Distribution | None) -> str:
    if told is None:
        return f"{'-':>8}"
    return f"{told.mean_bps:8.2f} {told.p95_bps:8.2f} {told.n:6d}"
