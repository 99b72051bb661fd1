"""How large the next child order is, and at which price: from what is left and a book to numbers.

Belongs here: single children. When there is one belongs to `working`, who takes it to `routing`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.orders import Side

if TYPE_CHECKING:
    from daemon.config import ExecutionSection
    from daemon.core.events import Quote
    from daemon.core.instruments import Instrument
    from daemon.core.orders import Parent

BPS = Decimal(10_000)


def limit_price(
    parent: Parent, instrument: Instrument, quote: Quote | None, config: ExecutionSection
) -> Decimal | None:
    """Where a limit order goes: at our own side of the book, nearer to the other by the offset.

    None for a market order: so configured, or without a book to see.
    """
    kind = config.exit_order if parent.is_exit else config.entry_order
    if kind == "market" or quote is None or not quote.is_complete:
        return None
    offset = Decimal(repr(config.limit_offset_bps)) / BPS
    if parent.side is Side.BUY:
        wanted = min(quote.bids[0][0] * (1 + offset), quote.asks[0][0])
        return instrument.price_down(wanted) or None
    wanted = max(quote.asks[0][0] * (1 - offset), quote.bids[0][0])
    return instrument.price_up(wanted) or None


def next_slice(
    parent: Parent,
    instrument: Instrument,
    left: Decimal,
    quote: Quote | None,
    *,
    mark: Decimal,
    share: Decimal,
) -> Decimal:
    """All that is left, or a share of what the book shows; no rest that nobody would take.

    Of what is more than the exchange takes at once, one of equal parts. A share of 0 is all.
    """
    most = instrument.at_most(left, mark)
    if most < instrument.quantize_down(left):
        parts = left // most + (1 if left % most else 0)
        left = instrument.quantize_down(left / parts)
    if share == 0 or quote is None or not quote.side(parent.side):
        return left
    shown = sum((quantity for _, quantity in quote.side(parent.side)), Decimal(0))
    most = instrument.quantize_down(shown * share)
    is_exit = parent.is_exit
    if most >= left or not instrument.takes(most, mark, is_exit=is_exit):
        return left
    return most if instrument.takes(left - most, mark, is_exit=is_exit) else left
