"""Tells the core of a candidate: makes the input out of the manifest of a model that was trained.

Belongs here: what of a manifest the core needs to know of a candidate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import CandidateTrained, HeldOut
from daemon.core.timeframes import DAY_NS
from daemon.running.boot import activation

if TYPE_CHECKING:
    from daemon.core.events import StartTraining
    from daemon.core.manifests import Manifest


def candidate_trained(manifest: Manifest, asked: StartTraining, now_ns: int) -> CandidateTrained:
    """What the core hears of a model that has passed its verdict."""
    scored, net = manifest.out_of_sample, manifest.net_return
    first_ns = min(each.first_open_ns for each in manifest.data)
    return CandidateTrained(
        ts_ns=now_ns,
        opened_ns=asked.opened_ns,
        activation=activation(manifest, now_ns),
        held_out=HeldOut(
            from_ns=manifest.folds[0].test_start_ns,
            until_ns=manifest.folds[-1].test_end_ns,
            n=scored.n,
            auc=scored.auc,
            auc_low=scored.auc_low,
            auc_high=scored.auc_high,
            baseline_auc=scored.baseline_auc,
            net_per_bar_ratio=net.per_bar_ratio,
            net_per_bar_low=net.per_bar_low,
            entries=net.entries,
            trials=net.trials,
            window_days=(manifest.trained_through_ns - first_ns) / DAY_NS,
        ),
        verdict=manifest.verdict,
    )
