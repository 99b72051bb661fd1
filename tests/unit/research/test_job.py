"""A training's job: which bars it reads, and where what it made stands afterwards."""

from pathlib import Path

import numpy as np
import pytest

from daemon.config import load
from daemon.core.bars import Bar, BarSource, MissCause
from daemon.core.instruments import InstrumentId
from daemon.core.jobs import CandidateJob, TrainingJob, TrainingSeries
from daemon.feature_config import feature_set_of
from daemon.research.datasets import labelled_rows
from daemon.research.job import read_series, run
from daemon.research.series import Series
from daemon.running.models.training_jobs import training_job
from daemon.store.bars import BarStore
from daemon.store.gaps import Gap
from daemon.store.models import ModelRegistry, ModelState
from daemon.store.quarantine import Quarantine, Quarantined
from tests.unit.research.markets import HOUR_NS, START_NS, a_market_with_edge, a_random_walk

MARKET = "synthetic"
BTC = InstrumentId("embedded", "A/Q")
SMALL = {"model.trees": 12, "model.folds": 3, "store.cache_megabytes": 0}


def kept(folder: Path, series: Series, *, without: range = range(0)) -> BarStore:
    store = BarStore.open(folder / "bars.db")
    bars = [
        Bar(
            instrument=BTC,
            open_ns=open_ns,
            close_ns=open_ns + HOUR_NS,
            **dict(zip(("open", "high", "low", "close", "volume"), numbers, strict=True)),
            received_ns=open_ns + HOUR_NS,
            source=BarSource.STREAM,
        )
        for row, (open_ns, numbers) in enumerate(
            zip(series.open_ns.tolist(), series.ohlcv.tolist(), strict=True)
        )
        if row not in without
    ]
    store.append(MARKET, HOUR_NS, bars)
    return store


def a_job(folder: Path, *, until_bar: int, candidate: CandidateJob | None = None) -> TrainingJob:
    settings = load(None, dict(SMALL), {})
    return training_job(
        settings,
        feature_set_of(settings),
        bars_db=folder / "bars.db",
        registry=folder / "models",
        market=MARKET,
        series=(TrainingSeries(MARKET, "A/Q", "A/Q"),),
        since_ns=0,
        until_ns=START_NS + until_bar * HOUR_NS,
        created_ns=0,
        candidate=candidate,
    )


def test_bars_that_had_not_closed_when_it_was_asked_for_are_not_read(tmp_path: Path) -> None:
    market = a_random_walk(500, 1)
    kept(tmp_path, market).close()

    (series,) = read_series(a_job(tmp_path, until_bar=400))

    assert series.close_ns[-1] == START_NS + 400 * HOUR_NS
    assert np.array_equal(series.ohlcv, market.ohlcv[:400])


def test_between_two_closes_the_bar_that_is_under_way_is_not_read(tmp_path: Path) -> None:
    kept(tmp_path, a_random_walk(500, 1)).close()
    job = a_job(tmp_path, until_bar=400)
    told = TrainingJob(**{
        name: getattr(job, name) for name in job.__struct_fields__ if name != "until_ns"
    }, until_ns=job.until_ns + HOUR_NS // 2)  # fmt: skip

    (series,) = read_series(told)

    assert series.close_ns[-1] == START_NS + 400 * HOUR_NS


@pytest.mark.parametrize("cause", [MissCause.OUTAGE, MissCause.QUARANTINED])
def test_what_was_not_seen_or_not_believed_is_a_hole_that_nothing_reaches_across(
    tmp_path: Path, cause: MissCause
) -> None:
    market, hole = a_random_walk(500, 1), range(300, 304)
    store = kept(tmp_path, market, without=hole)
    first_ns = START_NS + hole.start * HOUR_NS
    store.add_gaps(MARKET, "A/Q", HOUR_NS, [Gap(first_ns, len(hole), cause)])
    Quarantine(store).add(
        [
            Quarantined(
                market=MARKET,
                symbol="A/Q",
                timeframe_ns=HOUR_NS,
                open_ns=first_ns,
                reason="spike",
                detail="",
                raw="[]",
                source="stream",
                origin="embedded",
                seen_ns=first_ns + HOUR_NS,
            )
        ]
    )
    store.close()
    job = a_job(tmp_path, until_bar=500)

    (series,) = read_series(job)

    features = feature_set_of(load(None, dict(SMALL), {}))
    decided = labelled_rows([series], features, horizon_bars=1).decided_ns
    slots = set(((decided - START_NS) // HOUR_NS - 1).tolist())  # of the deciding bars
    assert len(series.open_ns) == 496
    assert not slots & set(range(hole.start - 1, hole.stop + features.lookback - 1))
    assert {hole.start - 2, hole.stop + features.lookback - 1} <= slots


CANDIDATE = CandidateJob(windows_bars=(900,), held_out_bars=500, held_out_folds=5)


def test_a_candidate_that_passes_waits_for_whoever_compares(tmp_path: Path) -> None:
    kept(tmp_path, a_market_with_edge(1_500, 1, strength=0.9)).close()

    model = run(a_job(tmp_path, until_bar=1_500, candidate=CANDIDATE))

    registry = ModelRegistry(tmp_path / "models")
    assert registry.manifest(model).edge_shown
    assert [each.state for each in registry.list()] == [ModelState.CANDIDATE]


def test_a_candidate_that_does_not_pass_is_kept_as_refused_with_its_sentence(
    tmp_path: Path,
) -> None:
    kept(tmp_path, a_random_walk(1_500, 1)).close()

    model = run(a_job(tmp_path, until_bar=1_500, candidate=CANDIDATE))

    registry = ModelRegistry(tmp_path / "models")
    assert registry.manifest(model).verdict.startswith("No edge shown")
    assert [each.state for each in registry.list()] == [ModelState.REFUSED]


def test_what_a_start_trains_is_used_whatever_its_verdict(tmp_path: Path) -> None:
    kept(tmp_path, a_random_walk(1_000, 1)).close()

    run(a_job(tmp_path, until_bar=1_000))

    states = [each.state for each in ModelRegistry(tmp_path / "models").list()]
    assert states == [ModelState.ACTIVE]
