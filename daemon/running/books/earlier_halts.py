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
    """What a start begins with; a paper account ends with its run, and its halts do."""
    accounts = {(each.exchange, each.account) for each in world.sites if each.paper is None}
    starts = [event.ts_ns for _, event in journal.read_kinds(Started)]
    since_ns = starts[-1] if starts else None
    return halts_of_the_run_before(paths, accounts, ts_ns, since_ns) if accounts else []


def halts_of_the_run_before(
    paths: RunPaths, accounts: Collection[Account], ts_ns: int, since_ns: int | None
) -> list[HaltRequested]:
    """A halt where the other run that was started last on one of `accounts` was left halted, unless
    this one was started after it: at `since_ns`, or never yet.

    That one took over what the runs before it had left, so that none of them is asked. One that is
    gone on with although another has traded meanwhile takes over what that one left.
    """
    found: list[tuple[int, str, JournalReader]] = []
    for other in all_runs(paths.state_dir):
        path = RunPaths(paths.state_dir, other).journal
        if other == paths.run or not path.is_file():
            continue
        journal = JournalReader.open(path)
        started = journal.latest(Started)
        if started is not None and not _accounts_of(journal).isdisjoint(accounts):
            found.append((started.ts_ns, other, journal))
    if not found:
        return []
    started_ns, other, journal = max(found, key=lambda each: each[:2])
    if since_ns is not None and (started_ns, other) < (since_ns, paths.run):
        return []
    halts = _in_force(journal)
    why = "; ".join(f"{reason} ({detail})" for reason, detail in halts.items())
    asked = HaltRequested(ts_ns=ts_ns, reason=f"it was left halted: {why}", who=f"run {other}")
    return [asked] if halts else []


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
