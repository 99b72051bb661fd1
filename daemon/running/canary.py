"""Tells the core that real orders were armed, so that it begins small: once for every arming.

Belongs here: making that event. How the size grows belongs to the risk layer's canary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.events import CanaryBegun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.running.sites import World
    from daemon.store.golive import Arming


def canaries(
    world: World, known: Iterable[tuple[int, CanaryBegun]], now_ns: int
) -> list[CanaryBegun]:
    """For each armed exchange whose arming the journal's steps do not know yet."""
    told = {(each.exchange, each.armed_ns) for _, each in known}
    return [
        _begun(site.exchange, site.arming, now_ns)
        for site in world.sites
        if site.arming is not None
        and site.arming.canary.days
        and (site.exchange, site.arming.at_ns) not in told
    ]


def _begun(exchange: str, arming: Arming, now_ns: int) -> CanaryBegun:
    terms, paper = arming.canary, arming.paper
    begun = CanaryBegun(
        ts_ns=now_ns,
        exchange=exchange,
        armed_ns=arming.at_ns,
        days=terms.days,
        ratio=terms.ratio,
        steps=terms.steps,
        min_orders=terms.min_orders,
    )
    if paper is None:
        return begun
    return replace(
        begun,
        paper_orders=paper.orders,
        paper_slippage_mean_bps=paper.slippage_mean_bps,
        paper_slippage_sd_bps=paper.slippage_sd_bps,
        paper_parents=paper.parents,
        paper_fill_ratio=paper.fill_ratio,
    )
