"""The first event of a run: asks every account what it holds, and divides the allotted capital.

Belongs here: who trades what with how much, where. What comes after it belongs to `session`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.capital import shares
from daemon.core.errors import TradingdError
from daemon.core.events import AccountOpened, Balance, RunOpened
from daemon.core.instruments import plain
from daemon.core.timeframes import timeframe_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from daemon.config import Settings
    from daemon.core.ports import Account
    from daemon.running.world.sites import World
    from daemon.store.runs import RunSpec


class CapitalMissing(TradingdError):
    """The account does not hold what the bot is allotted."""

    exit_code = 78


async def opening(
    world: World, settings: Settings, spec: RunSpec, tied_up: Mapping[tuple[str, str], Decimal]
) -> RunOpened:
    """Who trades what, with how much, on which accounts; CapitalMissing when they hold too little.

    With several exchanges the capital is divided as the accounts hold it: one that holds a third of
    all there is of a currency gets a third of what the bot may use of it. `tied_up` is what an
    earlier run has bought there with its share, by exchange and quote currency.
    """
    length_ns = timeframe_ns(settings.data.timeframe)
    found = {
        site.exchange: await site.venue.account((), 0)  # what it holds; nothing was traded yet
        for site in world.sites
    }
    held = {
        (site.exchange, quote): found[site.exchange].totals.get(quote, Decimal(0))
        + tied_up.get((site.exchange, quote), Decimal(0))
        for site in world.sites
        for quote in dict.fromkeys(each.quote for each in site.instruments)
    }
    for currency, capital in settings.allotted.items():
        amounts = {name: amount for (name, quote), amount in held.items() if quote == currency}
        _require_capital(amounts, capital, currency)
    divided = divide(settings.allotted, held)
    reporting = settings.reporting_currency
    accounts = tuple(
        AccountOpened(
            exchange=site.exchange,
            market=site.market,
            market_key=site.market_key,
            account=site.account,
            allotted_quote=in_currency(divided[site.exchange], reporting),
            balances=_balances(found[site.exchange]),
            allotted=divided[site.exchange],
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
        allotted_quote=settings.allotted.get(reporting, Decimal(0)),
        balances=first.balances,
        config_hash=spec.config_hash,
        first_open_ns=world.first_open_ns,
        end_ns=None if spec.bars is None else world.first_open_ns + spec.bars * length_ns,
        accounts=accounts if len(accounts) > 1 else (),
        is_routed=settings.execution.routing == "best" and len(accounts) > 1,
        reporting_currency=reporting,
        leverage=Decimal(repr(settings.risk.max_leverage)),
        allotted=first.allotted if len(accounts) == 1 else as_balances(settings.allotted),
    )


def divide(
    allotted: Mapping[str, Decimal], held: Mapping[tuple[str, str], Decimal]
) -> dict[str, tuple[Balance, ...]]:
    """The capital by exchange, from what is held by exchange and currency."""
    divided: dict[str, list[Balance]] = {exchange: [] for exchange, _ in held}
    for currency, capital in allotted.items():
        amounts = {name: amount for (name, quote), amount in held.items() if quote == currency}
        for exchange, share in shares(capital, amounts).items():
            divided[exchange].append(Balance(currency, share))
    return {exchange: tuple(parts) for exchange, parts in divided.items()}


def in_currency(balances: Iterable[Balance], currency: str) -> Decimal:
    return sum((each.total for each in balances if each.currency == currency), Decimal(0))


def as_balances(amounts: Mapping[str, Decimal]) -> tuple[Balance, ...]:
    return tuple(Balance(currency, amount) for currency, amount in amounts.items())


def _require_capital(held: dict[str, Decimal], capital: Decimal, quote: str) -> None:
    total = sum(held.values(), Decimal(0))
    if total < capital:
        are_several = len(held) > 1
        msg = (
            f"the account{'s hold' if are_several else ' holds'} {plain(total)} {quote}"
            f"{' together' if are_several else ''}, less than the "
            f"{plain(capital)} {quote} that the bot is allotted: lower [risk] allotted, or pay in"
        )
        raise CapitalMissing(msg)
    empty = [name for name, amount in held.items() if amount <= 0]
    if empty:
        msg = f"{empty[0]} holds no {quote} to trade with: pay in, or take it out of data.also"
        raise CapitalMissing(msg)


def _balances(account: Account) -> tuple[Balance, ...]:
    return tuple(Balance(name, total) for name, total in sorted(account.totals.items()))
