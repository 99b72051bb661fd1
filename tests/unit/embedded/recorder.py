"""A listener that remembers, and can cut an exchange off in the middle of a slot.

Belongs here: what tests of interrupted markets share.
"""

from collections.abc import Sequence

from daemon.embedded.market import MarketBar
from daemon.embedded.settlement import Outcome
from daemon.embedded.stage import Silence
from daemon.embedded.tape import Step

FAST = 500.0  # bars per second


class Recorder(Silence):
    """Remembers what it hears; interrupts after a number of steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.heard: list[str] = []
        self.steps: list[Step] = []
        self.stop_after = stop_after

    def stepped(self, step: Step) -> None:
        self.steps.append(step)
        self.heard.append("stepped")

    def settled(self, outcome: Outcome) -> None:
        self.heard.append("settled" if outcome.reports else "nothing")

    def closed(self, bars: Sequence[tuple[str, MarketBar]]) -> None:
        self.heard.append("closed" if bars else "nothing")

    def flush(self) -> None:
        self.heard.append("flush")
        if self.stop_after is not None and len(self.steps) >= self.stop_after:
            raise InterruptedError
