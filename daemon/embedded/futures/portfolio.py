"""The swap account as it is read and set: positions, money, leverage, incomes, modes and fees.

Belongs here: what a signed fapi request about the account means. Orders belong in trading.
"""

from decimal import Decimal, localcontext

from daemon.embedded import params as read
from daemon.embedded.account import MONEY, ZERO
from daemon.embedded.conditions import Conditions
from daemon.embedded.dialect import Payload, fixed
from daemon.embedded.futures.account import SwapPosition
from daemon.embedded.futures.dialect import brackets_payload, income_payload, position_payload
from daemon.embedded.futures.exchange import SwapExchange
from daemon.embedded.futures.rules import exposures, order_margin
from daemon.embedded.futures.terms import maintenance_margin, notional_max
from daemon.embedded.key_scope import KeyScope, restrictions_payload
from daemon.embedded.params import Params
from daemon.embedded.queries import end_ms, symbol_id_of
from daemon.embedded.refusals import RequestError

ROWS_DEFAULT, ROWS_MAX = 100, 1_000
LEVERAGE_MAX = 125


class SwapPortfolio:
    """The account half of the fapi dialect over one exchange."""

    def __init__(self, exchange: SwapExchange, conditions: Conditions, scope: KeyScope) -> None:
        self._exchange = exchange
        self._conditions = conditions
        self._scope = scope

    def positions(self, params: Params) -> list[Payload]:
        """Version 3 of positionRisk: symbols with a position or an open order."""
        return [
            payload
            for payload in self.all_positions(params)
            if Decimal(str(payload["positionAmt"]))
            or Decimal(str(payload["openOrderInitialMargin"]))
        ]

    def all_positions(self, params: Params) -> list[Payload]:
        """Version 2 of positionRisk: every symbol."""
        wanted = [self._symbol_id(params)] if "symbol" in params else self._exchange.market.symbols
        with localcontext(MONEY):
            return [self._position(self._exchange.clearing.position(each)) for each in wanted]

    def balance(self, _params: Params) -> list[Payload]:
        return [
            {
                "accountAlias": "embedded",
                "asset": each["asset"],
                "balance": each["walletBalance"],
                "crossWalletBalance": each["crossWalletBalance"],
                "crossUnPnl": each["crossUnPnl"],
                "availableBalance": each["availableBalance"],
                "maxWithdrawAmount": each["maxWithdrawAmount"],
                "marginAvailable": True,
                "updateTime": self._exchange.clock.market_ms(),
            }
            for each in self._assets()
        ]

    def account(self, params: Params) -> Payload:
        assets = self._assets()
        totals = {
            "totalInitialMargin": "initialMargin",
            "totalMaintMargin": "maintMargin",
            "totalWalletBalance": "walletBalance",
            "totalUnrealizedProfit": "unrealizedProfit",
            "totalMarginBalance": "marginBalance",
            "totalPositionInitialMargin": "positionInitialMargin",
            "totalOpenOrderInitialMargin": "openOrderInitialMargin",
            "totalCrossWalletBalance": "crossWalletBalance",
            "totalCrossUnPnl": "crossUnPnl",
            "availableBalance": "availableBalance",
            "maxWithdrawAmount": "maxWithdrawAmount",
        }
        sums = {
            name: f"{sum((Decimal(str(each[source])) for each in assets), ZERO):.8f}"
            for name, source in totals.items()
        }
        scope = self._conditions.scope(self._scope)
        flags = {"canTrade": scope.may_trade, "canDeposit": True, "canWithdraw": scope.may_withdraw}
        positions = [
            payload | {"unrealizedProfit": payload["unRealizedProfit"]}
            for payload in self.all_positions(params)
        ]
        return {
            "feeTier": 0,
            **flags,
            "multiAssetsMargin": False,
            "updateTime": self._exchange.clock.market_ms(),
            **sums,
            "assets": assets,
            "positions": positions,
        }

    def set_leverage(self, params: Params) -> Payload:
        symbol_id, leverage = self._symbol_id(params), read.integer(params, "leverage")
        if leverage is None or not 1 <= leverage <= LEVERAGE_MAX:
            raise RequestError(-4028, f"Leverage {leverage} is not valid")
        position = self._exchange.set_leverage(symbol_id, leverage)
        most = f"{notional_max(position.leverage):f}"
        return {"symbol": symbol_id, "leverage": position.leverage, "maxNotionalValue": most}

    def set_margin_type(self, params: Params) -> Payload:
        self._symbol_id(params)
        if read.text(params, "marginType") == "ISOLATED":
            raise RequestError(-4046, "No need to change margin type.")
        raise RequestError(-4048, "Margin type cannot be changed: this exchange is isolated only.")

    def position_mode(self, _params: Params) -> Payload:
        return {"dualSidePosition": False}

    def set_position_mode(self, params: Params) -> Payload:
        if not read.flag(params, "dualSidePosition"):
            raise RequestError(-4059, "No need to change position side.")
        raise RequestError(-4084, "Method is not allowed currently: this exchange is one-way only.")

    def account_config(self, _params: Params) -> Payload:
        scope = self._conditions.scope(self._scope)
        return {
            "feeTier": 0,
            "canTrade": scope.may_trade,
            "canDeposit": True,
            "canWithdraw": scope.may_withdraw,
            "dualSidePosition": False,
            "multiAssetsMargin": False,
            "updateTime": self._exchange.clock.market_ms(),
            "tradeGroupId": -1,
        }

    def assets_mode(self, _params: Params) -> Payload:
        return {"multiAssetsMargin": False}

    def incomes(self, params: Params) -> list[Payload]:
        found = self._exchange.ledger.incomes(
            params.get("incomeType"),
            self._symbol_id(params) if "symbol" in params else None,
            start_ms=read.integer(params, "startTime") or 0,
            end_ms=end_ms(params),
            limit=read.limit(params, ROWS_DEFAULT, ROWS_MAX),
        )
        return [income_payload(each) for each in found]

    def brackets(self, params: Params) -> list[Payload]:
        if "symbol" in params:
            return [brackets_payload(self._symbol_id(params))]
        return [brackets_payload(each) for each in self._exchange.market.symbols]

    def symbol_config(self, params: Params) -> list[Payload]:
        wanted = [self._symbol_id(params)] if "symbol" in params else self._exchange.market.symbols
        positions = [self._exchange.clearing.position(each) for each in wanted]
        return [
            {
                "symbol": each.symbol_id,
                "marginType": "ISOLATED",
                "isAutoAddMargin": False,
                "leverage": each.leverage,
                "maxNotionalValue": f"{notional_max(each.leverage):f}",
            }
            for each in positions
        ]

    def commission(self, params: Params) -> Payload:
        symbol_id = self._symbol_id(params)
        fees = self._exchange.clearing.fees(symbol_id)
        return {
            "symbol": symbol_id,
            "makerCommissionRate": fixed(fees.maker_ratio),
            "takerCommissionRate": fixed(fees.taker_ratio),
        }

    def restrictions(self, _params: Params) -> Payload:
        told = restrictions_payload(self._conditions.scope(self._scope))
        return told | {"enableFutures": told["enableSpotAndMarginTrading"]}

    def _position(self, position: SwapPosition) -> Payload:
        mark = self._exchange.mark(position.symbol_id)
        return position_payload(position, mark, self._order_margin(position, mark))

    def _order_margin(self, position: SwapPosition, mark: Decimal) -> Decimal:
        bids, asks = exposures(self._exchange.clearing.open_of(position.symbol_id))
        return order_margin(position, mark, bids, asks)

    def _assets(self) -> list[Payload]:
        clearing = self._exchange.clearing
        with localcontext(MONEY):
            return [self._asset(asset, amount) for asset, amount in sorted(clearing.money.items())]

    def _asset(self, asset: str, money: Decimal) -> Payload:
        held = [
            (each, self._exchange.mark(each.symbol_id))
            for each in self._exchange.clearing.positions.values()
            if each.asset == asset
        ]
        wallets = sum((each.wallet for each, _ in held), ZERO)
        unrealized = sum((each.unrealized(mark) for each, mark in held), ZERO)
        bound = sum((abs(each.notional(mark)) / each.leverage for each, mark in held), ZERO)
        ordered = sum((self._order_margin(each, mark) for each, mark in held), ZERO)
        needed = sum(
            (maintenance_margin(each.notional(mark)) for each, mark in held if each.quantity), ZERO
        )
        available = max(ZERO, money - ordered)
        amounts = {
            "walletBalance": money + wallets,
            "unrealizedProfit": unrealized,
            "marginBalance": money + wallets + unrealized,
            "maintMargin": needed,
            "initialMargin": bound + ordered,
            "positionInitialMargin": bound,
            "openOrderInitialMargin": ordered,
            "crossWalletBalance": money,
            "crossUnPnl": ZERO,
            "availableBalance": available,
            "maxWithdrawAmount": available,
        }
        return {
            "asset": asset,
            **{name: f"{each:.8f}" for name, each in amounts.items()},
            "marginAvailable": True,
            "updateTime": self._exchange.clock.market_ms(),
        }

    def _symbol_id(self, params: Params) -> str:
        return symbol_id_of(params, self._exchange.market.symbols)
