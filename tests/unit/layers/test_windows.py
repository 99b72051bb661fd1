"""The rows that drift is measured on: bounded, in the order of time, and nothing but themselves."""

import numpy as np

from daemon.layers.monitoring.windows import Windows
from tests.builders import BTC, ETH


def test_the_newest_rows_of_each_instrument_stay_in_the_order_of_time() -> None:
    windows = Windows(3)
    for number in range(5):
        windows.add(ETH, (float(number), 0.5))
    windows.add(BTC, (7.0, 0.25))

    recent = windows.recent()

    assert list(recent) == [BTC, ETH]
    assert recent[ETH].tolist() == [[2.0, 0.5], [3.0, 0.5], [4.0, 0.5]]
    assert recent[BTC].tolist() == [[7.0, 0.25]]
    assert recent[BTC].dtype == np.float64


def test_what_is_kept_is_the_same_however_many_rows_went_by_before() -> None:
    long, short = Windows(2), Windows(2)
    for number in range(7):
        long.add(BTC, (float(number),))
    for number in (5, 6):
        short.add(BTC, (float(number),))

    assert vars(long) == vars(short)
