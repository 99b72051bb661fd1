"""What others do to the account: deposits, withdrawals, orders by hand, orders ended from outside.

Belongs here: carrying out such rules at the close of a bar, once, written down with what they did.
When one is due belongs in faults.
"""

from daemon.embedded.account import Incident, OrderStatus, Side
from daemon.embedded.fault_kinds import FaultKind
from daemon.embedded.fault_rules import FaultRule
from daemon.embedded.faults import Faults
from daemon.embedded.refusals import RequestError
from daemon.embedded.stage import HandOrder, Stage


class Incidents:
    """The hands of others on one account.

    Each occasion is written to the ledger together with what it changed, under its own name: an
    exchange that is started again with the same script does nothing twice.
    """

    def __init__(self, exchange: Stage, faults: Faults) -> None:
        self._exchange = exchange
        self._faults = faults

    def happen(self) -> None:
        """Carry out what is due at the last close."""
        exchange = self._exchange
        due = self._faults.on_close(exchange.tape.closed_ms, exchange.incidents_of)
        for key, rule in due:
            try:
                self._carry_out(key, rule)
            except RequestError as error:
                exchange.note(self._incident(key, rule, f"refused: {error}"))

    def _carry_out(self, key: str, rule: FaultRule) -> None:
        if rule.kind is FaultKind.FOREIGN_ORDER:
            order = self._order(key, rule)
            self._exchange.by_hand(order, self._incident(key, rule, rule.kind))
        elif rule.kind is FaultKind.ORDERS_ENDED:
            status = OrderStatus(rule.says)
            incident = self._incident(key, rule, f"open orders {rule.says.lower()}")
            self._exchange.end_orders(self._symbol_id(rule.symbol), status, incident)
        else:
            amount = rule.amount if rule.kind is FaultKind.DEPOSIT else -rule.amount
            incident = self._incident(key, rule, f"{amount:+f} {rule.asset}")
            self._exchange.move_money(rule.asset, amount, incident)

    def _order(self, key: str, rule: FaultRule) -> HandOrder:
        return HandOrder(
            symbol_id=self._symbol_id(rule.symbol) or "",
            side=rule.side or Side.BUY,
            quantity=rule.amount,
            price=rule.price,
            client_order_id=rule.client_id or f"web_{key.rsplit('/', 1)[1]}",
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
