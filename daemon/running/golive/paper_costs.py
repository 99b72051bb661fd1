"""What orders cost on paper and how much of them was filled: real ones are held against it.

Belongs here: the numbers that an arming takes along. What they mean for the size of real orders
belongs to the risk layer's canary.
"""

from __future__ import annotations

from statistics import fmean, stdev
from typing import TYPE_CHECKING

from daemon.core import events as e
from daemon.layers.risk.canary import OURS
from daemon.reports.slippage import READ, paid
from daemon.store.golive import PaperCosts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.store.journal_reader import JournalReader

ORDERS_MIN = 20  # fewer tell no interval


def paper_costs(journals: Iterable[JournalReader]) -> PaperCosts | None:
    """Of all orders with fills, protective stops aside, and of all that was approved."""
    slips: list[float] = []
    filled: list[float] = []
    for journal in journals:
        orders = paid(event for _, event in journal.read_kinds(*READ))
        slips += [each.decision_bps for each in orders]
        ended = (each for _, each in journal.read_kinds(e.ParentEnded))
        filled += [
            float(each.filled_quantity / each.wanted_quantity)
            for each in ended
            if each.reason not in OURS and each.wanted_quantity
        ]
    if len(slips) < ORDERS_MIN or not filled:
        return None
    return PaperCosts(
        orders=len(slips),
        slippage_mean_bps=round(fmean(slips), 4),
        slippage_sd_bps=round(stdev(slips), 4),
        parents=len(filled),
        fill_ratio=round(fmean(filled), 6),
    )
