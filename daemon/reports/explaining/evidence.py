"""Gathers what a journal holds of one decision: its bar, its events, and what went on around it.

Belongs here: reading and sorting. Saying it belongs to `facts` and `words`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from daemon.core import events as e
from daemon.core.bars import Bar
from daemon.core.errors import JournalBroken
from daemon.core.instruments import InstrumentId
from daemon.reports.facts import Trade, gather

if TYPE_CHECKING:
    from daemon.core.instruments import Instrument
    from daemon.store.journal_reader import JournalReader

# What every bar brings. All else is told as something that happened.
ROUTINE = frozenset({
    e.HistoryLoaded, e.BarsClosed, e.BarsMissed, e.BarRejected, e.BarRevised, e.FeatureRows,
    e.Predictions, e.SignalEmitted, e.SignalSuppressed, e.QuotesTaken, e.OrdersTicked,
    e.HealthTick, e.HealthSampled, e.OrderReported, e.OrderApproved, e.OrderDenied,
    e.OrderIntended, e.OrderAccepted, e.OrderRefused, e.OrderNotSent, e.OrderCancelRequested,
    e.OrderOutcomeUnknown, e.OrderAbsent, e.OrderFilled, e.OrderCompleted, e.ParentEnded,
    e.PositionChanged, e.EquityMarked, e.PredictionResolved, e.RunOpened, e.StopRequested,
    e.RunClosed, e.JournalThinned, e.DustSetAside, e.ChallengerPredictions, e.ModelsCompared,
})  # fmt: skip
HAPPENINGS = tuple(kind for kind in e.JOURNALED if kind not in ROUTINE)
# What is decided of it, and what that needs; its orders are worked off later, by other rules.
DECIDED = (
    e.FeatureRows, e.Predictions, e.SignalSuppressed, e.SignalEmitted, e.QuotesTaken,
    e.OrderApproved, e.OrderDenied,
)  # fmt: skip
TRADED = (
    e.RunOpened, e.BarsClosed, e.OrderFilled, e.PositionChanged, e.DustSetAside,
    e.FundingCharged, e.PositionLiquidated,
)  # fmt: skip


BEFORE, DURING, AFTER = "before", "with this bar", "after"


def when() -> dict[str, list[e.Event]]:
    """A place for what happened before the bar, from it to the next one, and behind that."""
    return {BEFORE: [], DURING: [], AFTER: []}


class OrderTale(Struct, kw_only=True):
    """One order of the decision, and all that was heard of it, in order."""

    intent: e.OrderIntended
    events: list[e.Event] = field(default_factory=list)

    @property
    def fills(self) -> list[e.OrderFilled]:
        return [each for each in self.events if isinstance(each, e.OrderFilled)]


class Evidence(Struct, kw_only=True):
    """Everything of one decision that was recorded; steps are those of the journal."""

    run: e.RunOpened
    trace: str
    instrument: InstrumentId
    close_ns: int
    last_step: int  # newest of the journal
    bar: Bar | None = None
    bar_step: int = 0
    next_step: int | None = None  # of the instrument's next bar
    late_bars: list[e.BarRevised] = field(default_factory=list)  # the slot's numbers, changed
    rejected: list[e.BarRejected] = field(default_factory=list)  # told of the slot, not believed
    missed: list[e.BarsMissed] = field(default_factory=list)  # before it, newest last
    features: e.FeatureRow | e.FeaturesRefused | None = None
    prediction: e.Prediction | e.FeaturesRefused | None = None
    suppressed: list[e.SignalSuppressed] = field(default_factory=list)
    signals: list[e.SignalEmitted] = field(default_factory=list)
    verdicts: list[e.OrderApproved | e.OrderDenied] = field(default_factory=list)
    quotes: list[e.QuotesTaken] = field(default_factory=list)
    orders: dict[str, OrderTale] = field(default_factory=dict)
    ends: list[e.ParentEnded] = field(default_factory=list)
    positions: list[e.PositionChanged] = field(default_factory=list)
    outcomes: list[e.PredictionResolved] = field(default_factory=list)  # of every model asked
    predicted_by: str = ""
    shadows: dict[str, e.Prediction] = field(default_factory=dict)  # by model; decided nothing
    model: e.ModelActivated | None = None  # that the bar was decided with
    model_since_ns: int | None = None
    health: e.HealthSampled | None = None  # the newest before the bar
    sampled: e.HealthSampled | None = None  # the newest from the bar to the next one
    halts: dict[str, e.TradingHalted] = field(default_factory=dict)  # in force at the bar
    life: dict[str, list[e.Event]] = field(default_factory=when)  # of models
    happened: dict[str, list[e.Event]] = field(default_factory=when)  # all else
    trade: Trade | None = None
    exit_signal: e.SignalEmitted | None = None  # of another decision, that ended the round trip
    decided_steps: tuple[int, int] = (0, 0)  # first and last that decided something of it

    @property
    def listed(self) -> Instrument:
        return next(each for each in self.run.instruments if each.id == self.instrument)


def evidence(journal: JournalReader, trace: str) -> Evidence:
    """All of one trace that is known to be in the journal."""
    run = journal.latest(e.RunOpened)
    if run is None:
        msg = "the journal does not begin with RunOpened: it is not that of a run"
        raise JournalBroken(msg)
    told = list(journal.read_saying([f'"trace":"{trace}"']))
    instrument, close_ns = _named(told, trace)
    found = Evidence(
        run=run,
        trace=trace,
        instrument=instrument,
        close_ns=close_ns,
        last_step=journal.last_step(),
        bar_step=told[0][0],
    )
    for step, event in told:
        _sort(found, step, event)
    _reports(found, journal)
    _bars(found, journal)
    _around(found, journal)
    _round_trip(found, journal)
    return found


def _named(told: list[tuple[int, e.Event]], trace: str) -> tuple[InstrumentId, int]:
    """Whose decision it is, and of which bar; the time of an event where it is of no bar."""
    first_ns = told[0][1].ts_ns
    instrument = None
    for _, event in told:
        rows = (*getattr(event, "rows", ()), *getattr(event, "refused", ()))
        for each in (*rows, event):
            if getattr(each, "trace", "") == trace:
                instrument = each.instrument
                if hasattr(each, "close_ns"):
                    return each.instrument, each.close_ns
    assert instrument is not None, "every event with a trace names its instrument"
    return instrument, first_ns


def _sort(found: Evidence, step: int, event: e.Event) -> None:
    if isinstance(event, e.FeatureRows | e.Predictions):
        _rows(found, event)
    elif isinstance(event, e.ChallengerPredictions):
        for row in event.rows:
            if row.trace == found.trace:
                found.shadows[event.model] = row
    elif isinstance(event, e.OrderIntended):
        found.orders[event.client_order_id] = OrderTale(intent=event)
    places: dict[type[e.Event], list[Any]] = {
        e.SignalSuppressed: found.suppressed,
        e.SignalEmitted: found.signals,
        e.OrderApproved: found.verdicts,
        e.OrderDenied: found.verdicts,
        e.QuotesTaken: found.quotes,
        e.ParentEnded: found.ends,
        e.PositionChanged: found.positions,
        e.PredictionResolved: found.outcomes,
    }
    places.get(type(event), []).append(event)
    if isinstance(event, DECIDED):
        first, last = found.decided_steps
        found.decided_steps = (first or step, max(last, step))


def _rows(found: Evidence, event: e.FeatureRows | e.Predictions) -> None:
    for row in (*event.rows, *event.refused):
        if row.trace != found.trace:
            continue
        if isinstance(event, e.Predictions):
            found.predicted_by = event.model
        if isinstance(event, e.FeatureRows) and not isinstance(row, e.Prediction):
            found.features = row
        elif not isinstance(row, e.FeatureRow):
            found.prediction = row


def _reports(found: Evidence, journal: JournalReader) -> None:
    """What venues said of the orders, and what was made of it."""
    if not found.orders:
        return
    texts = [f'"client_order_id":"{each}"' for each in found.orders]
    for _, event in journal.read_saying(texts):
        tale = found.orders.get(getattr(event, "client_order_id", ""))
        if tale is not None and not isinstance(event, e.OrderIntended):
            tale.events.append(event)


def _bars(found: Evidence, journal: JournalReader) -> None:
    """The bar of the slot, where the next one came, and what else was told of it."""
    length_ns = found.run.timeframe_ns
    open_ns, next_ns = found.close_ns - length_ns, found.close_ns + length_ns
    texts = [f'"open_ns":{open_ns}', f'"close_ns":{next_ns}']
    kinds: list[type[e.Event]] = [e.BarsClosed, e.HistoryLoaded, e.BarRejected, e.BarRevised]
    for step, event in journal.read_saying(texts, kinds):
        for bar in getattr(event, "bars", ()):
            if bar.instrument != found.instrument:
                continue
            if bar.close_ns == next_ns:
                found.next_step = found.next_step or step
            elif bar.close_ns == found.close_ns and found.bar is None:
                found.bar, found.bar_step = bar, min(step, found.bar_step)
        if isinstance(event, e.BarRevised) and event.bar.open_ns == open_ns:
            if event.bar.instrument == found.instrument:
                found.late_bars.append(event)
        elif isinstance(event, e.BarRejected) and event.open_ns == open_ns:
            found.rejected += [event] if event.instrument == found.instrument else []
    found.missed = [
        each
        for _, each in journal.read_kinds(e.BarsMissed)
        if each.instrument == found.instrument and each.first_open_ns < found.close_ns
    ]


def _around(found: Evidence, journal: JournalReader) -> None:
    """What happened to the model, the account and the connection, before, with and after it."""
    until = found.next_step or found.last_step + 1
    for step, event in journal.read_kinds(*HAPPENINGS, e.HealthSampled):
        instrument = getattr(event, "instrument", found.instrument)
        if instrument != found.instrument:
            continue
        is_before = step < found.bar_step
        if isinstance(event, e.HealthSampled):
            if is_before:
                found.health = event
            elif step < until:
                found.sampled = event
            continue
        if isinstance(event, e.ModelActivated):
            _used(found, event, step)
        if is_before and isinstance(event, e.TradingHalted):
            found.halts[event.reason] = event
        elif is_before and isinstance(event, e.TradingResumed):
            found.halts.clear()
        place = BEFORE if is_before else DURING if step < until else AFTER
        told = found.life if hasattr(event, "model") else found.happened
        told[place].append(event)


def _used(found: Evidence, event: e.ModelActivated, step: int) -> None:
    """A model that takes over with the bar itself may have decided it already."""
    if step > found.bar_step or (step == found.bar_step and event.model != found.predicted_by):
        return
    if found.model is None or found.model.model != event.model:
        found.model_since_ns = event.ts_ns
    found.model = event


def _round_trip(found: Evidence, journal: JournalReader) -> None:
    """The round trip that an order of this decision began, went on with or ended."""
    filled = [fill.ts_ns for tale in found.orders.values() for fill in tale.fills]
    if not filled:
        return
    facts = gather(event for _, event in journal.read_kinds(*TRADED))
    first_ns = min(filled)
    own = [each for each in facts.trades if found.trace in {each.entry_trace, each.exit_trace}]
    spans = [
        each
        for each in facts.trades
        if each.instrument == found.instrument
        and each.opened_ns <= first_ns
        and (each.return_ratio is None or first_ns <= each.closed_ns)
    ]
    found.trade = next(iter(own or spans), None)
    trade = found.trade
    if trade is not None and trade.exit_trace not in {"", found.trace}:
        for _, event in journal.read_saying([f'"trace":"{trade.exit_trace}"'], [e.SignalEmitted]):
            if isinstance(event, e.SignalEmitted) and event.direction is e.Direction.FLAT:
                found.exit_signal = event
