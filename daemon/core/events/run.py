"""A run begins, goes on, is asked for something by a person, and ends.

Belongs here: what concerns the whole run. What a person asks of a model belongs to `models`.
"""

from decimal import Decimal

from msgspec import Struct

from daemon.core.events.base import Input
from daemon.core.instruments import EMBEDDED, Instrument, exchange_behind, plain


class Balance(Struct, frozen=True, gc=False):
    currency: str
    total: Decimal


class AccountOpened(Struct, frozen=True, kw_only=True, gc=False):
    """One exchange of a run: whose bars and models, which account, and what it held at the start.

    `allotted` is its share of what the bot may use, by currency: entries on this exchange never
    spend more than that and what they have earned there. Where it is empty, `allotted_quote` is
    that of the one quote currency; else it is the part in the reporting currency.
    """

    exchange: str
    market: str
    market_key: str
    account: str
    allotted_quote: Decimal
    balances: tuple[Balance, ...]
    allotted: tuple[Balance, ...] = ()


class RunOpened(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The first event of a journal: who trades what, with how much, on which account.

    With several exchanges `accounts` has one for each, and market, key, account and balances above
    are those of the first; with one exchange it is empty. Equity is told in the reporting currency,
    which is the one quote currency where it is empty; `allotted` is as in AccountOpened.
    """

    run: str
    bot: str
    mode: str
    market: str
    market_key: str = ""  # whose bars and models these are
    account: str
    timeframe: str
    timeframe_ns: int
    instruments: tuple[Instrument, ...]
    allotted_quote: Decimal
    balances: tuple[Balance, ...]
    config_hash: str
    first_open_ns: int  # open of the first slot that is streamed
    end_ns: int | None  # close of the last slot of the run, None when endless
    accounts: tuple[AccountOpened, ...] = ()
    is_routed: bool = False  # whether orders go wherever the instrument is listed
    reporting_currency: str = ""
    allotted: tuple[Balance, ...] = ()
    leverage: Decimal = Decimal(1)  # that swaps are held with, each with a margin of its own

    @property
    def is_real_money(self) -> bool:
        """The exchange in the box takes signed orders in live mode as well, and moves none."""
        names = {exchange_behind(each.id.exchange) for each in self.instruments}
        return self.mode == "live" and names != {EMBEDDED}

    @property
    def currency(self) -> str:
        """The one in which equity is told."""
        return self.reporting_currency or self.instruments[0].quote

    def shown(self, amount: Decimal) -> str:
        """A sum of the account as text: exact, but for digits that a rate made, without meaning."""
        are_several = {each.quote for each in self.instruments} != {self.currency}
        return plain(round(amount, 8) if are_several else amount)

    def each_account(self) -> tuple[AccountOpened, ...]:
        """One for every exchange, whether there are several or one."""
        if self.accounts:
            return self.accounts
        only = AccountOpened(
            exchange=self.instruments[0].id.exchange,
            market=self.market,
            market_key=self.market_key,
            account=self.account,
            allotted_quote=self.allotted_quote,
            balances=self.balances,
            allotted=self.allotted,
        )
        return (only,)

    def allotted_by_account(self) -> dict[tuple[str, str], Decimal]:
        """What the bot may use, by exchange and currency."""
        quote = self.instruments[0].quote
        return {
            (account.exchange, each.currency): each.total
            for account in self.each_account()
            for each in account.allotted or (Balance(quote, account.allotted_quote),)
        }

    def account_on(self, exchange: str) -> AccountOpened:
        """What this run has on that exchange; KeyError when it has nothing there."""
        return {each.exchange: each for each in self.each_account()}[exchange]


class Started(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """A process begins on this journal: no books are compared yet, no stream has been silent."""

    version: str = ""  # of the code; empty in journals of earlier versions


class HaltRequested(Input, frozen=True, kw_only=True, gc=False, tag=True):
    reason: str
    who: str


class ResumeRequested(Input, frozen=True, kw_only=True, gc=False, tag=True):
    reason: str
    who: str


class FlattenRequested(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Open nothing, cancel what is open, close what is held: until a resume."""

    reason: str
    who: str


class StopRequested(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The daemon is about to end: what rests on an exchange and protects nothing is taken away."""


class RunClosed(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The run reached its end; a resume of it only shows the result again."""


class CanaryBegun(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Real orders were armed, and begin small: on which terms, and what orders cost on paper, which
    they are held against. None is what paper has not told.
    """

    exchange: str
    armed_ns: int  # wire time; names the arming
    days: float
    ratio: float
    steps: int
    min_orders: int
    paper_orders: int = 0
    paper_slippage_mean_bps: float | None = None
    paper_slippage_sd_bps: float | None = None
    paper_parents: int = 0
    paper_fill_ratio: float | None = None


class JournalThinned(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """What was decided long ago was taken out of this journal; orders, fills and outcomes stand.

    The journal before ended its part up to here in `chain`. All steps to `through_step` only serve
    to recover: what follows can be recomputed, they cannot.
    """

    events: int  # that were taken out
    chain: str
    through_step: int
    bars: dict[str, int]  # taken out, by exchange
    decisions: int
    suppressed: dict[str, int]  # by reason
