"""The house of an exchange: joins a stage with what answers requests, streams and private sockets.

Belongs here: assembly of the spot exchange, and what any kind of exchange is assembled from.
Sockets, start and stop belong in server.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from daemon.embedded.access import Access
from daemon.embedded.audit import spot_books
from daemon.embedded.books import PublishedBooks
from daemon.embedded.budget import Budget
from daemon.embedded.conditions import Conditions
from daemon.embedded.connections import Connection
from daemon.embedded.control import Control
from daemon.embedded.dialect import Payload
from daemon.embedded.dialect_orders import order_payload
from daemon.embedded.exchange import Exchange
from daemon.embedded.faults import Faults
from daemon.embedded.fees import Fees
from daemon.embedded.incidents import Incidents
from daemon.embedded.key_scope import KeyScope
from daemon.embedded.market import MarketBar
from daemon.embedded.order_faults import OrderFaults
from daemon.embedded.past_balances import PastBalances
from daemon.embedded.public import PublicData
from daemon.embedded.rest import RestFace
from daemon.embedded.routes import Routes, private_routes, public_routes
from daemon.embedded.settlement import Outcome
from daemon.embedded.signing import Credentials
from daemon.embedded.stage import Listener, Stage
from daemon.embedded.streams import MarketStreams
from daemon.embedded.tape import Step
from daemon.embedded.trading import Trading
from daemon.embedded.user_api import UserApi


class PrivateSockets(Protocol):
    """The sockets on which an account is told about itself."""

    def takes(self, request: web.Request) -> bool:
        """Whether a socket that asks for this address is one of them."""
        ...

    def opened(self, connection: Connection, request: web.Request) -> None:
        """A socket has come; RequestError refuses it."""
        ...

    def on_message(self, connection: Connection, text: str) -> None: ...

    def drop(self, connection: Connection) -> None: ...

    def close(self) -> None:
        """Forget what was to be sent later."""
        ...


@dataclass(frozen=True, slots=True)
class House:
    """All that a server needs to serve one exchange."""

    stage: Stage
    conditions: Conditions
    streams: MarketStreams
    private: PrivateSockets
    rest: RestFace


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every house is built from."""

    credentials: Credentials
    faults: Faults
    weight_max: int
    scope: KeyScope


class Everyone:
    """One listener made of several."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = tuple(listeners)

    def stepped(self, step: Step) -> None:
        for each in self._listeners:
            each.stepped(step)

    def settled(self, outcome: Outcome) -> None:
        for each in self._listeners:
            each.settled(outcome)

    def closed(self, bars: Sequence[tuple[str, MarketBar]]) -> None:
        for each in self._listeners:
            each.closed(bars)

    def flush(self) -> None:
        for each in self._listeners:
            each.flush()


def spot_house(exchange: Exchange, plan: Plan) -> House:
    """A spot exchange that keeps to the plan's fault script."""
    conditions = conditions_of(exchange, plan, exchange.fees)
    settlement = exchange.settlement
    settlement.listed = conditions.listed
    settlement.fees.stated = conditions.fees
    settlement.fees.surcharge = conditions.surcharge
    budget = budget_of(exchange, plan)
    books = PublishedBooks(exchange)
    access = Access(plan.credentials, conditions)
    public = PublicData(exchange, books, budget, conditions)
    past = PastBalances(settlement.account.balances, exchange.clock.wire_ms)
    order_faults = OrderFaults(exchange, plan.faults, exchange.ledger.order, order_payload)
    trading = Trading(exchange, conditions, order_faults, past, plan.scope)
    streams = MarketStreams(exchange, books, public, plan.faults)
    user_api = UserApi(
        exchange, trading=trading, public=public, budget=budget, access=access, faults=plan.faults
    )
    exchange.listener = Everyone((streams, user_api, past))
    rest = rest_of(
        exchange,
        plan,
        routes=public_routes(public) | private_routes(trading),
        budget=budget,
        access=access,
        books=lambda: spot_books(exchange),
    )
    return House(exchange, conditions, streams, user_api, rest)


def conditions_of(stage: Stage, plan: Plan, fees: Fees) -> Conditions:
    """The conditions that a fault script makes; the stage keeps to those of its markets."""
    plan.faults.follow(stage.market)
    conditions = Conditions(stage.market, stage.clock, plan.faults, fees)
    stage.is_closed = conditions.is_closed
    return conditions


def budget_of(stage: Stage, plan: Plan) -> Budget:
    return Budget(lambda: stage.clock.wire_ms() // 1_000, plan.weight_max)


def rest_of(
    stage: Stage,
    plan: Plan,
    *,
    routes: Routes,
    budget: Budget,
    access: Access,
    books: Callable[[], Payload],
) -> RestFace:
    """The REST face over these routes, with the exchange's own endpoints beside them."""
    incidents = Incidents(stage, plan.faults)
    stage.after_slot = incidents.happen
    return RestFace(
        stage,
        routes=routes,
        control=Control(stage, plan.faults, incidents, books),
        budget=budget,
        access=access,
        faults=plan.faults,
        flush=stage.listener.flush,
    )
