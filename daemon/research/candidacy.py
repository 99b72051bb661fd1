"""Makes one candidate where older bars may mislead: windows of several lengths compete on the same
newest bars, which none of them was made of.

Belongs here: which windows compete and which of them is kept. How one is made and judged belongs in
`training` and `judgement`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from daemon.research.datasets import TrainingRefused
from daemon.research.series import Series
from daemon.research.settings import TrainingSettings
from daemon.research.training import Trained

# Trains and judges on these bars by these settings.
Make = Callable[[Sequence[Series], TrainingSettings], Trained]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The newest `bars` of every series, tested in `folds` blocks of time; the first one only
    calibrates the others.
    """

    bars: int
    folds: int


def best_window(
    series: Sequence[Series],
    settings: TrainingSettings,
    windows_bars: Iterable[int],
    held_out: HeldOut,
    *,
    lookback_bars: int,
    make: Make,
) -> Trained:
    """The model of the window that foretold the held-out bars best, by AUC, of all that fit.

    Its verdict allows for their number: with nothing to find, all windows together pass the AUC's
    test in one of forty attempts at most, however alike they are. A window longer than the history
    is as long as the history. Raises `TrainingRefused`, as the shortest window does, where none can
    be tried.
    """
    around = lookback_bars + settings.horizon_bars
    room = max(len(one.open_ns) for one in series) - held_out.bars - around
    windows = sorted({min(each, room) for each in windows_bars}, reverse=True)
    found: list[Trained] = []
    refused = TrainingRefused(f"{max(room, 0)} bars before the held-out ones: a longer history")
    for window_bars in windows:
        if window_bars < 1:
            continue
        own = replace(
            settings,
            folds=held_out.folds,
            held_out_bars=held_out.bars,
            window_bars=window_bars,
            compared=len(windows),
            trials=settings.trials * len(windows),
        )
        kept = window_bars + held_out.bars + around
        try:
            found.append(make([_newest(one, kept) for one in series], own))
        except TrainingRefused as error:
            refused = error
    if not found:
        raise refused
    return max(found, key=lambda one: one.manifest.out_of_sample.auc)


def _newest(series: Series, bars: int) -> Series:
    return replace(series, open_ns=series.open_ns[-bars:], ohlcv=series.ohlcv[-bars:])
