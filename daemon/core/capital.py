"""Divides the allotted capital over accounts.

Belongs here: shares of an amount, exact. Who gets one belongs to whoever opens a run.
"""

from collections.abc import Mapping
from decimal import Decimal, localcontext

from daemon.core.positions import EXACT, ZERO


def shares(capital: Decimal, held: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """The capital divided over accounts in proportion to what each holds, to the last digit.

    Where they hold at least the capital together, none is asked for more than it holds.
    """
    with localcontext(EXACT):
        total = sum(held.values(), ZERO)
        assert total >= capital, "more is divided than there is"
        lot = Decimal("1e-8")
        divided = {
            name: (capital * amount // (total * lot)) * lot if total else ZERO
            for name, amount in held.items()
        }
        # What rounding left goes where most is left over, and never more than that.
        left = capital - sum(divided.values(), ZERO)
        room = {name: amount - divided[name] for name, amount in held.items()}
        for name in sorted(room, key=lambda name: (room[name], name), reverse=True):
            more = min(left, room[name])
            divided[name] += more
            left -= more
    return divided
