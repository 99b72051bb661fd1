import asyncio
import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest

from daemon.embedded.account import Fill, OrderRequest, OrderType, Side, TimeInForce
from daemon.embedded.exchange import Exchange
from daemon.embedded.ledger import FillQuery, Ledger
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket
from tests.unit.embedded.recorder import FAST, Recorder

BALANCES = {"USDT": Decimal(100_000), "BTC": Decimal(1), "ETH": Decimal(10)}


def a_ledger(directory: Path) -> Ledger:
    return Ledger(directory / "ledger.db", balances=BALANCES, closed_ms=FROM_MS)


def an_order(quantity: str, price: str | None, client_order_id: str) -> OrderRequest:
    return OrderRequest(
        symbol_id="BTCUSDT",
        side=Side.BUY,
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        client_order_id=client_order_id,
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
    )


def a_stop(quantity: str, stop_price: str, client_order_id: str) -> OrderRequest:
    return dataclasses.replace(
        an_order(quantity, None, client_order_id),
        side=Side.SELL,
        type=OrderType.STOP_LOSS,
        stop_price=Decimal(stop_price),
    )


def acknowledge(exchange: Exchange) -> None:
    close_ms = exchange.tape.closed_ms
    for symbol_id in exchange.clock.awaiting():
        exchange.acknowledge([symbol_id], close_ms)


REQUESTS = (
    an_order("0.1", "49998", "a"),
    an_order("0.2", "49997.5", "b"),
    a_stop("0.7", "49998", "guard"),
)


def what_filled(fills: list[Fill]) -> list[tuple[Decimal, Decimal]]:
    return [(fill.price, fill.quantity) for fill in fills]


def test_what_takers_took_stays_taken_over_a_restart(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    first = Exchange(FakeMarket(), ledger, bars_per_s=None)
    acknowledge(first)
    first.place(an_order("0.7", None, "a"))
    ledger.close()

    ledger = a_ledger(tmp_path)
    second = Exchange(FakeMarket(), ledger, bars_per_s=None)
    outcome = second.place(an_order("0.4", None, "b"))
    ledger.close()

    assert what_filled(outcome.fills) == [
        (Decimal("50001.02"), Decimal("0.3")),
        (Decimal("50001.03"), Decimal("0.1")),
    ]
    assert [fill.trade_id for fill in outcome.fills] == [3, 4]


def test_nobody_hears_of_a_slot_before_it_is_durable(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    exchange = Exchange(FakeMarket(), ledger, bars_per_s=None)
    exchange.place(an_order("0.1", "49999", "rests"))
    exchange.listener = recorder = Recorder()

    ledger.close()
    with pytest.raises(ledger.closed):
        acknowledge(exchange)

    assert "flush" not in recorder.heard


def test_a_slot_of_lock_step_is_heard_step_by_step_and_flushed_once(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    exchange = Exchange(FakeMarket(), ledger, bars_per_s=None)
    exchange.place(an_order("0.1", "49999", "rests"))
    exchange.listener = recorder = Recorder()

    acknowledge(exchange)
    ledger.close()

    assert recorder.heard.count("stepped") == 8
    assert recorder.heard.count("settled") == 1
    assert recorder.heard[-2:] == ["closed", "flush"]
    assert [step.price for step in recorder.steps if step.symbol_id == "BTCUSDT"] == [
        50_000,
        50_003,
        49_997,
        50_001,
    ]


@pytest.mark.parametrize("stop_after", [1, 3, 5, 8, 9, 13])
async def test_a_paced_market_that_was_cut_off_goes_on_without_losing_or_doubling_a_fill(
    tmp_path: Path, stop_after: int
) -> None:
    market = FakeMarket(ends_after=2)
    (tmp_path / "whole").mkdir()
    whole = a_ledger(tmp_path / "whole")
    exchange = Exchange(market, whole, bars_per_s=FAST)
    for request in REQUESTS:
        exchange.place(request)
    await exchange.pace()
    expected = what_filled(whole.fills(FillQuery()))
    whole.close()

    cut = a_ledger(tmp_path)
    exchange = Exchange(market, cut, bars_per_s=FAST)
    for request in REQUESTS:
        exchange.place(request)
    exchange.listener = Recorder(stop_after)
    with pytest.raises(InterruptedError):
        await exchange.pace()
    cut.close()
    again = a_ledger(tmp_path)
    exchange = Exchange(market, again, bars_per_s=FAST)
    async with asyncio.timeout(10):
        await exchange.pace()

    assert len(expected) == 4
    assert again.open_orders() == []
    assert what_filled(again.fills(FillQuery())) == expected
    assert again.position().closed_ms == FROM_MS + 2 * HOUR_MS
    again.close()


async def test_a_slot_begun_at_a_pace_is_finished_when_lock_step_takes_over(
    tmp_path: Path,
) -> None:
    ledger = a_ledger(tmp_path)
    exchange = Exchange(FakeMarket(), ledger, bars_per_s=FAST)
    exchange.place(an_order("0.1", "49998", "a"))
    exchange.listener = Recorder(6)
    with pytest.raises(InterruptedError):
        await exchange.pace()
    ledger.close()

    ledger = a_ledger(tmp_path)
    second = Exchange(FakeMarket(), ledger, bars_per_s=None)

    assert second.tape.closed_ms == FROM_MS + HOUR_MS
    assert second.clock.awaiting() == ["BTCUSDT", "ETHUSDT"]
    assert len(ledger.fills(FillQuery())) == 1
    ledger.close()
