"""What a run is at, in words: positions, open orders, a training; of its journal or its core.

Belongs here: reading books out of a journal. Comparing them with a venue belongs to `reconcile`.
"""

from __future__ import annotations

from decimal import localcontext
from typing import TYPE_CHECKING

from daemon.core import events as e
from daemon.core.applying import appliers
from daemon.core.blotter import Blotter
from daemon.core.book import Book
from daemon.core.errors import JournalBroken
from daemon.core.flows import ExternalFlows
from daemon.core.instruments import names_of, plain
from daemon.core.pipeline import ARITHMETIC
from daemon.core.timeframes import rfc3339
from daemon.running.books.reconcile import Books
from daemon.store.journal_reader import JournalReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.core.positions import Position
    from daemon.store.runs import RunSpec

# What is held and open is known without them, and they are most of a journal.
OF_PRICES = frozenset({e.HistoryLoaded, e.BarsClosed, e.EquityMarked})


def books_of(journal: JournalReader) -> Books:
    """Orders, positions, cash and external flows of a run; JournalBroken when it never opened."""
    opened = journal.latest(e.RunOpened)
    if opened is None:
        msg = "the journal holds no opened run: it was killed before its first step"
        raise JournalBroken(msg)
    blotter, book, flows = Blotter(), Book(), ExternalFlows()
    folds = {
        kind: methods
        for kind, methods in appliers(blotter, book, flows).items()
        if kind not in OF_PRICES
    }
    with localcontext(ARITHMETIC):
        for _, event in journal.read_kinds(*folds):
            for fold in folds[type(event)]:
                fold(event)
    return Books(opened, blotter, book, flows)


def positions_of(book: Book) -> dict[str, str]:
    """What is held and can be sold or bought back, by name: signed, in units of the base."""
    return {
        name: plain(position.quantity) for name, position, is_tradable in _held(book) if is_tradable
    }


def dust_of(book: Book) -> dict[str, str]:
    """Rests that no order can move, by name, in units of the base."""
    rests = {
        name: position.dust if is_tradable else position.quantity + position.dust
        for name, position, is_tradable in _held(book)
    }
    return {name: plain(rest) for name, rest in rests.items() if rest}


def _held(book: Book) -> Iterator[tuple[str, Position, bool]]:
    names = names_of(book.instruments)
    for each, position in sorted(book.positions.items()):
        rules = book.instruments[each]
        yield names[each], position, bool(rules.quantize_down(abs(position.quantity)))


def holding(book: Book, blotter: Blotter) -> dict[str, object]:
    """What is held and open now, for people: rests that no order can move are told apart."""
    names = names_of(book.instruments)
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
    return {"positions": positions_of(book), "open_orders": orders, "dust": dust_of(book)}


def held_by(path: Path) -> str:
    """Positions and open orders by the journal at `path`, in words; empty when there are none."""
    if not path.is_file():
        return ""
    journal = JournalReader.open(path)
    if journal.latest(e.RunOpened) is None:
        return ""
    books = books_of(journal)
    positions = positions_of(books.book)
    parts = [f"{quantity} {name}" for name, quantity in positions.items()]
    words = [f"holds {', '.join(parts)}"] if parts else []
    open_count = sum(1 for _ in books.blotter.all_open())
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
