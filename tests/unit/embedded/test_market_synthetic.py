import hashlib
import os
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.embedded.chains import CHUNKS_KEPT_MAX, Chain
from daemon.embedded.market import Market, MarketBar
from daemon.embedded.synthetic import DEFAULT_FROM_MS, PROCESS_VERSION, SyntheticMarket
from tests.unit.embedded.samples import HOUR_MS, sample

SYMBOLS = ("BTC/USDT", "ETH/USDT", "DOGE/USDT")


def a_market(**changes: object) -> SyntheticMarket:
    given_: dict[str, object] = {"history_bars": 0, "seed": 42, "edge": 0.4} | changes
    symbols = given_.pop("symbols", SYMBOLS)
    timeframe_ms = given_.pop("timeframe_ms", HOUR_MS)
    return SyntheticMarket(symbols, timeframe_ms, **given_)  # type: ignore[arg-type]


def some_bars(market: Market, symbol_id: str, count: int) -> list[MarketBar]:
    return market.bars(symbol_id, market.first_open_ms, 2**62, count)


IN_ORDER = {
    each.replace("/", ""): some_bars(a_market(), each.replace("/", ""), 2_000) for each in SYMBOLS
}

PRINT_A_DIGEST = """
import hashlib
from daemon.embedded.synthetic import SyntheticMarket
market = SyntheticMarket(["BTC/USDT", "ETH/USDT", "DOGE/USDT"], 3_600_000, seed=42, edge=0.4)
bars = [market.bars(each, 0, 2**62, 2_000) for each in market.symbols]
book = market.book("ETHUSDT", bars[1][7].close, bars[1][7].open_ms)
print(hashlib.sha256(repr([bars, book, market.fingerprint]).encode()).hexdigest())
"""


@settings(max_examples=20, deadline=None)
@given(
    queries=st.lists(
        st.tuples(st.sampled_from(sorted(IN_ORDER)), st.integers(0, 1_900), st.integers(1, 60)),
        min_size=1,
        max_size=8,
    )
)
def test_no_order_of_questions_changes_an_answer(queries: list[tuple[str, int, int]]) -> None:
    market = a_market(symbols=SYMBOLS[::-1])

    for symbol_id, position, count in queries:
        expected = IN_ORDER[symbol_id][position : position + count]
        start_ms = expected[0].open_ms
        assert market.bars(symbol_id, start_ms, start_ms + 10**9 * HOUR_MS, count) == expected
        assert market.bar(symbol_id, start_ms) == expected[0]


def test_another_process_with_another_hash_seed_makes_the_same_market() -> None:
    digests = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", PRINT_A_DIGEST],
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            check=True,
            capture_output=True,
            text=True,
        )
        digests.add(done.stdout.strip())
    market = a_market()
    book = market.book("ETHUSDT", IN_ORDER["ETHUSDT"][7].close, IN_ORDER["ETHUSDT"][7].open_ms)
    here = repr([[IN_ORDER[each] for each in market.symbols], book, market.fingerprint])

    assert digests == {hashlib.sha256(here.encode()).hexdigest()}


def test_a_seed_means_the_same_market_in_every_release_of_one_process_version() -> None:
    market = a_market()

    closes = [str(IN_ORDER["BTCUSDT"][position].close) for position in (0, 1, 2, 1_999)]
    volumes = [str(IN_ORDER["ETHUSDT"][position].volume) for position in (0, 1, 2, 1_999)]

    # If this must change, PROCESS_VERSION changes with it, and so does every fingerprint.
    assert PROCESS_VERSION == 1
    assert closes == ["60479.94", "60000.60", "60116.13", "76515.50"]
    assert volumes == ["13258.1533", "17826.5550", "16855.0121", "11806.3084"]
    assert market.fingerprint == "fe98e8ae2c981eab"


def test_a_chain_recomputes_what_it_forgot() -> None:
    steps: list[int] = []

    def step(index: int, state: int) -> tuple[str, int]:
        steps.append(index)
        return f"{index}:{state}", state * 3 + index

    chain = Chain(1, step)
    oldest = chain.chunk(0)
    chain.chunk(CHUNKS_KEPT_MAX + 5)

    assert chain.chunk(0) == oldest == "0:1"
    assert steps.count(0) == 2
    assert steps.count(CHUNKS_KEPT_MAX + 5) == 1


def test_more_history_or_more_symbols_leave_the_market_as_it_was() -> None:
    short = a_market(history_bars=300)
    long = a_market(symbols=["BTC/USDT"], history_bars=5_000)
    start_ms = short.first_open_ms

    assert long.bars("BTCUSDT", start_ms, 2**62, 900) == some_bars(short, "BTCUSDT", 900)


def test_each_bar_opens_at_the_last_close_and_holds_its_path() -> None:
    market = a_market()
    for symbol_id, bars in IN_ORDER.items():
        instrument = market.symbols[symbol_id]
        last_close = None
        for bar in bars[:600]:
            path = market.path(symbol_id, bar.open_ms)
            assert last_close is None or bar.open == last_close
            assert (path[0], path[-1]) == (bar.open, bar.close)
            assert (max(path), min(path)) == (bar.high, bar.low)
            assert all(price > 0 and price % instrument.tick == 0 for price in path)
            assert bar.volume > 0
            assert bar.volume % instrument.lot == 0
            assert bar.trades >= 1
            last_close = bar.close


def test_the_default_start_is_the_first_of_2024_and_there_is_no_end() -> None:
    market = a_market(history_bars=300)

    assert market.from_ms == DEFAULT_FROM_MS == 1_704_067_200_000
    assert market.first_open_ms == DEFAULT_FROM_MS - 300 * HOUR_MS
    assert market.end_ms is None
    assert market.bar("BTCUSDT", DEFAULT_FROM_MS + 20_000 * HOUR_MS) is not None


def test_slots_before_the_history_or_off_the_grid_hold_nothing() -> None:
    market = a_market()

    assert market.bar("BTCUSDT", market.first_open_ms - HOUR_MS) is None
    assert market.bar("BTCUSDT", market.first_open_ms + 1) is None
    assert market.path("BTCUSDT", market.first_open_ms + 1) == ()
    assert market.bars("BTCUSDT", 0, market.first_open_ms - 1, 5) == []
    with pytest.raises(ValueError, match="no slot"):
        market.probability_up("BTCUSDT", market.first_open_ms + 1)
    with pytest.raises(KeyError):
        market.bar("XRPUSDT", market.first_open_ms)


def test_bars_are_inclusive_at_both_ends_and_stop_at_the_limit() -> None:
    market = a_market()
    start_ms = market.from_ms

    three = market.bars("BTCUSDT", start_ms, start_ms + 2 * HOUR_MS, 10)
    inside = market.bars("BTCUSDT", start_ms + 1, start_ms + 2 * HOUR_MS - 1, 10)

    assert [bar.open_ms - start_ms for bar in three] == [0, HOUR_MS, 2 * HOUR_MS]
    assert [bar.open_ms - start_ms for bar in inside] == [HOUR_MS]
    assert market.bars("BTCUSDT", start_ms, start_ms + 9 * HOUR_MS, 2) == three[:2]
    assert market.bars("BTCUSDT", start_ms, start_ms + 9 * HOUR_MS, 0) == []


def test_returns_are_fat_tailed_and_volatility_clusters() -> None:
    drawn = sample(0.4)
    returns, sizes = drawn.returns, np.abs(drawn.returns)

    kurtosis = float(((returns - returns.mean()) ** 4).mean() / returns.var() ** 2)
    echoes = [float(np.corrcoef(sizes[:-lag], sizes[lag:])[0, 1]) for lag in (1, 6, 24)]

    assert kurtosis > 5.0
    assert min(echoes) > 0.05
    assert echoes[0] > 0.15


def test_an_hour_moves_about_seven_tenths_of_a_percent_and_longer_bars_by_the_square_root() -> None:
    hour, four_hours = sample(0.4), sample(0.4, bars=8_000, timeframe_ms=4 * HOUR_MS)

    assert 0.0060 < hour.returns.std() < 0.0080
    assert 1.7 < four_hours.returns.std() / hour.returns.std() < 2.3


def test_days_have_no_hour() -> None:
    day = sample(0.4, bars=1_000, timeframe_ms=24 * HOUR_MS)

    assert 0.7 < day.returns.std() / (sample(0.4).returns.std() * 24**0.5) < 1.3


def test_volume_follows_the_size_of_the_move_and_both_follow_the_hour() -> None:
    drawn = sample(0.4)
    sizes = np.abs(drawn.returns)
    by_hour = [np.median(drawn.volumes[drawn.hours == hour]) for hour in range(24)]

    assert np.corrcoef(np.log(drawn.volumes), np.log(sizes))[0, 1] > 0.5
    assert int(np.argmax(by_hour)) in {14, 15, 16}
    assert max(by_hour) > 1.4 * min(by_hour)
    assert sizes[drawn.hours == 15].mean() > 1.2 * sizes[drawn.hours == 4].mean()


def test_symbols_move_together_in_direction_and_in_volatility() -> None:
    bitcoin, ether = sample(0.0, bars=10_000), sample(0.0, bars=10_000, symbol="ETH/USDT")

    together = np.corrcoef(bitcoin.ups, ether.ups)[0, 1]
    sizes = np.corrcoef(np.abs(bitcoin.returns), np.abs(ether.returns))[0, 1]

    assert 0.5 < together < 0.7
    assert sizes > 0.25


def test_prices_stay_near_their_level_for_a_hundred_thousand_bars() -> None:
    market = SyntheticMarket(["BTC/USDT"], HOUR_MS, seed=3, edge=0.0)

    closes = [
        float(market.path("BTCUSDT", market.from_ms + position * HOUR_MS)[-1])
        for position in range(0, 100_000, 100)
    ]

    assert 60_000 / 12 < min(closes) < max(closes) < 60_000 * 12


def test_seed_edge_timeframe_symbols_and_start_each_change_the_fingerprint() -> None:
    markets = [
        a_market(),
        a_market(seed=43),
        a_market(edge=0.3),
        a_market(timeframe_ms=60_000),
        a_market(symbols=["BTC/USDT"]),
        a_market(from_ms=DEFAULT_FROM_MS + HOUR_MS),
        a_market(history_bars=1),
    ]
    prints = [market.fingerprint for market in markets]

    assert len(set(prints)) == len(markets)
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in prints)
    assert a_market(symbols=SYMBOLS[::-1]).fingerprint == a_market().fingerprint


def test_the_label_says_synthetic_with_its_seed_and_edge() -> None:
    assert a_market().label == "SYNTHETIC seed=42 edge=0.40"


def test_known_symbols_have_the_ticks_of_their_venue_and_others_sane_ones() -> None:
    listed = a_market(symbols=["BTC/USDT", "ETH/USDT", "DOGE/USDT", "ABC/USDT"]).symbols
    unknown = listed["ABCUSDT"]

    assert (listed["BTCUSDT"].tick, listed["BTCUSDT"].lot) == (Decimal("0.01"), Decimal("0.00001"))
    assert listed["ETHUSDT"].lot == Decimal("0.0001")
    assert listed["BTCUSDT"].minimum_notional == 5
    first = some_bars(a_market(symbols=["ABC/USDT"]), "ABCUSDT", 1)[0]
    assert unknown.tick * 5_000 < first.open
    assert unknown.lot * first.open < unknown.minimum_notional


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"edge": 1.1}, "edge 1.1"),
        ({"edge": -0.1}, "edge -0.1"),
        ({"history_bars": -1}, "history of -1 bars"),
        ({"timeframe_ms": 0}, "timeframe of 0 ms"),
        ({"from_ms": DEFAULT_FROM_MS + 1}, "not on the 3600000 ms grid"),
        ({"symbols": []}, "at least one"),
        ({"symbols": ["BTC/USDT", "BTC/USDT"]}, "each once"),
        ({"symbols": ["BTCUSDT"]}, "BASE/QUOTE"),
    ],
)
def test_what_makes_no_market_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        a_market(**changes)
