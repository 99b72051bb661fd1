from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from daemon.embedded.recorded import RecordedMarket
from daemon.store.recordings import read_recording

HOUR_MS = 3_600_000
START_MS = 1_529_798_400_000  # 2018-06-24T00:00Z
DATA = Path(__file__).parents[4] / "shared" / "data"

Row = tuple[int, float, float, float, float, float]
OFF_GRID: Row = (START_MS + 7, 1.0, 1.0, 1.0, 1.0, 1.0)


def a_row(slot: int, close: float = 100.5, volume: float = 2.5) -> Row:
    return START_MS + slot * HOUR_MS, 100.25, 101.75, 99.5, close, volume


def some_rows(slots: Sequence[int]) -> list[Row]:
    return [a_row(slot) for slot in slots]


def a_market(rows: Sequence[Row] | None = None, **changes: object) -> RecordedMarket:
    rows = some_rows(range(20)) if rows is None else rows
    return RecordedMarket({"BTC/USDT": rows}, **changes)  # type: ignore[arg-type]


def real_rows(name: str) -> list[Row]:
    path = DATA / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"the recording {path.name} is not beside this checkout")
    return read_recording(path)


def test_a_missing_slot_is_a_hole_and_the_slots_around_it_are_not() -> None:
    market = a_market(some_rows([0, 1, 2, 5, 6]))

    there = [market.bar("BTCUSDT", START_MS + slot * HOUR_MS) is not None for slot in range(7)]

    assert there == [True, True, True, False, False, True, True]
    assert market.path("BTCUSDT", START_MS + 3 * HOUR_MS) == ()
    stamps = [bar.open_ms for bar in market.bars("BTCUSDT", START_MS, START_MS + 6 * HOUR_MS, 4)]
    assert stamps == [START_MS + slot * HOUR_MS for slot in (0, 1, 2, 5)]


def test_bars_hold_the_numbers_of_the_file_exactly() -> None:
    bar = a_market([a_row(0, volume=1.23456789), a_row(1)]).bar("BTCUSDT", START_MS)

    assert bar is not None
    assert (bar.open, bar.high) == (Decimal("100.25"), Decimal("101.75"))
    assert (bar.low, bar.close) == (Decimal("99.50"), Decimal("100.50"))
    assert bar.volume == Decimal("1.23456789")
    assert bar.trades == 1


def test_the_path_inside_a_recorded_bar_is_open_high_low_close() -> None:
    path = a_market().path("BTCUSDT", START_MS)

    assert [float(price) for price in path] == [100.25, 101.75, 99.5, 100.5]


def test_nobody_trades_in_a_bar_without_volume() -> None:
    bar = a_market([a_row(0, volume=0.0), a_row(1)]).bar("BTCUSDT", START_MS)

    assert bar is not None
    assert (bar.volume, bar.trades) == (Decimal(0), 0)


def test_the_timeframe_is_the_commonest_spacing_and_holes_do_not_change_it() -> None:
    assert a_market(some_rows([0, 1, 4, 5, 8, 9])).timeframe_ms == HOUR_MS
    assert a_market(some_rows([0, 2, 6, 8])).timeframe_ms == 2 * HOUR_MS
    assert a_market(some_rows([0]), timeframe_ms=HOUR_MS).end_ms == START_MS + HOUR_MS


def test_without_from_the_stream_starts_after_the_history() -> None:
    market = a_market(history_bars=12, name="btc.csv.gz")

    assert market.first_open_ms == START_MS
    assert market.from_ms == START_MS + 12 * HOUR_MS
    assert market.end_ms == START_MS + 20 * HOUR_MS
    assert market.label == "REPLAY btc.csv.gz"


def test_with_from_all_that_came_before_is_history() -> None:
    market = a_market(from_ms=START_MS + 15 * HOUR_MS, history_bars=12)

    assert (market.first_open_ms, market.from_ms) == (START_MS, START_MS + 15 * HOUR_MS)


def test_identical_duplicates_and_disorder_change_nothing() -> None:
    rows = some_rows(range(20))

    shuffled = a_market([*rows[::-1], rows[3], rows[3]])

    assert shuffled.fingerprint == a_market(rows).fingerprint
    assert shuffled.bars("BTCUSDT", 0, 2**62, 99) == a_market(rows).bars("BTCUSDT", 0, 2**62, 99)


def test_the_fingerprint_is_of_the_rows_and_not_of_the_stream_start() -> None:
    prints = [
        a_market().fingerprint,
        a_market([*some_rows(range(19)), a_row(19, close=100.51)]).fingerprint,
        a_market(some_rows(range(0, 40, 2))).fingerprint,
    ]

    assert len(set(prints)) == 3
    assert a_market(history_bars=3, name="other").fingerprint == prints[0]
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in prints)


def test_several_symbols_span_the_time_they_share() -> None:
    market = RecordedMarket(
        {"BTC/USDT": some_rows(range(20)), "ETH/USDT": some_rows(range(5, 15))}, history_bars=2
    )

    assert market.first_open_ms == START_MS + 5 * HOUR_MS
    assert market.from_ms == START_MS + 7 * HOUR_MS
    assert market.end_ms == START_MS + 15 * HOUR_MS
    assert market.bar("BTCUSDT", START_MS + 4 * HOUR_MS) is None
    assert market.bar("BTCUSDT", START_MS + 15 * HOUR_MS) is None
    assert len(market.bars("BTCUSDT", 0, 2**62, 99)) == 10


def test_tick_and_lot_come_from_the_decimals_of_the_file() -> None:
    coarse = a_market(
        [(START_MS + slot * HOUR_MS, 900.0, 901.0, 899.0, 900.0, 3.0) for slot in (0, 1)]
    )
    fine = a_market(
        [(START_MS + slot * HOUR_MS, 0.0014, 0.00141, 0.0014, 0.0014, 30.0) for slot in (0, 1)]
    )
    finest = a_market([a_row(0, close=100.123456789123), a_row(1)])

    assert coarse.symbols["BTCUSDT"].tick == Decimal("0.01")
    # One lot is worth at most a fifth of the smallest order, however volumes were rounded.
    assert coarse.symbols["BTCUSDT"].lot == Decimal("0.001")
    assert fine.symbols["BTCUSDT"].tick == Decimal("0.0000001")
    assert fine.symbols["BTCUSDT"].lot == 1
    assert finest.symbols["BTCUSDT"].tick == Decimal("0.00000001")


def test_the_book_stands_around_the_price_and_is_thin_where_little_trades() -> None:
    busy = a_market([a_row(slot, volume=900_000.0) for slot in range(20)])
    quiet = a_market([a_row(slot, volume=9.0) for slot in range(20)])
    price = Decimal("100.50")

    full = busy.book("BTCUSDT", price, START_MS)
    thin = quiet.book("BTCUSDT", price, START_MS)

    assert full == busy.book("BTCUSDT", price, START_MS)
    assert full != busy.book("BTCUSDT", price, START_MS + HOUR_MS)
    assert full.bids[0][0] <= price <= full.asks[0][0]
    depths = [sum(level * quantity for level, quantity in book.asks[:10]) for book in (full, thin)]
    assert depths[0] > 80_000
    assert depths[1] < 1_000


@pytest.mark.parametrize(
    ("rows", "changes", "says"),
    [
        ([], {}, "no bars of BTC/USDT"),
        ([a_row(0)], {}, "one bar has no spacing"),
        ([a_row(0), *(a_row(1, 100 + at) for at in range(3))], {}, "2 duplicate .*-06-24T01:00"),
        ([*some_rows(range(5)), OFF_GRID], {}, "1 rows off the grid.*00.007Z"),
        ([a_row(0), a_row(1, close=float("nan"))], {}, "1 rows without positive prices"),
        ([a_row(0), a_row(1, close=0.0)], {}, "1 rows without positive prices"),
        ([a_row(0), a_row(1, volume=-1.0)], {}, "1 rows without positive prices and a volume"),
        (None, {"from_ms": START_MS - HOUR_MS}, "FROM 2018-06-23T23:00:00.000Z lies outside"),
        (None, {"from_ms": START_MS + 20 * HOUR_MS}, "lies outside"),
        (None, {"from_ms": START_MS + 90}, "no bar's open"),
        (None, {"history_bars": 20}, "20 slots: expected more than the 20 of history"),
        (None, {"history_bars": 5, "from_ms": START_MS + HOUR_MS}, "leaves 1 slots of history"),
    ],
)  # fmt: skip
def test_what_cannot_be_replayed_is_refused_in_one_line(
    rows: list[Row] | None, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        a_market(rows, name="btc.csv", **changes)

    assert str(refused.value).startswith("btc.csv: ")
    assert "\n" not in str(refused.value)


def test_a_volume_too_large_for_eight_exact_decimals_keeps_fewer() -> None:
    market = a_market([a_row(0, volume=95_000_000.12345678), a_row(1)])

    bar = market.bar("BTCUSDT", START_MS)

    assert bar is not None
    assert float(bar.volume) == pytest.approx(95_000_000.12345678, abs=1e-7)
    assert market.symbols["BTCUSDT"].lot == Decimal("0.0000001")


def test_symbols_without_common_time_or_without_rows_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="no time in common"):
        RecordedMarket({"BTC/USDT": some_rows([0, 1]), "ETH/USDT": some_rows([2, 3])})
    with pytest.raises(ValueError, match="share one venue id"):
        RecordedMarket({"AB/CD": some_rows([0, 1]), "ABC/D": some_rows([0, 1])})
    with pytest.raises(ValueError, match="no symbol"):
        RecordedMarket({})


def test_the_outages_of_the_real_recording_are_three_holes_of_eighteen_slots() -> None:
    rows = real_rows("BTCUSDT-1h-nic")

    market = a_market(rows, from_ms=START_MS, history_bars=5_000)
    slots = range(START_MS, START_MS + 500 * HOUR_MS, HOUR_MS)
    missing = [market.bar("BTCUSDT", slot) is None for slot in slots]
    runs = sum(
        here and not before for before, here in zip([False, *missing], missing, strict=False)
    )

    assert (sum(missing), runs) == (18, 3)
    assert market.symbols["BTCUSDT"].tick == Decimal("0.01")
    by_stamp = {row[0]: row for row in rows}
    for bar in market.bars("BTCUSDT", slots[0], slots[-1], 500):
        recorded = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        assert tuple(map(float, recorded)) == by_stamp[bar.open_ms][1:]


def test_the_real_conflicting_duplicates_are_counted_and_refused() -> None:
    with pytest.raises(ValueError, match=r"2649 duplicate stamps .* 2020-08-01T23:00:00.000Z"):
        a_market(real_rows("BTCUSDT-1h-cddsiah"))
