"""What earlier runs of this bot left on the accounts of a run: looked for, then adopted or told.

Belongs here: whose orders count as left, and what follows. Finding them on one account belongs to
`adoption`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import BarsClosed, BooksAdopted, HistoryLoaded, Reconciled
from daemon.core.ids import mark_of
from daemon.running.books.adoption import known_orders, left_behind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from decimal import Decimal

    from daemon.core.events import Input
    from daemon.running.books.adoption import LeftBehind
    from daemon.running.world.sites import World
    from daemon.store.journal import SqliteJournal
    from daemon.store.runs import RunPaths

    OnAway = Callable[[str, ExchangeUnreachable], Awaitable[None]]


class Leftovers:
    """Orders that bear this bot's mark and that no journal of this state directory knows.

    Those of another run here were left on purpose, unless they are to be adopted.
    """

    def __init__(self, world: World, paths: RunPaths, bot: str, *, is_adopting: bool) -> None:
        self._world = world
        self._paths = paths
        self._bot = bot
        self._is_adopting = is_adopting
        self._found: dict[str, LeftBehind] = {}  # by exchange

    async def look(
        self,
        known: Collection[str],
        before_ns: int | None,
        *,
        told: Collection[str],
        on_away: OnAway,
    ) -> None:
        """Ask every account that is not made of paper, until each has answered.

        `known` are the orders of this run, `before_ns` is when it opened, `told` the exchanges of
        which an earlier start has said it ("" is all of them), which are asked again only to adopt;
        `on_away` waits or raises when an exchange does not answer.
        """
        known = set(known)
        if not self._is_adopting:
            known |= known_orders(self._paths.state_dir, self._paths.run)
        for site in self._world.sites:
            is_told = site.exchange in told or "" in told
            if site.paper is not None or (is_told and not self._is_adopting):
                continue
            mark = mark_of(bot=self._bot, account=site.account)
            while True:
                try:
                    left = await left_behind(site.venue, site.instruments, mark, known, before_ns)
                    break
                except ExchangeUnreachable as error:
                    await on_away(site.exchange, error)
            if left.orders:
                self._found[site.exchange] = left

    @property
    def tied_up(self) -> dict[tuple[str, str], Decimal]:
        """What they cost, by exchange and quote currency."""
        return {
            (exchange, quote): cost
            for exchange, left in self._found.items()
            for quote, cost in left.tied_up.items()
        }

    async def take_over(self, take: Callable[[Input], Awaitable[None]], ts_ns: int) -> None:
        """Adopt what was left, where somebody said so; else say it, which halts."""
        for exchange, left in self._found.items():
            if self._is_adopting:
                await take(BooksAdopted(ts_ns=ts_ns, exchange=exchange, orders=left.orders))
            else:
                await take(left.as_difference(exchange, ts_ns))


def told_by(journal: SqliteJournal) -> set[str]:
    """The exchanges of which a start of this run has said what was left there, if anything was.

    The first comparison behind the history says that; between the opening and it lies a training of
    minutes, and one who ended there has told nobody. A flatten may compare before.
    """
    first = next((step for step, _ in journal.read_kinds(HistoryLoaded, BarsClosed)), None)
    if first is None:
        return set()
    compared = {each.exchange for step, each in journal.read_kinds(Reconciled) if step > first}
    adopted = {each.exchange for step, each in journal.read_kinds(BooksAdopted) if step > first}
    return compared | adopted
