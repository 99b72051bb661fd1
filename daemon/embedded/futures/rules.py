"""What a swap order must keep to: filters, leverage, reduce-only, margin; refuses what does not.

Belongs here: the rules, with the codes of the fapi dialect. How an allowed order trades belongs in
matching.
"""

from decimal import Decimal

from daemon.embedded.account import MONEY, ZERO, OrderType, Side
from daemon.embedded.filters import DECIMALS_MAX, OPEN_ORDERS_MAX, is_multiple
from daemon.embedded.futures.account import SwapOrder, SwapPosition, SwapRequest, up
from daemon.embedded.futures.clearing import Clearing
from daemon.embedded.futures.terms import notional_max
from daemon.embedded.market import MarketSymbol
from daemon.embedded.refusals import RequestError

QUANTITY_MAX = Decimal(1_000_000)
PRICE_MAX = Decimal(10_000_000)
ALGOS_MAX = 10


def check_numbers(
    symbol: MarketSymbol,
    *,
    quantity: Decimal,
    prices: tuple[Decimal, ...],
    last_price: Decimal,
    reduce_only: bool,
) -> None:
    """RequestError for a quantity or a price that the symbol does not take."""
    _check_quantity(symbol, quantity)
    for price in prices:
        _check_price(symbol, price)
    worth = MONEY.multiply(quantity, prices[0] if prices else last_price)
    if worth < symbol.minimum_notional and not reduce_only:
        least = f"{symbol.minimum_notional:f}"
        text = f"Order's notional must be no smaller than {least} (unless you choose reduce only)."
        raise RequestError(-4164, text)


def _check_precision(name: str, value: Decimal) -> None:
    exponent = value.normalize(MONEY).as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DECIMALS_MAX:
        raise RequestError(-1111, f"Precision is over the maximum defined for this {name}.")


def _check_quantity(symbol: MarketSymbol, quantity: Decimal) -> None:
    _check_precision("quantity", quantity)
    if quantity <= 0:
        raise RequestError(-4003, "Quantity less than or equal to zero.")
    if quantity < symbol.minimum_quantity:
        raise RequestError(-4004, "Quantity less than min quantity.")
    if quantity > QUANTITY_MAX:
        raise RequestError(-4005, "Quantity greater than max quantity.")
    if not is_multiple(quantity, symbol.lot):
        raise RequestError(-4023, "Qty not increased by step size.")


def _check_price(symbol: MarketSymbol, price: Decimal) -> None:
    _check_precision("price", price)
    if price <= 0:
        raise RequestError(-4001, "Price less than 0.")
    if price > PRICE_MAX:
        raise RequestError(-4002, "Price greater than max price.")
    if not is_multiple(price, symbol.tick):
        raise RequestError(-4014, "Price not increased by tick size.")


def check_reduces(position: SwapPosition, side: Side) -> None:
    """RequestError -2022 when there is nothing on the other side to reduce."""
    if position.sign != (-1 if side is Side.BUY else 1):
        raise RequestError(-2022, "ReduceOnly Order is rejected.")


def check_book_of(clearing: Clearing, request: SwapRequest) -> None:
    """RequestError for too many open orders, or a client id that one of them has."""
    own = clearing.open_of(request.symbol_id)
    if len(own) >= OPEN_ORDERS_MAX:
        raise RequestError(-2025, "Reach max open order limit.")
    if any(each.client_order_id == request.client_order_id for each in own):
        raise RequestError(-4116, "ClientOrderId is duplicated.")


def check_margin(
    clearing: Clearing, request: SwapRequest, quantity: Decimal, price: Decimal, mark: Decimal
) -> None:
    """RequestError when the position would be too large for its leverage, or the free money too
    little for it and for its fee."""
    if request.reduce_only:
        return
    position = clearing.position(request.symbol_id)
    exposure = exposures(clearing.open_of(request.symbol_id))
    worth = quantity * price
    bids, asks = exposure
    bids, asks = (bids + worth, asks) if request.side is Side.BUY else (bids, asks + worth)
    signed = position.notional(mark)
    largest = max(abs(signed + bids), abs(signed - asks))
    if largest > notional_max(position.leverage):
        raise RequestError(-2027, "Exceeded the maximum allowable position at current leverage.")
    needed = order_margin(position, mark, bids, asks)
    needed += up(worth * max(ZERO, clearing.fees(request.symbol_id).taker_ratio))
    others = open_margin(clearing, {request.symbol_id: mark}, but=request.symbol_id)
    if clearing.money.get(position.asset, ZERO) - others < needed:
        raise RequestError(-2019, "Margin is insufficient.")


def exposures(orders: list[SwapOrder]) -> tuple[Decimal, Decimal]:
    """What open bids and asks are worth; those that only reduce do not count."""
    bids = asks = ZERO
    for order in orders:
        worth = ZERO if order.reduce_only else order.leaves_quantity * order.price
        if order.side is Side.BUY:
            bids += worth
        else:
            asks += worth
    return bids, asks


def order_margin(position: SwapPosition, mark: Decimal, bids: Decimal, asks: Decimal) -> Decimal:
    """The margin that open orders of a symbol may need beyond that of its position."""
    signed = position.notional(mark)
    largest = max(abs(signed + bids), abs(signed - asks))
    return up(max(ZERO, largest - abs(signed)) / position.leverage)


def open_margin(
    clearing: Clearing, marks: dict[str, Decimal], *, but: str | None = None
) -> Decimal:
    """The margin of all open orders, but those of one symbol."""
    total = ZERO
    for symbol_id in {each.symbol_id for each in clearing.open_orders.values()}:
        if symbol_id != but:
            orders = clearing.open_of(symbol_id)
            bids, asks = exposures(orders)
            mark = marks.get(symbol_id, orders[0].price)
            total += order_margin(clearing.position(symbol_id), mark, bids, asks)
    return total


def price_of(request: SwapRequest, last_price: Decimal) -> Decimal:
    """What a base unit of an order is reckoned with."""
    return request.price if request.type is OrderType.LIMIT and request.price else last_price
