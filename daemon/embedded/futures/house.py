"""The house of a swap exchange: joins its stage with the fapi dialect.

Belongs here: assembly. What is the same for every kind of exchange belongs in the spot house.
"""

from daemon.embedded.access import Access
from daemon.embedded.books import PublishedBooks
from daemon.embedded.futures.audit import swap_books
from daemon.embedded.futures.dialect import order_payload
from daemon.embedded.futures.exchange import SwapExchange
from daemon.embedded.futures.portfolio import SwapPortfolio
from daemon.embedded.futures.public import SwapPublic
from daemon.embedded.futures.routes import swap_routes
from daemon.embedded.futures.trading import SwapTrading
from daemon.embedded.futures.user_stream import SwapUserStream
from daemon.embedded.house import Everyone, House, Plan, budget_of, conditions_of, rest_of
from daemon.embedded.order_faults import OrderFaults
from daemon.embedded.streams import MarketStreams


def swap_house(exchange: SwapExchange, plan: Plan) -> House:
    """A swap exchange that keeps to the plan's fault script."""
    conditions = conditions_of(exchange, plan, exchange.fees)
    exchange.clearing.listed = conditions.listed
    exchange.clearing.fees = conditions.fees
    exchange.clearing.surcharge = conditions.surcharge
    budget = budget_of(exchange, plan)
    books = PublishedBooks(exchange)
    public = SwapPublic(exchange, books, budget, conditions)
    order_faults = OrderFaults(exchange, plan.faults, exchange.ledger.order, order_payload)
    trading = SwapTrading(exchange, conditions, order_faults, plan.scope)
    portfolio = SwapPortfolio(exchange, conditions, plan.scope)
    streams = MarketStreams(exchange, books, public, plan.faults, tells_previous=True)
    user_stream = SwapUserStream(exchange, plan.faults)
    exchange.listener = Everyone((streams, user_stream))
    rest = rest_of(
        exchange,
        plan,
        routes=swap_routes(public, trading, portfolio, user_stream),
        budget=budget,
        access=Access(plan.credentials, conditions),
        books=lambda: swap_books(exchange),
    )
    return House(exchange, conditions, streams, user_stream, rest)
