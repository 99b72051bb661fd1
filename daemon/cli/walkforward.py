"""`tradingd walkforward`: recorded bars in, what a model would have known about them out.

Belongs here: options, the table and the measured time. The walk-forward belongs to `research`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.bars.files import believed_rows
from daemon.cli.markets import timeframes_of
from daemon.cli.output import progress, show
from daemon.cli.running import config_path
from daemon.config import load
from daemon.core.errors import UsageRefused
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import timeframe_ns
from daemon.feature_config import feature_set_of
from daemon.running.models.training_jobs import training_settings
from daemon.store.joining import joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from daemon.config import Settings
    from daemon.store.recordings import Row


class WalkRequest(Struct, frozen=True, kw_only=True):
    """What was typed; None leaves the configuration's own value."""

    data: tuple[Path, ...]
    symbol: str | None
    folds: int | None
    horizon: int | None
    fee_bps: float | None
    seed: int | None
    trials: int
    depths: tuple[int, ...]  # of the candidates; none leaves the configuration's own


def run_walkforward(request: WalkRequest, config: Path | None, *, as_json: bool) -> int:
    """Exit 0 whether an edge is shown or not: that none is shown is a result."""
    from daemon.research.settings import TrainingSettings
    from daemon.research.walking import load_libraries, series_of_rows, walk_recorded

    if not request.data:
        raise UsageRefused("walkforward needs at least one recording: --data FILE")
    started_s = time.process_time()
    try:
        recorded, rows = joined(request.data)
    except ValueError as error:
        raise UsageRefused(str(error)) from error
    settings = _settings(request, config, recorded)
    rows, quarantined = _believed(settings, rows)
    read_s = time.process_time() - started_s
    series = series_of_rows(settings.data.symbols[0], rows, timeframe_ns(settings.data.timeframe))
    load_libraries()
    started_s = time.process_time()
    told: dict[str, Any] = {**training_settings(settings), "trials": request.trials}
    depths = dict.fromkeys(request.depths or (settings.model.depth,))
    candidates = [TrainingSettings(**{**told, "max_depth": depth}) for depth in depths]
    fields, fit_cpu_s = walk_recorded(
        series,
        feature_set_of(settings),
        candidates,
        seed=settings.run.seed,
        progress=lambda done, total, what: progress(what, done, total),
    )
    other_cpu_s = read_s + time.process_time() - started_s - fit_cpu_s
    result = {
        "timeframe": settings.data.timeframe,
        **fields,
        "quarantined": quarantined,
        "fit_cpu_s": round(fit_cpu_s, 3),
        "other_cpu_s": round(other_cpu_s, 3),
    }
    show(result, _table(result), as_json=as_json)
    return 0


def _believed(settings: Settings, rows: list[Row]) -> tuple[list[Row], int]:
    """The rows a live feed would believe, and how many are holes instead, which is said."""
    symbol, length_ns = settings.data.symbols[0], timeframe_ns(settings.data.timeframe)
    kept, quarantined = believed_rows(
        rows,
        InstrumentId(settings.data.exchange, symbol),
        length_ns,
        spike_scale=settings.data.spike_scale,
    )
    if not kept:
        msg = f"not one of {len(rows)} bars is believed; see tradingd data verify"
        raise UsageRefused(msg)
    if quarantined:
        sys.stderr.write(
            f"{quarantined} of {len(rows)} bars are hard to believe and left out as holes; "
            "see tradingd data verify\n"
        )
    return kept, quarantined


def _settings(request: WalkRequest, config: Path | None, recorded: str) -> Settings:
    overrides: dict[str, object] = {
        "data.exchange": "embedded",
        "data.symbols": None if request.symbol is None else (request.symbol,),
        "model.folds": request.folds,
        "model.horizon_bars": request.horizon,
        "execution.fee_bps": request.fee_bps,
        "run.seed": request.seed,
    }
    settings = load(config_path(config), overrides)
    overrides |= timeframes_of(request.data[0], recorded, settings)
    return load(config_path(config), overrides)


def _table(result: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"{result['symbol']}  {result['bars']} bars of {result['timeframe']}, "
        f"{result['from'][:10]} to {result['until'][:10]}, "
        f"{result['horizon_bars']} ahead by {result['label']}; "
        f"{result['fee_bps']:g} bps fee and {result['slippage_bps']:g} bps slippage a side"
    )
    yield ""
    yield "fold  from        until            n    AUC  95 % interval    -last return"
    for number, fold in enumerate(result["folds"], 1):
        yield (
            f"{number:>4}  {fold['from'][:10]}  {fold['until'][:10]}  {fold['n']:>7}  "
            f"{_area(fold['auc'])}  {_area(fold['auc_low'])} to {_area(fold['auc_high'])}"
            f"           {_area(fold['baseline_auc'])}"
        )
    yield (
        f" all  mean of the folds {_area(result['mean_auc'])}  {result['n']:>7}  "
        f"{_area(result['auc'])}  {_area(result['auc_low'])} to {_area(result['auc_high'])}"
        f"           {_area(result['baseline_auc'])}"
    )
    yield ""
    yield from _lines(result)
    yield ""
    yield "said to rise  rose     n"
    for one in result["reliability"]:
        yield f"{one['said']:>12.3f}  {one['rose']:.3f}  {one['n']:>6}"
    yield ""
    yield result["verdict"]


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"above -last return   {result['auc_gap']:+.4f}  "
        f"({result['auc_gap_low']:+.4f} to {result['auc_gap_high']:+.4f})"
    )
    if len(result["candidates"]) > 1:
        depths = ", ".join(str(one["depth"]) for one in result["candidates"])
        luck = result["overfitting_probability"]
        told = "none of them traded" if luck is None else f"{luck:.2f} likely to be luck alone"
        yield f"best of candidates   depth {result['depth']} of {depths}; {told}"
    if result["shuffled_auc"] is not None:
        band = 2.0 * result["shuffled_standard_error"]
        yield f"shuffled outcomes    {result['shuffled_auc']:.3f}  (0.5 ± {band:.3f})"
    yield (
        f"net return           {result['net_return_ratio']:+.4f}  ({result['net_low']:+.4f} to "
        f"{result['net_high']:+.4f})  of {result['entries']} trades over "
        f"{result['traded_bars']} bars, not compounded"
    )
    yield (
        f"Sharpe ratio a year  {result['sharpe']:+.2f}  ({result['sharpe_low']:+.2f} to "
        f"{result['sharpe_high']:+.2f}), {result['deflated_sharpe']:.3f} sure "
        f"after {result['trials']} trial{'' if result['trials'] == 1 else 's'}"
    )
    yield (
        f"Brier score          {result['brier']:.4f}  (always the base rate: "
        f"{result['brier_base_rate']:.4f})"
    )
    yield (
        f"CPU                  {result['fit_cpu_s']:.1f} s growing trees, "
        f"{result['other_cpu_s']:.1f} s all else, imports apart"
    )


def _area(value: float | None) -> str:
    return "    -" if value is None else f"{value:.3f}"
