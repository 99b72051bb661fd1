"""The exchange's own endpoints under /embedded: clock, acknowledgements, ledger and faults.

Belongs here: what no real exchange offers. They take no key, so they answer loopback alone.
"""

from collections.abc import Iterable, Mapping

import orjson

from daemon.core.instruments import plain
from daemon.core.timeframes import NS_PER_MS, parse_time
from daemon.embedded.account import NOT_WORKING, Fill, Order
from daemon.embedded.candles import interval_name
from daemon.embedded.dialect import Payload
from daemon.embedded.exchange import Exchange
from daemon.embedded.faults import Faults
from daemon.embedded.incidents import Incidents
from daemon.embedded.ledger import ALL_ROWS, FillQuery, OrderQuery
from daemon.embedded.market import MarketSymbol
from daemon.embedded.refusals import RequestError, invalid_symbol, missing_parameter


class Control:
    """The /embedded half of the API over one exchange."""

    def __init__(self, exchange: Exchange, faults: Faults, incidents: Incidents) -> None:
        self._exchange = exchange
        self._faults = faults
        self._incidents = incidents
        self._ids = {each.symbol: each.id for each in exchange.market.symbols.values()}

    def clock(self, _body: bytes) -> Payload:
        """Where market time is; `rate` is market ms per wall ms, 0 while it stands."""
        exchange, market, clock = self._exchange, self._exchange.market, self._exchange.clock
        return {
            "market_ms": clock.market_ms(),
            "wall_ms": clock.wire_ms(),
            "rate": clock.rate(),
            "mode": clock.mode,
            "bars_per_s": clock.bars_per_s,
            "slot_open_ms": exchange.tape.slot_open_ms,
            "from_ms": market.from_ms,
            "end_ms": market.end_ms,
            "ended": clock.next_open_ms() is None and not exchange.tape.is_open,
            "timeframe_ms": market.timeframe_ms,
            "timeframe": interval_name(market.timeframe_ms),
            "label": market.label,
            "fingerprint": market.fingerprint,
            "instance": exchange.ledger.instance,
            "awaiting": [market.symbols[each].symbol for each in clock.awaiting()],
        }

    def acknowledge(self, body: bytes) -> Payload:
        """Take {"run", "symbol" or "symbols", "bar"}, bar by its close in RFC 3339 or ms; reply the
        clock.
        """
        raw = _object(body)
        symbols = raw.get("symbols", [raw.get("symbol", "")])
        if not isinstance(symbols, list):
            raise invalid_symbol()
        symbol_ids = [self._ids.get(str(each), str(each)) for each in symbols]
        if not all(each in self._exchange.market.symbols for each in symbol_ids):
            raise invalid_symbol()
        self._exchange.acknowledge(symbol_ids, _close_ms(raw.get("bar")))
        return self.clock(body)

    def ledger(self, _body: bytes) -> Payload:
        """Everything the exchange has written down; amounts are exact decimal texts."""
        exchange, ledger = self._exchange, self._exchange.ledger
        symbols = exchange.market.symbols
        orders = ledger.orders(OrderQuery(limit=ALL_ROWS))
        fills = ledger.fills(FillQuery(limit=ALL_ROWS))
        return {
            "instance": ledger.instance,
            "label": exchange.market.label,
            "balances_start": {
                asset: plain(amount) for asset, amount in ledger.balances_start.items()
            },
            "balances": {
                asset: {"free": plain(each.free), "locked": plain(each.locked)}
                for asset, each in ledger.balances().items()
            },
            "orders": list(_order_rows(orders, symbols)),
            "fills": list(_fill_rows(fills, symbols)),
            "flows": [
                {
                    "asset": each.asset,
                    "amount": plain(each.amount),
                    "ts_ms": each.ts_ms,
                    "wire_ms": each.wire_ms,
                }
                for each in ledger.flows()
            ],
            "incidents": [
                {
                    "kind": each.kind,
                    "ts_ms": each.ts_ms,
                    "wire_ms": each.wire_ms,
                    "text": each.text,
                }
                for each in ledger.incidents()
            ],
        }

    def add_faults(self, body: bytes) -> Payload:
        """Take a fault rule or a list of them."""
        try:
            added = self._faults.add(orjson.loads(body))
        except ValueError as error:
            raise RequestError(-1130, str(error)) from None
        self._incidents.happen()
        return {"added": added}

    def clear_faults(self, _body: bytes) -> Payload:
        self._faults.clear()
        return {}


def _order_rows(orders: Iterable[Order], symbols: Mapping[str, MarketSymbol]) -> Iterable[Payload]:
    for order in orders:
        yield {
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "symbol": symbols[order.symbol_id].symbol,
            "side": order.side.lower(),
            "type": order.type.lower(),
            "time_in_force": order.time_in_force,
            "status": order.status.lower(),
            "price": plain(order.price),
            "stop_price": plain(order.stop_price),
            "quantity": plain(order.quantity),
            "quote_quantity": plain(order.quote_quantity),
            "filled_quantity": plain(order.executed),
            "filled_quote": plain(order.cumulative_quote),
            "locked": plain(order.locked),
            "received_ms": order.received_ms,
            "created_ms": order.created_ms,
            "updated_ms": order.updated_ms,
            "working_ms": None if order.working_ms == NOT_WORKING else order.working_ms,
        }


def _fill_rows(fills: Iterable[Fill], symbols: Mapping[str, MarketSymbol]) -> Iterable[Payload]:
    for fill in fills:
        yield {
            "trade_id": fill.trade_id,
            "order_id": fill.order_id,
            "client_order_id": fill.client_order_id,
            "symbol": symbols[fill.symbol_id].symbol,
            "side": fill.side.lower(),
            "price": plain(fill.price),
            "quantity": plain(fill.quantity),
            "fee": plain(fill.fee),
            "fee_currency": fill.fee_asset,
            "ts_ms": fill.ts_ms,
            "wire_ms": fill.wire_ms,
            "is_maker": fill.is_maker,
        }


def _object(body: bytes) -> dict[str, object]:
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError:
        raw = None
    if not isinstance(raw, dict):
        raise RequestError(-1130, "The body is not a JSON object.")
    return raw


def _close_ms(bar: object) -> int:
    if isinstance(bar, int):
        return bar
    if not isinstance(bar, str):
        raise missing_parameter("bar")
    if bar.isdigit():
        return int(bar)
    try:
        return parse_time(bar) // NS_PER_MS
    except ValueError as error:
        raise RequestError(-1130, str(error)) from None
