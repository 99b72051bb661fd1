"""Lines about the account: whether it agrees with the books, and what moved on it besides.

Belongs here: as in `lines`, the fields of lines, made from events alone.
"""

from collections.abc import Iterator

from daemon.core import events as e
from daemon.core.instruments import plain
from daemon.logs.parts import Fields, Memory, at


def books_reconciled(event: e.Reconciled, _: Memory) -> Iterator[Fields]:
    if event.is_clean:
        yield {**at(event), "exchange": event.exchange or None}


def books_differed(event: e.Reconciled, _: Memory) -> Iterator[Fields]:
    if not event.is_clean:
        yield {
            **at(event),
            "exchange": event.exchange or None,
            "differences": list(event.differences),
            "foreign": list(event.foreign) or None,
        }


def funds_moved(event: e.FundsMoved, _: Memory) -> Iterator[Fields]:
    yield {
        **at(event),
        "exchange": event.exchange,
        "currency": event.currency,
        "amount": plain(event.amount),
        "detail": event.reason,
    }


def funding_charged(event: e.FundingCharged, _: Memory) -> Iterator[Fields]:
    yield {
        **at(event),
        "exchange": event.instrument.exchange,
        "symbol": event.instrument.symbol,
        "rate": plain(event.rate),
        "price": plain(event.price),
        "amount": None if event.amount is None else plain(event.amount),
    }


def position_liquidated(event: e.PositionLiquidated, _: Memory) -> Iterator[Fields]:
    yield {
        **at(event),
        "exchange": event.instrument.exchange,
        "symbol": event.instrument.symbol,
        "price": plain(event.price),
        "fee": plain(event.fee),
    }


def books_adopted(event: e.BooksAdopted, _: Memory) -> Iterator[Fields]:
    yield {**at(event), "exchange": event.exchange, "orders": len(event.orders)}
