"""A backtest from start to end: recorded bars through the core into a run like any other.

Belongs here: wiring research to the core, and keeping what came of it. Bars come from
`tested_bars`, models from `models`, fills from `research.simulated_venue`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.app import build_core
from daemon.backtests.models import Models
from daemon.backtests.tested_bars import recorded_bars
from daemon.config import config_hash
from daemon.core.errors import UsageRefused
from daemon.core.events import AccountOpened, HistoryLoaded, Reconciled, RunClosed, RunOpened
from daemon.core.timeframes import NS_PER_MS, parse_time, rfc3339, timeframe_ns
from daemon.feature_config import bars_needed, feature_set_of
from daemon.research.backtest import replay
from daemon.research.simulated_venue import FillModel, SimulatedVenue
from daemon.research.swap_desk import SwapTerms
from daemon.running.opening import as_balances, divide, in_currency
from daemon.running.summary import summarise
from daemon.store.journal import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from daemon.backtests.tested_bars import Recorded
    from daemon.config import Settings
    from daemon.core.events import Event

    Say = Callable[[str, int, int], None]
    Steps = Iterator[tuple[Event, ...]]

MODE = "backtest"


class Backtest:
    """One backtest of these settings, on files by symbol or on the bars of the newest run's market.

    Without `model`, one is trained on the training window before the first bar and again whenever
    it is as old as `model.max_age_days`, each on bars that had closed by then. `funding` has the
    rates of swaps by symbol and time. UsageRefused where the bars do not reach.
    """

    def __init__(
        self,
        settings: Settings,
        files: Mapping[str, Sequence[Path]],
        *,
        model: str | None,
        start: str | None,
        say: Say,
        funding: Mapping[str, Mapping[int, Decimal]] | None = None,
    ) -> None:
        self._settings = settings
        self._funding = funding or {}
        self._say = say
        self._length_ns = timeframe_ns(settings.data.timeframe)
        self.recorded = recorded_bars(settings, files)
        bars = self.recorded.bars
        self.first_ns = _first_close(settings, self.recorded, start, self._length_ns)
        self._warm = [bar for bar in bars if bar.close_ns < self.first_ns]
        self._rest = [bar for bar in bars if bar.close_ns >= self.first_ns]
        if not self._rest or not self._warm:
            msg = f"{self.recorded.name}: no bars to test on after {rfc3339(self.first_ns)}"
            raise UsageRefused(msg)
        self.until_ns = self._rest[-1].close_ns
        self._features = feature_set_of(settings)
        ids = [each.id for each in self.recorded.instruments]
        self._core = build_core(settings, self._features, None, ids)
        self._models = Models(settings, self._features, self._core, self.recorded, model, say)

    def run(self, journal: Path) -> dict[str, object]:
        """The fields of `run.finished` and more; every step stands in `journal`, made anew.

        The same settings and bars give the same journal, byte for byte; `journal_chain` is the hash
        its last row ends with.
        """
        with write_whole(journal) as writer:
            result = summarise(
                (event for step in self._steps() for event in writer.keep(step)),
                lookback=self._features.lookback,
            )
        return {
            **result,
            "models": self._models.used,
            "quarantined": self.recorded.quarantined,
            "from": rfc3339(self.first_ns),
            "until": rfc3339(self.until_ns),
            "journal_chain": writer.chain.hex(),
        }

    def _steps(self) -> Steps:
        core, length_ns = self._core, self._length_ns
        before_ns = self.first_ns - length_ns
        kept = bars_needed(self._settings, self._features)
        keep_ns = self.first_ns - (kept + 1) * length_ns
        newest = tuple(bar for bar in self._warm if bar.close_ns > keep_ns)
        yield core.pipeline.step(self._opened(before_ns)).events
        yield core.pipeline.step(HistoryLoaded(ts_ns=before_ns, bars=newest)).events
        yield core.pipeline.step(Reconciled(ts_ns=before_ns, is_clean=True)).events
        slots = (self.until_ns - self.first_ns) // length_ns + 1
        yield from replay(
            core.pipeline,
            self._venue(),
            self._rest,
            timeframe_ns=length_ns,
            sample_every_bars=self._settings.health.sample_every_bars,
            before_slot=self._models.due,
            progress=lambda done: self._say("backtest", done, slots),
        )
        yield core.pipeline.step(RunClosed(ts_ns=self.until_ns)).events

    def _venue(self) -> SimulatedVenue:
        costs, simulated = self._settings.execution, self._settings.backtest
        return SimulatedVenue(
            {each.id: each for each in self.recorded.instruments},
            {(bar.instrument, bar.open_ns): bar for bar in self._rest},
            self._length_ns,
            FillModel(
                fee_bps=Decimal(repr(costs.fee_bps)),
                spread_bps=Decimal(repr(simulated.spread_bps)),
                slippage_bps=Decimal(repr(costs.slippage_bps)),
                depth_ratio=Decimal(repr(simulated.depth_ratio)),
                participation_max_ratio=Decimal(repr(simulated.participation_max_ratio)),
                latency_ns=costs.paper_latency_ms * NS_PER_MS,
            ),
            cash={
                (each.exchange, balance.currency): balance.total
                for each in _accounts(self._settings, self.recorded)
                for balance in each.allotted
            },
            terms=SwapTerms(
                leverage=Decimal(repr(self._settings.risk.max_leverage)),
                maintenance_ratio=Decimal(repr(self._settings.risk.maintenance_margin_ratio)),
                funding_ratio=Decimal(repr(simulated.funding_bps)) / 10_000,
                rates=self._funding,
            ),
        )

    def _opened(self, ts_ns: int) -> RunOpened:
        settings, recorded = self._settings, self.recorded
        accounts = _accounts(settings, recorded)
        return RunOpened(
            ts_ns=ts_ns,
            run=MODE,
            bot=settings.run.name,
            mode=MODE,
            market=recorded.name,
            market_key=recorded.market,
            account=MODE,
            timeframe=settings.data.timeframe,
            timeframe_ns=self._length_ns,
            instruments=recorded.instruments,
            allotted_quote=settings.allotted.get(settings.reporting_currency, Decimal(0)),
            balances=(),
            config_hash=config_hash(settings),
            first_open_ns=ts_ns,
            end_ns=None,
            accounts=accounts if len(accounts) > 1 else (),
            reporting_currency=settings.reporting_currency,
            leverage=Decimal(repr(settings.risk.max_leverage)),
            allotted=as_balances(settings.allotted),
        )


def _accounts(settings: Settings, recorded: Recorded) -> tuple[AccountOpened, ...]:
    """Equal shares of the capital where the bars are of several exchanges."""
    places = {(each.id.exchange, each.quote): each for each in recorded.instruments}
    held = {place: settings.allotted.get(place[1], Decimal(0)) for place in sorted(places)}
    divided = divide(settings.allotted, held)
    return tuple(
        AccountOpened(
            exchange=exchange,
            market=recorded.name,
            market_key=recorded.market,
            account=MODE,
            allotted_quote=in_currency(divided[exchange], settings.reporting_currency),
            balances=(),
            allotted=divided[exchange],
        )
        for exchange in sorted(divided)
    )


def _first_close(settings: Settings, recorded: Recorded, start: str | None, length_ns: int) -> int:
    if start is not None:
        return parse_time(start) + length_ns
    return recorded.bars[0].open_ns + (settings.data.history_bars + 1) * length_ns
