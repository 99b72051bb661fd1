"""The wall of shadow mode: every reading of a real account passes it, and nothing else does."""

import contextlib
from typing import Any

import pytest

from daemon.core.events import Outcome
from daemon.core.instruments import InstrumentId
from daemon.core.orders import OrderType, Side
from daemon.venues.capabilities import CAPABILITIES
from daemon.venues.ccxt_venue import CcxtVenue
from daemon.venues.key_scope import PROBES
from daemon.venues.read_only import KeptBack, wall
from tests.builders import a_submission
from tests.contract.signing import SYMBOL, Caught, Signed, a_signing_client

EXCHANGES = sorted(CAPABILITIES.keys() - {"embedded"})
each_exchange = pytest.mark.parametrize("exchange", EXCHANGES)


def a_walled_client(exchange: str) -> tuple[Any, list[Signed]]:
    client, signed = a_signing_client(exchange)
    wall(client, exchange)
    return client, signed


@each_exchange
@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("fetch_balance", ()),
        ("fetch_my_trades", (SYMBOL, 1_700_000_000_000)),
        ("fetch_open_orders", (SYMBOL,)),
        ("fetch_trading_fee", (SYMBOL,)),
    ],
)
async def test_what_only_reads_passes(
    exchange: str, method: str, arguments: tuple[object, ...]
) -> None:
    client, signed = a_walled_client(exchange)
    if method == "fetch_trading_fee" and not client.has["fetchTradingFee"]:
        pytest.skip(f"ccxt asks {exchange} for no fees")

    with pytest.raises(Caught):
        await getattr(client, method)(*arguments)

    assert signed


@each_exchange
async def test_the_question_what_a_key_may_do_passes(exchange: str) -> None:
    probe = PROBES.get(exchange)
    if probe is None:
        pytest.skip(f"{exchange} has no such question")
    client, signed = a_walled_client(exchange)

    reply = None
    with contextlib.suppress(Caught):  # some are answered, as ccxt asks them before an order, too
        reply = await getattr(client, probe.method)()

    assert signed or reply


@each_exchange
@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("create_order", (SYMBOL, "limit", "sell", "1", "2")),
        ("create_order", (SYMBOL, "market", "sell", "1")),
        ("cancel_order", ("1", SYMBOL)),
        ("cancel_all_orders", (SYMBOL,)),
        ("withdraw", ("BTC", "1", "an-address")),
        ("transfer", ("BTC", "1", "spot", "funding")),
    ],
)
async def test_nothing_that_changes_an_account_leaves(
    exchange: str, method: str, arguments: tuple[object, ...]
) -> None:
    """However it is asked for; some methods end before, as ccxt lacks what they would need."""
    client, signed = a_walled_client(exchange)

    with pytest.raises(Exception) as refused:  # noqa: PT011  # ccxt's own for what it does not know
        await getattr(client, method)(*arguments)

    assert [each for each in signed if each.method != "GET"] == []
    if method in {"create_order", "cancel_order"}:
        assert isinstance(refused.value, KeptBack)
        assert "was kept back, nothing was sent" in str(refused.value)


@each_exchange
def test_no_stream_is_opened_on_which_orders_could_be_sent(exchange: str) -> None:
    client, _ = a_walled_client(exchange)

    with pytest.raises(KeptBack, match="no stream of the account"):
        client.client("wss://anywhere.example/ws")


@each_exchange
async def test_even_the_venue_of_live_orders_sends_nothing_through_the_wall(exchange: str) -> None:
    client, signed = a_walled_client(exchange)
    venue = CcxtVenue(client, exchange)
    order = a_submission(
        instrument=InstrumentId(exchange, SYMBOL),
        side=Side.SELL,
        order_type=OrderType.MARKET,
    )

    report = await venue.submit(order)

    assert report.outcome in {Outcome.NOT_SENT, Outcome.UNKNOWN}
    assert [each for each in signed if each.method != "GET"] == []
