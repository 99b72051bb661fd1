"""`tradingd export` to stdout: the fills, orders or equity of a run, out of its journal alone.

Belongs here: those rows. The tables of a whole run as files belong to `reports.tables`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.cli.output import show
from daemon.cli.running import config_path
from daemon.config import load
from daemon.core import events as e
from daemon.core.errors import UsageRefused
from daemon.core.instruments import plain
from daemon.core.timeframes import rfc3339
from daemon.reports.exports import csv_bytes
from daemon.running.books.holdings import books_of
from daemon.store.journal_reader import JournalReader
from daemon.store.runs import read_spec, resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def export_run(
    what: str, run: str, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """Fills, orders or equity of a run, from its journal alone."""
    if what not in EXPORTS:
        msg = f"cannot export {what!r} to stdout; choose one of {', '.join(EXPORTS)}, or say -o DIR"
        raise UsageRefused(msg)
    settings = load(config_path(config), {"run.state_dir": state_dir})
    paths = resolve(settings.run.state_dir, run)
    rows = EXPORTS[what](JournalReader.open(paths.journal))
    lines = csv_bytes(rows).decode().splitlines() or [f"no {what}"]
    result = {"run": paths.run, "label": read_spec(paths).label, what: rows}
    show(result, lines, as_json=as_json)
    return 0


def _fills(journal: JournalReader) -> list[dict[str, object]]:
    return [
        {
            "trade_id": each.trade_id,
            "client_order_id": each.client_order_id,
            "exchange": each.instrument.exchange,
            "symbol": each.instrument.symbol,
            "side": each.side.value,
            "price": plain(each.price),
            "quantity": plain(each.quantity),
            "fee": plain(each.fee),
            "fee_currency": each.fee_currency,
            "decision_price": plain(each.decision_price),
            "slippage_bps": each.slippage_bps,
            "arrival_price": None if each.arrival_price is None else plain(each.arrival_price),
            "arrival_slippage_bps": each.arrival_slippage_bps,
            "is_maker": each.is_maker,
            "ts": rfc3339(each.ts_ns),
            "trace": each.trace,
        }
        for _, each in journal.read_kinds(e.OrderFilled)
    ]


def _orders(journal: JournalReader) -> list[dict[str, object]]:
    blotter = books_of(journal).blotter
    return [
        {
            "client_order_id": each.client_order_id,
            "venue_order_id": each.venue_order_id,
            "exchange": each.instrument.exchange,
            "symbol": each.instrument.symbol,
            "side": each.side.value,
            "quantity": plain(each.quantity),
            "filled_quantity": plain(each.filled_quantity),
            "decision_price": plain(each.decision_price),
            "leg": each.leg.value,
            "order_type": each.order_type.value,
            "price": None if each.price is None else plain(each.price),
            "stop_price": None if each.stop_price is None else plain(each.stop_price),
            "state": each.state.value,
            "ts": rfc3339(each.intended_ns),
            "trace": each.trace,
        }
        for each in blotter.orders.values()
    ]


def _equity(journal: JournalReader) -> list[dict[str, object]]:
    opened = journal.latest(e.RunOpened)
    assert opened is not None, "a journal begins with RunOpened"
    return [
        {
            "ts": rfc3339(each.ts_ns),
            "currency": opened.currency,
            "equity_quote": opened.shown(each.equity_quote),
            "drawdown_ratio": round(each.drawdown_ratio, 6),
            "exposure_ratio": round(each.exposure_ratio, 6),
            "fees_quote": opened.shown(each.fees_quote),
        }
        for _, each in journal.read_kinds(e.EquityMarked)
    ]


EXPORTS: dict[str, Callable[[JournalReader], list[dict[str, object]]]] = {
    "fills": _fills,
    "orders": _orders,
    "equity": _equity,
}
