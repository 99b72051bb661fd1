"""The first event of a run: asks every account what it holds, and divides the allotted capital.

Belongs here: who trades what with how much, where. What comes after it belongs to `session`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.book import shares
from daemon.core.errors import TradingdError
from daemon.core.events import AccountOpened, Balance, RunOpened
from daemon.core.instruments import plain
from daemon.core.timeframes import timeframe_ns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config import Settings
    from daemon.core.ports import Account
    from daemon.running.sites import World
    from daemon.store.runs import RunSpec


class CapitalMissing(TradingdError):
    """The account does not hold what the bot is allotted."""

    exit_code = 78


async def opening(
    world: World, settings: Settings, spec: RunSpec, tied_up: Mapping[str, Decimal]
) -> RunOpened:
    """Who trades what, with how much, on which accounts; CapitalMissing when they hold too little.

    With several exchanges the capital is divided as the accounts hold it: one that holds a third of
    all there is gets a third of what the bot may use. `tied_up` is what an earlier run has bought
    there with its share, in quote units.
    """
    length_ns = timeframe_ns(settings.data.timeframe)
    found = {
        site.exchange: await site.venue.account((), 0)  # what it holds; nothing was traded yet
        for site in world.sites
    }
    capital, quote = settings.risk.allotted_quote, settings.data.quote
    held = {
        name: each.totals.get(quote, Decimal(0)) + tied_up.get(name, Decimal(0))
        for name, each in found.items()
    }
    _require_capital(held, capital, quote)
    divided = shares(capital, held)
    accounts = tuple(
        AccountOpened(
            exchange=site.exchange,
            market=site.market,
            market_key=site.market_key,
            account=site.account,
            allotted_quote=divided[site.exchange],
            balances=_balances(found[site.exchange]),
        )
        for site in world.sites
    )
    first = accounts[0]
    return RunOpened(
        ts_ns=world.now_ns(),
        run=spec.run,
        bot=settings.run.name,
        mode=spec.mode,
        market=first.market,
        market_key=first.market_key,
        account=first.account,
        timeframe=settings.data.timeframe,
        timeframe_ns=length_ns,
        instruments=world.instruments,
        allotted_quote=capital,
        balances=first.balances,
        config_hash=spec.config_hash,
        first_open_ns=world.first_open_ns,
        end_ns=None if spec.bars is None else world.first_open_ns + spec.bars * length_ns,
        accounts=accounts if len(accounts) > 1 else (),
        is_routed=settings.execution.routing == "best" and len(accounts) > 1,
    )


def _require_capital(held: dict[str, Decimal], capital: Decimal, quote: str) -> None:
    total = sum(held.values(), Decimal(0))
    if total < capital:
        are_several = len(held) > 1
        msg = (
            f"the account{'s hold' if are_several else ' holds'} {plain(total)} {quote}"
            f"{' together' if are_several else ''}, less than the "
            f"{plain(capital)} of risk.allotted_quote: lower it or pay in"
        )
        raise CapitalMissing(msg)
    empty = [name for name, amount in held.items() if amount <= 0]
    if empty:
        msg = f"{empty[0]} holds no {quote} to trade with: pay in, or take it out of data.also"
        raise CapitalMissing(msg)


def _balances(account: Account) -> tuple[Balance, ...]:
    return tuple(Balance(name, total) for name, total in sorted(account.totals.items()))
