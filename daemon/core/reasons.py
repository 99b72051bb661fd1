"""Every word of the vocabulary that stands for one of a few: directions, outcomes and all reasons.

Belongs here: what may be said in a field of an event. The events themselves belong to `events`,
which hands these on.
"""

from enum import StrEnum


class Direction(StrEnum):
    LONG = "long"
    SHORT = "short"
    FLAT = "flat"


class HealthStatus(StrEnum):
    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    WARNING = "warning"
    CRITICAL = "critical"


class FeaturesRefusedReason(StrEnum):
    WARMING_UP = "warming_up"
    WINDOW_HAS_HOLE = "window_has_hole"
    ZERO_VOLUME = "zero_volume"
    REFERENCE_MISSING = "reference_missing"
    NOT_FINITE = "not_finite"
    NO_MODEL = "no_model"
    NO_ANSWER = "no_answer"  # of the model


class SignalReason(StrEnum):
    MODEL = "model"
    EXTENDED = "extended"
    OPPOSITE = "opposite"
    HORIZON = "horizon"
    OVERDUE = "overdue"  # asked for FLAT before, and the position is still there
    POLICY = "policy"  # trouble, and the policy gives the position up
    LIQUIDATION_NEAR = "liquidation_near"
    FLATTEN = "flatten"  # somebody asked for everything to be closed
    UNPROTECTED = "unprotected"  # the exchange will not hold a stop for it


class SuppressReason(StrEnum):
    LOW_CONFIDENCE = "low_confidence"
    BELOW_COST = "below_cost"
    SHORT_NOT_ALLOWED = "short_not_allowed"
    DUPLICATE_BAR = "duplicate_bar"
    TOO_SOON = "too_soon"
    STALE_BAR = "stale_bar"
    MODEL_TOO_OLD = "model_too_old"
    NO_FEATURES = "no_features"
    WINDOW_HAS_HOLE = "window_has_hole"
    WARMING_UP = "warming_up"
    ZERO_VOLUME = "zero_volume"
    REFERENCE_MISSING = "reference_missing"
    NO_MODEL = "no_model"
    NO_ANSWER = "no_answer"  # of the model
    NOT_FINITE = "not_finite"
    ROUTED = "routed"  # decided on another exchange's bar of the same thing


class DenyReason(StrEnum):
    HALTED = "halted"
    DAILY_LOSS = "daily_loss"
    MODEL_CRITICAL = "model_critical"
    STALE_DATA = "stale_data"
    LIQUIDATION_NEAR = "liquidation_near"
    SPOT_CANNOT_SHORT = "spot_cannot_short"
    ALREADY_POSITIONED = "already_positioned"
    NOTHING_TO_CLOSE = "nothing_to_close"
    ORDER_OPEN = "order_open"
    UNRESOLVED_ORDER = "unresolved_order"
    NO_KELLY_STAKE = "no_kelly_stake"
    POSITION_CAP = "position_cap"
    GROSS_EXPOSURE_CAP = "gross_exposure_cap"
    BELOW_MINIMUM = "below_minimum"
    ALLOCATION = "allocation"
    NO_CAPITAL = "no_capital"
    ORDER_RATE = "order_rate"
    FEE_ASSET = "fee_asset"
    NO_RATE = "no_rate"  # of a currency: without it nobody knows what the account is worth
    STALE_RATE = "stale_rate"
    NO_PRICE = "no_price"
    PRICE_COLLAR = "price_collar"
    NO_PAYOFFS = "no_payoffs"
    NOT_FINITE = "not_finite"
    NOT_RECONCILED = "not_reconciled"
    DATA_DISTRUSTED = "data_distrusted"
    CLOCK_OFF = "clock_off"
    DISK_LOW = "disk_low"  # what is decided might not be written
    NO_QUOTE = "no_quote"
    POLICY = "policy"  # the position was given up, and the trouble is still on
    NOT_TRADABLE = "not_tradable"
    SPREAD = "spread"
    PROBATION = "probation"
    CANARY = "canary"
    THIN_BOOK = "thin_book"
    VOLATILITY = "volatility"
    VOLATILITY_UNKNOWN = "volatility_unknown"
    NET_EXPOSURE_CAP = "net_exposure_cap"
    CORRELATED_EXPOSURE_CAP = "correlated_exposure_cap"
    DAY_NOTIONAL_CAP = "day_notional_cap"
    ORDER_RATE_DAY = "order_rate_day"
    LOSS_STREAK = "loss_streak"
    MODEL_UNKNOWN = "model_unknown"
    EXCHANGE_LOST = "exchange_lost"
    EXCHANGE_REFUSES = "exchange_refuses"
    UNRESOLVED_ORDERS = "unresolved_orders"  # too many on one exchange


class BoundBy(StrEnum):
    """Which rule decided the size."""

    KELLY = "kelly"
    MAX_POSITION_RATIO = "max_position_ratio"
    MAX_GROSS_EXPOSURE_RATIO = "max_gross_exposure_ratio"
    MAX_NET_EXPOSURE_RATIO = "max_net_exposure_ratio"
    MAX_CORRELATED_EXPOSURE_RATIO = "max_correlated_exposure_ratio"
    VOLATILITY_TARGET_RATIO = "volatility_target_ratio"
    ALLOCATION = "allocation"
    MAX_ORDER_NOTIONAL = "max_order_notional"
    MAX_DAY_NOTIONAL = "max_day_notional"
    MAX_DEPTH_RATIO = "max_depth_ratio"
    FREE_CAPITAL = "free_capital"
    PROBATION = "probation"
    CANARY = "canary"  # the first days after an arming
    POSITION = "position"  # exits close what is there


class HaltReason(StrEnum):
    DRAWDOWN = "drawdown"
    MODEL_CRITICAL = "model_critical"
    OPERATOR = "operator"
    RECONCILE = "reconcile"
    FOREIGN_ORDER = "foreign_order"
    OVERFILL = "overfill"  # more was filled than ordered, or sold than held
    LIQUIDATED = "liquidated"  # the exchange took a position away: nobody was quick enough
    LATE_FILL = "late_fill"  # of an order that was believed dead: the position may be twice the cap
    FEATURES_DIFFER = "features_differ"  # the model is fed other numbers than the bars give


class Trouble(StrEnum):
    """What a position may be in while it is held; each has a row in the policy."""

    MODEL_CRITICAL = "model_critical"  # by the newest sample of its health
    MODEL_UNKNOWN = "model_unknown"
    MODEL_EXPIRED = "model_expired"
    OUTAGE = "outage"  # the feed of the instrument is stale, and has been for long
    DELISTED = "delisted"  # the exchange does not trade it
    EXCHANGE_LOST = "exchange_lost"
    VERSION_CHANGED = "version_changed"  # another code than the last start's
    HALT_DRAWDOWN = "halt_drawdown"
    HALT_MODEL_CRITICAL = "halt_model_critical"
    HALT_OPERATOR = "halt_operator"
    HALT_RECONCILE = "halt_reconcile"
    HALT_FOREIGN_ORDER = "halt_foreign_order"
    HALT_OVERFILL = "halt_overfill"
    HALT_LIQUIDATED = "halt_liquidated"
    HALT_LATE_FILL = "halt_late_fill"
    HALT_FEATURES_DIFFER = "halt_features_differ"


class PolicyAction(StrEnum):
    HOLD = "hold"  # nothing but what signals and stops do anyway
    PROTECT = "protect"  # a stop rests on the exchange, also where none is configured
    REDUCE = "reduce"  # a part is closed, once for each beginning of a trouble
    CLOSE = "close"

    @property
    def gives_up(self) -> bool:
        """Whether it closes a position, or a part of it."""
        return self in {PolicyAction.REDUCE, PolicyAction.CLOSE}


class TradingState(StrEnum):
    ACTIVE = "active"
    REDUCING = "reducing"  # nothing is opened, and what is held is being closed
    HALTED = "halted"  # nothing is opened; exits go on


class ParentEnd(StrEnum):
    """Why nothing more is sent for what was approved."""

    FILLED = "filled"
    NOTHING_LEFT = "nothing_left"  # an exit: the stop or somebody else was there first
    EXPIRED = "expired"  # the market gave no more
    TIMED_OUT = "timed_out"
    HALTED = "halted"  # an entry: nothing more is opened
    PRICE_COLLAR = "price_collar"  # an entry: the book is too far from what was decided on
    STOPPED = "stopped"  # the daemon ends, and nobody would watch an order that rests
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    ABSENT = "absent"
    TOO_SMALL = "too_small"  # what is left is less than the exchange takes
    FOREIGN_ORDER = "foreign_order"  # who knows what it would sell: orders of ours nobody intended
    UNPROTECTED = "unprotected"  # an entry: the exchange holds no stop for what it has bought
    ORDER_RATE = "order_rate"  # an entry: so many orders were sent in the last hour or day
    POLICY = "policy"  # an entry: the policy closes or reduces what is held there
    NOWHERE = "nowhere"  # no exchange that lists it is well, has money and shows a book


class RetrainReason(StrEnum):
    """Why a new model is asked for."""

    SKILL = "skill"  # the active one is worse than chance, or has lost what it had
    DRIFT = "drift"  # what it is fed or what it says has left its place, and stays away
    AGE = "age"
    SCHEDULE = "schedule"


class TrainingFault(StrEnum):
    """Whose fault it is that a training gave no model."""

    CANDIDATE = "candidate"  # it was judged and refused
    DATA = "data"  # nothing can be made of these bars
    PROCESS = "process"  # it died, or what it left behind must not be used
    TIMEOUT = "timeout"
    OPERATOR = "operator"  # somebody cancelled it


class PromotionReason(StrEnum):
    """Why another model becomes the active one."""

    BETTER = "better"  # than the active one, on the same bars
    SKILLED = "skilled"  # beside an active one that is critical or too old
    WORSE = "worse"  # than the one it replaced, so that one comes back
    OPERATOR = "operator"


class DropReason(StrEnum):
    """Why a model is no challenger, or none any more."""

    WORSE = "worse"  # than the active one
    UNSKILLED = "unskilled"  # worse than a constant
    UNDECIDED = "undecided"  # for too long
    EXPIRED = "expired"
    REPLACED = "replaced"  # by a newer one, having nothing to show
    BUSY = "busy"  # another one is being judged, and does well
    IN_USE = "in_use"  # it has a part already
    OTHER_FEATURES = "other_features"  # than those of this run
    OTHER_LABEL = "other_label"  # its outcomes are not those of the active one
    UNFIT = "unfit"  # it cannot be loaded any more
    SILENT = "silent"  # it gives no probability any more


class CanaryReason(StrEnum):
    """Why the size of a canary changed."""

    AS_ON_PAPER = "as_on_paper"  # it grows
    SLIPPAGE = "slippage"  # worse than on paper: it falls back
    FILLS = "fills"  # fewer than on paper: it falls back


class Outcome(StrEnum):
    """What the edge can say about a request to the venue; the default of everything unclear is
    UNKNOWN.
    """

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    ABSENT = "absent"


class ReportSource(StrEnum):
    REPLY = "reply"
    STREAM = "stream"
    LOOKUP = "lookup"
