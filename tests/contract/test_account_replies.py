"""A whole account on each exchange, over documented replies: what is held, what traded, what rests.

The replies go through ccxt's own classes; none was recorded, and no exchange was ever asked.
"""

from decimal import Decimal
from typing import Any

import pytest

from daemon.core.errors import ExchangeUnreachable
from daemon.core.instruments import InstrumentId
from daemon.core.orders import OrderType, Side
from daemon.core.ports import Account, OpenOrder
from daemon.core.timeframes import NS_PER_MS
from daemon.running.books.adoption import adoptable
from daemon.venues.capabilities import CAPABILITIES, STOP
from daemon.venues.ccxt_venue import CcxtVenue
from tests.contract.account_replies import ACCOUNTS, RESTS, held_on_coinbase
from tests.contract.order_replies import MS, OURS, THEIRS, in_kraken
from tests.contract.signing import SYMBOL, a_signing_client

EXCHANGES = sorted(CAPABILITIES.keys() - {"embedded", "binance", "binanceus"})
each_exchange = pytest.mark.parametrize("exchange", EXCHANGES)


async def account_of(client: Any, exchange: str, *more: str) -> Account:
    client.timeout_on_exit = 0
    venue = CcxtVenue(client, exchange)
    wanted = [InstrumentId(exchange, each) for each in (*more, SYMBOL)]
    try:
        return await venue.account(wanted, MS * NS_PER_MS)
    finally:
        await venue.close()


def test_every_exchange_that_takes_orders_has_an_account_here() -> None:
    assert set(ACCOUNTS) == set(EXCHANGES)


@each_exchange
async def test_what_orders_lock_is_held_and_what_traded_and_rests_bears_our_ids(
    exchange: str,
) -> None:
    """Bybit's and Kraken's order is a stop, as it rests behind a position; the others have none."""
    client, signed = a_signing_client(exchange, replies=ACCOUNTS[exchange])
    account = await account_of(client, exchange)

    assert account.totals == {"BTC": Decimal("0.4995"), "USDT": Decimal(75_000)}
    (fill,) = account.fills
    assert (fill.client_order_id, fill.venue_order_id) == (OURS, THEIRS)
    assert (fill.side, fill.fill.quantity) == (Side.BUY, Decimal("0.5"))
    is_stop = STOP in CAPABILITIES[exchange].kinds
    resting = OpenOrder(
        client_order_id=RESTS,
        instrument=InstrumentId(exchange, SYMBOL),
        side=Side.SELL,
        order_type=OrderType.STOP if is_stop else OrderType.LIMIT,
        quantity=Decimal("0.1"),
        price=None if is_stop else Decimal(60_000),
        stop_price=Decimal(47_500) if is_stop else None,
    )
    assert account.open_orders == (resting,)
    assert account.open_client_order_ids == (RESTS,)
    assert [each for each in signed if "acknowledged" in each.told] == []


@each_exchange
async def test_a_symbol_that_is_listed_no_more_hides_nothing_of_the_others(exchange: str) -> None:
    client, _ = a_signing_client(exchange, replies=ACCOUNTS[exchange])
    account = await account_of(client, exchange, "GONE/USDT")

    assert [each.client_order_id for each in account.fills] == [OURS]
    assert account.open_client_order_ids == (RESTS,)


@each_exchange
async def test_an_order_of_a_kind_without_a_size_is_named_and_hides_nothing_else(
    exchange: str,
) -> None:
    client, _ = a_signing_client(exchange, replies=ACCOUNTS[exchange])
    told = client.fetch_open_orders

    async def without_a_size(*args: object) -> list[dict[str, object]]:
        return [{**each, "amount": None} for each in await told(*args)]

    client.fetch_open_orders = without_a_size
    account = await account_of(client, exchange)

    assert account.open_client_order_ids == (RESTS,)
    assert account.open_orders == ()
    assert len(account.fills) == 1


@each_exchange
async def test_after_a_lost_journal_what_rests_is_taken_over_with_its_price(exchange: str) -> None:
    client, _ = a_signing_client(exchange, replies=ACCOUNTS[exchange])
    account = await account_of(client, exchange)

    adopted = adoptable(account.fills, account.open_orders, are_settled=False)

    assert [(each.client_order_id, each.is_open) for each in adopted] == [
        (OURS, False),
        (RESTS, True),
    ]
    assert adopted[1].stop_price == account.open_orders[0].stop_price


async def test_what_earns_by_itself_on_kraken_is_held_and_what_is_bound_stands_apart() -> None:
    """Orders in BTC spend XBT.F too, and what is bought may be moved there within a moment."""
    held = {
        "XXBT": {"balance": "0.1", "hold_trade": "0.1"},
        "XBT.F": {"balance": "0.3995", "hold_trade": "0"},
        "XBT.B": {"balance": "2", "hold_trade": "0"},
        "XBT.M": {"balance": "3", "hold_trade": "0"},
        "USDT.F": {"balance": "75000", "hold_trade": "0"},
        "DOT28.S": {"balance": "4", "hold_trade": "0"},
        "DOT.P": {"balance": "5", "hold_trade": "0"},
        "USDT.T": {"balance": "6", "hold_trade": "0"},
        "ETH.F": {"balance": "0", "hold_trade": "0"},
    }
    replies = ACCOUNTS["kraken"] | {"/BalanceEx": in_kraken(held)}
    client, _ = a_signing_client("kraken", replies=replies)
    account = await account_of(client, "kraken")

    assert account.totals == {
        "BTC": Decimal("0.4995"),
        "USDT": Decimal(75_000),
        "BTC.B": Decimal(2),
        "BTC.M": Decimal(3),
        "DOT28.S": Decimal(4),
        "DOT.P": Decimal(5),
        "USDT.T": Decimal(6),
    }


def a_page_of_wallets(rows: dict[str, str], cursor: str, *, has_next: bool) -> dict[str, Any]:
    wallets = [held_on_coinbase(currency, free, "0") for currency, free in rows.items()]
    return {"accounts": wallets, "has_next": has_next, "cursor": cursor}


async def test_wallets_on_coinbase_are_read_to_the_last_page() -> None:
    """Pages are of 250; the coin that matters may be on any of them."""
    full = {f"C{number}": "1" for number in range(250)}
    pages = {
        "cursor=second": a_page_of_wallets({"BTC": "0.4995"}, "", has_next=False),
        "/brokerage/accounts": a_page_of_wallets(full, "second", has_next=True),
    }
    others = {path: told for path, told in ACCOUNTS["coinbase"].items() if path not in pages}
    client, signed = a_signing_client("coinbase", replies=pages | others)
    account = await account_of(client, "coinbase")

    assert account.totals == dict.fromkeys(full, Decimal(1)) | {"BTC": Decimal("0.4995")}
    assert len([each for each in signed if "/brokerage/accounts" in each.url]) == 2


@pytest.mark.parametrize("cursor", ["", "again"])
async def test_wallets_on_coinbase_that_are_shown_in_part_are_no_reading(cursor: str) -> None:
    """With more to come and no way to ask for it, or the same page again: nothing is held of what
    is missing, as far as a sum can tell.
    """
    page = a_page_of_wallets({"USDT": "75000"}, cursor, has_next=True)
    replies = ACCOUNTS["coinbase"] | {"/brokerage/accounts": page}
    client, _ = a_signing_client("coinbase", replies=replies)

    with pytest.raises(ExchangeUnreachable, match="told in part"):
        await account_of(client, "coinbase")


async def test_whose_a_trade_is_is_asked_again_when_its_order_was_not_listed_yet() -> None:
    """Right after it traded; an answer, even that it is nobody's of ours, is kept."""
    unlisted = {"code": "51603", "msg": "Order does not exist", "data": []}
    replies = ACCOUNTS["okx"] | {"/trade/order?": unlisted}
    client, signed = a_signing_client("okx", replies=replies)
    client.timeout_on_exit = 0
    venue = CcxtVenue(client, "okx")
    told: list[str | None] = []
    try:
        for reply in (unlisted, ACCOUNTS["okx"]["/trade/order?"], unlisted):
            replies["/trade/order?"] = reply
            account = await venue.account([InstrumentId("okx", SYMBOL)], MS * NS_PER_MS)
            told.append(account.fills[0].client_order_id)
    finally:
        await venue.close()

    assert told == [None, OURS, OURS]
    assert len([each for each in signed if "/trade/order?" in each.url]) == 2
