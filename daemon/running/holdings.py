"""What a run is at, in words: positions, open orders, a training; of its journal or its core.

Belongs here: reading books out of a journal. Comparing them with a venue belongs to `reconcile`.
"""

from __future__ import annotations

from decimal import localcontext
from typing import TYPE_CHECKING

from daemon.core import events as e
from daemon.core.blotter import Blotter
from daemon.core.book import Book
from daemon.core.errors import JournalBroken
from daemon.core.flows import ExternalFlows
from daemon.core.instruments import names_of, plain
from daemon.core.pipeline import ARITHMETIC
from daemon.core.timeframes import rfc3339
from daemon.running.reconcile import Books
from daemon.store.journal_reader import JournalReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal
    from pathlib import Path

    from daemon.core.instruments import InstrumentId
    from daemon.store.runs import RunSpec


def books_of(journal: JournalReader) -> Books:
    """Orders, positions, cash and external flows of a run; JournalBroken when it never opened."""
    opened = journal.latest(e.RunOpened)
    if opened is None:
        msg = "the journal holds no opened run: it was killed before its first step"
        raise JournalBroken(msg)
    blotter, book, flows = Blotter(), Book(), ExternalFlows()
    appliers: dict[type[e.Event], tuple[Callable[..., None], ...]] = {
        e.RunOpened: (book.apply_run_opened,),
        e.OrderIntended: (blotter.apply_order_intended,),
        e.OrderAccepted: (blotter.apply_order_accepted,),
        e.OrderRefused: (blotter.apply_order_refused,),
        e.OrderNotSent: (blotter.apply_order_not_sent,),
        e.OrderOutcomeUnknown: (blotter.apply_order_outcome_unknown,),
        e.OrderAbsent: (blotter.apply_order_absent,),
        e.OrderFilled: (blotter.apply_order_filled, book.apply_order_filled),
        e.OrderCompleted: (blotter.apply_order_completed,),
        e.BooksAdopted: (flows.apply_books_adopted,),
        e.FundsMoved: (flows.apply_funds_moved,),
        e.DustSetAside: (book.apply_dust_set_aside,),
    }
    with localcontext(ARITHMETIC):
        for _, event in journal.read_kinds(*appliers):
            for each in appliers[type(event)]:
                each(event)
    return Books(opened, blotter, book, flows)


def holding(book: Book, blotter: Blotter) -> dict[str, object]:
    """What is held and open now, for people: rests that no order can move are told apart."""
    names = names_of(book.instruments)
    positions, dust = {}, {}
    for each, position in sorted(book.positions.items()):
        rules = book.instruments[each]
        if rules.quantize_down(abs(position.quantity)):
            positions[names[each]] = plain(position.quantity)
        elif rest := position.quantity + position.dust:
            dust[names[each]] = plain(rest)
    orders = [
        {
            "order": each.client_order_id,
            "symbol": names[each.instrument],
            "leg": each.leg.value,
            "side": each.side.value,
            "type": each.order_type.value,
            "quantity": plain(each.leaves_quantity),
            "state": each.state.value,
        }
        for each in blotter.all_open()
    ]
    return {"positions": positions, "open_orders": orders, "dust": dust}


def held_by(path: Path) -> str:
    """Positions and open orders by the journal at `path`, in words; empty when there are none."""
    if not path.is_file():
        return ""
    journal = JournalReader.open(path)
    opened = journal.latest(e.RunOpened)
    if opened is None:
        return ""
    lots = {each.id: each.lot for each in opened.instruments}
    names = names_of(lots)
    quantities: dict[InstrumentId, Decimal] = {}
    for _, event in journal.read_kinds(e.PositionChanged):
        quantities[event.instrument] = event.quantity
    # What is less than one lot is dust that no order can move.
    parts = [
        f"{plain(quantity)} {names[instrument]}"
        for instrument, quantity in sorted(quantities.items())
        if abs(quantity) >= lots[instrument]
    ]
    words = [f"holds {', '.join(parts)}"] if parts else []
    open_count = sum(1 for _ in books_of(journal).blotter.all_open())
    if open_count:
        words.append(f"has {open_count} order{'s' * (open_count > 1)} without an answer")
    return " and ".join(words)


def outlives(spec: RunSpec) -> bool:
    """Whether the account goes on without the run: not that of an exchange the run began itself."""
    return spec.exchange is None or isinstance(spec.options.get("exchange_url"), str)


def training_in_words(opened: e.RetrainingOpened | None) -> str:
    """The training that is open, for people; empty when none is."""
    if opened is None:
        return ""
    why = f"{opened.reason.value} ({opened.detail})" if opened.detail else opened.reason.value
    return f"since {rfc3339(opened.ts_ns)} for {why}, attempt {opened.attempt}"
