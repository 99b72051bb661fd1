"""Five-minute bars fetched, stored and streamed, quarter hours decided on; killed in between."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from daemon.core.bars import BarSource
from daemon.core.timeframes import timeframe_ns
from daemon.layers.ingestion.aggregation import merged
from daemon.store.bars import BarStore
from tests.builders import BTC
from tests.e2e.command import Tradingd, finished

if TYPE_CHECKING:
    from pathlib import Path

FINE_NS, COARSE_NS = timeframe_ns("5m"), timeframe_ns("15m")
BARS = 80
# The planted edge lies between five-minute bars: a quarter hour has little of it left.
CONFIG = """
[data]
timeframe = "15m"
source_timeframe = "5m"
history_bars = 400
[model]
trees = 30
min_leaf = 10
folds = 3
[signal]
confidence_min_ratio = 0.02
cost_margin_bps = 0.0
[execution]
fee_bps = 0.0
slippage_bps = 0.0
[health]
sample_every_bars = 12
"""


def test_bars_made_of_finer_ones_are_decided_on_and_recomputed_across_a_kill(
    tmp_path: Path,
) -> None:
    tradingd = Tradingd(tmp_path, CONFIG)
    try:
        process = tradingd.start("--market", "synthetic", "--edge", "1", "--bars", str(BARS))
        assert process.stdout is not None
        pid = json.loads(process.stdout.readline())["pid"]
        closed = 0
        while closed < 41:
            closed += json.loads(process.stdout.readline())["event"] == "bar.closed"
        os.kill(pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()

        result = finished(tradingd.run("--resume", "last"))
    finally:
        tradingd.stop_exchange()

    assert result["bars"] == 2 * BARS
    assert result["fills"] >= 2
    assert result["holes"] == 0
    assert tradingd.query("parity")["identical"]
    store = BarStore.open(tradingd.state / "bars.db", read_only=True)
    market = store.series()[0].market
    fine = store.read(market, BTC, FINE_NS)
    coarse = store.read(market, BTC, COARSE_NS)
    store.close()
    assert len(fine) == 3 * len(coarse) == 3 * (400 + BARS)
    for number, bar in enumerate(coarse):
        made = merged(fine[3 * number : 3 * number + 3], bar.open_ns, bar.close_ns)
        assert (made.open, made.high, made.low, made.close, made.volume) == (
            (bar.open, bar.high, bar.low, bar.close, bar.volume)
        )
    assert BarSource.STREAM in {bar.source for bar in coarse[-10:]}
