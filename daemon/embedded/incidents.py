"""What others do to the account: deposits, withdrawals, orders by hand, orders ended from outside.

Belongs here: carrying out such rules at the close of a bar, once, written down with what they did.
When one is due belongs in faults.
"""

from daemon.embedded.account import (
    Incident,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from daemon.embedded.exchange import Exchange
from daemon.embedded.fault_kinds import FaultKind
from daemon.embedded.fault_rules import FaultRule
from daemon.embedded.faults import Faults
from daemon.embedded.refusals import RequestError


class Incidents:
    """The hands of others on one account.

    Each occasion is written to the ledger together with what it changed, under its own name: an
    exchange that is started again with the same script does nothing twice.
    """

    def __init__(self, exchange: Exchange, faults: Faults) -> None:
        self._exchange = exchange
        self._faults = faults

    def happen(self) -> None:
        """Carry out what is due at the last close."""
        exchange = self._exchange
        due = self._faults.on_close(exchange.tape.closed_ms, exchange.ledger.incidents_of)
        for key, rule in due:
            try:
                self._carry_out(key, rule)
            except RequestError as error:
                exchange.note(self._incident(key, rule, f"refused: {error}"))

    def _carry_out(self, key: str, rule: FaultRule) -> None:
        if rule.kind is FaultKind.FOREIGN_ORDER:
            request = self._request(key, rule)
            self._exchange.place(request, incident=self._incident(key, rule, rule.kind))
        elif rule.kind is FaultKind.ORDERS_ENDED:
            status = OrderStatus(rule.says)
            incident = self._incident(key, rule, f"open orders {rule.says.lower()}")
            self._exchange.end_orders(self._symbol_id(rule.symbol), status, incident)
        else:
            amount = rule.amount if rule.kind is FaultKind.DEPOSIT else -rule.amount
            incident = self._incident(key, rule, f"{amount:+f} {rule.asset}")
            self._exchange.move_money(rule.asset, amount, incident)

    def _request(self, key: str, rule: FaultRule) -> OrderRequest:
        is_limit = rule.price is not None
        return OrderRequest(
            symbol_id=self._symbol_id(rule.symbol) or "",
            side=rule.side or Side.BUY,
            type=OrderType.LIMIT if is_limit else OrderType.MARKET,
            time_in_force=TimeInForce.GTC,
            client_order_id=rule.client_id or f"web_{key.rsplit('/', 1)[1]}",
            quantity=rule.amount,
            price=rule.price,
        )

    def _symbol_id(self, symbol: str | None) -> str | None:
        if symbol is None:
            return None
        for each in self._exchange.market.symbols.values():
            if each.symbol == symbol:
                return each.id
        raise RequestError(-1121, f"Invalid symbol {symbol}.")

    def _incident(self, key: str, rule: FaultRule, text: str) -> Incident:
        clock = self._exchange.clock
        return Incident(
            key=key, kind=rule.kind, ts_ms=clock.market_ms(), wire_ms=clock.wire_ms(), text=text
        )
