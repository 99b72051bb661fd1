"""Takes old predictions out of a run's journal, if it then recovers to the same state to the bit.

Belongs here: what may go, and the proof. Copying rows belongs to `store.journal_copy`. Bars,
features, predictions and suppressed signals go; orders, fills, outcomes, equity, halts and
everything else an account or a model hangs on stays.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import TYPE_CHECKING

from msgspec import Struct, field

from daemon.core import events as e
from daemon.core.errors import TradingdError
from daemon.running.state_text import state_text
from daemon.store.journal_copy import copy_without, put_in_place
from daemon.store.journal_reader import JournalReader

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.app import Core
    from daemon.core.instruments import InstrumentId

GOING = (
    e.BarsClosed, e.FeatureRows, e.Predictions, e.ChallengerPredictions, e.SignalSuppressed,
)  # fmt: skip
VALUED = (e.OrderFilled, e.TradingResumed)  # applied with the prices of the moment
WINDOW_GROWTH = 4
WINDOWS_TRIED = 3

CoreMaker = Callable[[], "Core"]


class NotThinned(TradingdError):
    """A journal stays as it is, because its shorter form would not recover to the same state."""


class Cut(Struct):
    """What goes from a journal: rows of the kinds that go, in the steps before `through_step`."""

    through_step: int = 0  # old numbering; the state after this step is compared
    chain: str = ""
    ts_ns: int = 0
    gone: set[int] = field(default_factory=set)
    bars: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    suppressed: Counter[str] = field(default_factory=Counter)
    empty_steps: int = 0  # of which nothing is left


def find_cut(journal: JournalReader, keep_ns: int, window_bars: int) -> Cut:
    """What goes: all that is older than `keep_ns` before the newest event, but for what was said of
    the last `window_bars` bars of each instrument before that, those, and as many bars again.
    """
    newest_ns = max((event.ts_ns for _, event in journal.read()), default=0)
    windows: dict[InstrumentId, deque[int]] = {}
    cut = Cut()
    for tip, event in journal.read_rows():
        if event.ts_ns > newest_ns - keep_ns and tip.step != cut.through_step:
            break
        cut.through_step, cut.chain = tip.step, tip.chain.hex()
        cut.ts_ns = max(cut.ts_ns, event.ts_ns)
        if isinstance(event, e.BarsClosed):
            for bar in event.bars:
                its = windows.setdefault(bar.instrument, deque(maxlen=2 * window_bars))
                its.append(tip.step)
    if windows and all(len(its) == 2 * window_bars for its in windows.values()):
        # The oldest decisions that stay look back on bars, so the bars stay for a window longer.
        bars_from = min(its[0] for its in windows.values())
        others_from = min(its[window_bars] for its in windows.values())
        _take_out(journal, cut, bars_from, others_from)
    return cut


def _take_out(journal: JournalReader, cut: Cut, bars_from: int, others_from: int) -> None:
    left = Counter[int]()
    newest: dict[InstrumentId, tuple[int, int, e.BarsClosed]] = {}  # seq, step
    for tip, event in takewhile(lambda row: row[0].step < others_from, journal.read_rows()):
        left[tip.step] += 1
        if isinstance(event, VALUED):
            _put_back(cut, left, newest)
        is_bars = isinstance(event, e.BarsClosed)
        if not isinstance(event, GOING) or (is_bars and tip.step >= bars_from):
            continue
        cut.gone.add(tip.seq)
        left[tip.step] -= 1
        if isinstance(event, e.BarsClosed):
            cut.bars.update(bar.instrument.exchange for bar in event.bars)
            newest |= {bar.instrument: (tip.seq, tip.step, event) for bar in event.bars}
        elif isinstance(event, e.Predictions):
            cut.decisions += len(event.rows)
        elif isinstance(event, e.SignalSuppressed):
            cut.suppressed[event.reason.value] += 1
    cut.empty_steps = sum(not count for count in left.values())


def _put_back(
    cut: Cut, left: Counter[int], newest: dict[InstrumentId, tuple[int, int, e.BarsClosed]]
) -> None:
    """A fill or a resume reads the newest prices: the bars that say them stay."""
    for seq, step, event in newest.values():
        if seq in cut.gone:
            cut.gone.remove(seq)
            left[step] += 1
            cut.bars.subtract(bar.instrument.exchange for bar in event.bars)


def thin(path: Path, *, keep_ns: int, window_bars: int, make_core: CoreMaker) -> int:
    """Rewrite a journal that nobody has open; how many events went, 0 when none is old enough.

    `make_core` makes a fresh core that knows the run's models. The state recovered from the steps
    that were thinned must be, to the bit, the one recovered from them before; what comes after is
    the same in both, so every later state is the same too. NotThinned otherwise, and for
    JournalBroken the old journal stays.
    """
    journal, fresh = JournalReader.open(path), path.with_name(f".{path.name}.thinned")
    for _ in range(WINDOWS_TRIED):
        cut = find_cut(journal, keep_ns, window_bars)
        if not cut.gone:
            return 0
        marker = _marker(cut)
        copy_without(path, fresh, marker, cut.gone.__contains__)
        before = _recovered(make_core(), journal, cut.through_step)
        after = _recovered(make_core(), JournalReader(fresh), marker.through_step)
        if before == after:
            put_in_place(fresh, path)
            return len(cut.gone)
        fresh.unlink()
        window_bars *= WINDOW_GROWTH
    msg = f"journal {path} stays whole: without its old predictions it would recover otherwise"
    raise NotThinned(msg)


def _marker(cut: Cut) -> e.JournalThinned:
    return e.JournalThinned(
        ts_ns=cut.ts_ns,
        events=len(cut.gone),
        chain=cut.chain,
        through_step=cut.through_step - cut.empty_steps + 1,
        bars=dict(cut.bars),
        decisions=cut.decisions,
        suppressed=dict(cut.suppressed),
    )


def _recovered(core: Core, journal: JournalReader, through_step: int) -> str:
    """The state a core recovers to from these steps, as text."""
    core.pipeline.recover(_through(journal, through_step))
    return state_text(core)


def _through(journal: JournalReader, through_step: int) -> Iterator[e.Event]:
    for step, event in journal.read():
        if step > through_step:
            return
        yield event
