"""Where one thing is listed: groups the instruments of a run by what is traded there.

Belongs here: which instruments stand for each other. Which of them an order goes to belongs to
execution.
"""

from collections import defaultdict

from daemon.core.events import RunOpened
from daemon.core.instruments import InstrumentId


class Listings:
    """Groups of instruments that orders may be routed between; without routing each is alone."""

    def __init__(self) -> None:
        self._members: dict[InstrumentId, tuple[InstrumentId, ...]] = {}

    def apply_run_opened(self, event: RunOpened) -> None:
        if not event.is_routed:
            return
        groups: defaultdict[tuple[str, str, str], list[InstrumentId]] = defaultdict(list)
        for each in event.instruments:
            groups[each.base, each.quote, each.market_type].append(each.id)
        for group in groups.values():
            for each_id in group:
                self._members[each_id] = tuple(group)

    def members(self, instrument: InstrumentId) -> tuple[InstrumentId, ...]:
        """All that are the same thing, this one included, in the order the run names them."""
        return self._members.get(instrument, (instrument,))

    def key(self, instrument: InstrumentId) -> InstrumentId:
        """The one that stands for them all."""
        return self.members(instrument)[0]
