"""The newest prices of a run: turns closes into marks, and amounts into the reporting currency.

Belongs here: marks and what they are worth in one currency. What is held belongs to `book`.
"""

from collections.abc import Iterable
from decimal import Decimal

from daemon.core.bars import Bar
from daemon.core.currencies import Rate, Rates
from daemon.core.instruments import Instrument, InstrumentId


class Prices:
    """Marks by instrument; those before the newest are remembered once."""

    def __init__(self) -> None:
        self.reporting = ""
        self.marks: dict[InstrumentId, Decimal] = {}
        self.marked_ns: dict[InstrumentId, int] = {}
        self.previous_marks: dict[InstrumentId, Decimal] = {}
        self._rates = Rates((), "")

    def open(self, instruments: Iterable[Instrument], reporting: str) -> None:
        self.reporting = reporting
        self._rates = Rates(instruments, reporting)

    def mark(self, bars: Iterable[Bar]) -> None:
        for bar in bars:
            known = self.marks.get(bar.instrument)
            if known is not None:
                self.previous_marks[bar.instrument] = known
            self.marks[bar.instrument] = Decimal(repr(bar.close))
            self.marked_ns[bar.instrument] = bar.close_ns

    def rate(self, currency: str) -> Rate | None:
        return self._rates.rate(currency, self.marks, self.marked_ns)

    def value(self, amount: Decimal, currency: str) -> Decimal | None:
        """The amount in the reporting currency; None where no mark leads there."""
        if currency == self.reporting:
            return amount
        rate = self.rate(currency)
        return None if rate is None else amount * rate.value
