"""Live mode attached to an exchange that somebody else runs: its key is checked, hidden, used."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.e2e.command import LIVE, Tradingd, an_exchange

if TYPE_CHECKING:
    from pathlib import Path


def test_a_live_run_on_loopback_needs_no_arming_trades_and_keeps_its_key_to_itself(
    tmp_path: Path,
) -> None:
    with an_exchange(tmp_path, "--speed", "max") as ready:
        tradingd = Tradingd(tmp_path, LIVE).use(ready)
        done = tradingd.command(
            *("run", "--mode", "live", "--exchange-url", ready["rest"], "--bars", "60")
        )
        orders = tradingd.command("export", "orders", "--run", "last", "--json")

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["exchange"] for each in lines if each["event"] == "key.checked"] == ["embedded"]
    finished = lines[-1]
    assert (finished["event"], finished["mode"]) == ("run.finished", "live")
    assert finished["orders"] > 0
    stops = [each for each in json.loads(orders.stdout)["orders"] if each["leg"] == "stop"]
    assert stops
    assert all(each["order_type"] == "stop" and each["stop_price"] for each in stops)
    said = f"{done.stdout}{done.stderr}{orders.stdout}".encode()
    kept = [path.read_bytes() for path in tradingd.state.rglob("*") if path.is_file()]
    for secret in (ready["key"].encode(), ready["secret"].encode()):
        assert not any(secret in each for each in (said, *kept))


def test_a_live_run_with_a_key_that_may_withdraw_ends_in_one_line_before_anything_is_traded(
    tmp_path: Path,
) -> None:
    with an_exchange(tmp_path, "--speed", "max", "--key-allows", "read,trade,withdraw") as ready:
        done = (
            Tradingd(tmp_path, LIVE)
            .use(ready)
            .command(*("run", "--mode", "live", "--exchange-url", ready["rest"]), code=77)
        )

    assert len(done.stderr.splitlines()) == 1
    assert "may move money out (enableWithdrawals)" in done.stderr
    assert done.stdout == ""
    assert ready["secret"] not in done.stderr


def test_a_shadow_run_trades_on_paper_beside_the_account_and_nothing_reaches_the_exchange(
    tmp_path: Path,
) -> None:
    with an_exchange(tmp_path, "--speed", "max", "--key-allows", "read") as ready:
        tradingd = Tradingd(tmp_path, LIVE).use(ready)
        lines = tradingd.run(*("--mode", "shadow", "--exchange-url", ready["rest"], "--bars", "60"))
        with urllib.request.urlopen(f"{ready['rest']}/embedded/ledger") as reply:
            ledger = json.load(reply)

    finished = lines[-1]
    assert (finished["event"], finished["mode"]) == ("run.finished", "shadow")
    assert finished["orders"] > 0
    assert finished["fills"] > 0
    assert (ledger["orders"], ledger["fills"]) == ([], [])
    (folder,) = (tradingd.state / "runs").glob("2*")
    noted = [
        json.loads(each) for each in (folder / "would_have_sent.jsonl").read_text().splitlines()
    ]
    assert sum(each["what"] == "place" for each in noted) == finished["orders"]
    assert tradingd.query("parity")["identical"]
    refused = tradingd.command("reconcile", code=2)
    assert "sent nothing to anybody" in refused.stderr


@pytest.mark.parametrize("options", [(), ("--accept-unverified-key-scope",)])
def test_live_on_a_real_exchange_that_is_not_armed_ends_in_one_line_with_what_to_do(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Nothing is asked of the exchange: what is missing is known here."""
    tradingd = Tradingd(tmp_path)
    tradingd.environment |= {
        f"TRADINGD__EXCHANGE__{each}": f"canary-{each}" for each in ("API_KEY", "API_SECRET")
    }
    done = tradingd.command("run", "--mode", "live", "--market", "binanceus", *options, code=77)

    (line,) = done.stderr.splitlines()
    assert "live trading on binanceus is not armed: paper_days is no day, and has to be 30" in line
    assert "`tradingd golive status` lists them" in line
    assert "canary" not in done.stderr
