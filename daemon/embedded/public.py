"""Public requests: turns parameters into exchange info, candles, depth, tickers and trades.

Belongs here: what an unsigned request means. Shapes belong in dialect, candle arithmetic in
candles.
"""

from collections.abc import Callable
from decimal import Decimal

import orjson

from daemon.embedded import params as read
from daemon.embedded.account import ZERO
from daemon.embedded.books import PublishedBooks
from daemon.embedded.budget import Budget
from daemon.embedded.candles import DAY_MS, candles, interval_length_ms, merge
from daemon.embedded.conditions import Conditions
from daemon.embedded.dialect import (
    Payload,
    aggregate_row,
    best_level,
    candle_row,
    day_payload,
    fixed,
    level_rows,
    symbol_payload,
    trade_row,
)
from daemon.embedded.market import MarketBar
from daemon.embedded.params import Params
from daemon.embedded.public_trades import END_OF_TIME_MS, newest_steps, steps_from
from daemon.embedded.refusals import illegal_parameter, invalid_symbol
from daemon.embedded.stage import Stage

ROWS_DEFAULT = 500
ROWS_MAX = 1_000
DEPTH_DEFAULT = 100
DEPTH_MAX = 5_000
SYMBOLS = '^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$'


class PublicData:
    """The public half of the API over one exchange."""

    def __init__(
        self, exchange: Stage, books: PublishedBooks, budget: Budget, conditions: Conditions
    ) -> None:
        self._exchange = exchange
        self._conditions = conditions
        self._books = books
        self._budget = budget

    def ping(self, _params: Params) -> Payload:
        return {}

    def system_status(self, _params: Params) -> Payload:
        if self._conditions.is_in_maintenance():
            return {"status": 1, "msg": "system_maintenance"}
        return {"status": 0, "msg": "normal"}

    def time(self, _params: Params) -> Payload:
        return {"serverTime": self._conditions.now_ms()}

    def exchange_info(self, params: Params) -> Payload:
        market = self._exchange.market
        return {
            "timezone": "UTC",
            "serverTime": self._conditions.now_ms(),
            "rateLimits": self._budget.limits(),
            "exchangeFilters": [],
            "market": market.label,
            "symbols": [self.symbol(each) for each in self._symbol_ids(params)],
        }

    def symbol(self, symbol_id: str) -> Payload:
        """A symbol as exchangeInfo lists it."""
        is_trading = self._exchange.is_trading(symbol_id)
        return symbol_payload(self._conditions.listed(symbol_id), is_trading=is_trading)

    def klines(self, params: Params) -> list[list[object]]:
        length_ms = interval_length_ms(self._exchange.tape, read.text(params, "interval"))
        bars = candles(
            self._exchange.tape,
            self._symbol_id(params),
            length_ms,
            start_ms=read.integer(params, "startTime"),
            end_ms=read.integer(params, "endTime"),
            limit=read.limit(params, ROWS_DEFAULT, ROWS_MAX),
        )
        return [candle_row(bar, length_ms) for bar in bars]

    def depth(self, params: Params) -> Payload:
        symbol_id = self._symbol_id(params)
        limit = read.limit(params, DEPTH_DEFAULT, DEPTH_MAX)
        bids, asks = self._books.current(symbol_id)
        return {
            "lastUpdateId": self._books.update_id(symbol_id),
            "bids": level_rows(bids, limit),
            "asks": level_rows(asks, limit),
        }

    def book_ticker(self, params: Params) -> Payload | list[Payload]:
        return self._each(params, self.best)

    def best(self, symbol_id: str) -> Payload:
        bids, asks = self._books.current(symbol_id)
        bid, bid_quantity = best_level(bids)
        ask, ask_quantity = best_level(asks)
        return {
            "symbol": symbol_id,
            "bidPrice": bid,
            "bidQty": bid_quantity,
            "askPrice": ask,
            "askQty": ask_quantity,
        }

    def price(self, params: Params) -> Payload | list[Payload]:
        return self._each(params, self._price)

    def day(self, params: Params) -> Payload | list[Payload]:
        return self._each(params, self.day_of)

    def day_of(self, symbol_id: str) -> Payload:
        """Statistics of the last 24 market hours, as far as there are bars in them."""
        tape = self._exchange.tape
        now_ms = self._exchange.clock.market_ms()
        timeframe_ms = tape.market.timeframe_ms
        slots = max(1, DAY_MS // timeframe_ms)
        start_ms = tape.closed_ms - slots * timeframe_ms
        bars = candles(tape, symbol_id, timeframe_ms, start_ms=start_ms, limit=slots + 1)
        price = tape.price(symbol_id)
        day = _whole(bars, start_ms, ZERO if price is None else price)
        bids, asks = self._books.current(symbol_id)
        return day_payload(symbol_id, day, now_ms, bids, asks)

    def trades(self, params: Params) -> list[Payload]:
        limit = read.limit(params, ROWS_DEFAULT, ROWS_MAX)
        steps = newest_steps(self._exchange.tape, self._symbol_id(params), limit)
        return [trade_row(step) for step in steps]

    def aggregate_trades(self, params: Params) -> list[Payload]:
        tape, symbol_id = self._exchange.tape, self._symbol_id(params)
        limit = read.limit(params, ROWS_DEFAULT, ROWS_MAX)
        from_id, start_ms = read.integer(params, "fromId"), read.integer(params, "startTime")
        end_ms = read.integer(params, "endTime")
        end_ms = END_OF_TIME_MS if end_ms is None else end_ms
        if from_id is None and start_ms is None:
            steps = newest_steps(tape, symbol_id, limit, end_ms)
        else:
            steps = steps_from(
                tape, symbol_id, limit, from_id=from_id or 0, start_ms=start_ms or 0, end_ms=end_ms
            )
        return [aggregate_row(step) for step in steps]

    def _price(self, symbol_id: str) -> Payload:
        price = self._exchange.tape.price(symbol_id)
        return {"symbol": symbol_id, "price": fixed(ZERO if price is None else price)}

    def _each(self, params: Params, one: Callable[[str], Payload]) -> Payload | list[Payload]:
        """One object for `symbol`, a list for `symbols` or for neither."""
        symbol_ids = self._symbol_ids(params)
        return one(symbol_ids[0]) if "symbol" in params else [one(each) for each in symbol_ids]

    def _symbol_ids(self, params: Params) -> list[str]:
        if "symbol" in params:
            return [self._symbol_id(params)]
        if "symbols" not in params:
            return list(self._exchange.market.symbols)
        try:
            wanted = orjson.loads(params["symbols"])
        except orjson.JSONDecodeError:
            raise illegal_parameter("symbols", SYMBOLS) from None
        if not isinstance(wanted, list) or not wanted:
            raise illegal_parameter("symbols", SYMBOLS)
        return [self._listed(str(each)) for each in wanted]

    def _symbol_id(self, params: Params) -> str:
        return self._listed(read.text(params, "symbol"))

    def _listed(self, symbol_id: str) -> str:
        if symbol_id not in self._exchange.market.symbols:
            raise invalid_symbol()
        return symbol_id


def _whole(bars: list[MarketBar], open_ms: int, price: Decimal) -> MarketBar:
    """One bar over all of them; flat at `price` when there are none."""
    if not bars:
        return MarketBar(open_ms, price, price, price, price, ZERO, 0)
    return merge(open_ms, bars)
