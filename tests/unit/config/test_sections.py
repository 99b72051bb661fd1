from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import ConfigRefused, Settings, load, warnings_for
from daemon.config.exchanges import exchange_ids
from daemon.config.values import TIMEFRAMES
from daemon.core.timeframes import timeframe_ns


def settings_with(**overrides: Any) -> Settings:
    return load(None, {key.replace("__", "."): each for key, each in overrides.items()}, {})


def refusal(**overrides: Any) -> str:
    with pytest.raises(ConfigRefused) as caught:
        settings_with(**overrides)
    (line,) = caught.value.lines
    return line


def test_one_position_may_not_break_the_cap_of_all() -> None:
    line = refusal(risk__max_position_ratio=0.4)

    assert line == (
        "command line: error: `risk.max_position_ratio` = 0.4: is above "
        "risk.max_gross_exposure_ratio (0.3): one position breaks both"
    )


def test_a_default_that_contradicts_a_given_value_is_shown_as_a_default() -> None:
    line = refusal(risk__max_gross_exposure_ratio=0.05)

    assert line.startswith("settings: error: `risk.max_position_ratio` = 0.1 (default): is above")


def test_history_must_fill_every_fold() -> None:
    needed = Settings.model_construct().history_needed_bars

    settings_with(data__history_bars=needed)
    line = refusal(data__history_bars=needed - 1)

    assert f"these features, folds and leaves need {needed}" in line


def test_the_shipped_default_has_much_more_history_than_it_needs() -> None:
    settings = Settings.model_construct()

    assert settings.data.history_bars > 10 * settings.history_needed_bars


def test_the_lookback_covers_every_window_and_lag() -> None:
    settings = settings_with(features__lags=(1, 200))

    assert settings.features.longest_bars > 200


def test_lags_ascend_without_repeats() -> None:
    assert refusal(features__lags=(1, 1)).endswith("should ascend, each lag once")
    assert refusal(features__lags=(3, 2)).endswith("should ascend, each lag once")
    assert "at least 1 item" in refusal(features__lags=())
    assert "`features.lags` = -1" in refusal(features__lags=(-1,))


def test_the_auc_window_must_be_able_to_hold_the_minimum() -> None:
    assert "`health.min_resolved` = 200: is above health.window_outcomes (100)" in refusal(
        health__min_resolved=200, health__window_outcomes=100
    ).replace("command line: error: ", "")


@pytest.mark.parametrize(
    ("symbol", "ending"),
    [
        ("BTCUSDT", "did you mean 'BTC/USDT'?"),
        ("btc/usdt", "did you mean 'BTC/USDT'?"),
        ("BTC-USDT", "did you mean 'BTC/USDT'?"),
        ("BTC/USDT:USDT", "only spot symbols can be traded"),
        ("", "should be BASE/QUOTE in capitals"),
    ],
)
def test_a_symbol_is_base_slash_quote(symbol: str, ending: str) -> None:
    assert refusal(data__symbols=(symbol,)).endswith(ending)


def test_symbols_are_named_once_and_share_a_quote() -> None:
    assert refusal(data__symbols=("BTC/USDT", "BTC/USDT")).endswith("names a symbol twice")
    assert "mixes quote currencies (EUR, USDT)" in refusal(data__symbols=("BTC/USDT", "ETH/EUR"))


@pytest.mark.parametrize("timeframe", ["1min", "7m", "1M", "1w", "", "h", "0h"])
def test_a_timeframe_has_a_fixed_length_on_the_grid(timeframe: str) -> None:
    assert "`data.timeframe`" in refusal(data__timeframe=timeframe)


def test_every_known_timeframe_divides_the_day() -> None:
    assert all(timeframe_ns("1d") % timeframe_ns(each) == 0 for each in TIMEFRAMES)


def test_an_exchange_is_one_that_ccxt_knows() -> None:
    assert settings_with(data__exchange="binance").data.exchange == "binance"
    assert "embedded" in exchange_ids()
    assert refusal(data__exchange="binace").endswith("did you mean 'binance'?")


def test_an_exchange_may_have_a_label_by_which_a_second_account_is_told_apart() -> None:
    assert settings_with(data__exchange="kraken-b").data.exchange == "kraken-b"
    assert settings_with(data__exchange="embedded-b").data.is_embedded
    assert refusal(data__exchange="kraken-").endswith("letters and digits, at most 16")
    assert refusal(data__exchange="krakn-b").endswith("did you mean 'kraken'?")


def test_further_exchanges_have_symbols_of_their_own_or_those_of_the_first() -> None:
    data = settings_with(data__exchange="binance", data__also=("okx=BTC/USDT", "kraken-b")).data

    assert data.by_exchange == {
        "binance": ("BTC/USDT", "ETH/USDT"),
        "okx": ("BTC/USDT",),
        "kraken-b": ("BTC/USDT", "ETH/USDT"),
    }


@pytest.mark.parametrize(
    ("also", "ending"),
    [
        ("krakn", "is no exchange that the installed ccxt knows; did you mean 'kraken'?"),
        ("okx=BTC/EUR", "mixes quote currencies (EUR, USDT); the allotted capital has one"),
        ("okx=BTC/USDT,BTC/USDT", "names a symbol twice"),
        ("okx=btcusdt", "should be BASE/QUOTE in capitals; did you mean 'BTC/USDT'?"),
        ("okx;okx=BTC/USDT", "names okx twice"),
        ("binance", "is data.exchange already; a second one of its kind is 'binance-b'"),
        ("embedded-b", "cannot run beside binance: a market in the box has its own time"),
    ],
)
def test_exchanges_that_cannot_run_together_are_refused_in_one_line(also: str, ending: str) -> None:
    assert refusal(data__exchange="binance", data__also=also).endswith(ending)


def test_a_real_exchange_cannot_run_beside_the_one_in_the_box() -> None:
    assert "cannot run beside embedded" in refusal(data__also="okx")


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_ratio_lies_between_zero_and_one(value: float) -> None:
    is_share = 0 < value <= 1

    if is_share:
        assert settings_with(risk__kelly_ratio=value).risk.kelly_ratio == value
    else:
        assert "`risk.kelly_ratio`" in refusal(risk__kelly_ratio=value)


def test_capital_too_small_for_the_smallest_order_is_warned_of() -> None:
    small = settings_with(risk__allotted_quote=45)

    (line,) = warnings_for(small, Decimal(5))

    assert line == (
        "risk.allotted_quote x risk.max_position_ratio is 4.5 USDT, "
        "under the smallest order of 5 USDT: nothing can be traded"
    )


def test_capital_that_is_nearly_too_small_is_warned_of() -> None:
    (line,) = warnings_for(settings_with(risk__allotted_quote=99), Decimal(5))

    assert line.endswith("most signals will be too small to trade")


def test_an_order_cap_under_the_smallest_order_is_warned_of() -> None:
    (line,) = warnings_for(settings_with(risk__max_order_notional_quote=4), Decimal(5))

    assert line.startswith("risk.max_order_notional_quote is 4 USDT, under")


def test_trading_that_is_assumed_free_is_warned_of() -> None:
    (line,) = warnings_for(settings_with(execution__fee_bps=0), Decimal(5))

    assert line.endswith("results will look better than they are")


def test_the_defaults_need_no_warning() -> None:
    assert warnings_for(Settings.model_construct(), Decimal(10)) == []


def test_finer_bars_have_to_make_whole_ones() -> None:
    settings = settings_with(data__source_timeframe="5m", data__timeframe="15m")

    assert (settings.data.fetched_timeframe, settings.data.parts_per_bar) == ("5m", 3)
    assert settings_with().data.fetched_timeframe == "1h"
    assert "should divide 1h into whole parts" in refusal(data__source_timeframe="2h")
    assert "should be one of" in refusal(data__source_timeframe="7m")


def test_more_history_than_can_be_fetched_is_refused() -> None:
    line = refusal(data__source_timeframe="1s", data__timeframe="1h")

    assert "makes 8760 bars of history 31536000 to fetch" in line
