"""What must hold before real money: the library, the urls, the key; each failure is one line."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from daemon.core.errors import LiveRefused
from daemon.venues.capabilities import CAPABILITIES
from daemon.venues.ccxt_client import make_client, reachable_urls
from daemon.venues.ccxt_live import PINNED, check_client, guard_hosts
from daemon.venues.hosts import HOSTS, fault_of
from tests.contract.signing import SYMBOL, a_signing_client

ROOT = Path(__file__).parents[2]
EXCHANGES = sorted(CAPABILITIES.keys() - {"embedded"})
each_exchange = pytest.mark.parametrize("exchange", EXCHANGES)


def a_client(exchange: str, password: str = "a-password") -> Any:
    return make_client(exchange, credentials=("a-key", "a-secret", password))


@each_exchange
def test_the_client_as_we_make_it_passes(exchange: str) -> None:
    check_client(a_client(exchange), exchange)

    assert HOSTS[exchange]


def test_the_table_of_hosts_is_not_asked_of_the_library() -> None:
    """Every exchange that takes orders has hosts, and no two exchanges but Binance's share one."""
    assert set(HOSTS) == set(EXCHANGES)
    told = [(name, host) for name in EXCHANGES for host in HOSTS[name] if name != "binanceus"]
    hosts = [host for _, host in told]
    assert len(set(hosts)) == len(hosts)


@each_exchange
def test_an_url_that_leads_elsewhere_is_refused_whatever_it_is_for(exchange: str) -> None:
    client = a_client(exchange)
    names = [name for name, _ in reachable_urls(client, ("api",))]
    assert names
    for dotted in names:
        holder = client.urls
        *path, last = dotted.split(".")
        for part in path:
            holder = holder[part]
        honest, holder[last] = holder[last], "https://v3.mexc.workers.dev/api"

        refusal = rf"^{exchange}: url {re.escape(dotted)} .* leads to v3\.mexc\.workers\.dev"
        with pytest.raises(LiveRefused, match=refusal):
            check_client(client, exchange)
        holder[last] = honest


def test_a_hostname_put_under_the_urls_is_refused() -> None:
    client = a_client("bybit")
    client.hostname = "bybit.com.example.net"

    with pytest.raises(LiveRefused, match=r"leads to api\.bybit\.com\.example\.net"):
        check_client(client, "bybit")


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://api.kraken.com/0/private", ""),
        ("wss://ws-auth.kraken.com/v2", ""),
        ("http://api.kraken.com", "is http, need https or wss"),
        ("https://api.kraken.com.evil.example", "leads to api.kraken.com.evil.example, which"),
        ("https://api.kraken.com@evil.example/", "leads to evil.example, which"),
        ("https://me@api.kraken.com/", "names a user"),
        ("https://api.kraken.com:8443/", "names a user or a port"),
        ("//api.kraken.com", "is , need https or wss"),
        ("nonsense", "leads to None"),
    ],
)
def test_an_url_is_judged_by_host_scheme_and_port(url: str, fault: str) -> None:
    assert fault_of("kraken", url).startswith(fault)
    assert bool(fault_of("kraken-b", url)) == bool(fault)


async def test_a_request_that_signing_sends_elsewhere_never_leaves() -> None:
    """As a tampered library did it: the urls look right until an order is signed."""
    client, signed = a_signing_client("okx")
    guard_hosts(client, "okx")
    honest = client.sign

    def sign(*args: Any, **kwargs: Any) -> Any:
        request = honest(*args, **kwargs)
        return {**request, "url": request["url"].replace("www.okx.com", "okx.workers.dev")}

    client.sign = sign
    with pytest.raises(LiveRefused, match=r"leads to okx\.workers\.dev.*; nothing was sent"):
        await client.create_order(SYMBOL, "market", "sell", "1", None, {})

    assert signed == []


def test_a_stream_that_leads_elsewhere_is_never_opened() -> None:
    client = a_client("kraken")
    guard_hosts(client, "kraken")

    with pytest.raises(LiveRefused, match=r"leads to evil\.example"):
        client.client("wss://evil.example/ws")


def _unset(name: str, value: object) -> Callable[[Any], None]:
    return lambda client: setattr(client, name, value)


def _option(name: str, value: object) -> Callable[[Any], None]:
    return lambda client: client.options.update({name: value})


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (_unset("verbose", True), "is verbose"),
        (_unset("isSandboxModeEnabled", True), "is in sandbox mode"),
        (_option("sandboxMode", True), "is in sandbox mode"),
        (_option("maxRetriesOnFailure", 2), "would repeat orders by itself"),
        (_option("builderFee", True), "a fee for its authors"),
        (_unset("httpsProxy", "http://127.0.0.1:8080"), r"goes through a proxy \(httpsProxy\)"),
        (_unset("https_proxy_callback", print), r"goes through a proxy \(https_proxy_callback\)"),
        (_unset("aiohttp_trust_env", True), "a proxy of the environment"),
    ],
)
def test_a_client_that_is_set_otherwise_is_refused(spoil: Callable[[Any], None], text: str) -> None:
    client = a_client("binance")
    spoil(client)

    with pytest.raises(LiveRefused, match=text) as refused:
        check_client(client, "binance")

    assert refused.value.exit_code == 77
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("exchange", ["okx", "kucoin", "bitget"])
def test_a_key_without_the_password_it_needs_is_refused_before_anything_is_asked(
    exchange: str,
) -> None:
    with pytest.raises(LiveRefused, match=f"{exchange} needs the password of the key: the cred"):
        check_client(a_client(exchange, password=""), exchange)


def test_the_version_that_is_asked_for_is_the_one_that_is_locked() -> None:
    assert f"\nccxt=={PINNED} " in (ROOT / "requirements.lock").read_text()


def test_loopback_is_all_that_the_exchange_in_the_box_may_be() -> None:
    urls = {"rest": "http://127.0.0.1:1", "stream": "ws://127.0.0.1:1", "ws_api": "ws://[::1]:1"}
    client = make_client("embedded-b", urls=urls, credentials=("a", "b"))
    check_client(client, "embedded-b")
    assert {urlsplit(url).hostname for _, url in reachable_urls(client)} == {"127.0.0.1", "::1"}

    client.urls["api"]["private"] = "https://api.binance.com/api/v3"
    with pytest.raises(LiveRefused, match=r"leads to api\.binance\.com, need loopback"):
        check_client(client, "embedded-b")
