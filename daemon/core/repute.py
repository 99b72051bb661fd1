"""How each exchange stands as a place for new positions: orders it refused, and of unknown fate.

Belongs here: what our own orders tell of an exchange, as risk and execution read it. Whether it is
reached belongs to those who watch it, what follows of it to the gates and the router.
"""

from msgspec import Struct

from daemon.core.blotter import Blotter
from daemon.core.events import OrderAccepted, OrderRefused, RunOpened
from daemon.core.orders import OrderState
from daemon.core.streaks import Pause, Streak


class Tolerance(Struct, frozen=True, kw_only=True):
    """How much is borne of one exchange; 0 is all."""

    unresolved_max: int = 0
    refusals_max: int = 0
    refusal_pause_bars: int = 1


class Repute:
    """Refusals by exchange; what became of orders is the blotter's."""

    def __init__(self, tolerance: Tolerance, blotter: Blotter) -> None:
        self._tolerance = tolerance
        self._blotter = blotter
        self._bar_ns = 0
        self._refusals: dict[str, Streak] = {}

    def unknown_on(self, exchange: str) -> int:
        """Orders there whose fate nobody knows."""
        return sum(
            each.state is OrderState.UNKNOWN and each.instrument.exchange == exchange
            for each in self._blotter.all_open()
        )

    def refusal_pause(self, exchange: str, ts_ns: int) -> Pause | None:
        """The pause after so many refusals that is on at `ts_ns`, if one is."""
        streak = self._refusals.get(exchange)
        return None if streak is None else streak.pause(ts_ns)

    def may_open_on(self, exchange: str, ts_ns: int) -> bool:
        """False while a new position there would be one more order of which nothing is known, or
        one more refusal.
        """
        unresolved_max = self._tolerance.unresolved_max
        if unresolved_max and self.unknown_on(exchange) >= unresolved_max:
            return False
        return self.refusal_pause(exchange, ts_ns) is None

    # --- applying -----------------------------------------------------------------------------

    def apply_run_opened(self, event: RunOpened) -> None:
        self._bar_ns = event.timeframe_ns

    def apply_order_accepted(self, event: OrderAccepted) -> None:
        self._streak_of(event.instrument.exchange).good()

    def apply_order_refused(self, event: OrderRefused) -> None:
        self._streak_of(event.instrument.exchange).bad(event.ts_ns, self._bar_ns)

    def _streak_of(self, exchange: str) -> Streak:
        if exchange not in self._refusals:
            limits = self._tolerance
            self._refusals[exchange] = Streak(limits.refusals_max, limits.refusal_pause_bars)
        return self._refusals[exchange]
