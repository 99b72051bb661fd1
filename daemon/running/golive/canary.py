"""Tells the core that real orders were armed, so that it begins small: once for every arming.

Belongs here: making that event, and saying that the model is not the one that was armed. How the
size grows belongs to the risk layer's canary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from daemon.core.events import CanaryBegun
from daemon.core.timeframes import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.core.events import ModelActivated
    from daemon.running.world.sites import World
    from daemon.store.golive import Arming


class Say(Protocol):
    """Whoever writes the log."""

    def emit(self, event: str, **fields: object) -> None: ...


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


def tell_other(world: World, active: ModelActivated | None, say: Say) -> None:
    """The arming holds, and a person should know that it is not what they looked at."""
    for site in world.sites:
        if active is not None and site.arming is not None and site.arming.model != active.model:
            say.emit(
                "model.unarmed",
                exchange=site.exchange,
                model=active.model,
                armed=site.arming.model,
                armed_at=rfc3339(site.arming.at_ns),
            )


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
