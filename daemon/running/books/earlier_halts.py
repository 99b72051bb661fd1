"""What an earlier run of an account left halted: from its journal to a halt of the run after it.

Belongs here: finding that run, and wording the halt. What a halt means belongs to risk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import HaltRequested, RunOpened, Started, TradingHalted, TradingResumed
from daemon.store.journal_reader import JournalReader
from daemon.store.runs import RunPaths, all_runs

if TYPE_CHECKING:
    from collections.abc import Collection

    from daemon.running.world.sites import World
    from daemon.store.journal import SqliteJournal

    Account = tuple[str, str]  # an exchange, and who trades there


def halts_left(
    paths: RunPaths, world: World, journal: SqliteJournal, ts_ns: int
) -> list[HaltRequested]:
    """What a run's first start begins with; a paper account ends with its run, and its halts do."""
    accounts = {(each.exchange, each.account) for each in world.sites if each.paper is None}
    is_begun = any(True for _ in journal.read_kinds(Started))
    return [] if is_begun or not accounts else halts_of_the_run_before(paths, accounts, ts_ns)


def halts_of_the_run_before(
    paths: RunPaths, accounts: Collection[Account], ts_ns: int
) -> list[HaltRequested]:
    """A halt where the newest other run that traded on one of `accounts` was left halted.

    That one took over what the runs before it had left, so that none of them is asked.
    """
    for other in all_runs(paths.state_dir):
        path = RunPaths(paths.state_dir, other).journal
        if other == paths.run or not path.is_file():
            continue
        journal = JournalReader.open(path)
        if journal.latest(Started) is None or _accounts_of(journal).isdisjoint(accounts):
            continue
        halts = _in_force(journal)
        why = "; ".join(f"{reason} ({detail})" for reason, detail in halts.items())
        asked = HaltRequested(ts_ns=ts_ns, reason=f"it was left halted: {why}", who=f"run {other}")
        return [asked] if halts else []
    return []


def _accounts_of(journal: JournalReader) -> set[Account]:
    """Where the run trades; nowhere before it opened."""
    opened = journal.latest(RunOpened)
    if opened is None:
        return set()
    return {(each.exchange, each.account) for each in opened.each_account()}


def _in_force(journal: JournalReader) -> dict[str, str]:
    """The halts that no resume has ended, by reason."""
    halts: dict[str, str] = {}
    for _, event in journal.read_kinds(TradingHalted, TradingResumed):
        if isinstance(event, TradingHalted):
            halts[event.reason.value] = event.detail
        else:
            halts.clear()
    return halts
