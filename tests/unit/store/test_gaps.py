"""Gaps as slots without a bar: newer knowledge over older, and holes that nobody told of."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.bars import MissCause
from daemon.store.gaps import Gap, overlaid, untold

LENGTH_NS = 60
a_gap = st.builds(
    Gap,
    first_open_ns=st.integers(0, 20).map(lambda slot: slot * LENGTH_NS),
    count=st.integers(1, 8),
    cause=st.sampled_from(MissCause),
)


@given(st.lists(a_gap, max_size=12))
def test_every_slot_has_the_cause_that_was_told_last(gaps: list[Gap]) -> None:
    known: list[Gap] = []
    causes: dict[int, MissCause | None] = {}

    for gap in gaps:
        known = overlaid(known, gap, LENGTH_NS)
        causes |= dict.fromkeys(slots(gap), gap.cause)

    assert {slot: gap.cause for gap in known for slot in slots(gap)} == causes
    assert sum(gap.count for gap in known) == len(causes)
    for before, after in pairwise(known):
        is_apart = before.until_ns(LENGTH_NS) < after.first_open_ns
        is_other = before.cause is not after.cause
        assert is_apart or (before.until_ns(LENGTH_NS) == after.first_open_ns and is_other)


@given(st.sets(st.integers(0, 30)), st.lists(a_gap, max_size=6))
def test_untold_holes_are_the_slots_between_bars_that_no_gap_names(
    bars: set[int], gaps: list[Gap]
) -> None:
    known: list[Gap] = []
    for gap in gaps:
        known = overlaid(known, gap, LENGTH_NS)
    opens = np.array(sorted(bars), dtype=np.int64) * LENGTH_NS

    found = untold(opens, known, LENGTH_NS)

    told = {slot for gap in known for slot in slots(gap)}
    between = range(min(bars), max(bars)) if bars else range(0)
    expected = {slot * LENGTH_NS for slot in between if slot not in bars} - told
    assert [slot for gap in found for slot in slots(gap)] == sorted(expected)
    assert all(gap.cause is None for gap in found)


def slots(gap: Gap) -> list[int]:
    return [gap.first_open_ns + n * LENGTH_NS for n in range(gap.count)]
