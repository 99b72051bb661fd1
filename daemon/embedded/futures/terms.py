"""The terms of a perpetual swap: leverage brackets, funding times and rates, liquidation fees.

Belongs here: tables and formulas that are the same for every account. What they do to one belongs
in clearing.
"""

from dataclasses import dataclass
from decimal import Decimal

from daemon.embedded.account import ZERO
from daemon.embedded.noise import uniforms

FUNDING_EVERY_MS = 8 * 3_600_000
FUNDING_BASE = Decimal("0.0001")
FUNDING_SPREAD = Decimal("0.0003")
FUNDING_STEP = Decimal("0.00000001")
LIQUIDATION_FEE_RATIO = Decimal("0.0125")
LEVERAGE_DEFAULT = 20


@dataclass(frozen=True, slots=True)
class Bracket:
    """Positions worth from `floor` to below `cap` (quote) need this; `cum` makes the maintenance
    margin run on without a jump from one bracket to the next."""

    number: int
    floor: Decimal
    cap: Decimal
    leverage_max: int
    maintenance_ratio: Decimal
    cum: Decimal


def _brackets() -> tuple[Bracket, ...]:
    rows = (
        ("50000", 100, "0.004"),
        ("250000", 50, "0.005"),
        ("1000000", 25, "0.01"),
        ("10000000", 10, "0.025"),
        ("100000000", 5, "0.05"),
    )
    made: list[Bracket] = []
    floor, ratio_before, cum = ZERO, ZERO, ZERO
    for number, (cap, leverage_max, text) in enumerate(rows, 1):
        ratio = Decimal(text)
        cum += floor * (ratio - ratio_before) if made else ZERO
        made.append(Bracket(number, floor, Decimal(cap), leverage_max, ratio, cum))
        floor, ratio_before = Decimal(cap), ratio
    return tuple(made)


BRACKETS = _brackets()


def bracket_of(notional: Decimal) -> Bracket:
    """The bracket of a position worth so much, whichever side; the last one has no end."""
    worth = abs(notional)
    return next((each for each in BRACKETS if worth < each.cap), BRACKETS[-1])


def maintenance_margin(notional: Decimal) -> Decimal:
    """What a position of that worth must be backed by, or it is liquidated."""
    bracket = bracket_of(notional)
    return abs(notional) * bracket.maintenance_ratio - bracket.cum


def notional_max(leverage: int) -> Decimal:
    """The largest position that may be held at a leverage."""
    return max((each.cap for each in BRACKETS if each.leverage_max >= leverage), default=ZERO)


def funding_rate(seed: str, symbol_id: str, at_ms: int) -> Decimal:
    """What longs pay to shorts at that time, of the position's worth; the same whenever asked."""
    drawn = Decimal(str(round(float(uniforms(f"funding/{seed}/{symbol_id}/{at_ms}", 1)[0]), 6)))
    return (FUNDING_BASE + FUNDING_SPREAD * (drawn - Decimal("0.5"))).quantize(FUNDING_STEP)


def funding_times(since_ms: int, until_ms: int) -> range:
    """Funding times after `since_ms`, up to and with `until_ms`."""
    return range(next_funding_ms(since_ms), until_ms + 1, FUNDING_EVERY_MS)


def next_funding_ms(now_ms: int) -> int:
    return (now_ms // FUNDING_EVERY_MS + 1) * FUNDING_EVERY_MS
