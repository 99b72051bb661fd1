"""A backtest from start to end: bars from a file or the store, models as they would have been, and
a summary.

Belongs here: wiring research to the core. The simulation belongs to `research.backtest`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from daemon.app import DAY_NS, Core, build_core
from daemon.boot import activation, active_model, load_model, training_settings
from daemon.config import config_hash
from daemon.core.bars import Bar, BarSource
from daemon.core.book import shares
from daemon.core.errors import UsageRefused
from daemon.core.events import AccountOpened, HistoryLoaded, Reconciled, RunOpened
from daemon.core.instruments import Instrument, InstrumentId, names_of
from daemon.core.timeframes import NS_PER_MS, parse_time, rfc3339, timeframe_ns
from daemon.feature_config import feature_set_of
from daemon.layers.ingestion.aggregation import Aggregation, aggregated
from daemon.research.backtest import SimulatedVenue, replay, series_of
from daemon.store.bars import BarStore
from daemon.store.journal_reader import JournalReader
from daemon.store.models import ModelRegistry
from daemon.store.runs import LAST, resolve
from daemon.summary import summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from daemon.config import Settings
    from daemon.core.events import Event, Input
    from daemon.core.manifests import Manifest
    from daemon.layers.features.sets import FeatureSet
    from daemon.layers.inference.model import ActiveModel

    Say = Callable[[str, int, int], None]

EXCHANGE = "embedded"


class Recorded(Struct, frozen=True, kw_only=True):
    """Bars to test on, oldest first, and the rules of their instruments."""

    market: str
    bars: tuple[Bar, ...]
    instruments: tuple[Instrument, ...]


def backtest(
    settings: Settings, data: Sequence[Path], *, model: str | None, start: str | None, say: Say
) -> dict[str, object]:
    """The fields of `run.finished` for these bars, with `models` added; UsageRefused for too few
    bars.

    Without `model`, one is trained on the training window before the first bar and again whenever
    it is as old as `model.max_age_days`, each on bars that had closed by then.
    """
    recorded = _recorded(settings, data)
    length_ns = timeframe_ns(settings.data.timeframe)
    first_ns = _first_close(settings, recorded, start, length_ns)
    warm = [bar for bar in recorded.bars if bar.close_ns < first_ns]
    rest = [bar for bar in recorded.bars if bar.close_ns >= first_ns]
    if not rest or not warm:
        msg = f"{recorded.market}: no bars to test on after {rfc3339(first_ns)}"
        raise UsageRefused(msg)
    features = feature_set_of(settings)
    core = build_core(settings, features, None, [each.id for each in recorded.instruments])
    models = _Models(settings, features, core, recorded, model, say)
    venue = SimulatedVenue(
        instruments={each.id: each for each in recorded.instruments},
        fee_ratio=_ratio(settings.execution.fee_bps),
        slippage_ratio=_ratio(settings.execution.slippage_bps),
    )

    def events() -> Iterator[Event]:
        yield from core.pipeline.step(_opened(settings, recorded, first_ns - length_ns)).events
        newest = [
            bar for bar in warm if bar.close_ns > first_ns - (features.lookback + 1) * length_ns
        ]
        yield from core.pipeline.step(
            HistoryLoaded(ts_ns=first_ns - length_ns, bars=tuple(newest))
        ).events
        yield from core.pipeline.step(Reconciled(ts_ns=first_ns - length_ns, is_clean=True)).events
        yield from replay(
            core.pipeline,
            venue,
            rest,
            timeframe_ns=length_ns,
            sample_every_bars=settings.health.sample_every_bars,
            before_slot=models.due,
        )

    result = summarise(events(), lookback=features.lookback)
    return {
        **result,
        "models": models.used,
        "from": rfc3339(first_ns),
        "until": rfc3339(rest[-1].close_ns),
    }


def _recorded(settings: Settings, data: Sequence[Path]) -> Recorded:
    return _from_files(settings, data) if data else _from_store(settings)


def _from_files(settings: Settings, data: Sequence[Path]) -> Recorded:
    from daemon.embedded.recorded import RecordedMarket
    from daemon.store.recordings import read_recording

    symbol = settings.data.symbols[0]
    length_ms = timeframe_ns(settings.data.fetched_timeframe) // NS_PER_MS
    try:
        rows = sorted(row for path in data for row in read_recording(path))
        market = RecordedMarket({symbol: rows}, timeframe_ms=length_ms, name=data[0].name)
    except ValueError as error:
        raise UsageRefused(str(error)) from error
    ((symbol_id, rules),) = market.symbols.items()
    found = market.bars(symbol_id, market.first_open_ms, rows[-1][0], len(rows))
    instrument = Instrument(
        id=InstrumentId(EXCHANGE, symbol),
        base=rules.base,
        quote=rules.quote,
        tick=rules.tick,
        lot=rules.lot,
        minimum_quantity=rules.minimum_quantity,
        minimum_notional=rules.minimum_notional,
    )
    bars = tuple(
        Bar(
            instrument=instrument.id,
            open_ns=each.open_ms * NS_PER_MS,
            close_ns=(each.open_ms + length_ms) * NS_PER_MS,
            open=float(each.open),
            high=float(each.high),
            low=float(each.low),
            close=float(each.close),
            volume=float(each.volume),
            received_ns=(each.open_ms + length_ms) * NS_PER_MS,
            source=BarSource.RECORDING,
        )
        for each in found
    )
    return Recorded(
        market=f"replay-{market.fingerprint}",
        bars=_decided_on(settings, bars),
        instruments=(instrument,),
    )


def _decided_on(settings: Settings, bars: tuple[Bar, ...]) -> tuple[Bar, ...]:
    """The bars of the timeframe decided on; a part that the recording lacks spoils its bar."""
    if settings.data.parts_per_bar == 1:
        return bars
    made = Aggregation(
        bars[0].instrument,
        fine_ns=timeframe_ns(settings.data.fetched_timeframe),
        coarse_ns=timeframe_ns(settings.data.timeframe),
        from_ns=None,
    )
    return tuple(aggregated(made, bars, ())[0])


def _from_store(settings: Settings) -> Recorded:
    """The bars of the newest run's market, with the instruments it traded."""
    state_dir = settings.run.state_dir
    paths = resolve(state_dir, LAST)
    opened = JournalReader.open(paths.journal).latest(RunOpened)
    if opened is None:
        msg = f"run {paths.run} never opened, so its market is not known; name a file with --data"
        raise UsageRefused(msg)
    store = BarStore.open(paths.bars, read_only=True)
    try:
        bars = [
            bar
            for instrument in opened.instruments
            for bar in store.read(
                opened.account_on(instrument.id.exchange).market_key,
                instrument.id,
                opened.timeframe_ns,
            )
        ]
    finally:
        store.close()
    bars.sort(key=lambda bar: (bar.close_ns, bar.instrument))
    return Recorded(
        market="+".join(sorted(each.market_key for each in opened.each_account())),
        bars=tuple(msgspec.structs.replace(bar, received_ns=bar.close_ns) for bar in bars),
        instruments=opened.instruments,
    )


class _Models:
    """Gives the pipeline the model it would have had, and remembers which were used."""

    def __init__(  # noqa: PLR0917  # private, made in one place
        self,
        settings: Settings,
        features: FeatureSet,
        core: Core,
        recorded: Recorded,
        model_id: str | None,
        say: Say,
    ) -> None:
        self._settings = settings
        self._features = features
        self._core = core
        self._recorded = recorded
        self._fixed = model_id
        self._say = say
        self._length_ns = timeframe_ns(settings.data.timeframe)
        self._max_age_ns = round(settings.model.max_age_days * DAY_NS)
        self._trained_through_ns: int | None = None
        self.used: list[str] = []

    def due(self, close_ns: int) -> list[Input]:
        """The activation to take before the slot that closes at `close_ns`, if one is due."""
        through_ns = self._trained_through_ns
        if through_ns is not None:
            is_old = close_ns - through_ns > self._max_age_ns
            if self._fixed is not None or not is_old:
                return []
        manifest, model = self._next(close_ns - self._length_ns)
        if manifest.trained_through_ns >= close_ns:
            msg = (
                f"model {manifest.model_id} was trained through "
                f"{rfc3339(manifest.trained_through_ns)}: it has seen what it would be tested on"
            )
            raise UsageRefused(msg)
        self._trained_through_ns = manifest.trained_through_ns
        self.used.append(manifest.model_id)
        self._core.inference.use_model(model)
        self._core.monitoring.use_references(
            manifest.model_id, manifest.reference, manifest.reference_probability
        )
        return [activation(manifest, close_ns - self._length_ns)]

    def _next(self, now_ns: int) -> tuple[Manifest, ActiveModel]:
        if self._fixed is not None:
            registry = ModelRegistry(self._settings.run.state_dir / "models")
            return load_model(registry, self._fixed, self._features)
        from daemon.research.training import TrainingSettings, train

        since_ns = now_ns - self._settings.data.history_bars * self._length_ns
        names = names_of(each.id for each in self._recorded.instruments)
        series = []
        for instrument in self._recorded.instruments:
            bars = [
                bar
                for bar in self._recorded.bars
                if bar.instrument == instrument.id
                and since_ns <= bar.open_ns
                and bar.close_ns <= now_ns
            ]
            series.append(series_of(names[instrument.id], bars, self._length_ns))
        trained = train(
            series,
            self._features,
            TrainingSettings(**training_settings(self._settings)),  # type: ignore[arg-type]
            seed=self._settings.run.seed,
            market=self._recorded.market,
            timeframe=self._settings.data.timeframe,
            progress=lambda done, total, _what: self._say(
                f"model {len(self.used) + 1}", done, total
            ),
        )
        return trained.manifest, active_model(trained.manifest, dict(trained.arrays))


def _first_close(settings: Settings, recorded: Recorded, start: str | None, length_ns: int) -> int:
    if start is not None:
        return parse_time(start) + length_ns
    return recorded.bars[0].open_ns + (settings.data.history_bars + 1) * length_ns


def _accounts(settings: Settings, recorded: Recorded) -> tuple[AccountOpened, ...]:
    """Equal shares of the capital where the bars are of several exchanges."""
    exchanges = sorted({each.id.exchange for each in recorded.instruments})
    capital = settings.risk.allotted_quote
    divided = shares(capital, dict.fromkeys(exchanges, capital))
    return tuple(
        AccountOpened(
            exchange=exchange,
            market=recorded.market,
            market_key=recorded.market,
            account="backtest",
            allotted_quote=divided[exchange],
            balances=(),
        )
        for exchange in exchanges
    )


def _opened(settings: Settings, recorded: Recorded, ts_ns: int) -> RunOpened:
    accounts = _accounts(settings, recorded)
    return RunOpened(
        ts_ns=ts_ns,
        run="backtest",
        bot=settings.run.name,
        mode="backtest",
        market=recorded.market,
        market_key=recorded.market,
        account="backtest",
        timeframe=settings.data.timeframe,
        timeframe_ns=timeframe_ns(settings.data.timeframe),
        instruments=recorded.instruments,
        allotted_quote=settings.risk.allotted_quote,
        balances=(),
        config_hash=config_hash(settings),
        first_open_ns=ts_ns,
        end_ns=None,
        accounts=accounts if len(accounts) > 1 else (),
    )


def _ratio(bps: float) -> Decimal:
    return Decimal(repr(bps)) / 10_000
