"""One decision, two exchanges: orders go where they cost least, over both where one is too thin,
and to the other one alone while one is away.
"""

from __future__ import annotations

import signal
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from daemon.core.events import OrderIntended, QuotesTaken
from daemon.core.orders import Leg, Side
from daemon.store.journal_reader import JournalReader
from tests.e2e.command import SMALL, Tradingd, finished
from tests.e2e.test_walkforward import recorded
from tests.e2e.watched import Watched, is_line
from tests.unit.research.markets import a_market_with_edge

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)
BARS = 60
NAMES = {"embedded", "embedded-b"}
ROUTED = SMALL.replace("[data]", "[data]\nalso = {embedded-b = []}") + (
    '[execution]\nrouting = "best"\n'
)
# Orders that take several levels of a book.
LARGE = ROUTED + (
    "[risk]\nallotted_quote = 150000\nmax_order_notional_quote = 100000\n"
    "max_position_ratio = 0.5\nmax_gross_exposure_ratio = 0.5\nkelly_ratio = 1.0\n"
    "max_depth_ratio = 0.0\n"
)


def entries(tradingd: Tradingd) -> list[tuple[OrderIntended, QuotesTaken]]:
    """Each entry with the books it was decided on."""
    (path,) = tradingd.state.glob("runs/*/journal.db")
    found, books = [], {}
    for _, event in JournalReader.open(path).read():
        if isinstance(event, QuotesTaken):
            books[event.trace] = event
        elif isinstance(event, OrderIntended) and event.leg is Leg.ENTRY:
            found.append((event, books[event.trace]))
    return found


def books_agree(tradingd: Tradingd) -> None:
    books: dict[str, Any] = tradingd.query("reconcile")
    assert books["equal"]
    assert all(each["equal"] for each in books["accounts"].values())
    assert tradingd.query("parity")["identical"]


def test_every_order_goes_to_the_exchange_where_it_costs_least(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path, ROUTED)

    lines = tradingd.run("--market", "synthetic", "--symbol", "BTC/USDT", "--bars", str(BARS))

    result = finished(lines)
    assert result["suppressed"]["routed"] == BARS  # the other exchange's bars decide nothing
    sent = entries(tradingd)
    assert sent
    collar = Decimal("0.1")  # what is further off than that is believed by nobody
    for order, books in sent:
        asks = {each.instrument: each.best(Side.BUY) for each in books.quotes if each.is_complete}
        near = [
            each
            for each in asks.values()
            if each and abs(each / order.decision_price - 1) <= collar
        ]
        assert asks[order.instrument] == min(near)
    books_agree(tradingd)
    tradingd.stop_exchange()


def test_an_order_too_large_for_one_book_is_split_over_both(tmp_path: Path) -> None:
    series = a_market_with_edge(1_800, seed=3)
    market = recorded(tmp_path, "market.csv", series, 0, 1_800)
    tradingd = Tradingd(tmp_path, LARGE)

    tradingd.run("--market", market, "--bars", str(BARS))

    sent = entries(tradingd)
    by_decision: dict[str, dict[str, Decimal]] = {}
    for order, _ in sent:
        parts = by_decision.setdefault(order.trace, {})
        parts[order.instrument.exchange] = parts.get(order.instrument.exchange, Decimal(0))
        parts[order.instrument.exchange] += order.quantity
    assert any(parts.keys() == NAMES for parts in by_decision.values())
    fills = tradingd.query("export", "fills")["fills"]
    assert {row["exchange"] for row in fills} == NAMES
    books_agree(tradingd)
    tradingd.stop_exchange()


def test_while_one_exchange_is_away_the_other_gets_the_orders(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path, ROUTED)
    daemon = Watched(tradingd.start("--market", "synthetic", "--speed", "8"))
    try:
        daemon.until(is_line("order.filled"))
        tradingd.kill_exchange("exchange-b", signal.SIGKILL)
        lines = daemon.until(is_line("exchange.started", exchange="embedded-b"))
        daemon.until(is_line("order.filled"))
        code, _ = daemon.end(signal.SIGTERM)
    finally:
        if daemon.process.poll() is None:
            daemon.end(signal.SIGKILL)

    assert code == 0
    lost = [each["event"] for each in lines].index("exchange.lost")
    sent = [each for each in lines[lost:] if each["event"] == "order.submitted"]
    assert all(each["exchange"] == "embedded" for each in sent if each["leg"] == "entry")
    books_agree(tradingd)
    tradingd.stop_exchange()
