"""The pipe to a model's own process, when the other end is stuck."""

import io
import os
import signal

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from daemon.running.models.process import ModelProcess

WIDTH = 4
ROWS = np.random.default_rng(1).normal(size=(8_192, WIDTH))  # more than a pipe holds


@pytest.fixture
def archive() -> bytes:
    model = LogisticRegression().fit(ROWS, (ROWS[:, 0] > 0).astype(int))
    file = io.BytesIO()
    joblib.dump(model, file)
    return file.getvalue()


def test_a_process_that_has_stopped_reading_does_not_hold_us(archive: bytes) -> None:
    process = ModelProcess(archive, WIDTH, answer_within_s=0.5)
    try:
        (first,) = process.probability_up(ROWS[:1])
        assert process._child is not None
        os.kill(process._child.pid, signal.SIGSTOP)

        stuck = process.probability_up(ROWS)
        (again,) = process.probability_up(ROWS[:1])
    finally:
        process.close()

    assert 0.0 <= first <= 1.0
    assert np.isnan(stuck).all(), "a late answer decides nothing"
    assert again == first, "another process answers the next rows"
