from pathlib import Path

import ccxt
import pytest

from daemon.embedded.faults import Faults
from tests.exchange.loopback import Loopback, loopback

ORDER = {"path": "/api/v3/order", "method": "POST"}
MINE = {"newClientOrderId": "mine"}


async def buy(lab: Loopback) -> None:
    await lab.client.create_order("BTC/USDT", "market", "buy", 0.1, None, MINE)


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "drop_after"},
        {"kind": "status_after", "status": 502, "body": "<html>bad gateway</html>"},
        {"kind": "status_after", "status": 504},
    ],
)
async def test_an_order_whose_reply_was_lost_is_found_by_its_client_id(
    tmp_path: Path, rule: dict[str, object]
) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(**ORDER, nth=[1], **rule)
        with pytest.raises((ccxt.NetworkError, ccxt.ExchangeNotAvailable)):
            await buy(lab)
        found = await lab.client.fetch_order(None, "BTC/USDT", {"clientOrderId": "mine"})
        ledger = await lab.get("ledger")

    assert (found["status"], found["filled"]) == ("closed", 0.1)
    assert [fill["client_order_id"] for fill in ledger["fills"]] == ["mine"]


async def test_an_order_that_never_arrived_is_not_found(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(**ORDER, nth=[1], kind="drop_before")
        with pytest.raises(ccxt.NetworkError):
            await buy(lab)
        with pytest.raises(ccxt.OrderNotFound):
            await lab.client.fetch_order(None, "BTC/USDT", {"clientOrderId": "mine"})
        await buy(lab)
        ledger = await lab.get("ledger")

    assert len(ledger["orders"]) == 1


async def test_a_reply_that_comes_too_late_is_a_timeout_and_the_order_stands(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(**ORDER, nth=[1], kind="delay_after", sec=1.0)
        lab.client.timeout = 200
        with pytest.raises(ccxt.RequestTimeout):
            await buy(lab)
        lab.client.timeout = 5_000
        found = await lab.client.fetch_order(None, "BTC/USDT", {"clientOrderId": "mine"})

    assert found["filled"] == 0.1


async def test_a_truncated_reply_hides_an_order_that_exists(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(**ORDER, nth=[1], kind="body_after", body='{"symbol":"BTC')
        order = await lab.client.create_order("BTC/USDT", "market", "buy", 0.1, None, MINE)
        found = await lab.client.fetch_order(None, "BTC/USDT", {"clientOrderId": "mine"})

    assert order["id"] is None
    assert found["filled"] == 0.1


async def test_a_false_status_comes_instead_of_the_order(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(**ORDER, nth=[1], kind="status", status=503)
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await buy(lab)

        assert (await lab.get("ledger"))["orders"] == []


async def test_a_rule_that_is_none_is_refused(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        url = f"{lab.endpoints.rest}/embedded/faults"
        async with lab.session.post(url, data='{"path": "/", "kind": "explode"}') as reply:
            answer = await reply.json()

        assert (reply.status, answer["code"]) == (400, -1130)


def test_rules_count_repeat_and_draw_the_same_lots_from_the_same_seed() -> None:
    faults, same = Faults(seed=3), Faults(seed=3)
    for each in (faults, same):
        each.add(ORDER | {"kind": "drop_after", "probability": 0.5})
    counted = Faults(seed=3)
    counted.add([ORDER | {"kind": "drop_after", "every": 3}])

    def strikes(script: Faults) -> list[bool]:
        return [script.on_request("POST", "/api/v3/order", 0) is not None for _ in range(60)]

    drawn = strikes(faults)
    assert drawn == strikes(same)
    assert 10 < sum(drawn) < 50
    assert strikes(counted)[:6] == [False, False, True, False, False, True]
    assert counted.on_request("GET", "/api/v3/order", 0) is None
