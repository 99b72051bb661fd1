"""Whoever gives the code a new reason, gate or rule gives `tradingd explain` its words, too."""

from daemon.core import events as e
from daemon.layers.monitoring.explaining import REASONS
from daemon.layers.monitoring.health import HealthReason
from daemon.layers.risk.gates import ENTRY_GATES, EXIT_GATES
from daemon.layers.risk.readings import READ
from daemon.reports.explaining import vocabulary
from daemon.reports.explaining.words import RULES


def test_every_reason_has_its_words_in_the_vocabulary() -> None:
    assert set(vocabulary.SUPPRESSED) == set(e.SuppressReason)
    assert set(vocabulary.SIGNALLED) == set(e.SignalReason)
    assert set(vocabulary.DENIED) == set(e.DenyReason)
    assert set(vocabulary.BOUND) == set(e.BoundBy)
    assert set(vocabulary.ENDED) == set(e.ParentEnd)
    assert set(vocabulary.SWAPPED) == set(e.PromotionReason)
    assert set(vocabulary.RETRAINED) == set(e.RetrainReason)
    assert set(vocabulary.UNTRAINED) == set(e.TrainingFault)
    assert set(vocabulary.DROPPED) == set(e.DropReason)
    assert set(vocabulary.HALTED) == set(e.HaltReason)
    assert set(REASONS) == set(HealthReason)
    assert set(RULES) < {*e.SuppressReason, *e.SignalReason}


def test_every_gate_has_its_words_and_tells_what_it_looked_at() -> None:
    gates = {each.__name__ for each in (*ENTRY_GATES, *EXIT_GATES)}

    assert set(vocabulary.GATES) == gates
    assert set(READ) == gates
