"""What ccxt raises of documented replies to a new order is taken for what it is, on each exchange.

The bodies are written by hand from public documentation; they go through ccxt's own error handling.
"""

import json

import pytest

from daemon.core.events import Outcome
from daemon.venues.capabilities import CAPABILITIES
from daemon.venues.ccxt_outcomes import explain, outcome_of
from tests.contract.signing import a_signing_client

URL = "https://api.example.com/order?signature=5ec2e7"


def okx(code: str, text: str) -> object:
    order = {"clOrdId": "td1", "ordId": "", "sCode": code, "sMsg": text}
    return {"code": "1", "msg": "All operations failed", "data": [order]}


def bybit(code: int, text: str) -> object:
    return {"retCode": code, "retMsg": text, "result": {}, "time": 1_700_000_000_000}


def coinbase(code: str, text: str) -> object:
    inner = {"error": code, "message": text, "error_details": ""}
    return {"success": False, "error_response": inner, "order_configuration": {}}


def simple(code: str, text: str) -> object:
    return {"code": code, "msg": text}


REFUSED = [
    ("binance", 400, simple("-2010", "Account has insufficient balance for requested action.")),
    ("okx", 200, okx("51008", "Order placement failed due to insufficient balance.")),
    ("bybit", 200, bybit(170131, "Insufficient balance.")),
    ("kraken", 200, {"error": ["EOrder:Insufficient funds"]}),
    ("kraken", 200, {"error": ["EAPI:Invalid nonce"]}),
    ("kucoin", 200, simple("200004", "Balance insufficient!")),
    ("gate", 400, {"label": "BALANCE_NOT_ENOUGH", "message": "Not enough balance"}),
    ("bitget", 400, simple("43012", "Insufficient balance")),
    ("coinbase", 200, coinbase("INSUFFICIENT_FUND", "Insufficient balance in source account")),
]
# The order may be there: the same id was seen, nobody knows, or the exchange itself is in trouble.
UNCLEAR = [
    ("binance", 400, simple("-2010", "Duplicate order sent.")),
    ("binance", 503, simple("-1007", "Timeout waiting for response from backend server.")),
    ("okx", 200, okx("51016", "Client order ID already exists.")),
    ("okx", 200, okx("50004", "Endpoint request timeout (does not mean success or failure).")),
    ("okx", 200, okx("50026", "System error. Try again later.")),
    ("bybit", 200, bybit(170141, "Duplicate clientOrderId")),
    ("bybit", 200, bybit(170146, "Order creation timeout")),
    ("bybit", 200, bybit(10016, "Server error.")),
    ("kraken", 200, {"error": ["EService:Unavailable"]}),
    ("kraken", 200, {"error": ["EService:Busy"]}),
    ("kraken", 200, {"error": ["EGeneral:Internal error"]}),
    ("kucoin", 200, simple("500000", "Internal Server Error")),
    ("kucoin", 200, simple("900001", "order not exist")),
    ("gate", 500, {"label": "SERVER_ERROR", "message": "internal"}),
    ("gate", 400, {"label": "INVALID_PARAM_VALUE", "message": "text already exists"}),
    ("bitget", 400, simple("43118", "clientOrderId duplicate")),
    ("bitget", 400, simple("40010", "Request timed out")),
    ("bitget", 400, simple("40015", "System is abnormal, please try again later")),
    ("coinbase", 200, coinbase("UNKNOWN_FAILURE_REASON", "")),
]


def raised(exchange: str, status: int, told: object) -> Exception | None:
    """What the daemon's client raises of this reply, as its request goes through ccxt."""
    client, _ = a_signing_client(exchange)
    body, method = json.dumps(told), "POST"
    try:
        client.handle_errors(status, "", URL, method, {}, body, told, {}, None)
        client.handle_http_status_code(status, "", URL, method, body)
    except Exception as error:  # noqa: BLE001  # whatever ccxt makes of it
        return error
    return None


@pytest.mark.parametrize(("exchange", "status", "told"), REFUSED)
def test_a_documented_refusal_is_one(exchange: str, status: int, told: object) -> None:
    error = raised(exchange, status, told)

    assert error is not None
    assert outcome_of(error, exchange, has_left=True) is Outcome.REFUSED
    assert outcome_of(error, exchange, has_left=False) is Outcome.NOT_SENT
    assert "5ec2e7" not in explain(error)


@pytest.mark.parametrize(("exchange", "status", "told"), UNCLEAR)
def test_what_leaves_the_order_open_is_no_refusal(exchange: str, status: int, told: object) -> None:
    error = raised(exchange, status, told)

    # What ccxt lets pass is no error, and becomes a reply without an order in it: as unclear.
    assert error is None or outcome_of(error, exchange, has_left=True) is Outcome.UNKNOWN


def test_every_exchange_that_takes_orders_has_a_reply_of_each_kind_here() -> None:
    expected = set(CAPABILITIES) - {"embedded", "binanceus"}

    assert {name for name, *_ in REFUSED} == {name for name, *_ in UNCLEAR} == expected
