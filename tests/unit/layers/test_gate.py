import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.bars import Bar, BarQuality, BarRejectReason, BarSource, RawBar
from daemon.layers.ingestion.gate import RAW_TEXT_MAX, Refusal, accept, same_numbers, told
from tests.unit.layers.candles import BTC, HOUR_NS, a_bar, a_raw, open_of

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.decimals(),
    st.lists(st.integers(), max_size=2),
    st.sampled_from([1_709_251_200_000, "100.5", "1e400", "1_000", "NaN", Decimal("sNaN")]),
)


def judged(
    raw: RawBar, previous: Bar | None = None, *, now_ns: int = open_of(100), grace_ns: int = 0
) -> Bar | Refusal:
    return accept(
        raw,
        previous,
        instrument=BTC,
        timeframe_ns=HOUR_NS,
        now_ns=now_ns,
        source=BarSource.STREAM,
        grace_ns=grace_ns,
    )


def reason_of(raw: RawBar, previous: Bar | None = None, **clock: int) -> BarRejectReason:
    result = judged(raw, previous, **clock)
    assert isinstance(result, Refusal)
    assert result.detail
    return result.reason


def test_a_sound_candle_becomes_a_bar_with_both_its_times() -> None:
    bar = judged(a_raw(3, close=100.25, volume=7.0), now_ns=open_of(4))

    assert bar == Bar(
        instrument=BTC,
        open_ns=open_of(3),
        close_ns=open_of(4),
        open=100.0,
        high=101.0,
        low=99.0,
        close=100.25,
        volume=7.0,
        received_ns=open_of(4),
        source=BarSource.STREAM,
        is_final=False,
    )


def test_text_and_decimal_numbers_give_the_same_bar_as_floats() -> None:
    texts = a_raw(0, "100.5", open="100.0", high="101", low=Decimal("99.0"), volume="7.00000000")

    assert judged(texts) == judged(a_raw(0))


def test_whole_ms_as_a_float_are_whole_ms() -> None:
    assert judged(a_raw(0, open_ms=float(open_of(0) // 1_000_000))) == judged(a_raw(0))


def test_a_candle_without_volume_is_believed_and_marked() -> None:
    bar = judged(a_raw(0, 100.0, high=100.0, low=100.0, volume="0.00000000"))

    assert isinstance(bar, Bar)
    assert bar.quality is BarQuality.NO_TRADES


@pytest.mark.parametrize("close", [None, True, "abc", "", "1_000", [100.5], object()])
def test_what_is_no_number_is_malformed(close: object) -> None:
    assert reason_of(a_raw(0, close)) is BarRejectReason.MALFORMED


@pytest.mark.parametrize(
    "close",
    [math.nan, math.inf, "nan", "-Infinity", "1e400", 10**400, Decimal("NaN"), Decimal("sNaN")],
)
def test_nan_and_infinity_are_not_finite(close: object) -> None:
    assert reason_of(a_raw(0, close)) is BarRejectReason.NOT_FINITE


@pytest.mark.parametrize("price", [0, 0.0, -1, "-0.01"])
def test_a_price_must_be_positive(price: object) -> None:
    assert reason_of(a_raw(0, low=price)) is BarRejectReason.NOT_POSITIVE


def test_volume_may_not_be_negative() -> None:
    assert reason_of(a_raw(0, volume=-0.001)) is BarRejectReason.NOT_POSITIVE


@pytest.mark.parametrize(
    "raw", [a_raw(0, 101.5), a_raw(0, 98.0), a_raw(0, open=101.5), a_raw(0, high=98.0)]
)
def test_open_and_close_must_lie_between_low_and_high(raw: RawBar) -> None:
    assert reason_of(raw) is BarRejectReason.INCONSISTENT


@pytest.mark.parametrize("open_ms", [None, "1709251200000", 1709251200000.5, True, -1, math.nan])
def test_an_open_time_is_whole_ms(open_ms: object) -> None:
    raw = RawBar(open_ms, 100.0, 101.0, 99.0, 100.5, 7.0)

    assert reason_of(raw) is BarRejectReason.MALFORMED


def test_an_open_time_off_the_grid_is_refused_and_the_unit_it_seems_to_be_is_named() -> None:
    in_ms = open_of(0) // 1_000_000
    late = judged(a_raw(0, open_ms=in_ms + 60_000))
    seconds = judged(a_raw(0, open_ms=in_ms // 1_000))
    microseconds = judged(a_raw(0, open_ms=in_ms * 1_000))

    assert late == Refusal(
        BarRejectReason.OFF_GRID, f"open time {in_ms + 60_000} is 60000 ms off the grid"
    )
    assert isinstance(seconds, Refusal)
    assert "looks like s" in seconds.detail
    assert isinstance(microseconds, Refusal)
    assert "looks like us" in microseconds.detail


def test_a_candle_is_closed_from_its_close_time_on_and_not_a_ms_earlier() -> None:
    raw, close_ns = a_raw(5), open_of(6)

    assert isinstance(judged(raw, now_ns=close_ns), Bar)
    assert reason_of(raw, now_ns=close_ns - 1_000_000) is BarRejectReason.IN_FUTURE
    assert isinstance(judged(raw, now_ns=close_ns - 1_000_000, grace_ns=1_000_000), Bar)


def test_the_same_slot_again_is_a_duplicate_or_a_conflict() -> None:
    assert reason_of(a_raw(5), a_bar(5)) is BarRejectReason.DUPLICATE
    assert reason_of(a_raw(5, 100.6), a_bar(5)) is BarRejectReason.CONFLICTING


def test_an_older_slot_is_out_of_order() -> None:
    assert reason_of(a_raw(4), a_bar(5)) is BarRejectReason.OUT_OF_ORDER


def test_a_later_slot_is_accepted_whatever_lies_between() -> None:
    assert isinstance(judged(a_raw(9), a_bar(5)), Bar)


def test_a_bar_is_final_when_its_flag_or_history_says_so() -> None:
    flagged, unflagged = judged(a_raw(3, is_closed=True)), judged(a_raw(3))
    told_later = accept(
        a_raw(3),
        None,
        instrument=BTC,
        timeframe_ns=HOUR_NS,
        now_ns=open_of(9),
        source=BarSource.BACKFILL,
    )

    finals = [each.is_final for each in (flagged, unflagged, told_later) if isinstance(each, Bar)]
    assert finals == [True, False, True]


def test_what_is_kept_of_a_refused_candle_stays_short() -> None:
    text = told(RawBar("x" * 5_000, None, 1, 2, 3, 4))

    assert text.startswith('["xxx')
    assert len(text) == RAW_TEXT_MAX


def test_a_candle_is_told_as_json_whatever_is_in_it() -> None:
    raw = RawBar(1_584_007_200_000, 3.817, math.nan, Decimal("0.10"), None, True)

    assert json.loads(told(raw)) == [1_584_007_200_000, 3.817, "nan", "Decimal('0.10')", None, True]


@given(st.tuples(*[ANYTHING] * 6))
def test_whatever_comes_a_bar_is_sound_or_there_is_a_reason(fields: tuple[object, ...]) -> None:
    open_ms, open_, high, low, close, volume = fields
    result = judged(RawBar(open_ms, open_, high, low, close, volume))

    if isinstance(result, Bar):
        prices = (result.open, result.high, result.low, result.close)
        assert all(math.isfinite(each) and each > 0 for each in prices)
        assert result.low <= min(prices)
        assert result.high >= max(prices)
        assert 0 <= result.volume < math.inf
        assert result.open_ns % HOUR_NS == 0
        assert result.close_ns <= open_of(100)
    else:
        assert isinstance(result, Refusal)


@given(st.integers(0, 50), st.integers(0, 50))
def test_accepted_bars_of_one_instrument_go_forward(first: int, second: int) -> None:
    before = judged(a_raw(first))
    assert isinstance(before, Bar)
    after = judged(a_raw(second), before)

    assert isinstance(after, Bar) == (second > first)


def test_same_numbers_ignores_who_told_and_when() -> None:
    assert same_numbers(a_bar(1), a_bar(1))
    assert not same_numbers(a_bar(1), a_bar(1, 100.6))
