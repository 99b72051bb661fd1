"""The table of definite refusals, and that nothing of a request gets into the words."""

import json

import aiohttp
import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.events import Outcome
from daemon.venues.capabilities import CAPABILITIES
from daemon.venues.ccxt_outcomes import (
    code_of,
    explain,
    is_worth_repeating,
    note_reply,
    outcome_of,
)
from daemon.venues.refusals import DEFINITE_REFUSALS

SIGNED = "POST https://api.example.com/api/v3/order?timestamp=1&signature=5ec2e7"


def a_refusal(
    code: int, message: str, kind: type[Exception] = ccxt.ExchangeError, status: int = 400
) -> Exception:
    """As ccxt raises it: often with the message alone, the code lost."""
    error = kind(f"binance {message}")
    note_reply(error, status, json.dumps({"code": code, "msg": message}))
    return error


def a_bad_status(status: int, kind: type[Exception] = ccxt.ExchangeNotAvailable) -> Exception:
    error = kind(f"binance {status} Bad Gateway {SIGNED}")
    note_reply(error, status, "<html>")
    return error


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (a_refusal(-1013, "Filter failure: LOT_SIZE", ccxt.InvalidOrder), Outcome.REFUSED),
        (a_refusal(-1013, "Filter failure: NOTIONAL", ccxt.BadRequest), Outcome.REFUSED),
        (a_refusal(-1111, "Precision is over the maximum", ccxt.BadRequest), Outcome.REFUSED),
        (
            a_refusal(-2010, "Account has insufficient balance", ccxt.InsufficientFunds),
            Outcome.REFUSED,
        ),
        (a_refusal(-2010, "Duplicate order sent.", ccxt.InvalidOrder), Outcome.UNKNOWN),
        (a_refusal(-2010, "Market is closed.", ccxt.MarketClosed), Outcome.REFUSED),
        (
            a_refusal(-1021, "Timestamp outside of the recvWindow.", ccxt.InvalidNonce),
            Outcome.REFUSED,
        ),
        (a_refusal(-1015, "Too many new orders", ccxt.RateLimitExceeded), Outcome.REFUSED),
        (a_refusal(-1003, "Too much request weight", ccxt.DDoSProtection), Outcome.REFUSED),
        (a_refusal(-2015, "Invalid API-key", ccxt.AuthenticationError), Outcome.REFUSED),
        (a_refusal(-2015, "Invalid API-key", ccxt.DDoSProtection), Outcome.REFUSED),
        (a_refusal(-1008, "Server is overloaded"), Outcome.UNKNOWN),
        (a_refusal(-1006, "execution status unknown", ccxt.OperationFailed), Outcome.UNKNOWN),
        (a_refusal(-1007, "Timeout waiting for response", ccxt.RequestTimeout), Outcome.UNKNOWN),
        (a_refusal(-1000, "An unknown error occurred", ccxt.OperationFailed), Outcome.UNKNOWN),
        (a_refusal(-2013, "Order does not exist.", ccxt.OrderNotFound), Outcome.UNKNOWN),
        (a_refusal(-2010, "Account has insufficient balance", status=503), Outcome.UNKNOWN),
        (a_bad_status(502), Outcome.UNKNOWN),
        (a_bad_status(403), Outcome.UNKNOWN),
        (ccxt.RequestTimeout(f"binance {SIGNED}"), Outcome.UNKNOWN),
        (ccxt.ExchangeError("binance something new"), Outcome.UNKNOWN),
        (TypeError("float() argument must not be None"), Outcome.UNKNOWN),
        (KeyError("id"), Outcome.UNKNOWN),
        (ValueError('"code": -2010'), Outcome.UNKNOWN),
    ],
)
def test_only_what_is_on_the_list_is_a_refusal(error: Exception, outcome: Outcome) -> None:
    assert outcome_of(error, "embedded", has_left=True) is outcome


@pytest.mark.parametrize("error", [ccxt.InvalidOrder("below a step"), ccxt.ExchangeClosedByUser()])
def test_what_fails_before_the_request_left_was_not_sent(error: Exception) -> None:
    assert outcome_of(error, "embedded", has_left=False) is Outcome.NOT_SENT


def test_a_connection_that_could_not_be_made_carried_nothing() -> None:
    key = aiohttp.client_reqrep.ConnectionKey("127.0.0.1", 1, False, True, None, None, None)
    error = ccxt.ExchangeNotAvailable(f"binance {SIGNED}")
    error.__cause__ = aiohttp.ClientConnectorError(key, ConnectionRefusedError())
    reset = ccxt.ExchangeNotAvailable(f"binance {SIGNED}")
    reset.__cause__ = aiohttp.ServerDisconnectedError()

    assert outcome_of(error, "embedded", has_left=True) is Outcome.NOT_SENT
    assert outcome_of(reset, "embedded", has_left=True) is Outcome.UNKNOWN


def test_an_exchange_without_a_list_refuses_nothing_for_certain() -> None:
    error = a_refusal(-2010, "Account has insufficient balance", ccxt.InsufficientFunds)

    assert outcome_of(error, "mexc", has_left=True) is Outcome.UNKNOWN
    assert set(DEFINITE_REFUSALS) == set(CAPABILITIES)


def test_a_second_exchange_of_a_kind_refuses_as_the_first_does() -> None:
    error = a_refusal(-2010, "Account has insufficient balance", ccxt.InsufficientFunds)

    assert outcome_of(error, "embedded-b", has_left=True) is Outcome.REFUSED


@given(st.integers(-9_999, -1), st.sampled_from([ccxt.ExchangeError, ccxt.NetworkError]))
def test_a_code_decides_the_same_whatever_class_ccxt_gives_it(
    code: int, kind: type[Exception]
) -> None:
    expected = Outcome.REFUSED if str(code) in DEFINITE_REFUSALS["embedded"] else Outcome.UNKNOWN

    assert outcome_of(a_refusal(code, "text", kind), "embedded", has_left=True) is expected


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            a_refusal(-2010, "No money.", ccxt.InsufficientFunds),
            "InsufficientFunds -2010: No money.",
        ),
        (a_bad_status(502), "ExchangeNotAvailable, status 502"),
        (ccxt.RequestTimeout(f"binance {SIGNED}"), "RequestTimeout"),
        (TypeError("float() of the-secret"), "TypeError"),
    ],
)
def test_reasons_tell_class_and_code_and_never_the_request(error: Exception, text: str) -> None:
    assert explain(error) == text


@given(st.text(max_size=300))
def test_no_text_of_an_exchange_breaks_the_reader_of_errors(text: str) -> None:
    error = ccxt.ExchangeError(f"binance {text}")
    note_reply(error, 400, text)

    assert len(explain(error)) <= 200
    assert code_of(error) is None


def test_readings_are_repeated_for_what_may_pass_and_for_nothing_else() -> None:
    assert is_worth_repeating(ccxt.RequestTimeout("binance"))
    assert is_worth_repeating(a_refusal(-1000, "odd", ccxt.OperationFailed))
    assert not is_worth_repeating(a_refusal(-2015, "Invalid API-key", ccxt.DDoSProtection))
    assert not is_worth_repeating(ccxt.BadSymbol("binance does not have FOO/BAR"))
    assert not is_worth_repeating(ccxt.ExchangeClosedByUser("closed"))
