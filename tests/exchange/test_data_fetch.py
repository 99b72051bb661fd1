"""`tradingd data fetch` against the exchange in the box, through the real ccxt client."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from daemon.bars.fetching import Fetched, fetch, open_source
from daemon.core.bars import MissCause
from daemon.core.timeframes import NS_PER_MS
from daemon.store.bars import BarStore
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket
from tests.exchange.loopback import loopback
from tests.exchange.processes import ROOT, finished, serving

HOUR_NS = HOUR_MS * NS_PER_MS
WITHIN_S = 60.0


async def test_bars_and_holes_of_a_served_market_reach_the_store_under_its_own_name(
    tmp_path: Path,
) -> None:
    holes = frozenset({("BTCUSDT", -20), ("BTCUSDT", -19)})
    store = BarStore.open(tmp_path / "bars.db")
    told = Fetched()
    async with loopback(tmp_path, market=FakeMarket(holes=holes)) as served:
        source = await open_source("embedded", "BTC/USDT", "1h", served.endpoints.rest)
        await fetch(
            source,
            store,
            source.until_ns - 50 * HOUR_NS,
            source.until_ns,
            again=False,
            told=told,
            progress=lambda _done, _total: None,
        )
        await source.market_data.close()

    key = ("synthetic-00000000000000ff", "BTC/USDT", HOUR_NS)
    opens, _ = store.read_arrays(*key)
    slots = ((opens // NS_PER_MS - FROM_MS) // HOUR_MS).tolist()
    assert slots == [*range(-50, -20), *range(-18, 0)]
    (gap,) = store.gaps(*key)
    assert (gap.count, gap.cause) == (2, MissCause.OUTAGE)
    assert (told.added, source.page_limit) == (48, 1_000)
    store.close()


async def test_a_symbol_that_is_not_listed_is_refused_with_a_guess(tmp_path: Path) -> None:
    async with loopback(tmp_path) as served:
        with pytest.raises(ValueError, match="did you mean BTC/USDT"):
            await open_source("embedded", "BTCC/USDT", "1h", served.endpoints.rest)


async def test_a_fetch_that_is_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    market = ("--history-bars", "8500", "--speed", "max", "--symbols", "BTC/USDT")
    async with serving(tmp_path / "exchange", *market) as exchange:
        rest = str(exchange.ready["rest"])
        first = await command(tmp_path, rest, "--from", "2023-01-15T00:00Z")
        assert first.stderr is not None
        async with asyncio.timeout(WITHIN_S):
            while not (line := await first.stderr.readline()).startswith(b"fetching 4000/"):
                assert line, "it ended before its first piece was stored"
        first.kill()
        await finished(first)
        code, out, _ = await finished(
            await command(tmp_path, rest, "--from", "2023-01-15T00:00Z", "--json")
        )
        wrong = await finished(await command(tmp_path, "http://127.0.0.1:9", "--json"))

    result: dict[str, Any] = json.loads(out)
    assert code == 0
    assert result["bars"] == 8_424
    assert result["added"] <= 8_424 - 4_000
    assert result["missing"] == 0
    assert wrong[0] == 69
    assert "does not answer" in wrong[2]


async def command(folder: Path, rest: str, *more: str) -> asyncio.subprocess.Process:
    fixed = ("--exchange", "embedded", "--symbol", "BTC/USDT", "--timeframe", "1h")
    environment = {name: text for name, text in os.environ.items() if "TRADINGD__" not in name}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "daemon", "data", "fetch", *fixed, "--exchange-url", rest),
        *("--state-dir", str(folder / "state"), *more),
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
