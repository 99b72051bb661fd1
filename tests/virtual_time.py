"""A loop whose clock jumps to the next timer instead of waiting: hours pass in milliseconds."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from daemon.core.timeframes import NS_PER_S

T = TypeVar("T")
Ready = list[tuple[selectors.SelectorKey, int]]


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> Ready:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits and no timer will ever wake it"
            self.now_s += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def run_virtual(scenario: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a new loop with virtual time; a scenario where all wait for ever fails."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(scenario)


class VirtualWire:
    """The wire clock on the running loop's time."""

    def __init__(self, epoch_ns: int = 0) -> None:
        self._epoch_ns = epoch_ns

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    def now_ns(self) -> int:
        return self._epoch_ns + round(self.monotonic_s() * NS_PER_S)


class VirtualMarket(VirtualWire):
    """A market clock on the running loop's time, `rate` times as fast."""

    def __init__(self, epoch_ns: int, rate: float = 1.0) -> None:
        super().__init__(epoch_ns)
        self._rate = rate

    def now_ns(self) -> int:
        return self._epoch_ns + round(self.monotonic_s() * self._rate * NS_PER_S)
