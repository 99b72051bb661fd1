"""What the account was worth when the day began: the mark from which a day's loss is counted.

Belongs here: which day a bar belongs to, by its close, whenever it came. How much may be lost
belongs to `gates`.
"""

from decimal import Decimal

from daemon.core.timeframes import DAY_NS


class Days:
    """Marks by bars, UTC: a bar that closes at midnight belongs to the day that it ends.

    So the loss of a bar of a day, or longer, is that day's. Nothing but bars begins a day: what was
    lost in orders since the last one is lost in the day of the next one.
    """

    def __init__(self) -> None:
        self.start_equity = Decimal(0)  # 0 before anything could be valued
        self._day = -1
        self._newest_equity: Decimal | None = None

    def note(self, close_ns: int, equity: Decimal) -> None:
        """The account at a bar's close; a bar that comes late begins no day again."""
        day = (close_ns - 1) // DAY_NS
        if day > self._day:
            self._day = day
            self.start_equity = equity if self._newest_equity is None else self._newest_equity
        self._newest_equity = equity
