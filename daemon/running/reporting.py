"""Everything a run says to the outside while it lives: log lines, progress, the status file,
systemd.

Belongs here: to whom what is said. The form of a log line belongs to `logs`, its registry to
`logs.registry`.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

from daemon import __version__
from daemon.core.clock import WireClock
from daemon.core.costs import slippage_told
from daemon.core.events import (
    BarsClosed,
    FeedRecovered,
    FeedStale,
    HealthSampled,
    OrderDenied,
    PositionChanged,
    SignalEmitted,
    SignalSuppressed,
)
from daemon.core.instruments import InstrumentId, names_of, plain
from daemon.core.timeframes import rfc3339
from daemon.logs.lines import RESUME_COMMAND
from daemon.logs.writing import Tap, configure, is_journal_stream, wants_color
from daemon.running.alerts.addresses import secrets_of
from daemon.running.alerts.alerting import Alerts
from daemon.running.books.holdings import dust_of, positions_of, training_in_words
from daemon.running.process.sd_notify import EXTEND_S, Notifier
from daemon.running.process.status_file import StatusFile
from daemon.running.world.embedded import market_name
from daemon.running.world.live_account import credentials_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.app import Core
    from daemon.config import Settings
    from daemon.core.events import Event
    from daemon.core.manifests import Manifest
    from daemon.layers.risk.halts import Halts
    from daemon.running.world.exchange_process import Endpoint
    from daemon.running.world.sites import World
    from daemon.store.runs import RunPaths, RunSpec

PROGRESS_SHARES = 10  # without a terminal: one line per tenth
NOTHING: dict[str, object] = {}


class Reporter:
    """The voice of one run; nothing it does can change a decision."""

    def __init__(
        self, settings: Settings, spec: RunSpec, paths: RunPaths, world: World | None = None
    ) -> None:
        self._log = configure(
            level=settings.log.level,
            format=settings.log.format,
            run=spec.run,
            secrets=_secrets(settings, world),
            is_journal=is_journal_stream(sys.stdout, os.environ.get("JOURNAL_STREAM")),
            has_color=wants_color(sys.stdout, os.environ.get("NO_COLOR")),
            shows_exchange=bool(settings.data.also),
        )
        self.notifier = Notifier.from_environment()
        self._settings = settings
        self._spec = spec
        self._paths = paths
        self._tap = Tap(self._log)
        self.alerts = Alerts(settings, spec, emit=self.emit, clean=self._log.clean)
        self._file = StatusFile(paths.status, self.emit)
        self._core: Core | None = None
        self._world = world
        self._clocks: dict[str, Callable[[], dict[str, object]]] = {}
        self._exchanges: dict[str, Callable[[], dict[str, object]]] = {}
        self._process: Callable[[], dict[str, object]] = dict
        self._stale: set[InstrumentId] = set()
        self._last_bars: dict[str, int] = {}  # by exchange: close of its newest bar
        self._state = "starting"
        self._last: dict[str, str] = {}
        self._health = "unknown"
        self._not_traded: Counter[str] = Counter()
        self._told: dict[str, int] = {}
        self._is_terminal = sys.stderr.isatty()

    def _name(self, instrument: InstrumentId) -> str:
        return str(instrument) if self._settings.data.also else instrument.symbol

    def emit(self, event: str, **fields: object) -> None:
        self._log.write(event, fields)
        self.alerts.write(event, fields)

    def watch_clock(self, exchange: str, status: Callable[[], dict[str, object]]) -> None:
        """The status shows this exchange's clock from now on."""
        self._clocks[exchange] = status

    def watch_exchange(self, exchange: str, status: Callable[[], dict[str, object]]) -> None:
        """The status shows how this exchange is from now on."""
        self._exchanges[exchange] = status

    def watch_process(self, status: Callable[[], dict[str, object]]) -> None:
        """The status shows how the process is from now on."""
        self._process = status

    def use(self, core: Core) -> None:
        """The core whose books the status shows."""
        self._core = core

    def tap(self, events: tuple[Event, ...]) -> None:
        """Hear of a committed step."""
        self._tap(events)
        self.alerts.tap(events)
        for event in events:
            if isinstance(event, BarsClosed):
                self._last["bar"] = rfc3339(max(bar.close_ns for bar in event.bars))
                for bar in event.bars:
                    self._last_bars[bar.instrument.exchange] = bar.close_ns
            elif isinstance(event, FeedStale):
                self._stale.add(event.instrument)
            elif isinstance(event, FeedRecovered):
                self._stale.discard(event.instrument)
            elif isinstance(event, SignalEmitted):
                self._last["signal"] = f"{event.direction} {self._name(event.instrument)}"
            elif isinstance(event, PositionChanged):
                held = f"{plain(event.quantity)} {self._name(event.instrument)}"
                self._last["position"] = held
            elif isinstance(event, HealthSampled):
                self._health = event.status.value
            elif isinstance(event, SignalSuppressed | OrderDenied):
                self._not_traded[event.reason.value] += 1

    # --- the run's own lines --------------------------------------------------------------------

    def started(self) -> None:
        """The first line: who runs on what, with everything needed to do it again."""
        spec = self._spec
        answers = {
            name: {"rest": each.rest, "stream": each.stream, "key": each.key}
            for name, each in spec.endpoints().items()
        }
        symbols = self._settings.data.by_exchange
        ids = [InstrumentId(name, each) for name, named in symbols.items() for each in named]
        self.emit(
            "run.started",
            pid=os.getpid(),
            mode=spec.mode,
            market=market_name(spec.market),
            label=spec.label,
            symbols=list(names_of(ids).values()),
            timeframe=spec.timeframe,
            seed=spec.seed,
            edge=spec.edge,
            speed=spec.speed,
            bars=spec.bars,
            config_hash=spec.config_hash,
            state=str(self._settings.run.state_dir),
            exchange=answers.get(self._settings.data.exchange, NOTHING),
            exchanges={name: answers.get(name, NOTHING) for name in symbols} if spec.also else None,
            version=__version__,
        )

    def trained(self, manifest: Manifest) -> None:
        scored, control = manifest.out_of_sample, manifest.control
        self.emit(
            "model.trained",
            model=manifest.model_id,
            rows=manifest.train_rows,
            auc=round(scored.auc, 4),
            auc_low=round(scored.auc_low, 4),
            auc_high=round(scored.auc_high, 4),
            baseline_auc=round(scored.baseline_auc, 4),
            shuffled_auc=None if control is None else round(control.auc, 4),
            deflated_sharpe=round(manifest.net_return.deflated_sharpe, 4),
            edge_shown=manifest.edge_shown,
            failed=list(manifest.failed),
            verdict=manifest.verdict,
        )

    def exchange_started(self, exchange: str, endpoint: Endpoint) -> None:
        self.emit(
            "exchange.started",
            exchange=exchange,
            rest=endpoint.rest,
            stream=endpoint.stream,
            key=endpoint.key,
        )

    def ready(self) -> None:
        """Trading may begin; where a halt of an earlier life stands, that is said at once."""
        self._state = "running"
        if self._core is not None and self._core.risk.halted:
            halts = self._core.risk.halts
            fields = _in_words(halts)
            self.emit(
                "trading.state",
                state=halts.state.value,
                reasons=sorted(halts.in_force),
                since=fields["halted_since"],
                resume=RESUME_COMMAND,
            )
        self.notifier.ready(self._sentence())

    def stopping(self) -> None:
        self._state = "stopping"
        self.notifier.stopping()
        self.emit("daemon.stopping", reason="asked for by a signal")

    def finished(self, result: Mapping[str, object]) -> None:
        """The last line."""
        self._state = "stopped"
        self.write_status()
        self._finish(result)

    def show_finished(self, result: Mapping[str, object]) -> None:
        """A run that is over says again how it ended."""
        self.started()
        self._finish(result)

    def _finish(self, result: Mapping[str, object]) -> None:
        shown = {name: value for name, value in result.items() if name not in {"run", "is_closed"}}
        self.emit("run.finished", **{"label": self._spec.label, **shown})
        if sys.stdout.isatty():
            sys.stdout.write(ending(self._spec.label, result))

    # --- progress -------------------------------------------------------------------------------

    def state(self, text: str) -> None:
        self._state = text
        self.notifier.status(text)

    def progress(self, what: str, done: int, total: int, detail: str) -> None:
        """A bar at a terminal, else a log line per tenth; and more time to start from systemd."""
        self.notifier.status(f"{what}: {done} of {total} {detail}")
        self.notifier.extend_timeout(EXTEND_S)
        if self._is_terminal:
            self._draw(what, done, total, detail)
            return
        share = PROGRESS_SHARES * done // total if total else PROGRESS_SHARES
        key = f"{what} {detail}" if what == "history" else what
        if self._told.get(key) != share:
            self._told[key] = share
            name = "history.loading" if what == "history" else "model.training"
            self.emit(name, done=done, total=total, detail=detail)

    def _draw(self, what: str, done: int, total: int, detail: str) -> None:
        width = 20
        filled = width * done // total if total else width
        bar = "#" * filled + "." * (width - filled)
        ending = "\n" if done >= total else ""
        sys.stderr.write(f"\r{what:<9} [{bar}] {done}/{total} {detail:<16.16}{ending}")
        sys.stderr.flush()

    # --- status ---------------------------------------------------------------------------------

    def write_status(self) -> None:
        """The state of the last commit, for `tradingd status`."""
        self.notifier.status(self._sentence())
        self._file.write(self._status())

    def _sentence(self) -> str:
        book = None if self._core is None else self._core.book
        if book is None:
            return f"{self._spec.mode}: {self._state}"
        return (
            f"{self._spec.mode} {self._state}: equity {book.equity:.2f} {book.reporting}, "
            f"{book.round_trips} round trips, drawdown {book.drawdown_ratio:.2%}, {self._health}"
            f"{self._halted_in_short()}"
        )

    def _halted_in_short(self) -> str:
        halted = {} if self._core is None else self._core.risk.halted
        return f", HALTED ({', '.join(sorted(halted))})" if halted else ""

    def _status(self) -> dict[str, object]:
        core, world = self._core, self._world
        status: dict[str, object] = {
            "run": self._spec.run,
            "updated": rfc3339(WireClock().now_ns()),
            "state": self._state,
            "mode": self._spec.mode,
            "market": self._spec.market if world is None else world.label,
        }
        if core is None:
            return status
        book = core.book
        return status | {
            "trading": core.risk.halts.state.value,
            "halts": {reason.value: detail for reason, detail in core.risk.halted.items()},
            "training": training_in_words(core.retraining.open),
            **_in_words(core.risk.halts),
            **({"canary": canary} if (canary := core.risk.canary.status()) else {}),
            "currency": book.reporting,
            "equity_quote": plain(book.equity) if book.is_valued else None,
            "drawdown_ratio": round(book.drawdown_ratio, 6),
            "positions": positions_of(book),
            "dust": dust_of(book),
            "open_orders": [each.client_order_id for each in core.blotter.all_open()],
            "orders": core.blotter.intended_count,
            "fills": core.blotter.fill_count,
            "round_trips": book.round_trips,
            "health": self._health,
            "process": self._process(),
            "exchanges": {name: self._exchange(core, name) for name in self._exchanges},
            "clock": {name: watch() for name, watch in self._clocks.items()},
            "slippage": {
                self._name(each): told for each, told in slippage_told(core.costs).items()
            },
            "quarantined_today": {
                each.symbol: count for each, count in core.risk.distrust.counts().items()
            },
            "not_traded": dict(self._not_traded.most_common()),
            **self._last,
        }

    def _exchange(self, core: Core, name: str) -> dict[str, object]:
        """One exchange's own health: a feed that is stale or an exchange that is lost is its own
        affair.
        """
        last_ns = self._last_bars.get(name)
        return self._exchanges[name]() | {
            "stale": sorted(each.symbol for each in self._stale if each.exchange == name),
            "bar": None if last_ns is None else rfc3339(last_ns),
            "cash": {
                currency: plain(amount)
                for (exchange, currency), amount in core.book.cash.items()
                if exchange == name
            },
        }


def _in_words(halts: Halts) -> dict[str, object]:
    """For people who see no positions being opened: why, since when, and what ends it."""
    words: dict[str, object] = {}
    if halts.in_force:
        since = rfc3339(min(halts.since_ns.values()))
        why = "; ".join(f"{reason} ({detail})" for reason, detail in halts.in_force.items())
        words["halted_since"] = since
        words["halted"] = (
            f"no new positions since {since}: {why}. Exits go on. It is meant so, and stays so "
            f"over restarts until: {RESUME_COMMAND}"
        )
    if halts.probation.trades_left:
        words["probation_trades"] = halts.probation.trades_left
    return words


def ending(label: str, result: Mapping[str, object]) -> str:
    """What a person at a terminal wants to know when a run is over, one figure a line."""
    names = ("bars", "orders", "fills", "round_trips", "fees_quote", "pnl_quote", "equity_quote")
    units = dict.fromkeys(names[4:], f" {result['currency']}")
    lines = [f"  {name:<14} {result[name]}{units.get(name, '')}" for name in names]
    not_traded = {**as_counts(result["suppressed"]), **as_counts(result["denied"])}
    told = ", ".join(f"{reason} {count}" for reason, count in not_traded.items()) or "nothing"
    return "\n".join(
        ("", f"  {label}", *lines, f"  {'not traded':<14} {told}", f"  {result['verdict']}", "")
    )


def as_counts(value: object) -> dict[str, int]:
    """A field of reasons and counts, as read back from JSON."""
    return value if isinstance(value, dict) else {}


def _secrets(settings: Settings, world: World | None) -> list[str]:
    """Every text that must never be printed."""
    secrets = [*(credentials_of(settings) or ()), *secrets_of(settings.alerts)]
    sites = () if world is None else world.sites
    return secrets + [each.process.endpoint.secret for each in sites if each.process is not None]
