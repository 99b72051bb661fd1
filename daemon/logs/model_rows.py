"""The rows of the registry about models: how they are watched, asked for, compared and swapped.

Belongs here: rows, as in `registry`, which has all the others.
"""

from typing import Final

from daemon.logs.rows import AUC, BAR, LogEvent, row

COMPARED: Final = "shadow_bars? pairs? score_gain? evidence_better? net_gain_ratio? verdict?"

SHIFT: Final = "feature exchange? symbol rows psi psi_limit ks ks_limit"

MODEL_ROWS: Final[tuple[LogEvent, ...]] = (
    # the model watched
    row("model.training", "info", "progress of a training", "done total detail?"),
    row(
        "model.trained", "info", "a model was made",
        f"model rows {AUC} baseline_auc? shuffled_auc? deflated_sharpe edge_shown failed verdict",
    ),
    row(
        "model.activated", "info", "decisions use this model",
        f"model horizon_bars trained_through {AUC}",
    ),
    row(
        "outcome.resolved", "debug", "a prediction met its outcome",
        f"{BAR} model probability_up outcome? return_ratio? reason?",
    ),
    row(
        "health.sampled", "info", "the model's own skill, now",
        "at model status reasons auc? auc_low? auc_high? auc_n brier? log_loss? "
        "calibration_slope? policy evidence? evidence_limit? shown? shown_limit? since? "
        "psi_worst? psi_worst_feature? psi_worst_symbol? psi_prediction? lost symbols_lost? "
        "traded_n? traded_hit_ratio? trades_n? trade_net_ratio? trade_net_low? trade_net_high?",
    ),
    row(
        "drift.found", "warning", "PSI and KS say it is not distributed as in training any more",
        f"at model {SHIFT}",
    ),
    row(
        "drift.disputed", "info", "of PSI and KS only one says so: nothing comes of it",
        f"at model {SHIFT}",
    ),
    row(
        "features.checked", "info", "the day's feature rows, recomputed from the stored bars: same",
        "at rows revised? first_bar? until?",
    ),
    row(
        "features.differ", "error", "the model was fed other numbers than the stored bars give",
        "at rows differing revised? exchange symbol bar feature live stored?",
    ),
    row(
        "features.unchecked", "warning", "they could not be recomputed; tried with the next day's",
        "at error",
    ),
    # a new model
    row(
        "retraining.opened", "warning", "a new model is asked for",
        "at reason model attempt until detail? value? limit?",
    ),
    row(
        "candidate.trained", "info", "a training made a model that passed its verdict",
        f"at model {AUC} baseline_auc trials window_days verdict",
    ),
    row(
        "training.failed", "warning", "a training gave no model that may be used",
        "at fault reason model?",
    ),
    row(
        "model.challenger", "info", "a candidate begins to predict in shadow",
        f"at model champion horizon_bars trained_through {AUC}",
    ),
    row(
        "registry.failed", "error", "what was decided is not in the registry; mended at a start",
        "error",
    ),
    row(
        "model.unfit", "warning", "a model that has a part cannot be loaded any more: it is let go",
        "at model error",
    ),
    row(
        "model.unarmed", "warning", "real orders are decided by another model than was armed",
        "exchange model armed armed_at",
    ),
    row(
        "challenger.predicted", "debug", "what a model in shadow says: nothing is traded on it",
        f"{BAR} model probability_up confidence standard_error raw_probability_up",
    ),
    row(
        "models.compared", "debug", "a block of bars in which a model in shadow was scored",
        "at model other until outcomes pairs score_gain net_gain_ratio",
    ),
    row(
        "model.proposed", "warning", "the rule would promote it, and somebody has to say so",
        f"at model champion reason {COMPARED} command",
    ),
    row(
        "model.promoted", "warning", "another model takes over",
        f"at model replaced reason who detail? {COMPARED}",
    ),
    row(
        "model.rolled_back", "warning", "the model before takes over again",
        f"at model replaced reason who detail? {COMPARED}",
    ),
    row(
        "model.dropped", "info", "a candidate will not take over",
        f"at model champion reason {COMPARED}",
    ),
    row(
        "model.watch_ended", "info", "what was replaced stops predicting: there is no way back",
        f"at model champion {COMPARED}",
    ),
)  # fmt: skip
