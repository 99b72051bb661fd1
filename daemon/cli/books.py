"""`tradingd reconcile`: holds the books of a run against what its venues say of the account.

Belongs here: asking the venues of a finished or running run. Comparing belongs to
`books.reconcile`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from daemon.cli.control import ask
from daemon.cli.output import pairs, show
from daemon.cli.running import config_path
from daemon.config import load
from daemon.config.exchanges import is_embedded
from daemon.core import events as e
from daemon.core.errors import (
    CheckFailed,
    ExchangeUnreachable,
    TradingdError,
    UsageRefused,
)
from daemon.core.instruments import plain
from daemon.running.books.holdings import books_of
from daemon.running.books.reconcile import compare
from daemon.running.world.live_account import LIVE
from daemon.running.world.shadow import SHADOW
from daemon.store.journal_reader import JournalReader
from daemon.store.runs import read_spec, resolve
from daemon.web.control import Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.config import Settings
    from daemon.core.blotter import Blotter
    from daemon.core.ports import Account
    from daemon.running.books.reconcile import Comparison
    from daemon.store.runs import RunPaths, RunSpec

READINGS_MAX = 8  # of a running daemon's books, until both sides agree
SAME_READINGS = 3  # or differ alike so often in a row
AGAIN_S = 2.0


def reconcile_run(run: str, config: Path | None, state_dir: Path | None, *, as_json: bool) -> int:
    """Exit 0 when orders, fills and balances are equal on both sides, 4 with the differences.

    The two sides of a running daemon are never read in the same moment: what differs is asked for
    again, and the daemon is asked to look, too.
    """
    settings = load(config_path(config), {"run.state_dir": state_dir})
    paths = resolve(settings.run.state_dir, run)
    spec = read_spec(paths)
    told = _settled(settings, paths, spec)
    result = {"run": paths.run, "label": spec.label, **_result(told)}
    shown = {name: value for name, value in result.items() if name != "accounts"}
    lines = [*pairs(shown), *(_lines(told) if len(told) > 1 else [])]
    lines.append("equal" if result["equal"] else "NOT EQUAL")
    show(result, lines, as_json=as_json)
    return 0 if result["equal"] else CheckFailed.exit_code


def compared(settings: Settings, paths: RunPaths, spec: RunSpec) -> dict[str, list[str]]:
    """What differs on each exchange, in words."""
    told = _settled(settings, paths, spec)
    return {
        name: [*each.differences, *(f"fill {trade} is missing" for trade in each.missed_fills)]
        for name, each in told.items()
    }


def _settled(settings: Settings, paths: RunPaths, spec: RunSpec) -> dict[str, _Compared]:
    """Both sides, read until they agree or go on to differ alike."""
    seen: list[list[list[str]]] = []
    while True:
        told = asyncio.run(_compared(settings, spec, paths, wait_s=AGAIN_S * bool(seen)))
        seen.append([each.differences + each.missed_fills for each in told.values()])
        is_stable = seen[-SAME_READINGS:] == [seen[-1]] * SAME_READINGS
        if not any(seen[-1]) or is_stable or len(seen) == READINGS_MAX:
            break
        if not _has_asked(settings.run.state_dir):
            break
    return told


async def _compared(
    settings: Settings, spec: RunSpec, paths: RunPaths, *, wait_s: float
) -> dict[str, _Compared]:
    """Both sides of each account, read one after the other."""
    await asyncio.sleep(wait_s)
    journal = JournalReader.open(paths.journal)
    books = books_of(journal)
    fills = Counter(each.instrument.exchange for _, each in journal.read_kinds(e.OrderFilled))
    _require_endpoints(spec, books.opened)
    halts = settings.execution.foreign == "halt"
    return {
        name: _told(
            books.blotter,
            account,
            compare(books, account, name, are_others_foreign=halts),
            name,
            fills[name],
        )
        for name, account in (await _accounts(settings, spec, paths, books.opened)).items()
    }


def _has_asked(folder: Path) -> bool:
    """Have the daemon compare its books, too; False when there is none that would."""
    try:
        return ask(folder, Request("reconcile")).ok
    except TradingdError:
        return False


def _require_endpoints(spec: RunSpec, opened: e.RunOpened) -> None:
    if spec.mode == SHADOW:
        msg = f"run {spec.run} sent nothing to anybody: its journal is its only book"
        raise UsageRefused(msg)
    if is_real_account(spec):
        return  # whose word is asked for by its key
    if any(each.exchange not in spec.endpoints() for each in opened.each_account()):
        msg = f"run {spec.run} traded on paper in process: its journal is its only book"
        raise UsageRefused(msg)


def is_real_account(spec: RunSpec) -> bool:
    """Whether the run's orders are on an account of a real exchange."""
    return spec.mode == LIVE and not is_embedded(spec.exchange_name)


async def _accounts(
    settings: Settings, spec: RunSpec, paths: RunPaths, opened: e.RunOpened
) -> dict[str, Account]:
    """What each venue says; an embedded exchange that has ended is woken up on its ledger, its
    market frozen.
    """
    from daemon.running.world.embedded import embedded_account
    from daemon.running.world.exchange_process import ExchangeProcess, attached
    from daemon.running.world.real import real_account

    if is_real_account(spec):
        name = spec.exchange_name
        return {name: await real_account(settings, name, opened)}
    found = {}
    url = spec.options.get("exchange_url")
    for opening in opened.each_account():
        folder = paths.exchange_of(opening.exchange)
        if isinstance(url, str):
            process = await attached(url, settings)
        else:
            process = await ExchangeProcess.find(folder) or await ExchangeProcess.start(
                folder, None, speed="max"
            )
        try:
            answers = process.endpoint.instance
            if answers != opening.account:
                msg = f"{opening.exchange} answers for account {answers}, not {opening.account}"
                raise ExchangeUnreachable(msg)
            found[opening.exchange] = await embedded_account(
                process, settings, opening.exchange, opened
            )
        finally:
            await process.stop()
    return found


class _Compared(Struct, frozen=True, kw_only=True):
    """One account's books on both sides."""

    equal: bool
    orders: int
    fills: int
    venue_fills: int
    unresolved: list[str]
    missed_fills: list[str]
    differences: list[str]
    balances: dict[str, str]


def _told(
    blotter: Blotter, account: Account, comparison: Comparison, exchange: str, fills: int
) -> _Compared:
    orders = [each for each in blotter.orders.values() if each.instrument.exchange == exchange]
    return _Compared(
        equal=comparison.is_equal,
        orders=len(orders),
        fills=fills,
        venue_fills=len(account.fills),
        unresolved=[each.client_order_id for each in orders if each.is_unresolved],
        missed_fills=[each.fill.trade_id for each in comparison.missed],
        differences=list(comparison.differences),
        balances={name: plain(total) for name, total in sorted(account.totals.items())},
    )


def _lines(told: dict[str, _Compared]) -> Iterator[str]:
    for name, one in told.items():
        yield name
        yield from pairs(msgspec.structs.asdict(one), indent="  ")


def _result(told: dict[str, _Compared]) -> dict[str, object]:
    """One account as it is; several with their sums, what differs with its exchange, and each."""
    if len(told) == 1:
        return msgspec.structs.asdict(next(iter(told.values())))
    each = told.values()
    return {
        "equal": all(one.equal for one in each),
        "orders": sum(one.orders for one in each),
        "fills": sum(one.fills for one in each),
        "venue_fills": sum(one.venue_fills for one in each),
        "unresolved": [order for one in each for order in one.unresolved],
        "missed_fills": [f"{name}: {trade}" for name in told for trade in told[name].missed_fills],
        "differences": [f"{name}: {text}" for name in told for text in told[name].differences],
        "accounts": {name: msgspec.structs.asdict(one) for name, one in told.items()},
    }
