"""The command explain: the life of one decision, from the journal and from a core that repeats it.

Belongs here: bringing journal, core, models and bar store together. What is said of them belongs to
`reports.explaining`.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from daemon.cli.output import show
from daemon.cli.replays import replayable
from daemon.core import events as e
from daemon.core.errors import ModelRefused, TradingdError, UsageRefused
from daemon.core.pipeline import Pipeline
from daemon.core.timeframes import rfc3339
from daemon.feature_config import feature_set_of
from daemon.logs.tap import LINES
from daemon.reports.explaining.evidence import AFTER, BEFORE, DURING, evidence
from daemon.reports.explaining.facts import Happenings, Told, facts
from daemon.reports.explaining.search import find
from daemon.reports.explaining.story import facts as story_facts
from daemon.reports.explaining.story import lines as story_lines
from daemon.reports.explaining.story import story
from daemon.reports.explaining.watching import Recomputed, Watch, decide_again
from daemon.reports.explaining.words import lines
from daemon.routes import routes
from daemon.store.bars import BarStore, BarStoreBroken
from daemon.store.code_version import code_version
from daemon.store.journal_reader import JournalReader
from daemon.store.models import ModelRegistry
from daemon.store.runs import RunPaths, all_runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from daemon.cli.replays import Replayable
    from daemon.core.bars import Bar
    from daemon.core.manifests import Manifest
    from daemon.reports.explaining.evidence import Evidence
    from daemon.reports.explaining.search import Found

STORY = "story"
RUNS_SEARCHED_MAX = 20
COLUMNS_MAX = 100
KEPT = {BEFORE: 4, DURING: 20, AFTER: 4}  # of what happened: the nearest ones


def explain(
    asked: str, run: str, config: Path | None, state_dir: Path | None, *, as_json: bool
) -> int:
    """Exit 2 where nothing here has that name; also of a run that still goes on."""
    known = replayable(run, config, state_dir)
    width = min(COLUMNS_MAX, shutil.get_terminal_size((COLUMNS_MAX, 24)).columns)
    width = width if sys.stdout.isatty() else COLUMNS_MAX
    if asked == STORY:
        return _tell(known, width, as_json=as_json)
    found = find(known.journal, asked)
    if found is None:
        raise UsageRefused(_not_there(known, asked))
    told = _told(known, found)
    show(facts(told), lines(told, width), as_json=as_json)
    return 0


def _tell(known: Replayable, width: int, *, as_json: bool) -> int:
    """What became of the models of a whole run."""
    chapters = list(story(known.journal))
    told = {
        "run": known.run,
        "mode": known.opened.mode,
        "label": known.label,
        "story": story_facts(chapters),
    }
    head = ", ".join(each for each in (f"run {known.run}", known.opened.mode, known.label) if each)
    show(told, [head, *story_lines(chapters, width)], as_json=as_json)
    return 0


def _not_there(known: Replayable, asked: str) -> str:
    state_dir = known.models.parent
    for other in all_runs(state_dir)[:RUNS_SEARCHED_MAX]:
        if other == known.run:
            continue
        try:
            if find(JournalReader.open(RunPaths(state_dir, other).journal), asked) is not None:
                return f"{asked!r} is not in run {known.run} but in {other}: add --run {other}"
        except TradingdError:
            continue  # unreadable, or several of them: not what was asked about
    return (
        f"there is no decision and no order {asked!r} in run {known.run}: name a trace of its log "
        "lines (6 digits or more), an order id, or last; another run with --run ID"
    )


def _told(known: Replayable, found: Found) -> Told:
    gathered = evidence(known.journal, found.trace)
    return Told(
        run=known.run,
        mode=known.opened.mode,
        label=known.label,
        because=found.because,
        client_order_id=found.client_order_id,
        is_of_event=found.is_of_event,
        evidence=gathered,
        recomputed=_recomputed(known, gathered),
        manifest=_manifest(known, gathered),
        stored=_stored(known, gathered),
        lookback=feature_set_of(known.settings).lookback,
        life=_happened(gathered.life),
        happened=_happened(gathered.happened),
    )


def _recomputed(known: Replayable, found: Evidence) -> Recomputed:
    """The steps of the decision once more, on the state that everything before them left."""
    versions = [each.version for _, each in known.journal.read_kinds(e.Started)]
    recomputed = Recomputed(recorded_by=versions[-1] if versions else "", code=code_version())
    first, _ = found.decided_steps
    thinned = known.journal.latest(e.JournalThinned)
    if not first:
        recomputed.why_not = "it was not decided on a bar: nothing is to be recomputed"
    elif thinned is not None and first <= thinned.through_step:
        recomputed.why_not = "the journal was thinned: what it was decided on is not there any more"
    else:
        try:
            core = known.core()
            watch = Watch(found.trace, core.signals, core.risk)
            pipeline = Pipeline([*routes(core), *watch.routes()])
            decide_again(watch, pipeline, known.journal, found, recomputed)
        except ModelRefused as error:
            recomputed.why_not = str(error)
    return recomputed


def _manifest(known: Replayable, found: Evidence) -> Manifest | None:
    if found.model is None:
        return None
    try:
        return ModelRegistry(known.models).manifest(found.model.model)
    except ModelRefused:
        return None


def _stored(known: Replayable, found: Evidence) -> list[Bar] | None:
    """What the bar store holds of the slot; None where there is no store, as for a backtest."""
    market = known.opened.account_on(found.instrument.exchange).market_key
    path = known.models.parent / "bars.db"
    if found.bar is None or not market or not path.is_file():
        return None
    try:
        store = BarStore.open(path, read_only=True)
    except BarStoreBroken:
        return None
    try:
        return store.revisions(market, found.instrument, found.bar)
    finally:
        store.close()


def _happened(events: Mapping[str, list[e.Event]]) -> Happenings:
    """The nearest ones in the words of the log: every event has its lines there."""
    told: Happenings = {}
    for when, those in events.items():
        rows = [(rfc3339(each.ts_ns), *line) for each in those for line in _logged(each)]
        told[when] = rows[-KEPT[when] :] if when == BEFORE else rows[: KEPT[when]]
    return told


def _logged(event: e.Event) -> Iterator[tuple[str, dict[str, object]]]:
    if isinstance(event, e.Started):  # the log says it as the run's own first lines
        yield "daemon.started", {"code": event.version or None}
    elif isinstance(event, e.ExchangeLost):
        yield "exchange.lost", {"exchange": event.exchange, "error": event.error}
    for name, build in LINES.get(type(event), ()):
        for fields in build(event, {}):
            yield name, dict(fields)
