"""Balances of a while ago, for an account that is slow to show what happened to it.

Belongs here: remembering. The balances themselves belong to the account and its ledger.
"""

from collections import deque
from collections.abc import Callable, Mapping

from daemon.embedded.account import Balance
from daemon.embedded.settlement import Outcome
from daemon.embedded.stage import Silence

CHANGES_KEPT = 100_000


class PastBalances(Silence):
    """Hears every change of one account and can tell how it stood before."""

    def __init__(self, balances: Mapping[str, Balance], now_ms: Callable[[], int]) -> None:
        self._last = {asset: Balance(each.free, each.locked) for asset, each in balances.items()}
        self._now_ms = now_ms
        self._changes: deque[tuple[int, str, Balance]] = deque(maxlen=CHANGES_KEPT)

    def settled(self, outcome: Outcome) -> None:
        now_ms = self._now_ms()
        for asset, balance in outcome.balances.items():
            self._changes.append((now_ms, asset, self._last.get(asset, Balance())))
            self._last[asset] = balance

    def ago(self, lag_ms: int) -> dict[str, Balance]:
        """The balances as they were so long ago."""
        since_ms = self._now_ms() - lag_ms
        balances = dict(self._last)
        for changed_ms, asset, before in reversed(self._changes):
            if changed_ms <= since_ms:
                break
            balances[asset] = before
        return balances
