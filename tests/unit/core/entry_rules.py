"""What stands in the way of an entry, kept from events alone and apart from the daemon's own gates.

Belongs here: troubles and paces that forbid opening. How much may be opened, and what must hold
whatever happens, belong to `invariants`.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

from daemon.config import RiskSection
from daemon.core import events as e
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Leg
from daemon.core.timeframes import DAY_NS, HOUR_NS

BAR_NS = HOUR_NS


class Pause:
    """So many bad ones in a row, and nothing for so many bars."""

    def __init__(self, limit: int, bars: int) -> None:
        self._limit, self._bars = limit, bars
        self._count = 0
        self.until_ns = -1

    def good(self) -> None:
        self._count = 0

    def bad(self, ts_ns: int) -> None:
        self._count += 1
        if self._limit and self._count == self._limit:
            self._count, self.until_ns = 0, ts_ns + self._bars * BAR_NS


class EntryRules:
    """See every event, then ask of an approved entry."""

    def __init__(self, config: RiskSection) -> None:
        self._config = config
        self._untraded = set[InstrumentId]()
        self._clocks_off = set[str]()
        self._is_disk_low = False
        self._distrusted_ns = dict[InstrumentId, int]()
        self._model, self._health = "", e.HealthStatus.UNKNOWN
        self._skill_lost = frozenset[InstrumentId]()
        self._intended_ns: list[int] = []
        self._closes: defaultdict[InstrumentId, list[float]] = defaultdict(list)
        self._day, self._day_equity = -1, Decimal(0)
        self._closed = -1, -1  # the newest bars: when they came, and their close
        self._equity = Decimal(0)
        self._losses = Pause(config.max_losses_in_a_row, config.loss_pause_bars)
        refusals = config.max_refusals_in_a_row, config.refusal_pause_bars
        self._refusals: defaultdict[str, Pause] = defaultdict(lambda: Pause(*refusals))
        self._unknown: dict[str, str] = {}  # exchange of each order whose fate nobody knows
        self._looks: dict[type[e.Event], Callable[[Any], object]] = {
            e.Started: self._starts,
            e.ListingChanged: self._lists,
            e.ClockChecked: self._checks_clock,
            e.DiskChecked: self._checks_disk,
            e.DataDistrusted: self._distrusts,
            e.HealthSampled: self._samples,
            e.ModelActivated: self._activates,
            e.OrderIntended: self._intends,
            e.HistoryLoaded: self._marks,
            e.BarsClosed: self._closes_bars,
            e.EquityMarked: self._values,
            e.PositionChanged: self._changes,
            e.OrderAccepted: self._accepts,
            e.OrderRefused: self._refuses,
            e.OrderOutcomeUnknown: self._loses_sight,
            **dict.fromkeys(
                (e.OrderNotSent, e.OrderAbsent, e.OrderCompleted, e.OrderFilled), self._finds
            ),
        }

    def see(self, event: e.Event) -> None:
        if look := self._looks.get(type(event)):
            look(event)

    def hold(
        self, entry: e.OrderApproved, group: Collection[InstrumentId], equity: Decimal
    ) -> None:
        """`group` is all that the order may go to."""
        config, ts_ns = self._config, entry.ts_ns
        exchanges = {each.exchange for each in group}
        assert entry.instrument not in self._untraded, "what is not traded is not opened"
        assert not exchanges <= self._clocks_off, "nothing is opened by a clock that is off"
        assert not self._is_disk_low, "nothing is opened that might not be written"
        assert ts_ns >= self._distrusted_ns.get(entry.instrument, -1), "data is not believed today"
        assert self._health is not e.HealthStatus.CRITICAL, "a critical model opens nothing"
        assert self._skill_lost.isdisjoint(group), "nor one whose skill is lost there"
        assert self._ordered_within(HOUR_NS, ts_ns) < config.max_orders_per_hour
        daily = config.max_orders_per_day
        assert not daily or self._ordered_within(DAY_NS, ts_ns) < daily
        before, newest = self._closes[entry.instrument][-2:]
        assert abs(newest / before - 1) * 10_000 <= config.price_collar_bps
        limit = config.max_daily_loss_ratio
        assert not limit or float(1 - equity / self._day_equity) < limit, "the day has lost enough"
        assert ts_ns >= self._losses.until_ns, "so many losses in a row pause"
        paused = {each for each in exchanges if ts_ns < self._refusals[each].until_ns}
        assert paused != exchanges, "so many refusals in a row pause"
        unknown = min(list(self._unknown.values()).count(each) for each in exchanges)
        most = config.max_unresolved_orders
        assert not most or unknown < most, "too much is unknown there"

    # --- what is seen -------------------------------------------------------------------------

    def _starts(self, _event: e.Started) -> None:
        """A process knows nothing of its surroundings yet; of the account it knows all."""
        self._untraded.clear()
        self._clocks_off.clear()
        self._is_disk_low = False

    def _lists(self, event: e.ListingChanged) -> None:
        _put(self._untraded, event.instrument, is_in=not event.is_tradable)

    def _checks_clock(self, event: e.ClockChecked) -> None:
        _put(self._clocks_off, event.exchange, is_in=not event.is_trusted)

    def _checks_disk(self, event: e.DiskChecked) -> None:
        self._is_disk_low = not event.is_enough

    def _distrusts(self, event: e.DataDistrusted) -> None:
        self._distrusted_ns[event.instrument] = event.until_ns

    def _samples(self, event: e.HealthSampled) -> None:
        self._health = event.status
        self._skill_lost = frozenset(each.instrument for each in event.symbols if each.is_lost)

    def _activates(self, event: e.ModelActivated) -> None:
        if event.model != self._model:
            self._health, self._skill_lost = e.HealthStatus.UNKNOWN, frozenset()
        self._model = event.model

    def _intends(self, event: e.OrderIntended) -> None:
        if event.leg is Leg.ENTRY:
            there, most = event.instrument.exchange, self._config.max_unresolved_orders
            unknown = list(self._unknown.values()).count(there)
            assert not most or unknown < most, "no child goes where too much is unknown"
            assert event.ts_ns >= self._refusals[there].until_ns, "nor where all is refused"
            assert self._ordered_within(HOUR_NS, event.ts_ns) < self._config.max_orders_per_hour
            daily = self._config.max_orders_per_day
            assert not daily or self._ordered_within(DAY_NS, event.ts_ns) < daily
        if event.leg is not Leg.STOP:
            newest_ns = self._intended_ns[-1] if self._intended_ns else event.ts_ns
            self._intended_ns.append(max(event.ts_ns, newest_ns))

    def _ordered_within(self, length_ns: int, ts_ns: int) -> int:
        return len(self._intended_ns) - bisect_right(self._intended_ns, ts_ns - length_ns)

    def _marks(self, event: e.HistoryLoaded | e.BarsClosed) -> None:
        for bar in event.bars:
            self._closes[bar.instrument].append(bar.close)

    def _closes_bars(self, event: e.BarsClosed) -> None:
        self._marks(event)
        self._closed = event.ts_ns, max(bar.close_ns for bar in event.bars)

    def _values(self, event: e.EquityMarked) -> None:
        came_ns, close_ns = self._closed
        if came_ns != event.ts_ns:
            return  # of a fill
        if (day := (close_ns - 1) // DAY_NS) > self._day:
            self._day_equity = self._equity if self._day >= 0 else event.equity_quote
            self._day = day
        self._equity = event.equity_quote

    def _changes(self, event: e.PositionChanged) -> None:
        if event.closed_return_ratio is None:
            return
        if event.closed_return_ratio > 0:
            self._losses.good()
        else:
            self._losses.bad(event.ts_ns)

    def _accepts(self, event: e.OrderAccepted) -> None:
        self._refusals[event.instrument.exchange].good()
        self._finds(event)

    def _refuses(self, event: e.OrderRefused) -> None:
        self._refusals[event.instrument.exchange].bad(event.ts_ns)
        self._finds(event)

    def _loses_sight(self, event: e.OrderOutcomeUnknown) -> None:
        self._unknown[event.client_order_id] = event.instrument.exchange

    def _finds(self, event: Any) -> None:
        self._unknown.pop(event.client_order_id, None)


def _put(members: set[Any], member: object, *, is_in: bool) -> None:
    if is_in:
        members.add(member)
    else:
        members.discard(member)
