"""What holds on the exchange right now: turns rules of a fault script into its state.

Belongs here: listing rules, closed markets, fees, key, clock. Who has to keep to them belongs to
whoever asks; without rules everything is as the market and the options say.
"""

import dataclasses
from decimal import Decimal

from daemon.embedded.account import ZERO
from daemon.embedded.clock import SlotClock
from daemon.embedded.fault_kinds import Face, FaultKind
from daemon.embedded.fault_rules import FaultRule
from daemon.embedded.faults import Faults
from daemon.embedded.fees import BPS, Fees
from daemon.embedded.key_scope import KeyScope
from daemon.embedded.market import Market, MarketSymbol


class Conditions:
    """The state of one exchange at this moment of its market."""

    def __init__(self, market: Market, clock: SlotClock, faults: Faults, fees: Fees) -> None:
        self._market = market
        self._clock = clock
        self._faults = faults
        self._fees = fees

    def listed(self, symbol_id: str) -> MarketSymbol:
        """A symbol with the trading rules of now."""
        symbol = self._market.symbols[symbol_id]
        rule = self._rule(FaultKind.RULES, symbol_id)
        if rule is None:
            return symbol
        return dataclasses.replace(
            symbol,
            tick=rule.tick or symbol.tick,
            lot=rule.lot or symbol.lot,
            minimum_quantity=rule.minimum_quantity
            or max(symbol.minimum_quantity, rule.lot or ZERO),
            minimum_notional=rule.minimum_notional or symbol.minimum_notional,
        )

    def is_closed(self, symbol_id: str) -> bool:
        return self._rule(FaultKind.MARKET_CLOSED, symbol_id) is not None

    def fees(self, symbol_id: str) -> Fees:
        """The schedule as it is told."""
        rule = self._rule(FaultKind.FEES, symbol_id)
        if rule is None:
            return self._fees
        return Fees(
            taker_ratio=rule.taker_bps * BPS,
            maker_ratio=rule.maker_bps * BPS,
            asset=rule.asset or None,
        )

    def surcharge(self, symbol_id: str) -> Decimal:
        """What is taken on top of the schedule, untold."""
        rule = self._rule(FaultKind.FEE_DRIFT, symbol_id)
        return ZERO if rule is None else rule.bps * BPS

    def scope(self, scope: KeyScope) -> KeyScope:
        """What the key may do now, of what it could do at first."""
        rule = self._rule(FaultKind.KEY_SCOPE)
        if rule is None:
            return scope
        words = rule.allows.split(",")
        return dataclasses.replace(
            scope,
            may_trade="trade" in words,
            may_withdraw="withdraw" in words,
            is_ip_restricted=not rule.any_ip,
        )

    def is_revoked(self) -> bool:
        return self._rule(FaultKind.KEY_REVOKED) is not None

    def is_in_maintenance(self) -> bool:
        return self._rule(FaultKind.MAINTENANCE) is not None

    def ban(self) -> FaultRule | None:
        return self._rule(FaultKind.BANNED)

    def balance_lag_ms(self) -> int:
        rule = self._rule(FaultKind.BALANCE_LAG)
        return 0 if rule is None else round(rule.sec * 1_000)

    def now_ms(self) -> int:
        """Wall time as the exchange's own clock shows it."""
        rule = self._rule(FaultKind.CLOCK_AHEAD)
        return self._clock.wire_ms() + (0 if rule is None else round(rule.ahead_sec * 1_000))

    def _rule(self, kind: FaultKind, symbol_id: str | None = None) -> FaultRule | None:
        if not self._faults.has(Face.STATE):
            return None
        symbol = None if symbol_id is None else self._market.symbols[symbol_id].symbol
        return self._faults.in_force(kind, self._clock.market_ms(), symbol)
