"""Says which market the embedded exchange shall make for a run, from its options and settings.

Belongs here: recordings, timeframes, pace and balances of such a market. Starting the exchange
belongs to `running`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.core.errors import UsageRefused
from daemon.core.instruments import EMBEDDED, is_swap_symbol, plain
from daemon.running.world.exchange_process import MarketSpec

if TYPE_CHECKING:
    from daemon.config import Settings
    from daemon.store.runs import RunSpec

SYNTHETIC = "synthetic"
SAME = "same"
RECORDING_ENDINGS = (".csv", ".csv.gz", ".parquet")
ACCOUNT_MULTIPLE = 10
FOREIGN_HOLDINGS = {"BTC": "1", "ETH": "10"}


def market_spec(settings: Settings, spec: RunSpec, exchange: str) -> MarketSpec:
    """The market of one exchange of a run that begins."""
    swaps = [each for each in settings.data.by_exchange[exchange] if is_swap_symbol(each)]
    if swaps:
        twin = swaps[0].partition(":")[0]
        msg = (
            f"{swaps[0]}: the exchange in the box that a run begins has spot only, as {twin}; a "
            "swap can be backtested, or traded on paper where it is listed, as on binanceusdm"
        )
        raise UsageRefused(msg)
    return MarketSpec(
        symbols=settings.data.by_exchange[exchange],
        timeframe=settings.data.fetched_timeframe,
        history_bars=_history_bars(settings, spec),
        seed=seed_for(settings.run.seed, exchange),
        edge=spec.edge,
        data=str(Path(spec.market).resolve()) if is_recording(spec.market) else None,
        start=spec.start,
        speed=slots_per_s(settings, spec.speed) or "max",
        balances=_balances(settings),
    )


def seed_for(seed: int, exchange: str) -> int:
    """The seed of an embedded market: the run's own, and for a labelled one another made of it."""
    if exchange == EMBEDDED:
        return seed
    digest = hashlib.blake2b(f"{seed}|{exchange}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1


def is_recording(market: str) -> bool:
    """True when the text names a file of bars rather than an exchange."""
    return market.endswith(RECORDING_ENDINGS) or "/" in market or Path(market).is_file()


def timeframes_of(path: Path, recorded: str, settings: Settings) -> dict[str, object]:
    """What a recording's spacing means: the bars decided on, or the parts these are made of."""
    wanted = settings.data.source_timeframe
    if wanted not in {SAME, recorded}:
        msg = (
            f"{path}: holds bars of {recorded}, and data.source_timeframe asks for {wanted}: "
            f'set it to "{recorded}", or to "{SAME}"'
        )
        raise UsageRefused(msg)
    return {} if wanted == recorded else {"data.timeframe": recorded}


def slots_per_s(settings: Settings, speed: str | None) -> str | None:
    """The exchange's pace, in the slots it plays: a bar that is decided on may be many of them."""
    parts = settings.data.parts_per_bar
    return speed if speed in {None, "max"} or parts == 1 else repr(float(speed) * parts)


def _balances(settings: Settings) -> dict[str, str]:
    """The account holds far more than is allotted, and coins that are not the bot's to sell."""
    quotes = {each: plain(has * ACCOUNT_MULTIPLE) for each, has in settings.allotted.items()}
    return FOREIGN_HOLDINGS | quotes


def _history_bars(settings: Settings, spec: RunSpec) -> int | None:
    """Slots before the first streamed one; None lets a recording give what lies before FROM, or its
    half.
    """
    history_bars = settings.data.history_bars * settings.data.parts_per_bar
    if not is_recording(spec.market):
        return history_bars
    from daemon.store.recordings import read_recording

    is_long = len(read_recording(spec.market)) > 2 * history_bars
    return history_bars if is_long and spec.start is None else None
