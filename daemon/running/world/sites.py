"""One exchange as a run sees it, and all of them together: what is plugged into the core from
outside.

Belongs here: what is there, ready to use. Building it belongs to `world.embedded`, keeping
it running to `site_tasks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.core.instruments import names_of
from daemon.core.jobs import TrainingSeries
from daemon.layers.ingestion.feed_config import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from daemon.core.clock import MarketClock
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.ports import MarketData, Venue
    from daemon.running.world.claim import Claim
    from daemon.running.world.exchange_process import ExchangeProcess
    from daemon.running.world.live_account import LiveKey
    from daemon.store.golive import Arming
    from daemon.venues.embedded_link import EmbeddedLink
    from daemon.venues.paper_venue import PaperVenue


def deaf(_tell: Callable[[], None]) -> None:
    """Of an account without a stream, which has nothing to lose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSide:
    """What orders of one exchange go through: its account, its shadow, or paper."""

    label: str
    account: str
    venue: Venue
    paper: PaperVenue | None = None
    tell_doubts_to: Callable[[Callable[[], None]], None] = deaf
    key: LiveKey | None = None
    arming: Arming | None = None
    claim: Claim | None = None


@dataclass(slots=True, kw_only=True)
class Site:
    """One exchange: its market data, its account, its clock and its limits.

    `market_key` names whose bars and models these are; two sites never share one.
    """

    exchange: str
    market: str
    market_key: str
    label: str
    account: str
    clock: MarketClock
    market_data: MarketData
    history_data: MarketData
    venue: Venue
    instruments: tuple[Instrument, ...]
    first_open_ns: int
    link: EmbeddedLink | None = None
    process: ExchangeProcess | None = None
    state_dir: Path | None = None  # of an embedded exchange that is ours to start again
    is_lockstep: bool = False
    market_rate: float = 1.0  # market seconds per wire second; 0 in lock-step
    page_limit: int = 500
    sends_empty_bars: bool = True
    transport: Transport = Transport.WEBSOCKET
    paper: PaperVenue | None = None
    on_wire_time: Callable[[int], None] = lambda _ns: None  # hears what its wire clock shows
    # Who is told when its stream of reports may have lost something, or says what is not ours.
    tell_doubts_to: Callable[[Callable[[], None]], None] = deaf
    key: LiveKey | None = None  # of a live account
    arming: Arming | None = None  # that lets orders be sent to a real one
    claim: Claim | None = None  # that keeps every other process of this machine off it
    untraded: Mapping[InstrumentId, str] = field(default_factory=dict)  # at the start, and why

    async def close(self) -> None:
        """Let go of every connection, then of the exchange if it is our child."""
        await self.venue.close()
        await self.market_data.close()
        if self.history_data is not self.market_data:
            await self.history_data.close()
        if self.link is not None:
            await self.link.close()
        if self.process is not None:
            await self.process.stop()
        if self.claim is not None:
            self.claim.close()


@dataclass(slots=True)
class World:
    """Every exchange of a run; the first one is the one that `data.exchange` names."""

    sites: tuple[Site, ...]

    @property
    def first(self) -> Site:
        return self.sites[0]

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        return tuple(each for site in self.sites for each in site.instruments)

    def each_instrument(self) -> Iterator[tuple[Site, Instrument]]:
        for site in self.sites:
            for instrument in site.instruments:
                yield site, instrument

    @property
    def names(self) -> dict[InstrumentId, str]:
        """What each instrument is called where all of them are listed."""
        return names_of(each.id for each in self.instruments)

    @property
    def model_market(self) -> str:
        """Whose model this is: one is trained on the bars of all exchanges together."""
        return "+".join(sorted(site.market_key for site in self.sites))

    def training_series(self) -> list[TrainingSeries]:
        """Where the bars of each instrument lie in the store."""
        names = self.names
        return [
            TrainingSeries(site.market_key, instrument.id.symbol, names[instrument.id])
            for site, instrument in self.each_instrument()
        ]

    @property
    def label(self) -> str:
        """The market in words; of several exchanges each with its name."""
        if len(self.sites) == 1:
            return self.first.label
        return ", ".join(f"{site.exchange}: {site.label}" for site in self.sites)

    @property
    def is_lockstep(self) -> bool:
        return self.first.is_lockstep

    @property
    def first_open_ns(self) -> int:
        """Open of the first streamed slot: history ends before it, on every exchange."""
        return min(site.first_open_ns for site in self.sites)

    def now_ns(self) -> int:
        """Market time, for what belongs to no single exchange."""
        return max(site.clock.now_ns() for site in self.sites)

    async def close(self) -> None:
        for site in self.sites:
            await site.close()
