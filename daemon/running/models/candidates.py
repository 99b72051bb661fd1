"""What is asked of a training for a candidate, and what the core hears of one that was made.

Belongs here: which bars judge it, by the reason it is asked for, and what of its manifest the core
needs to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import CandidateTrained, HeldOut, RetrainReason
from daemon.core.jobs import CandidateJob
from daemon.core.timeframes import DAY_NS
from daemon.running.models.loading import activation

if TYPE_CHECKING:
    from daemon.config import RetrainingSection
    from daemon.core.events import StartTraining
    from daemon.core.manifests import Manifest


# The active model's own past still speaks for a model made as it was. Where the world has changed,
# older bars would vouch for what is no longer there, so the newest ones alone judge.
CHANGED = frozenset({RetrainReason.SKILL, RetrainReason.DRIFT})


def candidate_job(config: RetrainingSection, reason: RetrainReason) -> CandidateJob:
    """How a candidate for this reason is made and judged."""
    if reason not in CHANGED:
        return CandidateJob(memory_megabytes=config.memory_megabytes)
    return CandidateJob(
        windows_bars=config.windows_bars,
        held_out_bars=config.held_out_bars,
        held_out_folds=config.held_out_folds,
        memory_megabytes=config.memory_megabytes,
    )


def candidate_trained(manifest: Manifest, asked: StartTraining, now_ns: int) -> CandidateTrained:
    """What the core hears of a model that has passed its verdict."""
    scored, net = manifest.out_of_sample, manifest.net_return
    until_ns = max(each.last_open_ns for each in manifest.data) + manifest.timeframe_ns
    window_ns = int(manifest.settings.get("window_bars", 0)) * manifest.timeframe_ns
    first_ns = until_ns - window_ns
    if not window_ns:
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
            window_days=(until_ns - first_ns) / DAY_NS,
        ),
        verdict=manifest.verdict,
    )
