"""How fast something grows: sizes over time become a rate over a window.

Belongs here: the rate. What is too fast belongs to whoever asks.
"""

from collections import deque

POINTS_MAX = 96
TOLD_FROM_RATIO = 1 / 24  # of the window: what grew in a moment says nothing of a day


class Growth:
    """Keeps a point now and then, so that a day of samples is a hundred numbers."""

    def __init__(self, window_s: float) -> None:
        self._every_s = window_s / POINTS_MAX
        self._told_from_s = window_s * TOLD_FROM_RATIO
        self._points: deque[tuple[float, int]] = deque(maxlen=POINTS_MAX + 1)
        self._newest: tuple[float, int] | None = None

    def note(self, now_s: float, size: int) -> None:
        self._newest = now_s, size
        if not self._points or now_s - self._points[-1][0] >= self._every_s:
            self._points.append(self._newest)

    def a_second(self) -> float | None:
        """From the oldest point of the window to the newest size; None until that says anything."""
        if self._newest is None:
            return None
        (then_s, was), (now_s, size) = self._points[0], self._newest
        if now_s - then_s < self._told_from_s:
            return None
        return (size - was) / (now_s - then_s)
