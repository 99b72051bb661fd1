"""MarketData through ccxt: one exchange's instruments, candles and books, as it tells them.

Belongs here: turning ccxt's replies into the daemon's types. Judging a candle belongs to layer 1.
"""

from __future__ import annotations

import difflib
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from daemon.core.bars import RawBar, RawTrade
from daemon.core.clock import WireClock
from daemon.core.errors import ExchangeUnreachable
from daemon.core.instruments import Instrument, InstrumentId, MarketType
from daemon.core.ports import Book, FundingRate
from daemon.core.timeframes import NS_PER_MS
from daemon.venues.ccxt_candles import Candles
from daemon.venues.ccxt_client import speaks_binance
from daemon.venues.ccxt_reads import (
    FIRST_CONTACT_ATTEMPTS,
    FIRST_CONTACT_WITHIN_S,
    WITHIN_S,
    OddReply,
    Reader,
)
from daemon.venues.ccxt_shards import Clients, Shards, Spread
from daemon.venues.ccxt_trades import Trades
from daemon.venues.stream_limits import StreamLimits, limits_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

PAGE_LIMIT_DEFAULT = 500
LOT_DEFAULT = Decimal("0.00000001")
CANDLE_FIELDS = 6
FUNDING_ROWS = 100


class CcxtMarket:
    """One exchange's instruments and candles; `exchange` is its id or "embedded"."""

    def __init__(
        self,
        client: Any,
        exchange: str,
        timeframe: str,
        *,
        rng: random.Random | None = None,
        wire: WireClock | None = None,
        first_contact_within_s: float = FIRST_CONTACT_WITHIN_S,
        within_s: float = WITHIN_S,
        limits: StreamLimits | None = None,
    ) -> None:
        self.exchange = exchange
        if client.timeframes and timeframe not in client.timeframes:
            known = ", ".join(client.timeframes)
            msg = (
                f"{exchange} has no candles of {timeframe}; it has {known} "
                "(finer ones can be made into it: data.source_timeframe)"
            )
            raise ValueError(msg)
        if not client.has.get("fetchOHLCV"):
            msg = f"{exchange} tells no candles of the past, so nothing can be learned or checked"
            raise ValueError(msg)
        self._client = client
        self._timeframe = timeframe
        self._wire = wire or WireClock()
        self._first_contact_within_s = first_contact_within_s
        rng = rng or random.Random()  # noqa: S311  # it spreads retries, nothing hangs on it
        self._reader = Reader(client, exchange, rng=rng, wire=self._wire, within_s=within_s)
        # ccxt keeps all candle streams of a client on one connection.
        limits = limits or limits_of(client.id)
        self._clients, self._spread = Clients(client), Spread(limits.streams)
        self._candles: Shards[RawBar] = Shards(
            self._clients,
            exchange,
            lambda each: Candles(each, timeframe),
            spread=self._spread,
            limits=limits,
        )
        self._trades: Shards[RawTrade] = Shards(
            self._clients, exchange, Trades, spread=self._spread, limits=limits
        )

    @property
    def page_limit(self) -> int:
        """How many candles one request may bring, as ccxt knows it of this exchange."""
        features = self._client.features or {}
        told = features.get("spot") or (features.get("swap") or {}).get("linear") or {}
        limit = (told.get("fetchOHLCV") or {}).get("limit")
        return int(limit) if limit else PAGE_LIMIT_DEFAULT

    @property
    def has_candle_stream(self) -> bool:
        return bool(self._client.has.get("watchOHLCV"))

    @property
    def has_trade_stream(self) -> bool:
        return bool(self._client.has.get("watchTrades"))

    @property
    def sends_empty_bars(self) -> bool:
        """True when quiet slots have flat candles, so that a missing one means an outage."""
        return speaks_binance(self.exchange)

    async def instruments(self, symbols: Sequence[str]) -> tuple[Instrument, ...]:
        await self._reader.markets(
            within_s=self._first_contact_within_s, attempts=FIRST_CONTACT_ATTEMPTS
        )
        found = tuple(self._instrument(symbol) for symbol in symbols)
        self._spread.add(symbols)
        return found

    async def untraded(self, symbols: Sequence[str]) -> dict[str, str]:
        """Of these, what the exchange does not list or trade by now, in its words or ours."""
        await self._reader.markets(is_anew=True)
        told = {}
        for symbol in symbols:
            try:
                self._instrument(symbol)
            except ValueError as error:
                told[symbol] = str(error)
        return told

    async def server_ns(self) -> int:
        """The exchange's own clock, in ns UTC.

        Where it cannot be asked, it is as the last reply's Date told, good to half a second.
        """
        if not self._client.has.get("fetchTime"):
            told = self._client.budget.date_ns()
            if told is None:
                msg = f"{self.exchange} gives no time: no call for it, and no Date in its replies"
                raise ExchangeUnreachable(msg)
            return int(told)
        return await self._reader.read("time", self._server_ns, attempts=FIRST_CONTACT_ATTEMPTS)

    async def watch(self, instrument: InstrumentId) -> AsyncIterator[RawBar]:
        await self._reader.markets()
        async for raw in self._candles.of(instrument.symbol):
            yield raw

    async def trades(self, instrument: InstrumentId) -> AsyncIterator[RawTrade]:
        await self._reader.markets()
        async for trade in self._trades.of(instrument.symbol):
            yield trade

    async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
        await self._reader.markets()

        async def ask() -> list[RawBar]:
            rows = await self._client.fetch_ohlcv(
                instrument.symbol, self._timeframe, since_ns // NS_PER_MS, limit
            )
            return _candles(rows)

        return await self._reader.read(f"candles of {instrument.symbol}", ask)

    async def book(self, instrument: InstrumentId, levels: int) -> Book:
        await self._reader.markets()
        # Elsewhere only certain depths may be asked for, and the default is deep enough.
        limit = levels if speaks_binance(self.exchange) else None

        async def ask() -> Book:
            told = await self._client.fetch_order_book(instrument.symbol, limit)
            size = _contract_size(self._client.markets[instrument.symbol])
            bids, asks = (_levels(told[side], levels, size) for side in ("bids", "asks"))
            return Book(bids=bids, asks=asks)

        return await self._reader.read(f"book of {instrument.symbol}", ask)

    @property
    def tells_funding(self) -> bool:
        return bool(self._client.has.get("fetchFundingRateHistory"))

    async def funding(self, instrument: InstrumentId, since_ns: int) -> list[FundingRate]:
        """The rates of a swap that were charged since a moment, as far as one page goes."""
        await self._reader.markets()

        async def ask() -> list[FundingRate]:
            rows = await self._client.fetch_funding_rate_history(
                instrument.symbol, since_ns // NS_PER_MS, FUNDING_ROWS
            )
            return [_funding_rate(each) for each in rows]

        return await self._reader.read(f"funding of {instrument.symbol}", ask)

    async def close(self) -> None:
        await self._candles.close()
        await self._trades.close()
        await self._clients.close()

    async def _server_ns(self) -> int:
        told = await self._client.fetch_time()
        if not isinstance(told, int):
            raise OddReply("time is not a number")
        return told * NS_PER_MS

    def _instrument(self, symbol: str) -> Instrument:
        listed = self._client.markets.get(symbol)
        if listed is None or not _is_tradable(listed):
            known = [each for each, market in self._client.markets.items() if _is_tradable(market)]
            near = difflib.get_close_matches(symbol.upper(), known, n=3, cutoff=0.5)
            guess = f"; did you mean {' or '.join(near)}?" if near else ""
            msg = f"{self.exchange} does not list {symbol}{guess}"
            raise ValueError(msg)
        if listed.get("active") is False:
            msg = f"{self.exchange} does not trade {symbol} at the moment"
            raise ValueError(msg)
        return instrument_of(self.exchange, listed, self._client.precisionMode)


def instrument_of(exchange: str, listed: dict[str, Any], precision_mode: int) -> Instrument:
    """Steps and limits of one of ccxt's market structures; ValueError when it has no price step."""
    from ccxt.base.decimal_to_precision import DECIMAL_PLACES, TICK_SIZE

    precision, limits = listed.get("precision") or {}, listed.get("limits") or {}
    if precision_mode not in (TICK_SIZE, DECIMAL_PLACES) or precision.get("price") is None:
        msg = f"{exchange} does not tell the price step of {listed['symbol']}"
        raise ValueError(msg)

    def step(value: object) -> Decimal:
        number = Decimal(str(value))
        return number if precision_mode == TICK_SIZE else Decimal(1).scaleb(-int(number))

    amount, size = precision.get("amount"), _contract_size(listed)
    # What is closed, and a stop that is met, goes at the market: some take less there.
    mosts = [each for name in ("amount", "market") if (each := _most(limits.get(name)))]
    return Instrument(
        id=InstrumentId(exchange, listed["symbol"]),
        base=listed["base"],
        quote=listed["quote"],
        tick=step(precision["price"]),
        lot=(LOT_DEFAULT if amount is None else step(amount)) * size,
        minimum_quantity=_limit(limits.get("amount")) * size,
        minimum_notional=_limit(limits.get("cost")),
        maximum_quantity=min(mosts) * size if mosts else None,
        maximum_notional=_most(limits.get("cost")),
        market_type=MarketType.SWAP if listed.get("swap") else MarketType.SPOT,
        contract_size=size,
    )


def _is_tradable(listed: Mapping[str, Any]) -> bool:
    """Spot, or a perpetual swap that is settled in its quote currency."""
    if listed.get("spot"):
        return True
    is_linear = listed.get("swap") and listed.get("linear")
    return bool(is_linear and listed.get("settle") == listed.get("quote"))


def _contract_size(listed: Mapping[str, Any]) -> Decimal:
    """Base units in what the exchange counts; 1 where it counts base units."""
    size = listed.get("contractSize") if listed.get("swap") else None
    return Decimal(1) if size is None else Decimal(str(size))


def _limit(limits: dict[str, object] | None) -> Decimal:
    least = (limits or {}).get("min")
    return Decimal(0) if least is None else Decimal(str(least))


def _most(limits: dict[str, object] | None) -> Decimal | None:
    """None where nothing is stated; some say 0 and mean the same."""
    most = Decimal(str((limits or {}).get("max") or 0))
    return most if most.is_finite() and most > 0 else None


def _candles(rows: object) -> list[RawBar]:
    if not isinstance(rows, list):
        raise OddReply("candles are not a list")
    for row in rows:
        if not isinstance(row, list | tuple) or len(row) < CANDLE_FIELDS:
            raise OddReply("a candle is not a row of six")
    return [RawBar(*row[:CANDLE_FIELDS]) for row in rows]


def _funding_rate(told: dict[str, Any]) -> FundingRate:
    """Exact; OddReply where it is no rate at a time."""
    price = told["info"].get("markPrice")
    try:
        rate, mark = Decimal(str(told["fundingRate"])), Decimal(str(price or 0))
        ts_ns = int(told["timestamp"]) * NS_PER_MS
    except (ArithmeticError, TypeError, ValueError):
        raise OddReply("funding is not a rate at a time") from None
    if not (rate.is_finite() and mark.is_finite()):
        raise OddReply("funding is not a number")
    return FundingRate(ts_ns=ts_ns, rate=rate, price=mark if mark > 0 else None)


def _levels(
    rows: Sequence[Sequence[object]], most: int, size: Decimal
) -> tuple[tuple[Decimal, Decimal], ...]:
    """Price and base units; the exchange counts in units of `size`."""
    levels = tuple((Decimal(str(row[0])), Decimal(str(row[1])) * size) for row in rows[:most])
    # A price of 0 is how some say that there is no price; an order filled there would be a gift.
    if not all(price.is_finite() and price > 0 and shown >= 0 for price, shown in levels):
        raise OddReply("a price level is not positive")
    return levels
