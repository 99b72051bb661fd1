"""What a run needs before its first decision: its history and a model that may be used on what
comes.

Belongs here: fetching and storing history, choosing a model, saying what one is to be trained on.
The process that trains it is in `training_process`.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING

from daemon.core.errors import ModelForeign, ModelRefused, TradingdError
from daemon.core.events import ModelActivated, Payoff
from daemon.core.jobs import CandidateJob, TrainingJob, TrainingSeries
from daemon.core.labels import rule_of
from daemon.core.manifests import Manifest, model_key
from daemon.core.timeframes import DAY_NS
from daemon.layers.inference.model import ActiveModel, Calibration
from daemon.layers.inference.predictors import COMPILED, Predictor, compiled
from daemon.layers.ingestion.history import History, load_history
from daemon.running.bar_keeper import keep_refused
from daemon.running.fine_bars import load_fine
from daemon.running.model_process import ModelProcess
from daemon.store.gaps import Gap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from daemon.config import Settings
    from daemon.core.bars import Bar
    from daemon.core.instruments import InstrumentId
    from daemon.layers.features.sets import FeatureSet
    from daemon.running.sites import Site, World
    from daemon.store.bars import BarStore
    from daemon.store.models import ModelRegistry

    Report = Callable[[str, int, int, str], None]

FETCHED_AT_ONCE = 8


async def load_bars(
    world: World,
    store: BarStore,
    *,
    timeframe_ns: int,
    fetched_ns: int,
    history_bars: int,
    keep: int,
    spike_scale: float,
    report: Report,
) -> tuple[Bar, ...]:
    """All bars before the first streamed slot into the store; returns the last `keep` of each
    instrument.

    Several instruments are fetched beside each other; how many requests may leave at once, and
    when, is the budget's to say.
    """
    newest: list[Bar] = []
    until_ns = world.first_open_ns
    since_ns = until_ns - history_bars * timeframe_ns
    wanted = list(world.each_instrument())
    at_once = asyncio.Semaphore(FETCHED_AT_ONCE)
    done_of: dict[InstrumentId, int] = {}

    def note(instrument: InstrumentId, done: int, total: int) -> None:
        done_of[instrument] = done
        what = world.names[instrument] if len(wanted) == 1 else f"{len(wanted)} symbols"
        report("history", sum(done_of.values()), total * len(wanted), what)

    async def load(site: Site, instrument: InstrumentId) -> None:
        async with at_once:
            history = await _fetched(
                site,
                store,
                instrument,
                fetched_ns=fetched_ns,
                timeframe_ns=timeframe_ns,
                since_ns=since_ns,
                until_ns=until_ns,
                spike_scale=spike_scale,
                progress=partial(note, instrument),
            )
            if not history.bars:
                name = world.names[instrument]
                msg = f"{name}: {site.market} has no bars before the first streamed one"
                raise TradingdError(msg)
            store.append(site.market_key, timeframe_ns, history.bars)
            keep_refused(store, site.market_key, fetched_ns, history.rejected)
            gaps = [Gap(each.first_open_ns, each.count, each.cause) for each in history.missed]
            store.add_gaps(site.market_key, instrument.symbol, timeframe_ns, gaps)
            newest.extend(history.bars[-keep:])

    tasks = [asyncio.ensure_future(load(site, each.id)) for site, each in wanted]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return tuple(sorted(newest, key=lambda bar: (bar.close_ns, bar.instrument)))


async def _fetched(
    site: Site,
    store: BarStore,
    instrument: InstrumentId,
    *,
    fetched_ns: int,
    timeframe_ns: int,
    since_ns: int,
    until_ns: int,
    spike_scale: float,
    progress: Callable[[int, int], None],
) -> History:
    """One instrument's history, as the exchange gives it or made of finer bars."""
    if fetched_ns == timeframe_ns:
        return await load_history(
            site.history_data,
            instrument,
            timeframe_ns=timeframe_ns,
            since_ns=since_ns,
            until_ns=until_ns,
            page_limit=site.page_limit,
            venue_sends_empty_bars=site.sends_empty_bars,
            spike_scale=spike_scale,
            progress=progress,
        )
    return await load_fine(
        site,
        store,
        instrument,
        fine_ns=fetched_ns,
        coarse_ns=timeframe_ns,
        since_ns=since_ns,
        until_ns=until_ns,
        spike_scale=spike_scale,
        progress=progress,
    )


def usable_model(
    registry: ModelRegistry,
    *,
    market: str,
    symbols: Sequence[str],
    settings: Settings,
    features: FeatureSet,
    first_close_ns: int,
) -> str | None:
    """Id of the market's active model, if it is what this configuration would train today.

    Not one that is too old or written by another version, nor one that has seen labels of bars that
    are still to come.
    """
    found = registry.active_for(
        model_key(market, symbols, settings.data.timeframe, features.fingerprint)
    )
    if found is None:
        return None
    try:
        manifest = registry.manifest(found)
    except ModelForeign:
        return None
    age_ns = first_close_ns - manifest.trained_through_ns
    wanted = training_settings(settings)
    is_alike = manifest.seed == settings.run.seed and all(
        manifest.settings.get(name) == value for name, value in wanted.items()
    )
    is_fresh = 0 <= age_ns <= max_age_ns(settings)
    return found if is_alike and is_fresh else None


def max_age_ns(settings: Settings) -> int:
    """How long after its last label a model may be used, in market time."""
    return round(settings.model.max_age_days * DAY_NS)


def load_model(
    registry: ModelRegistry, model_id: str, features: FeatureSet
) -> tuple[Manifest, ActiveModel]:
    """The verified model, ready to predict; ModelRefused when anything about it does not fit."""
    manifest, arrays = registry.load(model_id, feature_fingerprint=features.fingerprint)
    archive = None if manifest.kind in COMPILED else registry.archive(model_id)
    try:
        model = active_model(manifest, arrays, archive)
        model.require_features(features.fingerprint, features.names)
        model.check_probe(manifest.probes.rows, manifest.probes.probabilities)
    except ValueError as error:
        msg = f"model {model_id}: {error}"
        raise ModelRefused(msg) from error
    return manifest, model


def active_model(
    manifest: Manifest, arrays: dict[str, npt.NDArray[np.generic]], archive: bytes | None = None
) -> ActiveModel:
    """`archive` is needed where the kind has no compiled form: it is then served by a process."""
    table = manifest.calibration
    predictor: Predictor
    if manifest.kind in COMPILED:
        predictor = compiled(manifest.kind, arrays)
    else:
        assert archive is not None, "a model without a compiled form needs its archive"
        predictor = ModelProcess(archive, len(manifest.feature_set.names))
    return ActiveModel(
        model_id=manifest.model_id,
        feature_fingerprint=manifest.feature_set.fingerprint,
        feature_names=manifest.feature_set.names,
        predictor=predictor,
        calibration=Calibration(table.knots, table.probabilities, table.standard_errors),
    )


def activation(manifest: Manifest, ts_ns: int) -> ModelActivated:
    """The event that hands the model's promises to the layers."""
    up, down = manifest.payoffs.up, manifest.payoffs.down
    scored = manifest.out_of_sample
    return ModelActivated(
        ts_ns=ts_ns,
        model=manifest.model_id,
        feature_fingerprint=manifest.feature_set.fingerprint,
        feature_names=manifest.feature_set.names,
        horizon_bars=manifest.horizon_bars,
        trained_through_ns=manifest.trained_through_ns,
        long_payoff=Payoff(win_ratio=up.win_ratio, loss_ratio=up.loss_ratio, n=up.n),
        short_payoff=Payoff(win_ratio=down.win_ratio, loss_ratio=down.loss_ratio, n=down.n),
        auc=scored.auc,
        auc_low=scored.auc_low,
        auc_high=scored.auc_high,
        label=rule_of(manifest.settings),
    )


def training_settings(settings: Settings) -> dict[str, int | float | bool | str]:
    """What the configuration says about a training, by the names research uses."""
    return {
        "classifier": settings.model.classifier,
        "parameters": json.dumps(settings.model.parameters, sort_keys=True),
        "n_estimators": settings.model.trees,
        "max_depth": settings.model.depth,
        "min_samples_leaf": settings.model.min_leaf,
        "folds": settings.model.folds,
        "horizon_bars": settings.model.horizon_bars,
        "label": settings.model.label,
        "dead_zone_bps": settings.model.dead_zone_bps,
        "barrier_unit": settings.model.barrier_unit,
        "profit_barrier": settings.model.profit_barrier,
        "stop_barrier": settings.model.stop_barrier,
        "barrier_bars": settings.model.barrier_bars,
        "fee_bps": settings.execution.fee_bps,
        "slippage_bps": settings.execution.slippage_bps,
        "confidence_min_ratio": settings.signal.confidence_min_ratio,
        "cost_margin_bps": settings.signal.cost_margin_bps,
        "allow_short": settings.signal.allow_short,
        "psi_window": settings.health.window_outcomes,
        "zero_volume": settings.data.zero_volume,
    }


def training_job(
    settings: Settings,
    features: FeatureSet,
    *,
    bars_db: Path,
    registry: Path,
    market: str,
    series: Sequence[TrainingSeries],
    since_ns: int,
    until_ns: int,
    created_ns: int,
    candidate: CandidateJob | None = None,
) -> TrainingJob:
    return TrainingJob(
        bars_db=str(bars_db),
        registry=str(registry),
        market=market,
        series=tuple(series),
        timeframe=settings.data.timeframe,
        features=features.told(),
        features_file=settings.features.file,
        since_ns=since_ns,
        until_ns=until_ns,
        settings=training_settings(settings),
        seed=settings.run.seed,
        created_ns=created_ns,
        cache_megabytes=settings.store.cache_megabytes,
        candidate=candidate,
    )
