"""What must be true before a signed order may leave: the library, its urls, the key and its rights.

Belongs here: checks of a client that is about to trade real money, each one line when it fails.
Whether trading is armed at all is decided elsewhere, after these.
"""

from __future__ import annotations

import random
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from inspect import ismethod
from typing import Any

from daemon.core.clock import WireClock
from daemon.core.errors import LiveRefused
from daemon.core.instruments import exchange_behind
from daemon.venues.capabilities import row_of
from daemon.venues.ccxt_client import assert_sends_once, reachable_urls
from daemon.venues.ccxt_outcomes import is_key_refused, reply_of
from daemon.venues.ccxt_reads import FIRST_CONTACT_ATTEMPTS, Reader
from daemon.venues.hosts import require_known_hosts
from daemon.venues.key_scope import PROBES, judge, require_accepted

PINNED = "4.5.90"
WITHIN_S = 12.0  # a terminal gets its one line within 15 s
ODD = (LookupError, ValueError, TypeError, AttributeError)


class LiveChecks:
    """All of them, for one client: of the client itself at once, of the key when called.

    What may be asked again is asked again: `()` is for the start and for every day after it.
    `hosts` is the exchange whose urls the client may have, another one only for a stand-in.
    """

    def __init__(
        self,
        client: Any,
        exchange: str,
        *,
        accepts_unverified: bool,
        must_trade: bool = True,
        hosts: str | None = None,
        wire: WireClock | None = None,
    ) -> None:
        hosts = hosts or exchange
        check_client(client, exchange, hosts)
        guard_hosts(client, hosts)
        self._client = client
        self._exchange = exchange
        self._accepts_unverified = accepts_unverified
        self._must_trade = must_trade
        self._wire = wire or WireClock()
        rng = random.Random()  # noqa: S311  # it spreads retries, nothing hangs on it
        self._reader = Reader(client, exchange, rng=rng, wire=self._wire, within_s=WITHIN_S)

    async def __call__(self) -> tuple[str, ...]:
        """What a person should know of the key; LiveRefused when it must not be used."""
        return await check_key(
            self._client,
            self._exchange,
            self._reader,
            self._wire.now_ns(),
            accepts_unverified=self._accepts_unverified,
            must_trade=self._must_trade,
        )


def check_client(client: Any, exchange: str, hosts: str | None = None) -> None:
    """LiveRefused unless the client is the one we know, set as it has to be; nothing is asked."""
    row = row_of(exchange)
    _check_library()
    if row.needs_password and not client.password:
        msg = (
            f"{exchange} needs the password of the key: the credential exchange__api_password or"
            " TRADINGD__EXCHANGE__API_PASSWORD"
        )
        raise LiveRefused(msg)
    try:
        assert_sends_once(client)
    except ValueError as error:
        raise LiveRefused(str(error)) from None
    if client.verbose:
        msg = f"{exchange}: the ccxt client is verbose, it would print signed requests"
        raise LiveRefused(msg)
    if client.isSandboxModeEnabled or client.options.get("sandboxMode"):
        msg = f"{exchange}: the ccxt client is in sandbox mode; live is the real exchange"
        raise LiveRefused(msg)
    if client.options.get("builderFee"):
        msg = f"{exchange}: the ccxt client would agree to a fee for its authors"
        raise LiveRefused(msg)
    named = {name: getattr(client, name) for name in dir(client) if "proxy" in name.lower()}
    proxies = [name for name, value in named.items() if value and not ismethod(value)]
    if proxies:
        msg = f"{exchange}: the ccxt client goes through a proxy ({', '.join(proxies)})"
        raise LiveRefused(msg)
    if client.aiohttp_trust_env:
        msg = f"{exchange}: the ccxt client would go through a proxy of the environment"
        raise LiveRefused(msg)
    urls = ((name, _spelled(client, url)) for name, url in reachable_urls(client, ("api",)))
    require_known_hosts(hosts or exchange, urls)


def guard_hosts(client: Any, exchange: str) -> None:
    """Have every request and every stream of this client compared with the table, right before.

    The urls a client shows at the start are not proof: its signing could put in others.
    """
    send, make_socket = client.fetch, getattr(client, "client", None)

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        require_known_hosts(exchange, [("of a request", url)])
        return await send(url, method, headers, body)

    client.fetch = fetch
    if make_socket is None:
        return

    def make_guarded(url: str) -> Any:
        require_known_hosts(exchange, [("of a stream", url)])
        return make_socket(url)

    client.client = make_guarded


async def check_key(
    client: Any,
    exchange: str,
    reader: Reader,
    now_ns: int,
    *,
    accepts_unverified: bool,
    must_trade: bool = True,
) -> tuple[str, ...]:
    """What a person should know of the key; LiveRefused when it must not be used.

    ExchangeUnreachable when nothing was answered.
    """
    probe = PROBES.get(exchange_behind(exchange))
    if probe is None:
        why = "the exchange does not tell"
        return (require_accepted(exchange, why, is_accepted=accepts_unverified),)
    import ccxt

    why = ""

    async def ask() -> Any:
        nonlocal why
        try:
            return await getattr(client, probe.method)()
        except ccxt.PermissionDenied:  # the key works, and may not ask this
            why = "it may not ask about itself"
        except ccxt.BaseError as error:
            told = reply_of(error)
            is_unknown = told is not None and told.status == HTTPStatus.NOT_FOUND
            if is_key_refused(error) or not (is_unknown or isinstance(error, ccxt.ExchangeError)):
                raise
            why = f"{type(error).__name__} for an answer"
        return None

    reply = await reader.read("rights of the key", ask, attempts=FIRST_CONTACT_ATTEMPTS)
    if not why:
        try:
            scope = probe.read(reply, str(client.apiKey))
        except ODD as error:
            why = f"the answer is odd, {type(error).__name__}"
        else:
            return judge(exchange, scope, now_ns, must_trade=must_trade)
    return (require_accepted(exchange, why, is_accepted=accepts_unverified),)


def _check_library() -> None:
    import ccxt

    try:
        installed = version("ccxt")
    except PackageNotFoundError:
        installed = "another package of that name"
    if installed != PINNED or ccxt.__version__ != PINNED:
        msg = f"ccxt is {installed} ({ccxt.__version__}), need {PINNED}, which the tests know"
        raise LiveRefused(msg)


def _spelled(client: Any, url: str) -> str:
    """The url with its placeholders filled, as ccxt does it for each request."""
    spelled: str = client.implode_hostname(url)
    return spelled
