"""Positions under trouble: turns journaled troubles into actions, by a written table.

Belongs here: which trouble is on, and what is done about it, each time it begins. The table is the
section `[policy]`; closing goes the way of every exit, and a stop is set by execution.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import (
    HealthStatus,
    PolicyActed,
    PolicyAction,
    SignalReason,
    Trouble,
)
from daemon.core.ids import trace_for
from daemon.core.timeframes import NS_PER_S
from daemon.layers.risk.exits import flat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import PolicySection
    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import (
        BarsClosed,
        Event,
        ExchangeBack,
        ExchangeLost,
        FeedRecovered,
        FeedStale,
        HaltReason,
        HealthSampled,
        ListingChanged,
        ModelActivated,
        OrdersTicked,
        PositionChanged,
        RunOpened,
        Started,
        TradingHalted,
        TradingResumed,
    )
    from daemon.core.instruments import InstrumentId

AGAIN_FIRST_NS = 60 * NS_PER_S
AGAIN_MAX_NS = 3_600 * NS_PER_S
DOUBLED_MAX = 6
EVERYWHERE = ""
# What only a running process can know; a start tells what it found untraded.
OF_A_PROCESS = (
    Trouble.OUTAGE, Trouble.EXCHANGE_LOST, Trouble.DELISTED, Trouble.VERSION_CHANGED,
)  # fmt: skip
MODEL_TROUBLES = (Trouble.MODEL_CRITICAL, Trouble.MODEL_UNKNOWN, Trouble.MODEL_EXPIRED)
# Of several troubles the strongest action is taken.
STRENGTH = (PolicyAction.HOLD, PolicyAction.PROTECT, PolicyAction.REDUCE, PolicyAction.CLOSE)


class Acted(Struct, frozen=True, kw_only=True):
    """What was done about one trouble in one place, and how much of the position may stay."""

    action: PolicyAction
    since_ns: int
    count: int
    last_ns: int
    keeps: Decimal


class Policy:
    """Troubles that are on, by what they concern: everything, an exchange or an instrument."""

    def __init__(
        self, config: PolicySection, book: Book, blotter: Blotter, *, model_age_max_ns: int = 0
    ) -> None:
        self._config = config
        self._table = _table(config)
        self._book = book
        self._blotter = blotter
        self._model_age_max_ns = model_age_max_ns
        self._bar_ns = 0
        self._model: ModelActivated | None = None
        self._version = ""
        self._since: dict[tuple[Trouble, str], int] = {}
        self._acted: dict[tuple[Trouble, InstrumentId], Acted] = {}

    # --- applying -----------------------------------------------------------------------------

    def apply_run_opened(self, event: RunOpened) -> None:
        self._bar_ns = event.timeframe_ns

    def apply_started(self, event: Started) -> None:
        """Streams and exchanges are new; another version than the last one's is a trouble."""
        for trouble in OF_A_PROCESS:
            self._end_all(trouble)
        if event.version and self._version and event.version != self._version:
            self._begin(Trouble.VERSION_CHANGED, EVERYWHERE, event.ts_ns)
        self._version = event.version or self._version

    def apply_model_activated(self, event: ModelActivated) -> None:
        if self._model is None or self._model.model != event.model:
            for trouble in MODEL_TROUBLES:
                self._end_all(trouble)
        self._model = event

    def apply_health_sampled(self, event: HealthSampled) -> None:
        for trouble, status in (
            (Trouble.MODEL_CRITICAL, HealthStatus.CRITICAL),
            (Trouble.MODEL_UNKNOWN, HealthStatus.UNKNOWN),
        ):
            self._set(trouble, EVERYWHERE, event.ts_ns, is_on=event.status is status)

    def apply_bars_closed(self, event: BarsClosed) -> None:
        model = self._model
        is_old = model is not None and (
            0 < self._model_age_max_ns < event.ts_ns - model.trained_through_ns
        )
        self._set(Trouble.MODEL_EXPIRED, EVERYWHERE, event.ts_ns, is_on=is_old)

    def apply_feed_stale(self, event: FeedStale) -> None:
        self._begin(Trouble.OUTAGE, str(event.instrument), event.ts_ns)

    def apply_feed_recovered(self, event: FeedRecovered) -> None:
        self._since.pop((Trouble.OUTAGE, str(event.instrument)), None)

    def apply_exchange_lost(self, event: ExchangeLost) -> None:
        self._begin(Trouble.EXCHANGE_LOST, event.exchange, event.ts_ns)

    def apply_exchange_back(self, event: ExchangeBack) -> None:
        self._since.pop((Trouble.EXCHANGE_LOST, event.exchange), None)

    def apply_listing_changed(self, event: ListingChanged) -> None:
        where = str(event.instrument)
        self._set(Trouble.DELISTED, where, event.ts_ns, is_on=not event.is_tradable)

    def apply_trading_halted(self, event: TradingHalted) -> None:
        self._begin(Trouble(f"halt_{event.reason}"), EVERYWHERE, event.ts_ns)

    def apply_trading_resumed(self, _event: TradingResumed) -> None:
        for trouble in Trouble:
            if trouble.startswith("halt_"):
                self._end_all(trouble)

    def apply_policy_acted(self, event: PolicyActed) -> None:
        key = (event.trouble, self._place(event.action, event.instrument))
        keeps = self._keeps(event.action) * self._held(event.instrument)
        self._acted[key] = Acted(
            action=event.action,
            since_ns=event.since_ns,
            count=event.attempt,
            last_ns=event.ts_ns,
            keeps=keeps if event.attempt == 1 else self._acted[key].keeps,
        )

    def apply_position_changed(self, event: PositionChanged) -> None:
        """Its stop ends with a position: the next one in the same trouble is protected anew."""
        if event.closed_return_ratio is None and event.quantity:
            return
        for key, acted in list(self._acted.items()):
            if acted.action is PolicyAction.PROTECT and key[1] == event.instrument:
                del self._acted[key]

    # --- reading ------------------------------------------------------------------------------

    def action_of(self, trouble: Trouble) -> PolicyAction:
        return self._table[trouble]

    def gives_up(self, halt: HaltReason) -> bool:
        """True when a halt for this reason closes positions, or parts of them."""
        return self.action_of(Trouble(f"halt_{halt}")).gives_up

    def troubles(self, instrument: InstrumentId, ts_ns: int) -> list[Trouble]:
        """What is on for this instrument at `ts_ns`; an outage counts once it is a long one."""
        scopes = {EVERYWHERE, instrument.exchange, str(instrument)}
        long_ns = self._config.outage_bars * self._bar_ns
        return [
            trouble
            for (trouble, scope), since_ns in self._since.items()
            if scope in scopes and (trouble is not Trouble.OUTAGE or ts_ns - since_ns >= long_ns)
        ]

    def worst(self, instrument: InstrumentId, ts_ns: int) -> tuple[Trouble, PolicyAction] | None:
        """The trouble that asks for the most, and what it asks for."""
        found = [(each, self.action_of(each)) for each in self.troubles(instrument, ts_ns)]
        return max(found, key=lambda row: STRENGTH.index(row[1]), default=None)

    def keeps_closed(self, instrument: InstrumentId, ts_ns: int) -> Trouble | None:
        """The trouble for which positions here are given up, so that none is opened anew."""
        members = self._blotter.listings.members(instrument)
        for worst in (self.worst(each, ts_ns) for each in members):
            if worst is not None and worst[1].gives_up:
                return worst[0]
        return None

    def is_due(self, ts_ns: int) -> bool:
        """True when a tick now would do anything."""
        return any(True for _ in self._actions(ts_ns))

    # --- deciding -----------------------------------------------------------------------------

    def on_bars_closed(self, event: BarsClosed) -> Iterator[Event]:
        yield from self._actions(event.ts_ns)

    def on_orders_ticked(self, event: OrdersTicked) -> Iterator[Event]:
        yield from self._actions(event.ts_ns)

    def on_policy_acted(self, event: PolicyActed) -> Iterator[Event]:
        """A smaller position is desired; how it is sold is the same as ever."""
        instrument = event.instrument
        held = self._held(instrument)
        if not held or not event.action.gives_up:
            return
        acted = self._acted[event.trouble, self._place(event.action, instrument)]
        yield flat(
            instrument,
            SignalReason.POLICY,
            self._book.marks.get(instrument),
            ts_ns=event.ts_ns,
            trace=trace_for(instrument, f"{event.trouble} {event.attempt}", event.ts_ns),
            close_ns=self._book.marked_ns.get(instrument, event.ts_ns),
            close_ratio=float(1 - acted.keeps / held),
        )

    def _actions(self, ts_ns: int) -> Iterator[PolicyActed]:
        if not self._since:
            return
        seen = set()
        opening = self._opening()
        for instrument in sorted(opening | set(self._book.positions)):
            held = self._book.instruments[instrument].quantize_down(
                abs(self._book.position(instrument).quantity)
            )
            worst = self.worst(instrument, ts_ns) if held or instrument in opening else None
            if worst is None or worst[1] is PolicyAction.HOLD:
                continue
            if not held and not worst[1].gives_up:
                continue  # nothing is there to protect yet
            place = self._place(worst[1], instrument)
            acted = None if place in seen else self._next(worst[0], worst[1], instrument, ts_ns)
            if acted is not None:
                seen.add(place)
                yield acted

    def _opening(self) -> set[InstrumentId]:
        """Where an entry is being worked that was not given up yet."""
        return {
            each
            for parent in self._blotter.parents.values()
            if not parent.is_exit and not parent.is_given_up
            for each in self._blotter.listings.members(parent.instrument)
        }

    def _next(
        self, trouble: Trouble, action: PolicyAction, instrument: InstrumentId, ts_ns: int
    ) -> PolicyActed | None:
        """Once for each beginning of a trouble, and again where that left too much."""
        scopes = (EVERYWHERE, instrument.exchange, str(instrument))
        since_ns = next(
            self._since[trouble, each] for each in scopes if (trouble, each) in self._since
        )
        known = self._acted.get((trouble, self._place(action, instrument)))
        attempt = 1
        if known is not None and known.since_ns == since_ns:
            attempt = known.count + 1
            if not self._is_due_again(known, instrument, ts_ns):
                return None
        return PolicyActed(
            ts_ns=ts_ns,
            trouble=trouble,
            instrument=instrument,
            action=action,
            since_ns=since_ns,
            attempt=attempt,
            stop_ratio=self._config.stop_ratio,
        )

    def _is_due_again(self, acted: Acted, instrument: InstrumentId, ts_ns: int) -> bool:
        """Execution minds a stop by itself; what is to be closed is asked for until it is, ever
        more seldom, and not while something is being worked.
        """
        if not acted.action.gives_up or self._blotter.parent_of(instrument) is not None:
            return False
        wait_ns = min(AGAIN_MAX_NS, AGAIN_FIRST_NS << min(acted.count - 1, DOUBLED_MAX))
        return ts_ns - acted.last_ns >= wait_ns and self._is_too_much(acted, instrument)

    def _is_too_much(self, acted: Acted, instrument: InstrumentId) -> bool:
        """More than may stay, by what an exchange takes; one lot may go by rounding down."""
        if acted.action is PolicyAction.CLOSE:
            return True
        rules, mark = self._book.instruments[instrument], self._book.marks.get(instrument)
        over = rules.quantize_down(self._held(instrument) - acted.keeps) - rules.lot
        return mark is not None and rules.takes(over, mark, is_exit=True)

    def _place(self, action: PolicyAction, instrument: InstrumentId) -> InstrumentId:
        """A stop rests where the position is; an exit is one for all that it may be routed to."""
        is_here = action is PolicyAction.PROTECT
        return instrument if is_here else self._blotter.listings.key(instrument)

    def _held(self, instrument: InstrumentId) -> Decimal:
        members = self._blotter.listings.members(instrument)
        return abs(sum((self._book.position(each).quantity for each in members), Decimal(0)))

    def _keeps(self, action: PolicyAction) -> Decimal:
        """The part of a position that an action leaves."""
        if action is PolicyAction.REDUCE:
            return 1 - Decimal(repr(self._config.reduce_ratio))
        return Decimal(action is PolicyAction.PROTECT)

    # --- what is on ---------------------------------------------------------------------------

    def _begin(self, trouble: Trouble, scope: str, ts_ns: int) -> None:
        self._since.setdefault((trouble, scope), ts_ns)

    def _set(self, trouble: Trouble, scope: str, ts_ns: int, *, is_on: bool) -> None:
        if is_on:
            self._begin(trouble, scope, ts_ns)
        else:
            self._since.pop((trouble, scope), None)

    def _end_all(self, trouble: Trouble) -> None:
        for key in [each for each in self._since if each[0] is trouble]:
            del self._since[key]


def _table(config: PolicySection) -> dict[Trouble, PolicyAction]:
    rows = {
        Trouble.MODEL_CRITICAL: config.model_critical,
        Trouble.MODEL_UNKNOWN: config.model_unknown,
        Trouble.MODEL_EXPIRED: config.model_expired,
        Trouble.OUTAGE: config.outage,
        Trouble.DELISTED: config.delisted,
        Trouble.EXCHANGE_LOST: config.exchange_lost,
        Trouble.VERSION_CHANGED: config.version_changed,
        Trouble.HALT_DRAWDOWN: config.halt_drawdown,
        Trouble.HALT_MODEL_CRITICAL: config.halt_model_critical,
        Trouble.HALT_OPERATOR: config.halt_operator,
        Trouble.HALT_RECONCILE: config.halt_reconcile,
        Trouble.HALT_FOREIGN_ORDER: config.halt_foreign_order,
        Trouble.HALT_OVERFILL: config.halt_overfill,
        Trouble.HALT_LIQUIDATED: config.halt_liquidated,
        Trouble.HALT_LATE_FILL: config.halt_late_fill,
        Trouble.HALT_FEATURES_DIFFER: config.halt_features_differ,
    }
    assert set(rows) == set(Trouble), "every trouble has its row"
    return {trouble: PolicyAction(action) for trouble, action in rows.items()}
