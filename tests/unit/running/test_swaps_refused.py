from decimal import Decimal

import pytest

from daemon.cli.markets import market_spec
from daemon.config import DataSection, Settings
from daemon.core.errors import LiveRefused, UsageRefused
from daemon.running.world.live_account import refuse_swaps
from daemon.store.runs import RunSpec

SPEC = RunSpec(
    run="r", created_ns=1, mode="paper", market="synthetic", symbols=("BTC/USDT:USDT",),
    timeframe="1h", seed=1, config_hash="h", bars=3,
)  # fmt: skip


def test_swaps_are_refused_live_with_what_to_do() -> None:
    with pytest.raises(LiveRefused) as refused:
        refuse_swaps(["ETH/USDT", "BTC/USDT:USDT"])

    assert refused.value.exit_code == 77
    assert str(refused.value) == (
        "BTC/USDT:USDT: swaps are not traded live; name spot (BTC/USDT), or run with --mode paper"
    )
    refuse_swaps(["ETH/USDT"])


def test_the_exchange_that_a_run_begins_has_spot_only_and_says_so() -> None:
    settings = Settings(data=DataSection(symbols=("BTC/USDT:USDT",)))
    assert settings.allotted == {"USDT": Decimal(10_000)}

    with pytest.raises(UsageRefused, match=r"has spot only, as BTC/USDT; a swap can be backtested"):
        market_spec(settings, SPEC, "embedded")
