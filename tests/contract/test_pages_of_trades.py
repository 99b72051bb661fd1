"""More trades of one moment than an exchange lists at once: each is found, page by page.

The exchanges here page as their documentation says, under ccxt's own classes; none was asked.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from daemon.core.instruments import InstrumentId
from daemon.core.ports import Account
from daemon.core.timeframes import NS_PER_MS
from daemon.venues.capabilities import CAPABILITIES
from daemon.venues.ccxt_departures import fields_of
from daemon.venues.ccxt_pages import order_trades
from daemon.venues.ccxt_venue import CcxtVenue
from tests.contract.account_replies import ACCOUNTS
from tests.contract.order_replies import (
    BITGET_FILL,
    BYBIT_FILL,
    COINBASE_FILL,
    GATE_FILL,
    KRAKEN_FILL,
    KRAKEN_ORDER,
    KUCOIN_FILL,
    MS,
    OKX_FILL,
    OURS,
    THEIRS,
    in_bitget,
    in_bybit,
    in_kraken,
    in_kucoin_page,
    in_okx,
    of_kucoin,
)
from tests.contract.signing import SYMBOL, a_signing_client
from tests.unit.venues.orders import a_look_up

Fields = dict[str, str]
EXCHANGES = sorted(CAPABILITIES.keys() - {"embedded", "binance", "binanceus"})
each_exchange = pytest.mark.parametrize("exchange", EXCHANGES)
MORE = 20  # than a page


def numbered(fill: dict[str, Any], count: int, *names: str) -> list[dict[str, Any]]:
    """The newest first."""
    return [fill | dict.fromkeys(names, str(n)) for n in range(count, 0, -1)]


def below(rows: list[dict[str, Any]], name: str, told: str | None) -> list[dict[str, Any]]:
    return [each for each in rows if told is None or int(each[name]) < int(told)][:100]


def okx(asked: Fields, count: int) -> Any:
    rows = numbered(OKX_FILL, count, "tradeId", "billId")
    return in_okx(*below(rows, "billId", asked.get("after")))


def bitget(asked: Fields, count: int) -> Any:
    rows = numbered(BITGET_FILL, count, "tradeId")
    return in_bitget(below(rows, "tradeId", asked.get("idLessThan")))


def bybit(asked: Fields, count: int) -> Any:
    start, size = int(asked.get("cursor", 0)), int(asked.get("limit", 50))
    rows = numbered(BYBIT_FILL, count, "execId")
    shown = rows[start : start + size]
    cursor = str(start + size) if start + size < count else ""
    return in_bybit({"category": "spot", "list": shown, "nextPageCursor": cursor})


def coinbase(asked: Fields, count: int) -> Any:
    start, size = int(asked.get("cursor", 0)), int(asked.get("limit", 100))
    shown = numbered(COINBASE_FILL, count, "trade_id", "entry_id")[start : start + size]
    return {"fills": shown, "cursor": str(start + size) if start + size < count else ""}


def kucoin(asked: Fields, count: int) -> Any:
    page, size = int(asked.get("currentPage", 1)), int(asked.get("pageSize", 50))
    rows = numbered(KUCOIN_FILL, count, "tradeId")
    return in_kucoin_page(*rows[(page - 1) * size : page * size])


def kucoin_hf(asked: Fields, count: int) -> Any:
    """Newest first, 100 at most, and by nothing but the id of the last one that was shown."""
    rows = numbered(KUCOIN_FILL, count, "tradeId", "id")
    shown = below(rows, "id", asked.get("lastId"))[: int(asked.get("limit", 20))]
    return of_kucoin({"items": shown, "lastId": int(shown[-1]["id"]) if shown else 0})


def gate(asked: Fields, count: int) -> Any:
    page, size = int(asked.get("page", 1)), int(asked.get("limit", 100))
    return numbered(GATE_FILL, count, "id")[(page - 1) * size : page * size]


def kraken(asked: Fields, count: int) -> Any:
    """Whatever symbol was asked for, all of them; by their ids as many as are named."""
    ours = {f"T{n}": KRAKEN_FILL for n in range(count)}
    if "txid" in asked:
        names = asked["txid"].split(",")
        assert len(names) <= 20
        return in_kraken({name: ours[name] for name in names})
    later = KRAKEN_FILL | {"pair": "XETHXXBT", "time": MS / 1_000 + 1, "ordertxid": "OTHERS"}
    rows = [*((f"E{n}", later) for n in range(70)), *ours.items()]
    start = int(asked.get("ofs", 0))
    return in_kraken({"trades": dict(rows[start : start + 50]), "count": len(rows)})


PAGED: dict[str, tuple[str, Callable[[Fields, int], Any]]] = {
    "okx": ("/trade/fills-history", okx),
    "bybit": ("/execution/list", bybit),
    "kraken": ("Trades", kraken),
    "kucoin": ("/fills", kucoin),
    "gate": ("/spot/my_trades", gate),
    "bitget": ("/trade/fills", bitget),
    "coinbase": ("/orders/historical/fills", coinbase),
}


def a_paging_client(
    exchange: str, answers: Callable[[Fields, int], Any] | None = None
) -> tuple[Any, int]:
    """A client of an account with more trades of one moment than a page holds, and how many."""
    client, _ = a_signing_client(exchange, replies=ACCOUNTS[exchange])
    client.timeout_on_exit = 0
    count = CAPABILITIES[exchange].pages.rows + MORE
    path, page = PAGED[exchange]
    page = answers or page
    answer = client.fetch

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        if path not in url:
            return await answer(url, method, headers, body)
        asked = {name: values[0] for name, values in fields_of(url, body).items()}
        return json.loads(json.dumps(page(asked, count)))

    client.fetch = fetch
    return client, count


async def account_of(client: Any, exchange: str) -> Account:
    venue = CcxtVenue(client, exchange)
    try:
        return await venue.account([InstrumentId(exchange, SYMBOL)], MS * NS_PER_MS)
    finally:
        await venue.close()


@each_exchange
async def test_the_account_tells_every_fill_however_many_others_traded_at_once(
    exchange: str,
) -> None:
    """Kraken's newest page holds other symbols' trades alone: ccxt makes an empty list of it."""
    client, count = a_paging_client(exchange)

    fills = (await account_of(client, exchange)).fills

    assert len({each.fill.trade_id for each in fills}) == len(fills) == count
    assert {each.client_order_id for each in fills} == {OURS}


@each_exchange
async def test_an_order_is_read_with_all_its_fills(exchange: str) -> None:
    client, count = a_paging_client(exchange)
    named = [f"T{n}" for n in range(count)]
    try:
        rows = await order_trades(
            client, CAPABILITIES[exchange], SYMBOL, OURS, theirs=THEIRS, named=named
        )
    finally:
        await client.close()

    assert len({each["id"] for each in rows}) == len(rows) == count


async def test_a_kucoin_account_of_the_high_frequency_kind_is_read_whole() -> None:
    """ccxt finds out at its first contact that an account is one, and then asks other lists: they
    know no pages by number, and showed twenty fills of however many there were.
    """
    client, count = a_paging_client("kucoin", kucoin_hf)
    client.options["hf"] = True
    row = CAPABILITIES["kucoin"]
    rows = await order_trades(client, row, SYMBOL, OURS, theirs=THEIRS, named=())
    fills = (await account_of(client, "kucoin")).fills

    assert len({each["id"] for each in rows}) == len(rows) == count
    assert len({each.fill.trade_id for each in fills}) == len(fills) == count


async def test_kraken_tells_of_an_order_which_trades_are_its_own() -> None:
    """Its list is of all symbols: more than a page of newer ones hid the fills, for ever."""
    replies = {
        "/OpenOrders": in_kraken({"open": {}}),
        "/ClosedOrders": in_kraken({"closed": {THEIRS: KRAKEN_ORDER | {"trades": ["T1"]}}}),
    }
    client, signed = a_signing_client("kraken", replies=replies)
    client.timeout_on_exit = 0
    answer = client.fetch

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        if "/QueryTrades" in url:
            return in_kraken({"T1": dict(KRAKEN_FILL)})
        return await answer(url, method, headers, body)

    client.fetch = fetch
    venue = CcxtVenue(client, "kraken")
    try:
        report = await venue.look_up(a_look_up(OURS, InstrumentId("kraken", SYMBOL)))
    finally:
        await venue.close()

    assert [each.trade_id for each in report.fills] == ["T1"]
    assert all(each.fields["trades"] == ["true"] for each in signed)


async def test_a_list_that_always_shows_the_same_of_one_moment_is_no_answer() -> None:
    """An exchange that does not go on as it is asked to is not taken for one that has told all."""
    client, _ = a_paging_client("kucoin")
    answer = client.fetch

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        if "/fills" in url:
            return kucoin({"pageSize": "500"}, 520)
        return await answer(url, method, headers, body)

    client.fetch = fetch
    try:
        with pytest.raises(ValueError, match="more than 500 trades of one moment"):
            await order_trades(
                client, CAPABILITIES["kucoin"], SYMBOL, OURS, theirs=THEIRS, named=()
            )
    finally:
        await client.close()
