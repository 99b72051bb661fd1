import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.bars import Bar, BarQuality, MissCause, ZeroVolume
from daemon.core.events import (
    BarRevised,
    BarsClosed,
    BarsMissed,
    FeatureRows,
    FeaturesRefusedReason,
    HistoryLoaded,
)
from daemon.core.ids import trace_for
from daemon.core.instruments import InstrumentId
from daemon.layers.features.catalog import reference_features
from daemon.layers.features.handler import Features
from daemon.layers.features.matrix import feature_matrix
from tests.unit.layers.walks import BTC, ETH, HOUR_NS, Array, a_bar, a_walk

HOURLY = reference_features("1h")
WALK = a_walk(80)


def a_layer(zero_volume: ZeroVolume = ZeroVolume.ACCEPT) -> Features:
    return Features(HOURLY, (BTC, ETH), timeframe="1h", zero_volume=zero_volume)


def answer(features: Features, *bars: Bar) -> FeatureRows:
    """What a step with these bars gives: applied first, then decided on, as the pipeline does."""
    event = BarsClosed(ts_ns=bars[0].close_ns, bars=bars)
    features.apply_bars_closed(event)
    (rows,) = features.on_bars_closed(event)
    return rows


def reasons(rows: FeatureRows) -> list[FeaturesRefusedReason]:
    return [each.reason for each in rows.refused]


def load(features: Features, slots: range, walk: Array = WALK) -> None:
    bars = tuple(a_bar(slot, walk[slot]) for slot in slots)
    features.apply_history_loaded(HistoryLoaded(ts_ns=bars[-1].close_ns, bars=bars))


def missed(first_slot: int, count: int, cause: MissCause = MissCause.OUTAGE) -> BarsMissed:
    return BarsMissed(
        ts_ns=(first_slot + count) * HOUR_NS,
        instrument=BTC,
        first_open_ns=first_slot * HOUR_NS,
        count=count,
        cause=cause,
    )


def the_row(walk: Array, slot: int) -> tuple[float, ...]:
    return tuple(feature_matrix(HOURLY, walk[slot - 19 : slot + 1])[0].tolist())


def test_the_first_19_bars_warm_up_and_the_20th_gives_a_row() -> None:
    features = a_layer()

    answers = [answer(features, a_bar(slot, WALK[slot])) for slot in range(20)]

    assert [reasons(each) for each in answers[:19]] == [[FeaturesRefusedReason.WARMING_UP]] * 19
    assert answers[19].refused == ()
    assert answers[19].rows[0].values == the_row(WALK, 19)


def test_a_row_says_which_bar_and_which_features_it_is_of() -> None:
    features = a_layer()
    load(features, range(19))
    bar = a_bar(19, WALK[19])

    rows = answer(features, bar)

    (row,) = rows.rows
    assert rows.ts_ns == bar.close_ns
    assert rows.fingerprint == HOURLY.fingerprint
    assert row.instrument == BTC
    assert row.trace == trace_for(BTC, "1h", bar.close_ns)
    assert (row.close_ns, row.received_ns, row.close) == (bar.close_ns, bar.received_ns, bar.close)


def test_a_refusal_says_which_bar_it_is_of() -> None:
    features = a_layer()
    bar = a_bar(0, WALK[0])

    (refusal,) = answer(features, bar).refused

    assert refusal.instrument == BTC
    assert refusal.trace == trace_for(BTC, "1h", bar.close_ns)
    assert refusal.close_ns == bar.close_ns


def test_history_warms_up_without_an_answer() -> None:
    features = a_layer()
    load(features, range(30))

    rows = answer(features, a_bar(30, WALK[30]))

    assert rows.rows[0].values == the_row(WALK, 30)


def test_history_that_overlaps_what_is_known_changes_nothing() -> None:
    features = a_layer()
    load(features, range(25))
    load(features, range(10, 30), walk=2.0 * WALK)
    expected = WALK.copy()
    expected[25:30] *= 2.0

    rows = answer(features, a_bar(30, WALK[30]))

    assert rows.rows[0].values == the_row(expected, 30)


def test_a_cross_section_has_one_answer_for_every_bar_in_it() -> None:
    features = a_layer()
    other = a_walk(80, seed=2)
    load(features, range(20))
    for slot in range(10, 20):
        answer(features, a_bar(slot, other[slot], ETH))

    early = answer(features, a_bar(20, WALK[20]), a_bar(20, other[20], ETH))
    for slot in range(21, 30):
        late = answer(features, a_bar(slot, WALK[slot]), a_bar(slot, other[slot], ETH))

    assert [row.instrument for row in early.rows] == [BTC]
    assert [refusal.instrument for refusal in early.refused] == [ETH]
    assert [row.instrument for row in late.rows] == [BTC, ETH]
    assert late.rows[0].values == the_row(WALK, 29)
    assert late.rows[1].values == the_row(other, 29)


def test_a_bar_of_an_instrument_nobody_named_is_a_mistake() -> None:
    stranger = a_bar(0, WALK[0], InstrumentId("embedded", "DOGE/USDT"))

    with pytest.raises(KeyError):
        answer(a_layer(), stranger)


def test_a_jump_in_time_gives_no_row_until_the_window_lies_behind_it() -> None:
    features = a_layer()
    load(features, range(30))

    answers = [answer(features, a_bar(slot, WALK[slot])) for slot in range(31, 51)]

    hole = [FeaturesRefusedReason.WINDOW_HAS_HOLE]
    assert [reasons(each) for each in answers] == [hole] * 19 + [[]]
    assert answers[-1].rows[0].values == the_row(WALK, 50)


@pytest.mark.parametrize("cause", MissCause)
def test_slots_that_will_never_have_a_bar_are_a_hole_whatever_the_cause(cause: MissCause) -> None:
    features = a_layer()
    load(features, range(30))
    features.apply_bars_missed(missed(30, 2, cause))

    rows = answer(features, a_bar(32, WALK[32]))

    assert reasons(rows) == [FeaturesRefusedReason.WINDOW_HAS_HOLE]


def test_missed_slots_before_the_first_or_the_newest_bar_make_no_hole() -> None:
    features = a_layer()
    features.apply_bars_missed(missed(0, 5))
    load(features, range(10, 29))
    features.apply_bars_missed(missed(3, 5))

    assert answer(features, a_bar(29, WALK[29])).rows[0].values == the_row(WALK, 29)


def test_a_bar_the_window_has_moved_on_without_is_refused() -> None:
    features = a_layer()
    load(features, range(30))

    rows = answer(features, a_bar(28, 2.0 * WALK[28]))

    assert reasons(rows) == [FeaturesRefusedReason.WINDOW_HAS_HOLE]
    assert answer(features, a_bar(30, WALK[30])).rows[0].values == the_row(WALK, 30)


def test_quiet_bars_are_bars_when_they_are_only_flagged() -> None:
    walk = WALK.copy()
    walk[25, 4] = 0.0
    features = a_layer()
    load(features, range(25), walk)

    rows = answer(features, a_bar(25, walk[25], quality=BarQuality.NO_TRADES))

    assert rows.rows[0].values == the_row(walk, 25)


def test_a_quiet_bar_that_is_refused_empties_its_window() -> None:
    walk = WALK.copy()
    walk[25, 4] = 0.0
    features = a_layer(ZeroVolume.REJECT)
    load(features, range(25), walk)

    answers = [answer(features, a_bar(slot, walk[slot])) for slot in range(25, 46)]

    quiet = [FeaturesRefusedReason.ZERO_VOLUME]
    assert [reasons(each) for each in answers] == [quiet] * 20 + [[]]
    assert answers[-1].rows[0].values == the_row(walk, 45)


def test_a_flagged_quiet_bar_is_not_decided_at_and_stands_in_the_windows_after_it() -> None:
    walk = WALK.copy()
    walk[25, 4] = 0.0
    features = a_layer(ZeroVolume.FLAG)
    load(features, range(25), walk)

    answers = [answer(features, a_bar(slot, walk[slot])) for slot in range(25, 28)]

    assert [reasons(each) for each in answers] == [[FeaturesRefusedReason.ZERO_VOLUME], [], []]
    assert answers[1].rows[0].values == the_row(walk, 26)
    assert answers[2].rows[0].values == the_row(walk, 27)


def test_a_bar_said_to_be_without_trades_is_quiet_whatever_its_volume() -> None:
    features = a_layer(ZeroVolume.REJECT)
    load(features, range(25))

    rows = answer(features, a_bar(25, WALK[25], quality=BarQuality.NO_TRADES))

    assert reasons(rows) == [FeaturesRefusedReason.ZERO_VOLUME]


def test_a_bar_that_cannot_be_computed_with_spoils_its_own_instrument_only() -> None:
    features = a_layer()
    other = a_walk(80, seed=2)
    load(features, range(20))
    for slot in range(20):
        answer(features, a_bar(slot, other[slot], ETH))
    broken = np.array([1.0, 1.0, 1.0, 0.0, 1.0])

    rows = answer(features, a_bar(20, broken), a_bar(20, other[20], ETH))

    assert [row.instrument for row in rows.rows] == [ETH]
    assert rows.rows[0].values == the_row(other, 20)
    assert [refusal.instrument for refusal in rows.refused] == [BTC]
    assert reasons(rows) == [FeaturesRefusedReason.NOT_FINITE]


def revised(slot: int, values: Array) -> BarRevised:
    bar = a_bar(slot, values, quality=BarQuality.REVISED)
    return BarRevised(ts_ns=bar.close_ns, bar=bar, was=a_bar(slot, WALK[slot]))


def test_a_revised_bar_is_corrected_where_it_stands() -> None:
    features = a_layer()
    load(features, range(30))
    corrected = WALK.copy()
    corrected[22] *= 1.5
    features.apply_bar_revised(revised(22, corrected[22]))

    assert answer(features, a_bar(30, WALK[30])).rows[0].values == the_row(corrected, 30)


def test_a_revised_bar_outside_the_window_changes_nothing() -> None:
    features = a_layer()
    features.apply_bar_revised(revised(3, WALK[3]))
    load(features, range(30))
    features.apply_bar_revised(revised(9, 9.0 * WALK[9]))
    features.apply_bar_revised(revised(30, 9.0 * WALK[30]))

    assert answer(features, a_bar(30, WALK[30])).rows[0].values == the_row(WALK, 30)


def test_a_bar_revised_to_no_trades_leaves_only_what_came_after_it() -> None:
    features = a_layer(ZeroVolume.REJECT)
    load(features, range(30))
    quiet = WALK[25].copy()
    quiet[4] = 0.0
    features.apply_bar_revised(revised(25, quiet))

    answers = [answer(features, a_bar(slot, WALK[slot])) for slot in range(30, 46)]

    refused = [FeaturesRefusedReason.ZERO_VOLUME]
    assert [reasons(each) for each in answers] == [refused] * 15 + [[]]
    assert answers[-1].rows[0].values == the_row(WALK, 45)


@given(st.lists(st.sampled_from(["bar"] * 20 + ["gap", "missed", "quiet"]), max_size=80))
def test_a_row_is_given_exactly_when_the_last_20_slots_are_sound(slots: list[str]) -> None:
    walk = WALK.copy()
    features = a_layer(ZeroVolume.REJECT)
    sound = 0
    for slot, kind in enumerate(slots):
        if kind == "missed":
            features.apply_bars_missed(missed(slot, 1))
        if kind in {"missed", "gap"}:
            sound = 0
            continue
        walk[slot, 4] = 0.0 if kind == "quiet" else walk[slot, 4]
        sound = 0 if kind == "quiet" else sound + 1

        rows = answer(features, a_bar(slot, walk[slot]))

        assert len(rows.rows) + len(rows.refused) == 1
        assert bool(rows.rows) == (sound >= 20)
        if rows.rows:
            assert rows.rows[0].values == the_row(walk, slot)
