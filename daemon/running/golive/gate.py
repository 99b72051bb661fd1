"""The go-live gate of a state directory: finds what counts, judges it, and says whether an arming
holds.

Belongs here: which runs, backtests and models are evidence, and what disarms. What is asked for
belongs to `golive.items`, where an arming lies to `store.golive`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.config import changes
from daemon.config.exchanges import is_embedded
from daemon.core.clock import WireClock
from daemon.core.errors import CheckFailed, JournalBroken, LiveRefused, ModelRefused, UsageRefused
from daemon.core.events import BarsClosed, ModelActivated, PositionChanged, RunOpened
from daemon.core.timeframes import DAY_NS, timeframe_ns
from daemon.running.golive.items import Backtested, Evidence, Item, items
from daemon.running.golive.paper_record import Record
from daemon.running.world.live_account import (
    LIVE,
    credentials_of,
    require_fit,
    require_key,
    stop_fault,
)
from daemon.store.golive import Canary, GoliveStore
from daemon.store.journal_reader import JournalReader
from daemon.store.models import ModelRegistry
from daemon.store.runs import BACKTEST, RunPaths, all_runs, read_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.config import Change, Settings
    from daemon.core.manifests import Manifest
    from daemon.running.world.sites import World
    from daemon.store.golive import Arming, GoliveState
    from daemon.store.runs import RunSpec

    Say = Callable[[str, int, int], None]

KEY_DIGITS = 12
CHANGES_TOLD = 3
# What differs between paper and live anyway.
BESIDE = frozenset({"run.mode"})


class Deciding(Struct, frozen=True, kw_only=True):
    """The model that decides in the newest live run there, and since when."""

    run: str
    model: str
    since_ns: int


class Gate(Struct, frozen=True, kw_only=True):
    """The items as they stand, and why real orders may not be sent although they are met."""

    evidence: Evidence
    items: tuple[Item, ...]
    disarmed_by: tuple[str, ...]
    live: Deciding | None = None

    @property
    def unmet(self) -> tuple[Item, ...]:
        return tuple(each for each in self.items if not each.met)

    @property
    def arming(self) -> Arming | None:
        return self.evidence.state.arming


def gate_of(settings: Settings, say: Say = lambda _what, _done, _total: None) -> Gate:
    """Everything computed anew from what is stored; nobody is asked."""
    evidence = _gathered(settings, say)
    return Gate(
        evidence=evidence,
        items=items(evidence, settings.golive),
        disarmed_by=disarmed_by(evidence.state, settings),
        live=_deciding(settings),
    )


def fingerprint(settings: Settings) -> str | None:
    """Names the configured key, and with it the account, without telling anything of it."""
    told = credentials_of(settings)
    if told is None:
        return None
    return hashlib.sha256(f"tradingd|{told[0]}".encode()).hexdigest()[:KEY_DIGITS]


def canary_of(settings: Settings) -> Canary:
    golive = settings.golive
    return Canary(
        days=golive.canary_days,
        ratio=golive.canary_ratio,
        steps=golive.canary_steps,
        min_orders=golive.canary_min_orders,
    )


def disarmed_by(state: GoliveState, settings: Settings) -> tuple[str, ...]:
    """Why real orders may not be sent now, in words; empty while an arming holds."""
    arming, exchange = state.arming, settings.data.exchange
    if arming is None:
        return ("it was never armed, or was disarmed",)
    why = [str(each) for each in _differing(arming.config, settings)]
    if arming.bot != settings.run.name and not why:
        why.append(f"run.name was {arming.bot} and is {settings.run.name}")
    if arming.exchange != exchange and not why:
        why.append(f"data.exchange was {arming.exchange} and is {exchange}")
    key = fingerprint(settings)
    if arming.account != key and not settings.data.is_embedded:
        why.append("it was armed with another key" if key else "no key is configured")
    if arming.canary != canary_of(settings):
        why.append("golive.canary_* was changed")
    return tuple(why)


def refuse_unarmed(settings: Settings) -> Arming:
    """What lets real orders be sent; LiveRefused names the first thing that is missing.

    Nobody is asked, so that a start which is not armed says so without a network.
    """
    require_fit(settings)
    require_key(settings, settings.data.exchange)
    return require_armed(settings)


def require_armed(settings: Settings) -> Arming:
    """The arming that lets real orders be sent; LiveRefused names what to do first."""
    exchange = settings.data.exchange
    state = GoliveStore(settings.run.state_dir).read()
    why = disarmed_by(state, settings)
    if state.arming is not None and not why:
        return state.arming
    what = f"live trading on {exchange} is not armed"
    if state.arming is not None:
        what += f" any more, {shortened(why)}"
    unmet = gate_of(settings).unmet
    if unmet:
        first = unmet[0]
        msg = f"{what}: {first.id} is {first.measured}, and has to be {first.required}"
        msg += f" ({len(unmet)} items are unmet, `tradingd golive status` lists them)"
    else:
        msg = f"{what}: everything it asks for is met, type `tradingd golive arm`"
    raise LiveRefused(msg)


def disarmed(world: World, settings: Settings) -> str:
    """Why a daemon that was started on an arming opens nothing any more, whoever resumes it; or
    nothing.
    """
    if not any(each.arming is not None for each in world.sites):
        return ""
    try:
        why = disarmed_by(GoliveStore(settings.run.state_dir).read(), settings)
    except CheckFailed as unreadable:
        why = (str(unreadable),)
    return f"it is not armed any more, {shortened(why)}: `tradingd golive arm` first" if why else ""


def shortened(why: tuple[str, ...]) -> str:
    more = len(why) - CHANGES_TOLD
    return "; ".join([*why[:CHANGES_TOLD], *([f"and {more} more"] if more > 0 else [])])


# --- what counts ----------------------------------------------------------------------------------


def _gathered(settings: Settings, say: Say) -> Evidence:
    runs, others = _paper_runs(settings)
    now_ns = _now_ns(settings, runs)
    length_ns = timeframe_ns(settings.data.timeframe)
    record = Record(
        since_ns=now_ns - round(settings.golive.window_days * DAY_NS),
        max_late_ns=round(settings.data.max_decision_age_ratio * length_ns),
        timeframe_ns=length_ns,
    )
    broken = ""
    for number, paths in enumerate(runs):
        say("reading journals", number, len(runs))
        try:
            record.read(event for _, event in JournalReader.open(paths.journal).read())
        except JournalBroken as error:
            broken = broken or str(error)
    if runs:
        say("reading journals", len(runs), len(runs))
    return Evidence(
        now_ns=now_ns,
        record=record,
        runs=tuple(each.run for each in runs),
        others=others,
        broken=broken,
        tested=_tested(settings),
        manifest=_manifest(settings, record.model),
        state=GoliveStore(settings.run.state_dir).read(),
        exchange=settings.data.exchange,
        key=fingerprint(settings),
        is_in_the_box=settings.data.is_embedded,
        stops=stop_fault(settings),
    )


def paper_journals(settings: Settings) -> list[JournalReader]:
    """Of the runs that count, oldest first; JournalBroken."""
    runs, _ = _paper_runs(settings)
    return [JournalReader.open(each.journal) for each in runs]


def _paper_runs(settings: Settings) -> tuple[list[RunPaths], str]:
    """Paper runs of this exchange and configuration that have opened, oldest first; and why the
    newest of the others does not count.
    """
    counting, others, newest = [], 0, ""
    for paths, spec in _runs(settings):
        if spec.mode in {BACKTEST, LIVE} or not _is_there(spec, settings):
            continue
        differing = _differing(spec.settings, settings)
        if differing or not spec.settings:
            others += 1
            newest = newest or shortened(tuple(map(str, differing)))
        elif _has_opened(paths):
            counting.append(paths)
    counting.reverse()
    if not others:
        return counting, ""
    runs = "1 paper run does" if others == 1 else f"{others} paper runs do"
    return counting, f"{runs} not count, by another configuration ({newest})"


def _runs(settings: Settings) -> Iterator[tuple[RunPaths, RunSpec]]:
    """Newest first; what cannot be understood is no evidence of anything."""
    for run in all_runs(settings.run.state_dir):
        paths = RunPaths(settings.run.state_dir, run)
        try:
            yield paths, read_spec(paths)
        except UsageRefused:
            continue


def _is_there(spec: RunSpec, settings: Settings) -> bool:
    """Whether the run was on the exchange that is to be traded on."""
    return (
        is_embedded(spec.exchange_name)
        if settings.data.is_embedded
        else (spec.exchange_name == settings.data.exchange)
    )


def _differing(before: dict[str, dict[str, object]], settings: Settings) -> list[Change]:
    return [each for each in changes(before, settings) if each.key not in BESIDE]


def _has_opened(paths: RunPaths) -> bool:
    try:
        return JournalReader.open(paths.journal).latest(RunOpened) is not None
    except JournalBroken:
        return paths.journal.exists()  # it will be said of it


def _now_ns(settings: Settings, runs: list[RunPaths]) -> int:
    """A market in the box has a time of its own: that of its newest bar."""
    if not settings.data.is_embedded:
        return WireClock().now_ns()
    for paths in reversed(runs):
        try:
            newest = JournalReader.open(paths.journal).latest(BarsClosed)
        except JournalBroken:
            continue
        if newest is not None:
            return newest.ts_ns
    return WireClock().now_ns()


def _tested(settings: Settings) -> Backtested | None:
    """The newest stored backtest of this configuration, with trades."""
    for paths, spec in _runs(settings):
        if spec.mode != BACKTEST or not spec.settings or _differing(spec.settings, settings):
            continue
        try:
            told = JournalReader.open(paths.journal).read_kinds(PositionChanged)
            returns = tuple(
                each.closed_return_ratio for _, each in told if each.closed_return_ratio is not None
            )
        except JournalBroken:
            continue
        if returns:
            return Backtested(run=spec.run, returns=returns)
    return None


def _deciding(settings: Settings) -> Deciding | None:
    for paths, spec in _runs(settings):
        if spec.mode != LIVE or not _is_there(spec, settings):
            continue
        try:
            activated = JournalReader.open(paths.journal).latest(ModelActivated)
        except JournalBroken:
            continue
        if activated is not None:
            return Deciding(run=spec.run, model=activated.model, since_ns=activated.ts_ns)
    return None


def _manifest(settings: Settings, model: str) -> Manifest | None:
    if not model:
        return None
    try:
        return ModelRegistry(settings.run.state_dir / "models").manifest(model)
    except ModelRefused:
        return None
