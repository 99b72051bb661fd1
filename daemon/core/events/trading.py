"""The state of trading: halts, their ends, the policy for open positions, sizes after an arming.

Belongs here: what trading is allowed to do. Single approvals and denials belong to `decisions`.
"""

from daemon.core.events.base import Fact
from daemon.core.instruments import InstrumentId
from daemon.core.reasons import CanaryReason, HaltReason, PolicyAction, TradingState, Trouble


class TradingHalted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Entries stop until an operator resumes; exits go on, nothing is liquidated."""

    reason: HaltReason
    detail: str
    value: float | None = None
    limit: float | None = None


class TradingResumed(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    reason: str
    who: str


class TradingStateChanged(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """What follows from the halts in force, told when it is another than before."""

    state: TradingState
    reasons: tuple[HaltReason, ...]
    probation_trades: int  # to be closed before entries have their full size again


class PolicyActed(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Something is done about a position in trouble."""

    trouble: Trouble
    instrument: InstrumentId
    action: PolicyAction
    since_ns: int
    attempt: int
    stop_ratio: float  # how far the stop of PROTECT is away, where none is configured


class CanaryStepped(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The size of a canary grows by a step, or falls back to the first; at the last it is full."""

    exchange: str
    step: int
    steps: int
    was_ratio: float
    ratio: float
    reason: CanaryReason
    orders: int
    slippage_bps: float | None
    slippage_limit_bps: float | None
    fill_ratio: float | None
    fill_limit_ratio: float | None
