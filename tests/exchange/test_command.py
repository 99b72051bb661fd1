import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt

from daemon.cli.exchange_state import read_keys
from daemon.embedded.signing import Credentials
from daemon.running.racing import until
from daemon.running.world.exchange_process import ExchangeProcess, MarketSpec
from daemon.store.lock import holder
from tests.exchange.loopback import ccxt_swap_client
from tests.exchange.processes import finished, serving, started

SMALL = ("--history-bars", "50", "--speed", "max")


async def asked(rest: str, path: str, **body: object) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session:
        method = "POST" if body else "GET"
        async with session.request(method, f"{rest}/embedded/{path}", json=body or None) as reply:
            answer: dict[str, Any] = await reply.json()
            return answer


async def test_it_says_one_line_when_ready_and_nothing_else_until_it_is_stopped(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, *SMALL) as child:
        clock = await asked(child.ready["rest"], "clock")
        code, out, err = await child.end(signal.SIGTERM)

    ready = child.ready
    assert ready["event"] == "exchange.ready"
    assert ready["symbols"] == ["BTC/USDT", "ETH/USDT"]
    assert ready["label"].startswith("SYNTHETIC")
    assert (ready["timeframe"], ready["from"]) == ("1h", "2024-01-01T00:00:00.000Z")
    assert ready["stream"] == ready["rest"].replace("http:", "ws:") + "/stream"
    assert (ready["instance"], ready["fingerprint"]) == (clock["instance"], clock["fingerprint"])
    assert (code, out, err) == (0, "", "")


async def test_the_state_says_where_it_answers_and_keeps_the_secret_to_its_owner(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, *SMALL) as child:
        kept = json.loads((tmp_path / "exchange.json").read_text())
        keys = json.loads((tmp_path / "credentials.json").read_text())
        mode = (tmp_path / "credentials.json").stat().st_mode & 0o777
        await child.end(signal.SIGINT)
        later = json.loads((tmp_path / "exchange.json").read_text())

    endpoint = kept["endpoint"]
    assert {**endpoint, **keys, "event": "exchange.ready"}.items() >= child.ready.items()
    assert child.ready["secret"] not in json.dumps(kept)
    assert (endpoint["pid"], later["endpoint"]["pid"]) == (child.process.pid, None)
    assert mode == 0o600


async def test_one_that_is_being_started_for_a_daemon_that_is_gone_is_waited_for(
    tmp_path: Path,
) -> None:
    """A second one on its state would be refused."""
    wanted = MarketSpec(symbols=("BTC/USDT",), timeframe="1h", history_bars=50, seed=1)
    starting = asyncio.ensure_future(ExchangeProcess.start(tmp_path, wanted))
    await until(lambda: holder(tmp_path) is not None)

    found = await ExchangeProcess.await_begun(tmp_path)
    process = await starting
    await process.stop()

    assert found is not None
    assert found.endpoint.instance == process.endpoint.instance
    assert await ExchangeProcess.await_begun(tmp_path) is None


async def test_half_of_its_keys_left_by_a_kill_keeps_it_from_nothing(tmp_path: Path) -> None:
    (tmp_path / ".credentials.json.new").write_text('{"key": "12')

    keys = read_keys(tmp_path)

    assert read_keys(tmp_path) == keys
    assert [len(each) for each in keys] == [64, 64]


async def test_the_limit_on_requests_counts_wall_time_only_where_the_market_keeps_it(
    tmp_path: Path,
) -> None:
    told = []
    for number, options in enumerate(
        ((), ("--speed", "5"), ("--speed", "5", "--weight-limit", "70"))
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with serving(folder, *SMALL, *options) as child:
            client = child.client()
            try:
                info = await client.public_get_exchangeinfo()
            finally:
                await client.close()
            await child.end(signal.SIGTERM)
        told.append(
            next(
                int(each["limit"])
                for each in info["rateLimits"]
                if each["rateLimitType"] == "REQUEST_WEIGHT"
            )
        )

    assert told == [6_000_000, 6_000, 70]


async def test_a_kill_loses_no_order_no_money_no_slot_and_no_key(tmp_path: Path) -> None:
    async with serving(tmp_path, *SMALL) as first:
        client = first.client()
        try:
            await client.load_markets()
            price = (await client.fetch_ticker("BTC/USDT"))["last"]
            await client.create_order("BTC/USDT", "market", "buy", 0.2)
            resting = await client.create_order(
                "BTC/USDT", "limit", "buy", 0.1, price * 0.5, {"newClientOrderId": "rests"}
            )
            stop = {"stopPrice": price * 0.5, "newClientOrderId": "guard"}
            await client.create_order("BTC/USDT", "market", "sell", 0.3, None, stop)
            for symbol in first.ready["symbols"]:
                bar = first.ready["from"]
                await asked(first.ready["rest"], "ack", run="r", symbol=symbol, bar=bar)
            clock = await asked(first.ready["rest"], "clock")
            symbol = first.ready["symbols"][0]
            await asked(first.ready["rest"], "ack", run="r", symbol=symbol, bar=clock["market_ms"])
            before = await asked(first.ready["rest"], "ledger")
        finally:
            await client.close()
        await first.end(signal.SIGKILL)

    async with serving(tmp_path) as second:
        client = second.client()
        try:
            after = await asked(second.ready["rest"], "ledger")
            resumed = await asked(second.ready["rest"], "clock")
            found = await client.fetch_order(None, "BTC/USDT", {"clientOrderId": "rests"})
            await client.cancel_order(resting["id"], "BTC/USDT")
            used = (await client.fetch_balance())["used"]["USDT"]
            guards = await client.fetch_open_orders("BTC/USDT")
        finally:
            await client.close()
        assert (await second.end(signal.SIGTERM))[0] == 0

    changing = {"rest", "stream", "ws_api"}
    assert {key: second.ready[key] for key in second.ready if key not in changing} == {
        key: first.ready[key] for key in first.ready if key not in changing
    }
    assert after == before
    assert len(after["fills"]) > 0
    assert resumed["slot_open_ms"] == clock["slot_open_ms"]
    assert (clock["awaiting"], resumed["awaiting"]) == (["BTC/USDT", "ETH/USDT"], ["ETH/USDT"])
    assert (found["status"], used) == ("open", 0)
    assert [each["clientOrderId"] for each in guards] == ["guard"]


async def test_a_second_one_on_the_same_state_is_told_so(tmp_path: Path) -> None:
    async with serving(tmp_path, *SMALL) as child:
        code, out, err = await finished(await started(tmp_path))

        assert (code, out, len(err.splitlines())) == (75, "", 1)
        assert str(child.process.pid) in err


async def test_options_that_contradict_the_state_are_refused_in_one_line(tmp_path: Path) -> None:
    async with serving(tmp_path, *SMALL, "--seed", "7") as child:
        await child.end(signal.SIGTERM)
    code, out, err = await finished(await started(tmp_path, "--seed", "8"))

    assert (code, out, len(err.splitlines())) == (78, "", 1)
    assert "--seed 7" in err


async def test_a_market_that_cannot_be_made_leaves_no_exchange_behind(tmp_path: Path) -> None:
    runs = [
        await finished(await started(tmp_path, "--timeframe", "soon")),
        await finished(await started(tmp_path, "--symbols", "BITCOIN")),
        await finished(await started(tmp_path, "--data", str(tmp_path / "none.csv"))),
        await finished(await started(tmp_path, "--speed", "fast")),
    ]

    assert [code for code, _, _ in runs] == [78, 78, 78, 2]
    assert [len(err.splitlines()) for _, _, err in runs] == [1, 1, 1, 1]
    assert not (tmp_path / "exchange.json").exists()


async def test_a_recording_is_replayed_from_where_it_is_told(tmp_path: Path) -> None:
    rows = [f"{1_699_999_980 + n * 60},{100 + n},{102 + n},{99 + n},{101 + n},5" for n in range(60)]
    rows.pop(45)
    recording = tmp_path / "bars.csv"
    recording.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]))
    start = "2023-11-14T22:43:00Z"
    options = ("--data", str(recording), "--symbols", "SOL/USDT", "--speed", "max")

    async with serving(tmp_path / "state", *options, "--from", start) as child:
        client = child.client()
        try:
            await client.load_markets()
            rows_served = await client.fetch_ohlcv("SOL/USDT", "1m", limit=3)
        finally:
            await client.close()
        await child.end(signal.SIGTERM)

    assert child.ready["label"] == "REPLAY bars.csv"
    assert (child.ready["timeframe"], child.ready["from"]) == ("1m", "2023-11-14T22:43:00.000Z")
    assert [row[4] for row in rows_served] == [129, 130, 130]


async def test_it_stops_by_itself_when_nobody_has_been_there_for_a_while(tmp_path: Path) -> None:
    async with serving(tmp_path, *SMALL, "--linger-s", "0.3") as child:
        async with aiohttp.ClientSession() as session:
            socket = await session.ws_connect(child.ready["ws_api"])
            await socket.send_json({"id": 1, "method": "ping"})
            answer = await socket.receive_json()
            is_running = child.process.returncode is None
            await socket.close()
        code, out, err = await finished(child.process)

    assert answer["status"] == 200
    assert is_running
    assert (code, out, err) == (0, "", "")


async def test_a_fault_script_comes_from_a_file(tmp_path: Path) -> None:
    script = tmp_path / "faults.json"
    script.write_text('[{"path": "/api/v3/time", "kind": "status", "status": 502, "nth": [2]}]')

    async with serving(tmp_path / "state", *SMALL, "--faults", str(script)) as child:
        client = child.client()
        outcomes = []
        try:
            for _ in range(3):
                try:
                    await client.fetch_time()
                    outcomes.append("ok")
                except ccxt.ExchangeNotAvailable:
                    outcomes.append("refused")
        finally:
            await client.close()
        await child.end(signal.SIGTERM)

    assert outcomes == ["ok", "refused", "ok"]


async def test_a_paced_market_starts_with_its_first_subscriber_and_moves_by_itself(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, "--history-bars", "50", "--speed", "20") as child:
        standing = await asked(child.ready["rest"], "clock")
        client = child.client()
        try:
            async with asyncio.timeout(30):
                seen: set[int] = set()
                while len(seen) < 4:
                    rows = await client.watch_ohlcv("BTC/USDT", "1h")
                    seen.update(int(row[0]) for row in rows)
            moving = await asked(child.ready["rest"], "clock")
        finally:
            await client.close()
        await child.end(signal.SIGTERM)

    assert (standing["rate"], standing["market_ms"]) == (0, standing["from_ms"])
    assert (moving["mode"], moving["rate"]) == ("paced", 20 * 3_600)
    assert moving["market_ms"] > moving["from_ms"] + 3 * moving["timeframe_ms"]


async def test_balances_fees_and_the_scope_of_the_key_are_options_and_fees_are_kept(
    tmp_path: Path,
) -> None:
    options = ("--balance", "USDT=500", "--fee-bps", "7.5", "--maker-fee-bps", "-1")
    key = ("--key-allows", "read,withdraw", "--key-any-ip", "--key-expires", "2030-01-01T00:00Z")
    async with serving(tmp_path, *SMALL, *options, *key) as child:
        client = child.client()
        try:
            await client.load_markets()
            balance = await client.fetch_balance()
            told = await client.sapi_get_account_apirestrictions()
        finally:
            await client.close()
        await child.end(signal.SIGTERM)
    async with serving(tmp_path, "--speed", "max") as child:
        client = child.client()
        try:
            await client.load_markets()
            fee = await client.fetch_trading_fee("BTC/USDT")
        finally:
            await client.close()
        await child.end(signal.SIGTERM)
    refused = await finished(await started(tmp_path, "--balance", "USDT=600"))

    assert (balance["total"]["USDT"], balance["total"]["BTC"]) == (500, 1)
    assert (told["enableWithdrawals"], told["enableSpotAndMarginTrading"]) == (True, False)
    assert (told["ipRestrict"], "tradingAuthorityExpirationTime" in told) == (False, True)
    assert (fee["taker"], fee["maker"]) == (0.00075, -0.0001)
    assert (refused[0], len(refused[2].splitlines())) == (78, 1)
    assert "began with 500 USDT" in refused[2]


async def test_perpetual_swaps_are_an_exchange_of_their_own_kind(tmp_path: Path) -> None:
    async with serving(tmp_path, *SMALL, "--kind", "swap", "--balance", "USDT=700") as child:
        client = ccxt_swap_client(
            child.endpoints, Credentials(child.ready["key"], child.ready["secret"])
        )
        try:
            await client.load_markets()
            balance = await client.fetch_balance()
            fee = await client.fetch_trading_fee("BTC/USDT:USDT")
        finally:
            await client.close()
        await child.end(signal.SIGTERM)
    refused = await finished(await started(tmp_path, "--kind", "spot"))

    assert child.ready["symbols"] == ["BTC/USDT:USDT", "ETH/USDT:USDT"]
    assert (balance["total"], fee["taker"], fee["maker"]) == ({"USDT": 700}, 0.0005, 0.0002)
    assert (refused[0], "--kind swap, not spot" in refused[2]) == (78, True)
