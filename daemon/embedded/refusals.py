"""Refusals of the exchange: turns a reason into the dialect's code, text and HTTP status.

Belongs here: the error every part of the embedded exchange raises to say no. When to say no belongs
to the part that knows the rule.
"""

from collections.abc import Mapping


class RequestError(Exception):
    """The exchange refuses a request; `code` and `text` are what the client reads."""

    def __init__(
        self, code: int, text: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.status = status
        self.headers = dict(headers or {})


def missing_parameter(name: str) -> RequestError:
    return RequestError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def illegal_parameter(name: str, legal: str) -> RequestError:
    return RequestError(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def filter_failure(name: str) -> RequestError:
    return RequestError(-1013, f"Filter failure: {name}")


def order_rejected(text: str) -> RequestError:
    return RequestError(-2010, text)


def invalid_symbol() -> RequestError:
    return RequestError(-1121, "Invalid symbol.")


def market_closed() -> RequestError:
    return RequestError(-1013, "Market is closed.")


def key_refused() -> RequestError:
    return RequestError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)


def unknown_order() -> RequestError:
    return RequestError(-2013, "Order does not exist.")


def order_not_open() -> RequestError:
    return RequestError(-2011, "Unknown order sent.")
