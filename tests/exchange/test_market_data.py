from decimal import Decimal
from pathlib import Path

import ccxt
import pytest

from tests.exchange.fake_market import BTC, FROM_MS, HOUR_MS, FakeMarket
from tests.exchange.loopback import ccxt_client, exact, is_loopback, loopback, next_within, urls_of


async def test_no_url_of_the_client_leads_out_of_this_machine(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        urls = list(urls_of(lab.client))

        assert len(urls) > 20
        assert [url for url in urls if not is_loopback(url)] == []
        assert lab.client.urls["api"]["ws"]["spot"].endswith("/stream/ws")


async def test_markets_are_loaded_in_one_call(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        market = lab.client.markets["BTC/USDT"]

        # exchangeInfo weighs 20, so nothing else has been asked.
        assert lab.client.last_response_headers["X-MBX-USED-WEIGHT-1M"] == "20"
        assert exact(market["precision"]["price"]) == BTC.tick
        assert exact(market["precision"]["amount"]) == BTC.lot
        assert exact(market["limits"]["cost"]["min"]) == BTC.minimum_notional
        assert (market["active"], market["spot"]) == (True, True)


async def test_every_answer_says_which_market_it_comes_from(tmp_path: Path) -> None:
    async with loopback(tmp_path, market=FakeMarket(label="REPLAY naïve.csv")) as lab:
        await lab.client.fetch_time()

        headers = lab.client.last_response_headers
        assert headers["X-Embedded-Market"] == "REPLAY na?ve.csv"
        assert (await lab.get("clock"))["label"] == "REPLAY naïve.csv"


async def test_history_is_paged_without_a_gap_and_ends_in_the_unfinished_bar(
    tmp_path: Path,
) -> None:
    market = FakeMarket(history_bars=2_500)
    async with loopback(tmp_path, market=market) as lab:
        rows: list[list[float]] = []
        since = market.first_open_ms
        while page := await lab.client.fetch_ohlcv("BTC/USDT", "1h", since, 1_000):
            rows += page
            since = int(page[-1][0]) + 1
        paginated = await lab.client.fetch_ohlcv(
            "BTC/USDT", "1h", market.first_open_ms, 2_500, {"paginate": True, "until": FROM_MS - 1}
        )

    opens = [row[0] for row in rows]
    assert opens == [market.first_open_ms + n * HOUR_MS for n in range(2_501)]
    for row in rows[:-1]:
        bar = market.bar("BTCUSDT", int(row[0]))
        assert bar is not None
        assert [exact(value) for value in row[1:]] == [
            *(bar.open, bar.high, bar.low, bar.close),
            bar.volume,
        ]
    assert rows[-1] == [FROM_MS, 50_000, 50_000, 50_000, 50_000, 0]
    assert paginated == rows[:-1]


async def test_the_newest_rows_come_when_no_start_is_given(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        newest = await lab.client.fetch_ohlcv("BTC/USDT", "1h", limit=3)
        until = await lab.client.fetch_ohlcv(
            "BTC/USDT", "1h", limit=2, params={"until": FROM_MS - 2 * HOUR_MS}
        )

    assert [row[0] for row in newest] == [FROM_MS - 2 * HOUR_MS, FROM_MS - HOUR_MS, FROM_MS]
    assert [row[0] for row in until] == [FROM_MS - 3 * HOUR_MS, FROM_MS - 2 * HOUR_MS]


async def test_coarser_bars_are_made_of_whole_ones_and_absent_with_a_hole(tmp_path: Path) -> None:
    market = FakeMarket(history_bars=24, holes=frozenset({("BTCUSDT", -6)}))
    async with loopback(tmp_path, market=market) as lab:
        rows = await lab.client.fetch_ohlcv("BTC/USDT", "4h", market.first_open_ms)
        with pytest.raises(ccxt.BadRequest):
            await lab.client.fetch_ohlcv("BTC/USDT", "15m")

    slots = [int(row[0] - FROM_MS) // HOUR_MS for row in rows]
    # The bar of slots -8 to -5 has a hole, and the last one has just begun.
    assert slots == [-24, -20, -16, -12, -4, 0]
    assert rows[0] == [FROM_MS - 24 * HOUR_MS, 49_976, 49_982, 49_973, 49_980, 16]
    assert rows[-1][5] == 0


async def test_a_hole_is_no_row_and_no_trading(tmp_path: Path) -> None:
    market = FakeMarket(holes=frozenset({("ETHUSDT", -1), ("ETHUSDT", -2)}))
    async with loopback(tmp_path, market=market) as lab:
        rows = await lab.client.fetch_ohlcv("ETH/USDT", "1h", limit=3)

        assert [row[0] for row in rows] == [
            FROM_MS - 4 * HOUR_MS,
            FROM_MS - 3 * HOUR_MS,
            FROM_MS,
        ]
        assert lab.client.markets["ETH/USDT"]["active"] is False
        with pytest.raises(ccxt.MarketClosed):
            await lab.client.create_order("ETH/USDT", "market", "buy", 1)


async def test_depth_tickers_and_trades_agree_with_the_market(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        book = await lab.client.fetch_order_book("BTC/USDT", 5)
        ticker = await lab.client.fetch_ticker("BTC/USDT")
        best = await lab.client.fetch_bids_asks(["BTC/USDT"])
        trades = await lab.client.fetch_trades("BTC/USDT", limit=4)
        later = await lab.client.fetch_trades("BTC/USDT", since=trades[1]["timestamp"], limit=2)

    assert book["bids"][0] == [49_999.99, 0.5]
    assert book["asks"][:2] == [[50_000.01, 0.5], [50_000.02, 0.5]]
    assert (ticker["last"], ticker["open"], ticker["baseVolume"]) == (50_000, 49_976, 96)
    assert (best["BTC/USDT"]["bid"], best["BTC/USDT"]["ask"]) == (49_999.99, 50_000.01)
    # Open, high, low and close of the last bar of history.
    assert [trade["price"] for trade in trades] == [49_999, 50_002, 49_996, 50_000]
    assert sum(trade["amount"] for trade in trades) == pytest.approx(4.1)
    assert [trade["id"] for trade in later] == [trade["id"] for trade in trades[1:3]]


async def test_the_server_time_of_requests_is_real_while_the_market_stands(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        wire_ms = await lab.client.fetch_time()
        difference_ms = await lab.client.load_time_difference()
        clock = await lab.get("clock")

    assert abs(difference_ms) < 1_000
    assert abs(wire_ms - clock["wall_ms"]) < 5_000
    assert (clock["market_ms"], clock["rate"], clock["mode"]) == (FROM_MS, 0, "lock-step")


async def test_too_much_weight_is_refused_with_a_time_to_wait(tmp_path: Path) -> None:
    async with loopback(tmp_path, weight_max=24) as lab:
        await lab.client.fetch_ohlcv("BTC/USDT", "1h", limit=1)
        await lab.client.fetch_ohlcv("BTC/USDT", "1h", limit=1)
        with pytest.raises(ccxt.DDoSProtection):
            await lab.client.fetch_ohlcv("BTC/USDT", "1h", limit=1)

        assert 0 < int(lab.client.last_response_headers["Retry-After"]) <= 60


async def test_the_book_stream_follows_the_snapshot_and_shows_what_an_order_took(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        first = await next_within(lab.client.watch_order_book("BTC/USDT"))
        best_before = list(first["asks"][0])
        await lab.client.create_order("BTC/USDT", "market", "buy", 0.6)
        second = await next_within(lab.client.watch_order_book("BTC/USDT"))
        after_order = [list(level) for level in second["asks"][:2]]
        await lab.ack_all(FROM_MS)
        third = await next_within(lab.client.watch_order_book("BTC/USDT"))
        rest = await lab.client.fetch_order_book("BTC/USDT")
        while third["nonce"] < rest["nonce"]:
            third = await next_within(lab.client.watch_order_book("BTC/USDT"))

        assert best_before == [50_000.01, 0.5]
        assert after_order == [[50_000.02, 0.4], [50_000.03, 0.5]]
        assert [list(level) for level in third["asks"]] == rest["asks"]
        assert rest["asks"][0][0] == 50_001.01


async def test_best_prices_trades_and_tickers_are_streamed(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        best = await next_within(lab.client.watch_bids_asks(["BTC/USDT"]))
        ticker = await next_within(lab.client.watch_ticker("BTC/USDT"))
        trades = await lab.play_until(lab.client.watch_trades("BTC/USDT"))

    assert best["BTC/USDT"]["ask"] == 50_000.01
    assert ticker["last"] == 50_000
    assert trades[0]["timestamp"] >= FROM_MS
    assert trades[0]["amount"] == 0.975


async def test_two_clients_see_the_same_market(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        other = ccxt_client(lab.endpoints)
        try:
            theirs = await other.fetch_ohlcv("BTC/USDT", "1h", limit=5)
        finally:
            await other.close()
        ours = await lab.client.fetch_ohlcv("BTC/USDT", "1h", limit=5)

    assert theirs == ours
    assert exact(ours[-1][4]) == Decimal(50_000)
