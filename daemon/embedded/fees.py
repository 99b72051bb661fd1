"""What a trade costs: turns a schedule of fees into the fee of one fill, and its asset.

Belongs here: ratios, the asset they are taken in, rounding. Moving the money belongs in settlement.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from daemon.embedded.account import FEE_STEP, ZERO
from daemon.embedded.market import MarketSymbol

FEE_RATIO = Decimal("0.001")
BPS = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Fees:
    """A negative ratio is a rebate; `asset` None takes the fee from what a fill brings."""

    taker_ratio: Decimal = FEE_RATIO
    maker_ratio: Decimal = FEE_RATIO
    asset: str | None = None

    def ratio(self, *, is_maker: bool) -> Decimal:
        return self.maker_ratio if is_maker else self.taker_ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """What a fee is reckoned on: `quantity` of base went one way, `notional` in quote the other."""

    symbol: MarketSymbol
    is_buy: bool
    quantity: Decimal
    notional: Decimal
    is_maker: bool

    @property
    def got_asset(self) -> str:
        return self.symbol.base if self.is_buy else self.symbol.quote

    def of(self, asset: str) -> Decimal | None:
        """How much of an asset it moved, or None for a third one."""
        return {self.symbol.base: self.quantity, self.symbol.quote: self.notional}.get(asset)


class FeeDesk:
    """The schedule that is stated and the ratio that is taken on top of it unsaid, by symbol id.

    `price` says what one unit of an asset is worth in another, or None when nobody knows. It is
    asked for fees in a third asset: where it is not known, and where the account has too little of
    that asset, the fee comes from what the fill brings, as on the real exchange.
    """

    def __init__(self, fees: Fees, price: Callable[[str, str], Decimal | None]) -> None:
        self.stated: Callable[[str], Fees] = lambda _symbol_id: fees
        self.surcharge: Callable[[str], Decimal] = lambda _symbol_id: ZERO
        self._price = price

    def fee(self, trade: Trade, free: Callable[[str], Decimal]) -> tuple[Decimal, str]:
        """The fee of a fill and its asset; `free` is what the account may still spend."""
        fees = self.stated(trade.symbol.id)
        ratio = fees.ratio(is_maker=trade.is_maker) + self.surcharge(trade.symbol.id)
        if fees.asset is not None and fees.asset != trade.got_asset and ratio > 0:
            fee = self._in_asset(fees.asset, trade, ratio)
            if fee is not None and fee <= free(fees.asset):
                return fee, fees.asset
        got = trade.quantity if trade.is_buy else trade.notional
        return _rounded(got * ratio), trade.got_asset

    def _in_asset(self, asset: str, trade: Trade, ratio: Decimal) -> Decimal | None:
        moved = trade.of(asset)
        if moved is not None:
            return _rounded(moved * ratio)
        price = self._price(asset, trade.symbol.quote)
        return _rounded(trade.notional * ratio / price) if price else None


def _rounded(fee: Decimal) -> Decimal:
    return fee.quantize(FEE_STEP, ROUND_DOWN) if fee else ZERO
