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
        ("BTC/USD:BTC", "neither futures with a date nor contracts settled in their coin"),
        ("BTC/USDT:USDT-250328", "neither futures with a date nor contracts settled in their coin"),
        ("", "should be BASE/QUOTE in capitals"),
    ],
)
def test_a_symbol_is_base_slash_quote(symbol: str, ending: str) -> None:
    assert ending in refusal(data__symbols=(symbol,))


def test_a_swap_is_a_symbol_with_its_quote_behind_it() -> None:
    data = settings_with(data__symbols=("BTC/USDT:USDT",)).data

    assert (data.quotes, data.symbols) == (("USDT",), ("BTC/USDT:USDT",))


def test_no_more_may_be_held_than_the_leverage_gives() -> None:
    line = refusal(risk__max_gross_exposure_ratio=2.0)

    assert "is above risk.max_leverage (1): nobody lends the rest" in line
    settings_with(risk__max_gross_exposure_ratio=2.0, risk__max_leverage=2.0)


@pytest.mark.parametrize(
    ("changes", "key", "ending"),
    [
        ({"execution__stop_loss_ratio": 0.4}, "execution.stop_loss_ratio", "comes too late"),
        ({"risk__min_liquidation_distance_ratio": 0.4}, "risk.max_leverage", "is too much"),
    ],
)
def test_a_swap_must_live_longer_than_its_stop(
    changes: dict[str, Any], key: str, ending: str
) -> None:
    given = {"risk__max_leverage": 3.0} | changes

    line = refusal(data__symbols=("BTC/USDT:USDT",), **given)

    assert f"`{key}`" in line
    assert ending in line
    assert "taken away after a move of 0.3201 against it" in line
    settings_with(**given)  # without swaps it is nobody's concern


def test_symbols_are_named_once() -> None:
    assert refusal(data__symbols=("BTC/USDT", "BTC/USDT")).endswith("names a symbol twice")


SEVERAL = ("BTC/USDT", "ETH/BTC", "BTC/EUR")


def test_of_every_quote_currency_the_configuration_says_how_much_may_be_used() -> None:
    line = refusal(data__symbols=SEVERAL, risk__allotted={"EUR": 500})

    assert "`risk.allotted`" in line
    assert "says nothing of BTC, and symbols are priced in USDT, BTC, EUR" in line


def test_one_number_is_the_capital_of_one_currency_and_else_of_the_reporting_one() -> None:
    assert settings_with().allotted == {"USDT": 10_000}
    given = {"risk__allotted": "BTC=0.1,EUR=500", "risk__allotted_quote": 700}

    settings = settings_with(data__symbols=SEVERAL, **given)

    assert settings.reporting_currency == "USDT"
    assert settings.allotted == {"USDT": 700, "BTC": Decimal("0.1"), "EUR": 500}


def test_a_currency_that_is_not_a_quote_may_be_reported_in_where_symbols_lead_there() -> None:
    settings = settings_with(data__symbols=("BTC/USDT",), risk__reporting_currency="BTC")

    assert settings.reporting_currency == "BTC"
    assert settings.allotted == {"USDT": 10_000}
    line = refusal(data__symbols=("BTC/USDT",), risk__reporting_currency="EUR")
    assert "cannot be told of USDT: no symbol leads from there to EUR" in line


def test_capital_in_a_currency_that_nothing_is_priced_in_is_refused() -> None:
    assert "names BNB, in which no symbol is priced" in refusal(risk__allotted={"BNB": 1})


def test_quotes_that_nothing_connects_have_no_common_equity() -> None:
    line = refusal(data__symbols=("BTC/USDT", "ETH/EUR"), risk__allotted={"EUR": 500})

    assert "cannot be told of EUR: no symbol leads from there to USDT" in line


def test_shares_of_the_capital_are_for_every_symbol_and_no_more_than_there_is() -> None:
    symbols = ("BTC/USDT", "ETH/USDT")
    settings_with(data__symbols=symbols, risk__allocation="equal")
    settings_with(data__symbols=symbols, risk__allocation="BTC/USDT=0.7,ETH/USDT=0.3")

    assert "gives nothing to ETH/USDT" in refusal(risk__allocation={"BTC/USDT": 0.7})
    assert "gives away 1.1 of the capital" in refusal(
        risk__allocation={"BTC/USDT": 0.7, "ETH/USDT": 0.4}
    )
    assert "SOL/USDT, which is not traded" in refusal(
        risk__allocation={"BTC/USDT": 0.2, "ETH/USDT": 0.2, "SOL/USDT": 0.2}
    )


def test_the_coin_that_fees_are_taken_in_is_not_traded_unless_asked_for() -> None:
    symbols = ("BNB/USDT", "BTC/USDT")

    assert "binance may take its fees in BNB" in refusal(
        data__exchange="binance", data__symbols=symbols
    )
    settings_with(data__exchange="binance", data__symbols=symbols, risk__trade_fee_asset=True)
    settings_with(data__exchange="kraken", data__symbols=symbols)


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


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("half", "`risk.allocation` = 'half': should be 'shared' or 'equal'"),
        (3, "`risk.allocation` = 3: should be 'shared' or 'equal'"),
        ({"BTC/USDT": 10}, "`risk.allocation.BTC/USDT` = 10: should be less than or equal to 1"),
    ],
)
def test_a_wrong_allocation_is_one_line_without_the_library_s_own_words(
    value: object, said: str
) -> None:
    assert said in refusal(risk__allocation=value)


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        (((0, 10),), "rows of volume_quote, maker_bps, taker_bps"),
        (((100, 1, 2), (50, 1, 2)), "rise from row to row"),
        (((-1, 1, 2),), "begin at a volume of 0 or more"),
        (((0, 1, 20_000),), "a fee above 10000 bps"),
    ],
)
def test_fee_tiers_that_are_no_rising_rows_of_fees_are_refused(tiers: object, said: str) -> None:
    assert said in refusal(execution__fee_tiers=tiers)


def test_fees_by_exchange_may_be_said_as_text_and_are_a_table_otherwise() -> None:
    assert settings_with(execution__fee_bps_on="okx=8").execution.fee_bps_on == {"okx": 8.0}
    assert "should be a table" in refusal(execution__fee_bps_on=3)
