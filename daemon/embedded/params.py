"""Request parameters: reads typed values out of the texts a client sent.

Belongs here: presence, shape and range of single parameters. What they mean together belongs in
trading and public.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar
from urllib.parse import parse_qsl

from daemon.embedded.refusals import RequestError, illegal_parameter, missing_parameter

Params = Mapping[str, str]
Choice = TypeVar("Choice", bound=StrEnum)

NUMBER = "^([0-9]{1,20})(\\.[0-9]{1,20})?$"
INTEGER = "^[0-9]{1,20}$"
CLIENT_ID = "^[\\.A-Z\\:/a-z0-9_-]{1,36}$"


def parse_params(*texts: str) -> dict[str, str]:
    """Parameters of a query and a form body; on a repeated name the last one wins."""
    return {
        name: value for text in texts for name, value in parse_qsl(text, keep_blank_values=True)
    }


def text(params: Params, name: str) -> str:
    """A mandatory parameter; RequestError -1102 without it."""
    value = params.get(name)
    if not value:
        raise missing_parameter(name)
    return value


def integer(params: Params, name: str) -> int | None:
    value = params.get(name)
    if value is None:
        return None
    if not re.fullmatch(INTEGER, value):
        raise illegal_parameter(name, INTEGER)
    return int(value)


def limit(params: Params, default: int, maximum: int) -> int:
    """The wanted number of rows; more than `maximum` is cut to it."""
    value = integer(params, "limit")
    if value == 0:
        raise RequestError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(default if value is None else value, maximum)


def decimal(params: Params, name: str) -> Decimal | None:
    value = params.get(name)
    if value is None:
        return None
    if not re.fullmatch(NUMBER, value):
        raise illegal_parameter(name, NUMBER)
    return Decimal(value)


def choice(params: Params, name: str, kind: type[Choice], refusal: RequestError) -> Choice:
    """A mandatory word of a list; any other word is refused with `refusal`."""
    value = text(params, name)
    try:
        return kind(value)
    except ValueError:
        raise refusal from None


def flag(params: Params, name: str) -> bool:
    """True or false in words; without it false."""
    word = params.get(name, "false").lower()
    if word not in ("true", "false"):
        raise illegal_parameter(name, "true|false")
    return word == "true"


def client_id(params: Params, name: str) -> str | None:
    value = params.get(name)
    if value is None:
        return None
    if not re.fullmatch(CLIENT_ID, value):
        raise illegal_parameter(name, CLIENT_ID)
    return value
