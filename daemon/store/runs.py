"""The state directory: which file of which run lies where, and which run is the newest.

Belongs here: names, places and the small JSON files of runs. What a run does belongs to the
session.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from daemon.core.errors import TradingdError, UsageRefused
from daemon.core.timeframes import NS_PER_S, parse_time, rfc3339
from daemon.store.artifacts import replace_durably, sync_directory

LAST = "last"
RUNS = "runs"
RUBBISH = "removed"
FOLDER_MODE = 0o700
RUNS_NAMED_MAX = 5
BACKTEST = "backtest"  # the mode of a run that no daemon made

_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{4}")
_SECRET_WORDS = ("secret", "password", "passphrase", "token", "api_key", "private")


class RunExists(TradingdError):
    """A run of this id is there already: two daemons started alike in the same second."""


class NoRun(UsageRefused):
    """Nothing has run here yet. A run that is there and cannot be understood is another matter."""


class RunPaths(Struct, frozen=True):
    """Where everything of one run lies."""

    state_dir: Path
    run: str

    @property
    def folder(self) -> Path:
        return self.state_dir / RUNS / self.run

    @property
    def spec(self) -> Path:
        return self.folder / "run.json"

    @property
    def result(self) -> Path:
        return self.folder / "result.json"

    @property
    def status(self) -> Path:
        """The last committed state in short, for `tradingd status`."""
        return self.folder / "status.json"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.db"

    def exchange_of(self, name: str) -> Path:
        """Folder of an embedded exchange's own durable state: of "embedded-b" it is exchange-b."""
        _, dash, label = name.partition("-")
        return self.folder / f"exchange{dash}{label}"

    @property
    def bars(self) -> Path:
        """Database of bars, shared by all runs."""
        return self.state_dir / "bars.db"

    @property
    def models(self) -> Path:
        """Folder of the model registry, shared by all runs."""
        return self.state_dir / "models"


class ExchangeSpec(Struct, frozen=True, kw_only=True):
    """Where the exchange of a run answers; its secret is never written here."""

    rest: str
    stream: str
    ws_api: str = ""
    key: str = ""
    instance: str = ""


class RunSpec(Struct, frozen=True, kw_only=True):
    """What a run was asked to do, so that it can be resumed and compared; no secrets."""

    run: str
    created_ns: int  # wire time
    mode: str
    market: str
    symbols: tuple[str, ...]
    timeframe: str
    seed: int
    config_hash: str
    edge: float | None = None
    bars: int | None = None
    start: str | None = None
    speed: str | None = None
    label: str = ""  # SYNTHETIC or REPLAY, wherever the numbers of such a market are shown
    options: dict[str, str | int | float | bool | None] = {}
    exchange: ExchangeSpec | None = None  # where the first one answers
    exchange_name: str = ""  # of the first one; empty in runs of earlier versions
    also: dict[str, tuple[str, ...]] = {}  # further exchanges with their symbols, as configured
    exchanges: dict[str, ExchangeSpec] = {}  # where those further ones answer
    settings: dict[str, dict[str, Any]] = {}  # every key that trading hangs on
    typed: tuple[str, ...] = ()  # the keys that the command line gave

    def endpoints(self) -> dict[str, ExchangeSpec]:
        """Every embedded exchange of the run that has answered, by name."""
        name = self.exchange_name or "embedded"
        first = {} if self.exchange is None else {name: self.exchange}
        return {**first, **self.exchanges}


def run_id_for(created_ns: int, *parts: object) -> str:
    """A name like 20240101T000000-3fa2: the second of its start and a hash of that and `parts`."""
    moment = rfc3339(created_ns)
    text = "|".join(str(part) for part in (created_ns, *parts))
    digest = hashlib.blake2b(text.encode(), digest_size=2).hexdigest()
    return f"{moment[:10].replace('-', '')}T{moment[11:19].replace(':', '')}-{digest}"


def moment_for(state_dir: Path, now_ns: int) -> int:
    """When a run that is made now is said to begin: after every run that is there.

    The newest one is told by its name, and a clock may have been set back since.
    """
    newest = next(iter(all_runs(state_dir)), None)
    if newest is None:
        return now_ns
    day, _, second = newest.partition("-")[0].partition("T")
    text = f"{day[:4]}-{day[4:6]}-{day[6:]}T{second[:2]}:{second[2:4]}:{second[4:]}Z"
    return max(now_ns, parse_time(text) + NS_PER_S)


def new_run(state_dir: Path, spec: RunSpec) -> RunPaths:
    """Make a run's folder, write its spec, and only then call it the last; RunExists, OSError."""
    assert _RUN_ID.fullmatch(spec.run), f"{spec.run!r} is not a run id; make it with run_id_for"
    paths = RunPaths(state_dir, spec.run)
    paths.folder.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    try:
        paths.folder.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        raise RunExists(f"run {spec.run} is there already in {state_dir}") from None
    write_spec(paths, spec)
    replace_durably(state_dir / RUNS / LAST, f"{spec.run}\n".encode())
    return paths


def name_last(paths: RunPaths) -> None:
    """Call the run that is gone on with the last: a kill may have come before that was said."""
    last = paths.state_dir / RUNS / LAST
    named = last.read_text("utf-8", "replace").strip() if last.is_file() else ""
    if not _RUN_ID.fullmatch(named) or named < paths.run:
        replace_durably(last, f"{paths.run}\n".encode())


def discard(paths: RunPaths) -> None:
    """Forget a run that never got as far as a journal; the newest other one is the last again."""
    assert not paths.journal.exists(), "a run with a journal is never thrown away"
    shutil.rmtree(paths.folder)
    others = all_runs(paths.state_dir)
    last = paths.state_dir / RUNS / LAST
    if others:
        replace_durably(last, f"{others[0]}\n".encode())
    else:
        last.unlink()


def remove(paths: RunPaths) -> None:
    """Remove a run with everything in it; a kill leaves it whole, or leaves rubbish to sweep."""
    last = paths.state_dir / RUNS / LAST
    assert last.read_text("utf-8").strip() != paths.run, "the last run is never removed"
    rubbish = paths.state_dir / RUBBISH
    rubbish.mkdir(mode=FOLDER_MODE, exist_ok=True)
    paths.folder.rename(rubbish / paths.run)
    sync_directory(paths.folder.parent)
    sweep(paths.state_dir)


def sweep(state_dir: Path) -> None:
    """Delete what is left of removed runs."""
    rubbish = state_dir / RUBBISH
    if rubbish.is_dir():
        shutil.rmtree(rubbish)


def resolve(state_dir: Path, run: str) -> RunPaths:
    """The run of this id, or the newest for `last`; UsageRefused says what there is instead."""
    if run == LAST:
        try:
            run = (state_dir / RUNS / LAST).read_text("utf-8").strip()
        except FileNotFoundError:
            raise NoRun(f"there is no run in {state_dir} yet") from None
    # An id becomes part of a path, so nothing else may pass for one.
    if not _RUN_ID.fullmatch(run):
        raise UsageRefused(f"{run!r} is not a run id such as 20240101T000000-3fa2, nor 'last'")
    paths = RunPaths(state_dir, run)
    if not paths.spec.is_file():
        known = all_runs(state_dir)[:RUNS_NAMED_MAX]
        newest = f"; the newest are {', '.join(known)}" if known else ""
        raise UsageRefused(f"there is no run {run} in {state_dir}{newest}")
    return paths


def newest_daemon_run(state_dir: Path) -> RunPaths:
    """The newest run of a daemon, whatever was backtested since; NoRun, or UsageRefused when it
    cannot be told which that is.
    """
    for run in all_runs(state_dir):
        paths = RunPaths(state_dir, run)
        if read_spec(paths).mode != BACKTEST:
            return paths
    raise NoRun(f"there is no run in {state_dir} yet")


@contextmanager
def placed(state_dir: Path, spec: RunSpec, *, is_last: bool) -> Iterator[RunPaths]:
    """A folder for a run that is made at once; it gets its name, and `last`, when it is whole.

    A run of this id that was made before is replaced. A block that raises leaves nothing behind.
    """
    assert _RUN_ID.fullmatch(spec.run), f"{spec.run!r} is not a run id; make it with run_id_for"
    made, final = RunPaths(state_dir, f".making-{spec.run}"), RunPaths(state_dir, spec.run)
    shutil.rmtree(made.folder, ignore_errors=True)
    made.folder.mkdir(mode=FOLDER_MODE, parents=True)
    try:
        yield made
        write_spec(made, spec)
        shutil.rmtree(final.folder, ignore_errors=True)
        made.folder.rename(final.folder)
        if is_last:
            replace_durably(state_dir / RUNS / LAST, f"{spec.run}\n".encode())
    finally:
        shutil.rmtree(made.folder, ignore_errors=True)


def all_runs(state_dir: Path) -> list[str]:
    """Ids of all runs, newest first."""
    found = (state_dir / RUNS).glob("*/run.json")
    names = (each.parent.name for each in found)
    return sorted((name for name in names if _RUN_ID.fullmatch(name)), reverse=True)


def write_spec(paths: RunPaths, spec: RunSpec) -> None:
    """Write run.json anew, for example once the exchange has said where it answers."""
    for name in spec.options:
        assert not any(word in name for word in _SECRET_WORDS), f"option {name} may be a secret"
    replace_durably(paths.spec, msgspec.json.format(msgspec.json.encode(spec), indent=1))


def read_spec(paths: RunPaths) -> RunSpec:
    """What the run was asked to do; UsageRefused when its run.json cannot be understood."""
    return read_spec_file(paths.spec)


def read_spec_file(path: Path) -> RunSpec:
    """The same from wherever it lies."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunSpec)
    except (msgspec.DecodeError, OSError, UnicodeDecodeError) as error:
        raise UsageRefused(f"{path} is not readable: {error}") from error


def write_result(paths: RunPaths, result: Mapping[str, object]) -> None:
    """Write result.json: the fields of `run.finished`."""
    replace_durably(paths.result, msgspec.json.format(msgspec.json.encode(result), indent=1))


def read_result(paths: RunPaths) -> dict[str, object] | None:
    """How the run ended; None while it has not. UsageRefused when the file is damaged."""
    try:
        return msgspec.json.decode(paths.result.read_bytes(), type=dict[str, object])
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError, UnicodeDecodeError) as error:
        raise UsageRefused(f"{paths.result} is not readable: {error}") from error
