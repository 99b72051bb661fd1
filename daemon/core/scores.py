"""What a sample of health tells beside its verdict: by window of time, by symbol, and of trades.

Belongs here: those forms. How they are measured belongs to `layers.monitoring`.
"""

from collections.abc import Iterable

from msgspec import Struct

from daemon.core.instruments import InstrumentId


class SkillWindow(Struct, frozen=True, kw_only=True, gc=False):
    """Skill over the outcomes of the last `days`; None are the newest, however long they took."""

    days: float | None
    n: int
    auc: float | None
    auc_low: float
    auc_high: float
    brier: float | None
    log_loss: float | None


class SymbolSkill(Struct, frozen=True, kw_only=True, gc=False):
    """The same test for one symbol alone, which is `is_lost` at the limit times all symbols."""

    instrument: InstrumentId
    n: int
    evidence: float
    shown: float
    is_lost: bool


class TradeFigures(Struct, frozen=True, kw_only=True, gc=False):
    """Of the active model's newest trades: calls that came true, and what round trips brought."""

    outcomes: int = 0  # of predictions that led to a fill
    hit_ratio: float | None = None
    round_trips: int = 0
    net_ratio: float | None = None  # mean net return of a round trip
    net_low: float | None = None
    net_high: float | None = None


class Shift(Struct, frozen=True, kw_only=True, gc=False):
    """How far a feature, or without one the prediction, is from what training saw: in one
    instrument, or without one in all together. Limits are None where training could not tell what
    chance reaches; `psi_limit` is the threshold or the placebo, whichever is higher.
    """

    feature: str | None
    instrument: InstrumentId | None
    n: int  # rows it was measured on
    psi: float
    psi_limit: float | None
    ks: float
    ks_limit: float | None
    is_drift: bool
    is_disputed: bool  # of PSI and KS only one is beyond what chance reaches

    @property
    def what(self) -> str:
        """Its name as people read it."""
        where = "all symbols" if self.instrument is None else str(self.instrument)
        return f"{self.feature or 'the prediction'} of {where}"


def lost_in(symbols: Iterable[SymbolSkill]) -> frozenset[InstrumentId]:
    """Those in which alone the skill is lost."""
    return frozenset(each.instrument for each in symbols if each.is_lost)
