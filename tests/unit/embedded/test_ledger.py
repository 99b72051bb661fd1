import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from daemon.embedded.account import (
    NOT_WORKING,
    Balance,
    Fill,
    Order,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from daemon.embedded.ledger import FillQuery, Ledger, OrderQuery, Position
from daemon.embedded.settlement import Execution, Outcome, Report

START = {"USDT": Decimal(100_000), "BTC": Decimal(1)}
ROOT = Path(__file__).parents[3]


def a_ledger(directory: Path) -> Ledger:
    return Ledger(directory / "ledger.db", balances=START, closed_ms=7)


def an_order(order_id: int = 1, **changes: object) -> Order:
    order = Order(
        order_id=order_id,
        client_order_id=f"c{order_id}",
        symbol_id="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price=Decimal("50000.10"),
        quantity=Decimal("0.3"),
        quote_quantity=Decimal(0),
        created_ms=10 * order_id,
        updated_ms=10 * order_id,
        received_ms=0,
        working_ms=10 * order_id,
    )
    return dataclasses.replace(order, **changes)  # type: ignore[arg-type]


def a_fill(trade_id: int, order: Order) -> Fill:
    return Fill(
        trade_id=trade_id,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        symbol_id=order.symbol_id,
        side=order.side,
        price=order.price,
        quantity=Decimal("0.1"),
        fee=Decimal("0.0001"),
        fee_asset="BTC",
        ts_ms=100 * trade_id,
        wire_ms=0,
        is_maker=True,
    )


def an_outcome(*reports: Report, **balances: str) -> Outcome:
    return Outcome(list(reports), {name: Balance(Decimal(text)) for name, text in balances.items()})


def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    order = an_order(locked=Decimal("10000.02"))
    fill = a_fill(1, order)
    first = a_ledger(tmp_path)
    outcome = an_outcome(Report(Execution.NEW, order), Report(Execution.TRADE, order, fill))
    first.commit([outcome], Position(8, 3, ("BTCUSDT",)))
    first.close()

    second = Ledger(tmp_path / "ledger.db", balances={}, closed_ms=0)

    assert second.instance == first.instance
    assert second.balances_start == START
    assert second.open_orders() == [order]
    assert second.fills(FillQuery()) == [fill]
    assert second.position() == Position(8, 3, ("BTCUSDT",))
    assert second.last_ids() == (1, 1)
    second.close()


def test_the_last_state_of_an_order_wins_and_only_touched_balances_change(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    done = an_order(status=OrderStatus.FILLED)

    ledger.commit(
        [an_outcome(Report(Execution.NEW, an_order()), Report(Execution.TRADE, done), BTC="2.5")]
    )

    assert ledger.open_orders() == []
    assert ledger.order("BTCUSDT", 1) == done
    assert ledger.order("ETHUSDT", 1) is None
    assert ledger.balances() == {"BTC": Balance(Decimal("2.5")), "USDT": Balance(START["USDT"])}
    ledger.close()


def test_a_transaction_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    order = an_order()
    fill = a_fill(1, order)
    ledger.commit([an_outcome(Report(Execution.TRADE, order, fill))])

    try:
        # The same trade id again is refused by the table, after the order was written.
        ledger.commit([an_outcome(Report(Execution.TRADE, an_order(2), fill), BTC="9")])
        is_refused = False
    except ledger.broken:
        is_refused = True

    assert is_refused
    assert ledger.order("BTCUSDT", 2) is None
    assert ledger.balances()["BTC"] == Balance(START["BTC"])
    ledger.commit([an_outcome(Report(Execution.NEW, an_order(2)))])
    ledger.close()


def test_an_id_used_again_finds_the_newest_order(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    old = an_order(1, client_order_id="same", status=OrderStatus.CANCELED)
    new = an_order(2, client_order_id="same")
    ledger.commit([an_outcome(Report(Execution.NEW, old), Report(Execution.NEW, new))])

    assert ledger.order_by_client_id("BTCUSDT", "same") == new
    assert ledger.order_by_client_id("BTCUSDT", "other") is None
    ledger.close()


def test_orders_and_fills_are_selected_by_id_time_and_number(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    orders = [an_order(number) for number in range(1, 6)]
    fills = [a_fill(number, order) for number, order in enumerate(orders, start=1)]
    ledger.commit(
        [
            an_outcome(Report(Execution.TRADE, order, fill))
            for order, fill in zip(orders, fills, strict=True)
        ]
    )

    assert ledger.orders(OrderQuery(limit=2)) == orders[3:]
    assert ledger.orders(OrderQuery(from_order_id=2, limit=2)) == orders[1:3]
    assert ledger.orders(OrderQuery(start_ms=40)) == orders[3:]
    assert ledger.fills(FillQuery(limit=2)) == fills[3:]
    assert ledger.fills(FillQuery(start_ms=200, limit=2)) == fills[1:3]
    assert ledger.fills(FillQuery(from_trade_id=5)) == fills[4:]
    assert ledger.fills(FillQuery(order_id=3)) == [fills[2]]
    assert ledger.fills(FillQuery(symbol_id="ETHUSDT")) == []
    ledger.close()


def test_a_killed_process_loses_nothing_it_has_committed(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.unit.embedded import test_ledger as here\n"
        "from daemon.embedded.settlement import Execution, Report\n"
        "ledger = here.a_ledger(Path(sys.argv[1]))\n"
        "for number in range(1, 50):\n"
        "    order = here.an_order(number)\n"
        "    fill = here.a_fill(number, order)\n"
        "    ledger.commit([here.an_outcome(Report(Execution.TRADE, order, fill))])\n"
        "    print(number, flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    told = [int(child.stdout.readline()) for _ in range(49)]
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()

    ledger = a_ledger(tmp_path)

    assert [fill.trade_id for fill in ledger.fills(FillQuery())] == told
    assert ledger.last_ids() == (49, 49)
    ledger.close()


def test_a_waiting_stop_is_there_after_opening_again(tmp_path: Path) -> None:
    stop = an_order(
        type=OrderType.STOP_LOSS,
        side=Side.SELL,
        price=Decimal(0),
        stop_price=Decimal("49000.50"),
        working_ms=NOT_WORKING,
        locked=Decimal("0.3"),
    )
    first = a_ledger(tmp_path)
    first.commit([an_outcome(Report(Execution.NEW, stop))])
    first.close()

    second = a_ledger(tmp_path)

    assert second.open_orders() == [stop]
    assert second.open_orders()[0].is_waiting
    second.close()


def test_a_ledger_of_before_there_were_stops_is_read_as_it_was_meant(tmp_path: Path) -> None:
    order = an_order(created_ms=10, working_ms=10)
    fill = a_fill(1, order)
    first = a_ledger(tmp_path)
    first.commit([an_outcome(Report(Execution.TRADE, order, fill))])
    first.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("ALTER TABLE orders DROP COLUMN working_ms")
        connection.execute("ALTER TABLE orders DROP COLUMN stop_price")
        connection.execute("ALTER TABLE orders DROP COLUMN received_ms")
        connection.execute("ALTER TABLE fills DROP COLUMN wire_ms")

    second = a_ledger(tmp_path)
    found = second.open_orders()
    second.close()
    third = a_ledger(tmp_path)

    assert found == [order]
    assert third.open_orders() == [order]
    assert third.fills(FillQuery()) == [fill]
    third.close()
