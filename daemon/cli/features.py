"""`tradingd check-features`: proves a feature set on recorded bars, or shows the first thing wrong.

Belongs here: which bars and which features are meant, and printing what came of it. What is tried
belongs to `research.feature_checks`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.cli.output import pairs, progress, show
from daemon.cli.running import config_path
from daemon.config import load
from daemon.core.bars import ZeroVolume
from daemon.core.errors import CheckFailed, UsageRefused
from daemon.core.timeframes import bars_per_year, timeframe_ns
from daemon.feature_config import feature_set_of
from daemon.layers.features.registry import FeatureRefused, kernel_named
from daemon.layers.features.sets import FeatureSet, declare
from daemon.research.feature_checks import check_features
from daemon.research.feature_files import kernels_with, own_kernels
from daemon.research.series import series_of_rows
from daemon.store.recordings import read_recording, timeframe_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.config import Settings
    from daemon.research.feature_checks import Checked
    from daemon.research.series import Series
    from daemon.store.recordings import Row

NAMED = re.compile(r"([^/=\s]+/[^/=\s]+)=(.+)")


def check(features: str | None, data: Sequence[str], config: Path | None, *, as_json: bool) -> int:
    """Exit 0 when nothing is wrong, 4 with the first offending feature and bar."""
    if not data:
        raise UsageRefused("check-features needs bars: --data FILE, or --data ETH/USDT=FILE")
    settings = load(config_path(config), {})
    files = _files(data, settings.data.symbols[0])
    rows = {symbol: [row for path in paths for row in _read(path)] for symbol, paths in files}
    timeframe = _timeframe({symbol: sorted(each) for symbol, each in rows.items()})
    settings = load(config_path(config), {"data.timeframe": timeframe})
    series = [_series(symbol, each, timeframe) for symbol, each in rows.items()]
    made = _declared(features, timeframe, series) if features else feature_set_of(settings)
    checked = _checked(made, series, settings)
    result: dict[str, object] = {
        "sound": checked.finding is None,
        "set": made.name,
        "features": len(made.features),
        "lookback_bars": made.lookback,
        "bars": {one.symbol: len(one.open_ns) for one in series},
        "timeframe": timeframe,
        "compared": checked.compared,
    }
    if checked.finding is None:
        result["fingerprint"] = made.fingerprint
        show(result, ["every feature is sound", *pairs(result, indent="  ")], as_json=as_json)
        return 0
    told = checked.finding.told()
    result["first_finding"] = told
    lines = [f"{told['feature']} {told['what']}", *pairs(told, indent="  ")]
    show(result, lines, as_json=as_json)
    return CheckFailed.exit_code


def _checked(made: FeatureSet, series: Sequence[Series], settings: Settings) -> Checked:
    try:
        return check_features(
            made,
            series,
            zero_volume=ZeroVolume(settings.data.zero_volume),
            progress=lambda done, total, what: progress(
                "checking", done, total, f"{what:<40}" if sys.stderr.isatty() else ""
            ),
        )
    except ValueError as error:
        raise UsageRefused(str(error)) from error


def _declared(text: str, timeframe: str, series: Sequence[Series]) -> FeatureSet:
    """PATH:NAME is one kernel of a file, PATH all of them; each with its defaults."""
    path, _, name = text.rpartition(":") if ":" in text else (text, "", "")
    own = own_kernels(Path(path))
    try:
        # Whoever reads another instrument gets the last one named, its own where there is one only.
        features = tuple(
            declare(
                kernel.name,
                kernels=own,
                reference=series[-1].symbol if kernel.needs_reference else None,
            )
            for kernel in ([kernel_named(name, own)] if name else own.values())
        )
        return FeatureSet(
            name=Path(path).stem,
            version="1",
            bars_per_year=bars_per_year(timeframe_ns(timeframe)),
            features=features,
            kernels=kernels_with(path),
        )
    except FeatureRefused as error:
        raise UsageRefused(f"{path}: {error}") from error


def _files(data: Sequence[str], first_symbol: str) -> list[tuple[str, list[Path]]]:
    """Files by symbol; one that names none is of the first configured symbol."""
    files: dict[str, list[Path]] = {}
    for each in data:
        named = NAMED.fullmatch(each)
        symbol, path = (named[1], named[2]) if named else (first_symbol, each)
        files.setdefault(symbol, []).append(Path(path))
    return list(files.items())


def _read(path: Path) -> list[Row]:
    try:
        return read_recording(path)
    except ValueError as error:
        raise UsageRefused(str(error)) from error


def _timeframe(rows: dict[str, list[Row]]) -> str:
    try:
        found = {symbol: timeframe_of(each) for symbol, each in rows.items()}
    except ValueError as error:
        raise UsageRefused(str(error)) from error
    if len(set(found.values())) > 1:
        told = ", ".join(f"{symbol} {each}" for symbol, each in found.items())
        raise UsageRefused(f"all bars have to be equally long: {told}")
    return next(iter(found.values()))


def _series(symbol: str, rows: Sequence[Row], timeframe: str) -> Series:
    try:
        return series_of_rows(symbol, rows, timeframe_ns(timeframe))
    except ValueError as error:
        raise UsageRefused(str(error)) from error
