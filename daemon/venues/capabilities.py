"""What is known of sending orders to each exchange: one row each, held to the signed requests.

Belongs here: names of fields, how an order is found by its client id, how late a request may still
be accepted. Which replies are definite refusals is in `refusals`, who may be talked to in `hosts`.

An exchange without a row is paper-only. Every row is proved by tests/contract/test_orders_signed.py
on the request that the pinned ccxt really signs; nothing here was ever run against a real exchange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from daemon.core.errors import LiveRefused
from daemon.core.instruments import exchange_behind

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a field's value stands for; everything else in a row is sent as it is written.
OURS, SIDE = "<our id>", "<side>"
QUANTITY, PRICE, STOP_PRICE = "<quantity>", "<price>", "<stop price>"
DEADLINE = "<deadline>"
THEIRS = "<their id>"
SINCE = "<since>"
TRADES = "<ids of its trades>"

# By what a list of trades is told to go on behind its pages so far.
ROWS_SO_FAR, PAGE_NUMBER, CURSOR, LEAST_ID, NEXT_ID = "rows", "page", "cursor", "least", "next"
DAY_MS = 86_400_000
WEEK_MS, TWO_YEARS_MS = 7 * DAY_MS, 730 * DAY_MS

MARKET, LIMIT, STOP, AT_ONCE = "market", "limit", "stop", "at once"
UNSTATED = "not stated for how long"


class Kind(Struct, frozen=True, kw_only=True):
    """How one kind of order is asked of ccxt, and what then stands in the signed request."""

    wire: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    ccxt_type: str = MARKET
    cancel: dict[str, object] = field(default_factory=dict)  # what a cancel needs beside the id


class Look(Struct, frozen=True):
    """One question that finds an order by our id, in ccxt's words."""

    method: str
    params: dict[str, Any] = field(default_factory=dict)
    order_id: str | None = None  # where the id takes the place of the exchange's own


class Pages(Struct, frozen=True, kw_only=True):
    """How our trades are listed page by page, in params of ccxt: `param` asks for the next one, and
    is told what `by` says, read from `key` of the raw trades where they hold it.
    """

    rows: int  # of a full page
    param: str
    by: str
    key: str = ""
    size: dict[str, str] = field(default_factory=dict)  # asks for pages of that many
    is_of_all: bool = False  # ccxt picks one symbol's trades out of a page of all symbols'
    stretch_ms: int = WEEK_MS  # the longest that is answered for; Bybit and KuCoin refuse more


class Row(Struct, frozen=True, kw_only=True):
    """One exchange. `late_s` after it was signed a request can no longer be accepted."""

    id_field: str
    id_param: str
    id_prefix: str = ""
    id_pattern: str
    unique_among: str  # a second order with the same id is refused among these
    side_case: str
    always: dict[str, str]
    kinds: dict[str, Kind]
    looks: tuple[Look, ...]
    last_looks: tuple[Look, ...] = ()
    fills: Look  # of one order
    pages: Pages  # of the fills of one order, and of all of them
    cancel: Look
    late_s: float  # 0 where execution.validity_ms is sent along
    late_because: str  # what makes a later one refused
    # Params of ccxt's cancel_all_orders_after, where there is a switch for spot. It would end the
    # protective stops too, so nothing arms it.
    dead_man: dict[str, str] | None = None
    needs_password: bool = False
    options: dict[str, object] = field(default_factory=dict)  # of the ccxt client
    by_theirs: dict[str, object] = field(default_factory=dict)  # to find an order by their id
    has_counted_nonces: bool = False  # each request of a key needs a larger one than all before it
    spent_with_asset: str = ""  # how the names of balances end that orders spend as the asset
    # (field, word) of a raw order that says it was filled whole, where ccxt's "closed" covers more.
    whole: tuple[str, str] | None = None
    hf_pages: Pages | None = None  # in place of `pages` where the account is of KuCoin's new kind

    def pages_for(self, options: Mapping[str, object]) -> Pages:
        """How the fills of this client's account are listed; ccxt's options say of which kind it
        was found to be when its markets were loaded.
        """
        return self.hf_pages if self.hf_pages is not None and options.get("hf") else self.pages

    def sent_as(self, client_order_id: str) -> str:
        """Our id as this exchange is told it."""
        return self.id_prefix + client_order_id

    def ours(self, told: str) -> str:
        """Our id again, of what the exchange tells; ids of others stay as they are."""
        return told.removeprefix(self.id_prefix)


BY_ID: dict[str, Any] = {"clientOrderId": OURS}
KRAKEN = {"deadline": DEADLINE, "oflags": "fciq"}
LIST_OPEN, LIST_CLOSED = Look("fetch_open_orders"), Look("fetch_closed_orders")

BINANCE = Row(
    id_field="newClientOrderId",
    id_param="newClientOrderId",
    id_pattern=r"[.A-Z:/a-z0-9_-]{1,36}",
    unique_among="open orders",
    side_case="upper",
    always={"newClientOrderId": OURS, "side": SIDE, "quantity": QUANTITY},
    kinds={
        MARKET: Kind(wire={"type": "MARKET"}),
        LIMIT: Kind(ccxt_type=LIMIT, wire={"type": "LIMIT", "price": PRICE, "timeInForce": "GTC"}),
        STOP: Kind(
            params={"stopLossPrice": STOP_PRICE},
            wire={"type": "STOP_LOSS", "stopPrice": STOP_PRICE},
        ),
    },
    looks=(Look("fetch_order", BY_ID),),
    last_looks=(LIST_OPEN, Look("fetch_orders")),
    fills=Look("fetch_order_trades", order_id=THEIRS),
    pages=Pages(rows=1_000, size={"limit": "1000"}, param="fromId", by=NEXT_ID, key="id"),
    cancel=Look("cancel_order", BY_ID),
    late_s=0.0,
    late_because="recvWindow",
)

CAPABILITIES: dict[str, Row] = {
    "embedded": BINANCE,
    "binance": BINANCE,
    "binanceus": BINANCE,
    "okx": Row(
        id_field="clOrdId",
        id_param="clientOrderId",
        id_pattern=r"[A-Za-z0-9]{1,32}",
        unique_among=UNSTATED,
        side_case="lower",
        # Without tdMode and tgtCcy a market buy would spend quote currency, or borrow.
        always={"clOrdId": OURS, "side": SIDE, "sz": QUANTITY, "tdMode": "cash"},
        kinds={
            MARKET: Kind(wire={"ordType": "market", "tgtCcy": "base_ccy"}),
            LIMIT: Kind(ccxt_type=LIMIT, wire={"ordType": "limit", "px": PRICE}),
        },
        looks=(Look("fetch_order", BY_ID),),
        last_looks=(LIST_OPEN, LIST_CLOSED, Look("fetch_canceled_orders")),
        fills=Look("fetch_order_trades", order_id=THEIRS),
        pages=Pages(rows=100, param="after", by=LEAST_ID, key="billId"),
        cancel=Look("cancel_order", BY_ID),
        late_s=30.0,
        late_because="the signature's timestamp",
        dead_man={},
        needs_password=True,
    ),
    "bybit": Row(
        id_field="orderLinkId",
        id_param="clientOrderId",
        id_pattern=r"[A-Za-z0-9_-]{1,36}",
        unique_among=UNSTATED,
        side_case="title",
        always={"orderLinkId": OURS, "side": SIDE, "qty": QUANTITY, "category": "spot"},
        kinds={
            MARKET: Kind(wire={"orderType": "Market", "marketUnit": "baseCoin"}),
            LIMIT: Kind(ccxt_type=LIMIT, wire={"orderType": "Limit", "price": PRICE}),
            STOP: Kind(
                params={"triggerPrice": STOP_PRICE},
                wire={
                    "orderType": "Market",
                    "orderFilter": "StopOrder",
                    "triggerPrice": STOP_PRICE,
                    "marketUnit": "baseCoin",
                },
                cancel={"trigger": True},
            ),
        },
        # ccxt's fetch_order sends orderId=None beside the id, and its clientOrderId is ignored.
        looks=(
            Look("fetch_open_orders", {"orderLinkId": OURS}),
            Look("fetch_canceled_and_closed_orders", {"orderLinkId": OURS}),
        ),
        fills=Look("fetch_order_trades", order_id=THEIRS),
        pages=Pages(
            rows=100, size={"limit": "100"}, param="cursor", by=CURSOR, key="nextPageCursor"
        ),
        cancel=Look("cancel_order", {"orderLinkId": OURS}),
        late_s=5.0,
        late_because="recv_window",
        options={"recvWindow": 5_000},
        by_theirs={"acknowledged": True},  # else ccxt asks us to know what this may not find
        # "PartiallyFilledCanceled" is closed to ccxt, too, which takes what was filled for all that
        # was wanted where a market buy does not repeat its marketUnit.
        whole=("orderStatus", "Filled"),
        dead_man={"product": "SPOT"},
    ),
    "kraken": Row(
        id_field="cl_ord_id",
        id_param="clientOrderId",
        id_pattern=r"[ -~]{1,18}",  # as free text; a UUID may be longer
        unique_among="open orders",
        side_case="lower",
        # Unasked the fee of a sale is taken in what is sold, which more would be needed of than is
        # held, and trades tell every fee in quote currency.
        always={
            "cl_ord_id": OURS,
            "type": SIDE,
            "volume": QUANTITY,
            "deadline": DEADLINE,
            "oflags": "fciq",
        },
        kinds={
            MARKET: Kind(params=KRAKEN, wire={"ordertype": "market"}),
            LIMIT: Kind(
                ccxt_type=LIMIT,
                params=KRAKEN,
                wire={"ordertype": "limit", "price": PRICE},
            ),
            # A triggerPrice would be left out by Kraken: the stop would sell at once.
            STOP: Kind(
                params={"stopLossPrice": STOP_PRICE, **KRAKEN},
                wire={"ordertype": "stop-loss", "price": STOP_PRICE},
            ),
        },
        # ccxt's fetch_order sends the id as userref, with txid=None.
        looks=(
            Look("fetch_open_orders", {**BY_ID, "trades": "true"}),
            Look("fetch_closed_orders", {**BY_ID, "trades": "true"}),
        ),
        # Its list of trades is of all symbols; an order tells the ids of its own.
        fills=Look("fetch_order_trades", {"trades": TRADES}, order_id=THEIRS),
        pages=Pages(rows=50, param="ofs", by=ROWS_SO_FAR, is_of_all=True, stretch_ms=TWO_YEARS_MS),
        cancel=Look("cancel_order", BY_ID),
        late_s=10.0,
        late_because="the deadline sent along",
        dead_man={},
        has_counted_nonces=True,
        spent_with_asset=".F",
    ),
    "kucoin": Row(
        id_field="clientOid",
        id_param="clientOrderId",
        id_pattern=r"[A-Za-z0-9_-]{1,40}",
        unique_among=UNSTATED,
        side_case="lower",
        always={"clientOid": OURS, "side": SIDE, "size": QUANTITY},
        kinds={
            MARKET: Kind(wire={"type": "market"}),
            LIMIT: Kind(ccxt_type=LIMIT, wire={"type": "limit", "price": PRICE}),
        },
        # By id only active orders are found: one that was filled at once "does not exist".
        looks=(Look("fetch_order", BY_ID), Look("fetch_closed_orders", {SINCE: SINCE})),
        last_looks=(LIST_OPEN,),
        fills=Look("fetch_order_trades", order_id=THEIRS),
        pages=Pages(rows=500, size={"pageSize": "500"}, param="currentPage", by=PAGE_NUMBER),
        # An account whose orders go over the "hf" endpoints has lists of another kind.
        hf_pages=Pages(rows=100, size={"limit": "100"}, param="lastId", by=LEAST_ID, key="id"),
        cancel=Look("cancel_order", BY_ID),
        late_s=5.0,
        late_because="the signature's timestamp",
        needs_password=True,
        options={"uta": False},  # else each client first asks which mode the account is in
    ),
    "gate": Row(
        id_field="text",
        id_param="clientOrderId",
        id_prefix="t-",  # ccxt takes an id that begins with a t for one that has it
        id_pattern=r"t-[A-Za-z0-9_.-]{1,28}",
        unique_among="open orders",
        side_case="lower",
        always={"text": OURS, "side": SIDE, "amount": QUANTITY, "account": "spot"},
        kinds={
            MARKET: Kind(wire={"type": "market", "time_in_force": "ioc"}),
            LIMIT: Kind(ccxt_type=LIMIT, wire={"type": "limit", "price": PRICE}),
            AT_ONCE: Kind(
                ccxt_type=LIMIT,
                params={"timeInForce": "IOC"},
                wire={"type": "limit", "price": PRICE, "time_in_force": "ioc"},
            ),
        },
        # By id an order is found for an hour after its end; the lists know it longer.
        looks=(Look("fetch_order", order_id=OURS),),
        last_looks=(LIST_OPEN, Look("fetch_closed_orders", {SINCE: SINCE})),
        fills=Look("fetch_my_trades", {"order_id": THEIRS}),  # ccxt asks for no page of an order's
        pages=Pages(rows=1_000, size={"limit": "1000"}, param="page", by=PAGE_NUMBER),
        cancel=Look("cancel_order", order_id=OURS),
        late_s=60.0,
        late_because="the signature's timestamp",
        options={"unifiedAccount": False},
    ),
    "bitget": Row(
        id_field="clientOid",
        id_param="clientOrderId",
        id_pattern=r"[A-Za-z0-9_-]{1,50}",
        unique_among=UNSTATED,
        side_case="lower",
        always={"clientOid": OURS, "side": SIDE, "size": QUANTITY},
        kinds={
            MARKET: Kind(wire={"orderType": "market"}),
            LIMIT: Kind(ccxt_type=LIMIT, wire={"orderType": "limit", "price": PRICE}),
            AT_ONCE: Kind(
                ccxt_type=LIMIT,
                params={"timeInForce": "IOC"},
                wire={"orderType": "limit", "price": PRICE, "force": "IOC"},
            ),
        },
        # Of an id it does not know it answers an empty list, on which ccxt's fetch_order breaks: a
        # failure that no order would ever be absent by. Its closed orders are to ccxt those that
        # were filled whole, without what was filled in part and then ended.
        looks=(LIST_OPEN, Look("fetch_canceled_and_closed_orders", {SINCE: SINCE})),
        fills=Look("fetch_my_trades", {"orderId": THEIRS}),
        pages=Pages(
            rows=100, size={"limit": "100"}, param="idLessThan", by=LEAST_ID, key="tradeId"
        ),
        cancel=Look("cancel_order", BY_ID),
        late_s=30.0,
        late_because="the signature's timestamp",
        needs_password=True,
        options={"uta": False},
    ),
    "coinbase": Row(
        id_field="client_order_id",
        id_param="client_order_id",  # by any other name ccxt drops it and sends one of its own
        id_pattern=r"[A-Za-z0-9_-]{1,128}",
        unique_among=UNSTATED,
        side_case="upper",
        always={"client_order_id": OURS, "side": SIDE, "base_size": QUANTITY},
        kinds={
            MARKET: Kind(wire={"market_market_ioc": ""}),
            LIMIT: Kind(ccxt_type=LIMIT, wire={"limit_limit_gtc": "", "limit_price": PRICE}),
            AT_ONCE: Kind(
                ccxt_type=LIMIT,
                params={"timeInForce": "IOC"},
                wire={"sor_limit_ioc": "", "limit_price": PRICE},
            ),
        },
        # Nothing is found by our id: the newest orders are listed.
        looks=(Look("fetch_orders", {SINCE: SINCE}),),
        last_looks=(LIST_OPEN,),
        fills=Look("fetch_my_trades", {"order_ids": THEIRS}),
        pages=Pages(
            rows=100,
            size={"limit": "100"},
            param="cursor",
            by=CURSOR,
            key="cursor",
            stretch_ms=TWO_YEARS_MS,
        ),
        cancel=Look("cancel_order", order_id=THEIRS),
        late_s=120.0,
        late_because="the token of a request",
        # The other list of wallets tells nothing of what orders lock, and ends at 250.
        options={"fetchBalance": "v3PrivateGetBrokerageAccounts"},
    ),
}


def row_of(exchange: str) -> Row:
    """The row of an exchange by whatever label; LiveRefused when there is none."""
    row = CAPABILITIES.get(exchange_behind(exchange))
    if row is None:
        msg = (
            f"orders on {exchange} are not supported, it can be traded on paper; supported are"
            f" {', '.join(sorted(CAPABILITIES.keys() - {'embedded'}))}"
        )
        raise LiveRefused(msg)
    return row
