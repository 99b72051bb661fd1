"""The exchange's own endpoints under /embedded: clock, acknowledgements, ledger and faults.

Belongs here: what no real exchange offers. They take no key, so they answer loopback alone.
"""

from collections.abc import Callable

import orjson

from daemon.core.timeframes import NS_PER_MS, parse_time
from daemon.embedded.candles import interval_name
from daemon.embedded.dialect import Payload
from daemon.embedded.faults import Faults
from daemon.embedded.incidents import Incidents
from daemon.embedded.refusals import RequestError, invalid_symbol, missing_parameter
from daemon.embedded.stage import Stage


class Control:
    """The /embedded half of the API over one exchange."""

    def __init__(
        self,
        exchange: Stage,
        faults: Faults,
        incidents: Incidents,
        books: Callable[[], Payload],
    ) -> None:
        self._exchange = exchange
        self._books = books
        self._faults = faults
        self._incidents = incidents
        self._ids = {each.symbol: each.id for each in exchange.market.symbols.values()}

    def handlers(self) -> dict[tuple[str, str], Callable[[bytes], object]]:
        return {
            ("GET", "/embedded/clock"): self.clock,
            ("POST", "/embedded/ack"): self.acknowledge,
            ("GET", "/embedded/ledger"): self.ledger,
            ("POST", "/embedded/faults"): self.add_faults,
            ("DELETE", "/embedded/faults"): self.clear_faults,
        }

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
            "kind": exchange.kind,
            "fingerprint": market.fingerprint,
            "instance": exchange.instance,
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
        return {
            "instance": self._exchange.instance,
            "label": self._exchange.market.label,
            **self._books(),
            "incidents": [
                {
                    "kind": each.kind,
                    "ts_ms": each.ts_ms,
                    "wire_ms": each.wire_ms,
                    "text": each.text,
                }
                for each in self._exchange.incidents()
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
