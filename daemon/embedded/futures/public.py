"""Public requests of swaps: what spot has, and mark prices, funding rates and leverage brackets.

Belongs here: what an unsigned request means beyond spot. Shapes belong in dialect.
"""

from daemon.embedded import params as read
from daemon.embedded.dialect import Payload, fixed
from daemon.embedded.futures.dialect import swap_payload
from daemon.embedded.futures.terms import (
    FUNDING_BASE,
    FUNDING_EVERY_MS,
    funding_rate,
    funding_times,
    next_funding_ms,
)
from daemon.embedded.params import Params
from daemon.embedded.public import PublicData

FUNDINGS_DEFAULT, FUNDINGS_MAX = 100, 1_000


class SwapPublic(PublicData):
    """The public half of the fapi dialect over one exchange."""

    def exchange_info(self, params: Params) -> Payload:
        payload = super().exchange_info(params)
        assets = sorted({each.quote for each in self._exchange.market.symbols.values()})
        return payload | {
            "futuresType": "U_MARGINED",
            "assets": [
                {"asset": each, "marginAvailable": True, "autoAssetExchange": "0"}
                for each in assets
            ],
        }

    def symbol(self, symbol_id: str) -> Payload:
        is_trading = self._exchange.is_trading(symbol_id)
        return swap_payload(self._conditions.listed(symbol_id), is_trading=is_trading)

    def premium_index(self, params: Params) -> Payload | list[Payload]:
        """The mark price (here the last price) and the funding that comes next."""
        return self._each(params, self._premium)

    def funding_rates(self, params: Params) -> list[Payload]:
        """Rates of funding times that have passed, oldest first, the newest `limit` of them."""
        market = self._exchange.market
        limit = read.limit(params, FUNDINGS_DEFAULT, FUNDINGS_MAX)
        start_ms, end_ms = read.integer(params, "startTime"), read.integer(params, "endTime")
        now_ms = self._exchange.clock.market_ms()
        until_ms = now_ms if end_ms is None else min(end_ms, now_ms)
        since_ms = market.first_open_ms if start_ms is None else max(start_ms - 1, 0)
        times = funding_times(since_ms, until_ms)
        chosen = times[-limit:] if start_ms is None else times[:limit]
        return [
            {
                "symbol": symbol_id,
                "fundingRate": fixed(funding_rate(market.fingerprint, symbol_id, at_ms)),
                "fundingTime": at_ms,
                "markPrice": "",
            }
            for at_ms in chosen
            for symbol_id in self._symbol_ids(params)
        ]

    def funding_info(self, _params: Params) -> list[Payload]:
        hours = FUNDING_EVERY_MS // 3_600_000
        return [
            {
                "symbol": each,
                "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": hours,
            }
            for each in self._exchange.market.symbols
        ]

    def _premium(self, symbol_id: str) -> Payload:
        now_ms = self._exchange.clock.market_ms()
        price = fixed(self._exchange.tape.price(symbol_id) or FUNDING_BASE * 0)
        at_ms = next_funding_ms(now_ms)
        rate = funding_rate(self._exchange.market.fingerprint, symbol_id, at_ms)
        return {
            "symbol": symbol_id,
            "markPrice": price,
            "indexPrice": price,
            "estimatedSettlePrice": price,
            "lastFundingRate": fixed(rate),
            "interestRate": fixed(FUNDING_BASE),
            "nextFundingTime": at_ms,
            "time": now_ms,
        }
