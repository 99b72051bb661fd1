"""Spoils candles on purpose: turns true rows and messages into what a faulty exchange would tell.

Belongs here: what a fault does to a candle, or to a page of them. Whether one strikes belongs in
faults, messages and connections as such in stream_faults.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from daemon.embedded.dialect import Payload, fixed
from daemon.embedded.fault_kinds import Face, FaultKind
from daemon.embedded.fault_rules import FaultRule, Field, Told
from daemon.embedded.faults import Faults
from daemon.embedded.public import ROWS_MAX
from daemon.embedded.stage import Stage

Row = list[object]
TIME, OPEN, HIGH, LOW, CLOSE, VOLUME = range(6)
PLACES: dict[Field, tuple[int, ...]] = {
    Field.TIME: (TIME,),
    Field.OPEN: (OPEN,),
    Field.HIGH: (HIGH,),
    Field.LOW: (LOW,),
    Field.CLOSE: (CLOSE,),
    Field.VOLUME: (VOLUME,),
    Field.PRICES: (OPEN, HIGH, LOW, CLOSE),
    Field.ALL: tuple(range(6)),
}
NAMES = ("t", "o", "h", "l", "c", "v")  # of the same numbers in a stream's message
UNSETTLED_SHARE = Decimal("0.9")
NOVEL = "NOVEL_WORD"


class CandleFaults:
    """What becomes of candles by REST and by stream under the rules in force."""

    def __init__(self, exchange: Stage, faults: Faults) -> None:
        self._exchange = exchange
        self._faults = faults

    def page(self, params: dict[str, str], ask: Callable[[dict[str, str]], object]) -> object:
        """A reply to a request for candles; `ask` answers it truly."""
        listed = self._exchange.market.symbols.get(params.get("symbol", ""))
        if listed is None or not (self._faults.has(Face.PAGE) or self._faults.has(Face.BAR)):
            return ask(params)
        struck = self._faults.on_page(listed.symbol, self._exchange.clock.market_ms())
        rule, since_ms = (None, None) if struck is None else struck
        rows = ask(_asked(params, rule, self._exchange.market.timeframe_ms))
        assert isinstance(rows, list), "candles are rows"
        spoiled = [row for row in (self._row(listed.id, row) for row in rows) if row is not None]
        return _paged(spoiled, rule, since_ms)

    def message(self, symbol_id: str, payload: Payload) -> Payload | None:
        """A candle's message as it is told, or None when its bar is missing."""
        if not self._faults.has(Face.BAR):
            return payload
        told = payload["k"]
        assert isinstance(told, dict), "a candle's message holds a candle"
        rule = self._strike(symbol_id, told["t"], Told.STREAM)
        if rule is None:
            return payload
        if rule.kind is FaultKind.BAR_MISSING:
            return None
        row = self._spoiled(symbol_id, [told[name] for name in NAMES], rule)
        return {**payload, "k": {**told, **dict(zip(NAMES, row, strict=True))}}

    def _row(self, symbol_id: str, row: Row) -> Row | None:
        rule = self._strike(symbol_id, row[TIME], Told.REST)
        if rule is None:
            return row
        if rule.kind is FaultKind.BAR_MISSING:
            return None
        return self._spoiled(symbol_id, row, rule)

    def _strike(self, symbol_id: str, open_ms: object, told: Told) -> FaultRule | None:
        assert isinstance(open_ms, int), "the exchange itself knows when a bar opens"
        symbol = self._exchange.market.symbols[symbol_id].symbol
        return self._faults.on_bar(symbol, open_ms, told)

    def _spoiled(self, symbol_id: str, row: Row, rule: FaultRule) -> Row:
        row = list(row)
        if rule.kind is FaultKind.BAR_VALUE:
            for place in PLACES[rule.part or Field.ALL]:
                row[place] = rule.value
        elif rule.kind is FaultKind.BAR_SWAPPED:
            row[OPEN : CLOSE + 1] = [row[LOW], row[HIGH], row[OPEN], row[CLOSE]]
        elif rule.kind is FaultKind.BAR_CURRENT_PRICE:
            price = self._exchange.tape.price(symbol_id)
            row[CLOSE] = row[CLOSE] if price is None else fixed(price)
        elif rule.kind is FaultKind.BAR_UNSETTLED:
            row[VOLUME] = fixed(Decimal(str(row[VOLUME])) * UNSETTLED_SHARE)
        return row


def _asked(params: dict[str, str], rule: FaultRule | None, timeframe_ms: int) -> dict[str, str]:
    """What the exchange believes it was asked for."""
    if rule is None:
        return params
    if rule.kind is FaultKind.PAGE_UNLIMITED:
        kept = {name: value for name, value in params.items() if name != "startTime"}
        return kept | {"limit": str(ROWS_MAX)}
    if rule.kind is FaultKind.PAGE_SHIFTED:
        back_ms = (rule.bars or 0) * timeframe_ms
        shifted = dict(params)
        for name in ("startTime", "endTime"):
            if params.get(name, "").isdigit():
                shifted[name] = str(max(0, int(params[name]) - back_ms))
        return shifted
    return params


def _paged(rows: list[Row], rule: FaultRule | None, since_ms: int | None) -> list[Row]:
    """The rows in the shape of a faulty page."""
    if rule is None:
        return rows
    if rule.kind is FaultKind.PAGE_SHORT:
        return rows[: max(0, len(rows) - rule.count)]
    if rule.kind is FaultKind.PAGE_DESCENDING:
        return rows[::-1]
    if rule.kind is FaultKind.PAGE_DOUBLED:
        return [row for row in rows for _ in range(2)]
    if rule.kind is FaultKind.PAGE_FROZEN:
        return [row for row in rows if isinstance(row[0], int) and row[0] < (since_ms or 0)]
    return rows


def with_unknown_words(payload: object) -> object:
    """Instruments with words in every list of words that no client has ever seen."""
    if not isinstance(payload, dict) or not isinstance(payload.get("symbols"), list):
        return payload
    listed: Sequence[Payload] = payload["symbols"]
    symbols = [_novel_in(symbol) for symbol in listed]
    if listed:
        odd = {
            "symbol": "NOVELUSDT",
            "baseAsset": "NOVEL",
            "status": NOVEL,
            "contractStatus": NOVEL,
        }
        symbols.append({**_novel_in(listed[0]), **odd})
    return {**payload, "symbols": symbols, NOVEL: NOVEL}


def _novel_in(symbol: Payload) -> Payload:
    lists = ("orderTypes", "permissions", "allowedSelfTradePreventionModes")
    novel: Payload = {name: [*_list(symbol.get(name)), NOVEL] for name in lists}
    novel["filters"] = [{"filterType": NOVEL, "limit": "1"}, *_list(symbol.get("filters"))]
    return {**symbol, **novel, NOVEL: NOVEL}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
