import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from daemon.embedded.account import ZERO, OrderType, Side, TimeInForce
from daemon.embedded.futures.account import Algo, SwapRequest
from daemon.embedded.futures.exchange import SwapExchange
from daemon.embedded.futures.ledger import SwapLedger
from daemon.embedded.ledger import FillQuery
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket
from tests.unit.embedded.recorder import FAST, Recorder

BALANCES = {"USDT": Decimal(10_000)}
BARS = 9


def a_ledger(directory: Path) -> SwapLedger:
    return SwapLedger(directory / "swaps.db", balances=BALANCES, closed_ms=FROM_MS)


def begin(exchange: SwapExchange) -> None:
    """A short that is added to on the path, cut by a stop, and funded at the eighth close."""
    for name, price in (("open", None), ("more", "50001.5")):
        request = SwapRequest(
            symbol_id="BTCUSDT",
            side=Side.SELL,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            client_order_id=name,
            quantity=Decimal("0.2"),
            price=None if price is None else Decimal(price),
        )
        exchange.place(request)
    stop = Algo(
        algo_id=0,
        client_algo_id="guard",
        symbol_id="BTCUSDT",
        side=Side.BUY,
        type=OrderType.STOP_LOSS,
        time_in_force=TimeInForce.GTC,
        quantity=Decimal("0.1"),
        price=ZERO,
        trigger_price=Decimal(50_004),
        reduce_only=True,
        close_position=False,
        created_ms=FROM_MS,
        updated_ms=FROM_MS,
        received_ms=0,
    )
    exchange.place_algo(stop)


def story(ledger: SwapLedger) -> list[object]:
    """Everything that happened to the account, but for the wall's clock."""
    fills = ledger.fills(FillQuery())
    return [
        [(fill.client_order_id, fill.price, fill.quantity, fill.realized) for fill in fills],
        [
            (each.kind, each.amount, each.ts_ms)
            for each in ledger.incomes()
            if each.trade_id is None
        ],
        [(each.status, each.order_id) for each in ledger.algos(None, -1)],
        ledger.money(),
        {each.symbol_id: (each.quantity, each.wallet) for each in ledger.positions().values()},
    ]


@pytest.mark.parametrize("stop_after", [1, 3, 9, 14, 30, 66])
async def test_a_paced_market_of_swaps_that_was_cut_off_goes_on_without_losing_or_doubling(
    tmp_path: Path, stop_after: int
) -> None:
    market = FakeMarket(ends_after=BARS)
    (tmp_path / "whole").mkdir()
    whole = a_ledger(tmp_path / "whole")
    exchange = SwapExchange(market, whole, bars_per_s=FAST)
    begin(exchange)
    async with asyncio.timeout(20):
        await exchange.pace()
    expected = story(whole)
    whole.close()

    cut = a_ledger(tmp_path)
    exchange = SwapExchange(market, cut, bars_per_s=FAST)
    begin(exchange)
    exchange.listener = Recorder(stop_after)
    with pytest.raises(InterruptedError):
        await exchange.pace()
    cut.close()
    again = a_ledger(tmp_path)
    exchange = SwapExchange(market, again, bars_per_s=FAST)
    async with asyncio.timeout(20):
        await exchange.pace()

    fills, incomes, algos, _, _ = expected
    assert isinstance(fills, list)
    assert isinstance(incomes, list)
    assert [name for name, *_ in fills] == ["open", "more", "guard"]
    assert len(incomes) == 1
    assert algos == [("TRIGGERED", 4)]
    assert story(again) == expected
    assert again.position().closed_ms == FROM_MS + BARS * HOUR_MS
    again.close()


def test_the_same_requests_on_the_same_market_make_the_same_account(tmp_path: Path) -> None:
    stories = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        ledger = a_ledger(tmp_path / name)
        exchange = SwapExchange(FakeMarket(), ledger, bars_per_s=None)
        begin(exchange)
        for _ in range(BARS):
            exchange.play_slot()
        stories.append(story(ledger))
        ledger.close()

    assert stories[0] == stories[1]
    assert len(stories[0]) == 5
