"""Values: the kinds of number and text a setting can be, with the words for those it cannot.

Belongs here: what one value may be by itself. Which key has which kind belongs to `sections`.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from daemon.config.exchanges import exchange_name
from daemon.core.instruments import quote_of

# A week starts on a Monday and the time grid on the epoch, a Thursday: weeks are not on this list.
TIMEFRAMES = (
    *("1s", "1m", "3m", "5m", "10m", "15m", "30m"),
    *("1h", "2h", "3h", "4h", "6h", "8h", "12h", "1d"),
)


SAME = "same"
BPS_MAX = 10_000
TIER = ("volume_quote", "maker_bps", "taker_bps")
CLASSIFIERS = ("random_forest", "extra_trees", "logistic", "gradient_boosting", "lightgbm")


def refuse(key: str, text: str) -> NoReturn:
    """Refuse a value that contradicts another one; the error is shown at `key`."""
    raise PydanticCustomError("contradiction", "{text}", {"key": key, "text": text})


def not_bool(value: Any) -> Any:
    # pydantic takes true for 1, and max_position_ratio = true would be all of the capital.
    if isinstance(value, bool):
        raise PydanticCustomError("bool_for_number", "should be a number, not true or false")
    return value


def listed(value: Any) -> Any:
    return [each.strip() for each in value.split(",")] if isinstance(value, str) else value


def _symbol(value: str) -> str:
    name, is_swap, settle = value.partition(":")
    if is_swap and settle != quote_of(value):
        text = (
            "is no linear perpetual swap: BASE/QUOTE:QUOTE is one, and BASE/QUOTE is spot; "
            "neither futures with a date nor contracts settled in their coin can be traded"
        )
        raise PydanticCustomError("symbol", "{text}", {"text": text})
    if not re.fullmatch(r"[^\s/a-z]+/[^\s/a-z]+", name):
        near = re.fullmatch(r"(.+?)[-_/]?(USDT|USDC|USD|EUR|BTC|ETH)", value.upper())
        hint = f"; did you mean '{near[1]}/{near[2]}'?" if near else ""
        text = f"should be BASE/QUOTE in capitals{hint}"
        raise PydanticCustomError("symbol", "{text}", {"text": text})
    return value


def _timeframe(value: str) -> str:
    if value == "1M":
        raise PydanticCustomError("timeframe", "is one month, which has no fixed length")
    if value not in TIMEFRAMES:
        known = ", ".join(TIMEFRAMES)
        raise PydanticCustomError("timeframe", "should be one of {known}", {"known": known})
    return value


def _source_timeframe(value: str) -> str:
    return value if value == SAME else _timeframe(value)


def _classifier(value: str) -> str:
    if value not in CLASSIFIERS and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value):
        known = ", ".join(CLASSIFIERS)
        text = f"should be one of {known}, or package.module:Class of your own"
        raise PydanticCustomError("classifier", "{text}", {"text": text})
    return value


def _rising(tiers: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    text = ""
    if any(len(each) != len(TIER) for each in tiers):
        text = f"should be rows of {', '.join(TIER)}"
    else:
        volumes = [volume for volume, *_ in tiers]
        if volumes != sorted(set(volumes)) or min(volumes, default=0) < 0:
            text = "should begin at a volume of 0 or more and rise from row to row"
        elif any(abs(fee) > BPS_MAX for _, *fees in tiers for fee in fees):
            text = f"has a fee above {BPS_MAX} bps, which is all of the fill"
    if text:
        raise PydanticCustomError("fee_tiers", "{text}", {"text": text})
    return tiers


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    if not text:
        raise PydanticCustomError("secret", "is empty")
    if text[0] in "'\"":
        raise PydanticCustomError("secret", "has quotes around it; store the bare value")
    if re.search(r"your[ _-]|changeme|placeholder|^x{4,}$", text, re.IGNORECASE):
        raise PydanticCustomError("secret", "looks like a placeholder")
    return SecretStr(text)


Real = Annotated[float, BeforeValidator(not_bool), Field(allow_inf_nan=False)]
Share = Annotated[Real, Field(gt=0, le=1)]
Bps = Annotated[Real, Field(ge=0, le=BPS_MAX)]
FeeTiers = Annotated[tuple[tuple[Real, ...], ...], AfterValidator(_rising)]
Seconds = Annotated[Real, Field(gt=0, le=86_400)]
Natural = Annotated[int, BeforeValidator(not_bool), Field(ge=0)]
Count = Annotated[int, BeforeValidator(not_bool), Field(ge=1)]
Window = Annotated[int, BeforeValidator(not_bool), Field(ge=2, le=5_000)]
Money = Annotated[Decimal, BeforeValidator(not_bool), Field(gt=0, allow_inf_nan=False)]
# 0 is off.
LimitRatio = Annotated[Real, Field(ge=0, le=1)]
MoneyOrNone = Annotated[Decimal, BeforeValidator(not_bool), Field(ge=0, allow_inf_nan=False)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Symbol = Annotated[str, AfterValidator(_symbol)]
Currency = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,20}$")]
Timeframe = Annotated[str, AfterValidator(_timeframe)]
SourceTimeframe = Annotated[str, AfterValidator(_source_timeframe)]
Classifier = Annotated[str, AfterValidator(_classifier)]
ExchangeName = Annotated[str, AfterValidator(exchange_name)]
