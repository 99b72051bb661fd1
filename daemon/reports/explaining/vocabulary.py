"""Every reason as half a sentence, so that an explanation needs no glossary.

Belongs here: words for what the code calls by one name. Numbers are put beside them by `words`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import (
    BoundBy,
    DenyReason,
    DropReason,
    HaltReason,
    ParentEnd,
    PromotionReason,
    RetrainReason,
    SignalReason,
    SuppressReason,
    TrainingFault,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SUPPRESSED: Mapping[SuppressReason, str] = {
    SuppressReason.LOW_CONFIDENCE: "the probability is too near one half",
    SuppressReason.BELOW_COST: "what it is expected to bring does not exceed its costs",
    SuppressReason.SHORT_NOT_ALLOWED: "it points down, and nothing is held that could be sold: "
    "shorts are off (signal.allow_short)",
    SuppressReason.DUPLICATE_BAR: "this bar, or a newer one, was acted on already",
    SuppressReason.TOO_SOON: "the last signal is too recent (signal.min_interval_bars)",
    SuppressReason.STALE_BAR: "it was decided too long after the close "
    "(data.max_decision_age_ratio)",
    SuppressReason.MODEL_TOO_OLD: "the model has grown too old (model.max_age_days)",
    SuppressReason.NO_FEATURES: "there were no features",
    SuppressReason.WINDOW_HAS_HOLE: "the window of its features has a hole, and nothing is decided "
    "across one",
    SuppressReason.WARMING_UP: "there were too few bars for the window of its features",
    SuppressReason.ZERO_VOLUME: "nobody traded in this bar, or in one of its window "
    "(data.zero_volume)",
    SuppressReason.REFERENCE_MISSING: "a bar of another instrument that its features read was "
    "missing",
    SuppressReason.NO_MODEL: "there was no model for these features",
    SuppressReason.NO_ANSWER: "the model gave no probability, though it was asked",
    SuppressReason.NOT_FINITE: "a number was not finite",
    SuppressReason.ROUTED: "the same symbol is decided on by another exchange's bar",
}

SIGNALLED: Mapping[SignalReason, str] = {
    SignalReason.MODEL: "the model is sure enough, and what it promises exceeds the costs",
    SignalReason.EXTENDED: "the model goes on saying so: what is held is kept for another horizon",
    SignalReason.OPPOSITE: "the model now says the opposite: what is held goes first",
    SignalReason.HORIZON: "the horizon of the last signal is over",
    SignalReason.OVERDUE: "it was to go before, and is still there",
    SignalReason.POLICY: "the policy gives up a position in trouble",
    SignalReason.LIQUIDATION_NEAR: "it came too near to its liquidation",
    SignalReason.FLATTEN: "somebody asked for everything to be closed",
    SignalReason.UNPROTECTED: "the exchange would not hold a stop for it",
}

DENIED: Mapping[DenyReason, str] = {
    DenyReason.HALTED: "trading is halted",
    DenyReason.DAILY_LOSS: "today's loss has reached its limit",
    DenyReason.MODEL_CRITICAL: "the model's health is critical",
    DenyReason.STALE_DATA: "the price is not that of the bar decided on, or its feed is stale",
    DenyReason.LIQUIDATION_NEAR: "its liquidation would be too near",
    DenyReason.SPOT_CANNOT_SHORT: "spot cannot be sold short",
    DenyReason.ALREADY_POSITIONED: "a position is held already, and one is not added to",
    DenyReason.NOTHING_TO_CLOSE: "nothing is held that could be closed",
    DenyReason.ORDER_OPEN: "an order of this symbol is still open",
    DenyReason.UNRESOLVED_ORDER: "nobody knows yet what became of an order of this symbol",
    DenyReason.NO_KELLY_STAKE: "the stake by Kelly's rule is nothing",
    DenyReason.POSITION_CAP: "the cap on a position leaves too little",
    DenyReason.GROSS_EXPOSURE_CAP: "the cap on all positions together leaves too little",
    DenyReason.BELOW_MINIMUM: "it is less than the exchange takes an order for",
    DenyReason.ALLOCATION: "the symbol's share of the capital is used up",
    DenyReason.NO_CAPITAL: "the money left, or the cap on an order, is too little",
    DenyReason.ORDER_RATE: "too many orders within an hour",
    DenyReason.FEE_ASSET: "fees of other trades are paid in this asset",
    DenyReason.NO_RATE: "a currency has no price, so nobody knows what the account is worth",
    DenyReason.STALE_RATE: "the price of a currency is too old",
    DenyReason.NO_PRICE: "there is no price",
    DenyReason.PRICE_COLLAR: "the price moved too far to be believed",
    DenyReason.NO_PAYOFFS: "costs leave nothing to win",
    DenyReason.NOT_FINITE: "a number was not finite",
    DenyReason.NOT_RECONCILED: "books and exchange do not agree, or were not compared yet",
    DenyReason.DATA_DISTRUSTED: "too much of today's data is not believed",
    DenyReason.CLOCK_OFF: "the exchange's clock and ours do not agree",
    DenyReason.DISK_LOW: "the disk is nearly full: what is decided might not be written",
    DenyReason.NO_QUOTE: "the order book could not be read, or its answer never came",
    DenyReason.POLICY: "the position was given up, and the trouble is still on",
    DenyReason.NOT_TRADABLE: "the exchange does not trade it now",
    DenyReason.SPREAD: "the spread is too wide",
    DenyReason.PROBATION: "what probation allows is too little",
    DenyReason.CANARY: "what the first days after an arming allow is too little",
    DenyReason.THIN_BOOK: "the order book is too thin",
    DenyReason.VOLATILITY: "the market is too volatile",
    DenyReason.VOLATILITY_UNKNOWN: "the volatility is not known",
    DenyReason.NET_EXPOSURE_CAP: "the cap on net exposure leaves too little",
    DenyReason.CORRELATED_EXPOSURE_CAP: "the cap on what moves together leaves too little",
    DenyReason.DAY_NOTIONAL_CAP: "the cap on a day's entries leaves too little",
    DenyReason.ORDER_RATE_DAY: "too many orders within a day",
    DenyReason.LOSS_STREAK: "too many losses in a row: it pauses",
    DenyReason.MODEL_UNKNOWN: "nobody knows yet whether the model is any good",
    DenyReason.EXCHANGE_LOST: "the exchange is not reached",
    DenyReason.EXCHANGE_REFUSES: "the exchange refused too many orders in a row: it pauses",
    DenyReason.UNRESOLVED_ORDERS: "too many orders of unknown fate on this exchange",
}

GATES: Mapping[str, str] = {
    "not_halted": "no halt in force",
    "reconciled": "books agree with the exchange",
    "held_for_sure": "what is held is surely ours",
    "no_order_in_the_way": "no order in the way",
    "not_given_up": "not given up by the policy",
    "traded_there": "the exchange trades it",
    "exchange_reached": "the exchange is reached",
    "exchange_takes_orders": "the exchange takes orders",
    "few_unknown_orders": "few orders of unknown fate",
    "fresh_data": "the data is fresh",
    "trusted_data": "the data is trusted",
    "clock_agrees": "the clocks agree",
    "disk_has_room": "the disk has room",
    "model_healthy_enough": "the model is healthy enough",
    "has_price": "there is a price",
    "currencies_valued": "currencies are valued",
    "within_price_collar": "the last move is believable",
    "volatility_bearable": "volatility is bearable",
    "within_daily_loss": "today's loss",
    "no_loss_streak": "no streak of losses",
    "within_order_rate": "not too many orders",
    "can_be_short": "it can be held this way",
    "liquidation_far": "liquidation is far",
    "not_the_fee_asset": "no fees are paid in it",
    "not_positioned": "nothing is held yet",
    "quoted": "the order book was read",
    "spread_narrow": "the spread is narrow",
    "book_deep": "the book is deep enough",
}

BOUND: Mapping[BoundBy, str] = {
    BoundBy.KELLY: "Kelly's stake",
    BoundBy.MAX_POSITION_RATIO: "cap on a position",
    BoundBy.MAX_GROSS_EXPOSURE_RATIO: "cap on all positions",
    BoundBy.MAX_NET_EXPOSURE_RATIO: "cap on net exposure",
    BoundBy.MAX_CORRELATED_EXPOSURE_RATIO: "cap on what moves together",
    BoundBy.VOLATILITY_TARGET_RATIO: "volatility target",
    BoundBy.ALLOCATION: "share of the symbol",
    BoundBy.MAX_ORDER_NOTIONAL: "cap on an order",
    BoundBy.MAX_DAY_NOTIONAL: "cap on a day's entries",
    BoundBy.MAX_DEPTH_RATIO: "depth of the book",
    BoundBy.FREE_CAPITAL: "free capital",
    BoundBy.PROBATION: "probation after a halt",
    BoundBy.CANARY: "the canary after an arming",
    BoundBy.POSITION: "what is held",
}

SWAPPED: Mapping[PromotionReason, str] = {
    PromotionReason.BETTER: "in shadow it was better on the same bars",
    PromotionReason.SKILLED: "in shadow it has shown skill, and the other was critical or too old",
    PromotionReason.WORSE: "the other did worse than the one it had replaced",
    PromotionReason.OPERATOR: "an operator asked for it",
}

RETRAINED: Mapping[RetrainReason, str] = {
    RetrainReason.SKILL: "the active one has lost its skill",
    RetrainReason.DRIFT: "what the active one is fed, or what it says, has left its place",
    RetrainReason.AGE: "the active one has grown old",
    RetrainReason.SCHEDULE: "the schedule says so",
}

UNTRAINED: Mapping[TrainingFault, str] = {
    TrainingFault.CANDIDATE: "what was trained did not pass, and was refused",
    TrainingFault.DATA: "nothing could be made of these bars",
    TrainingFault.PROCESS: "the training died",
    TrainingFault.TIMEOUT: "the training took too long",
    TrainingFault.OPERATOR: "an operator cancelled the training",
}

DROPPED: Mapping[DropReason, str] = {
    DropReason.WORSE: "it was worse than the active one on the same bars",
    DropReason.UNSKILLED: "its predictions were worse than saying the same always",
    DropReason.UNDECIDED: "it took too long to show that it is better",
    DropReason.EXPIRED: "it has grown too old itself",
    DropReason.REPLACED: "it had its time and showed less than it began with, and a newer one came",
    DropReason.BUSY: "another one is being judged, and does well",
    DropReason.IN_USE: "it has a part already",
    DropReason.OTHER_FEATURES: "it is made for other features",
    DropReason.OTHER_LABEL: "it foretells something else than the active one",
    DropReason.UNFIT: "it cannot be loaded any more",
    DropReason.SILENT: "it gave no probability any more",
}

HALTED: Mapping[HaltReason, str] = {
    HaltReason.DRAWDOWN: "too much was lost since the highest equity",
    HaltReason.MODEL_CRITICAL: "the model is critical",
    HaltReason.OPERATOR: "somebody asked for it",
    HaltReason.RECONCILE: "books and exchange do not agree",
    HaltReason.FOREIGN_ORDER: "an order appeared that nobody here intended",
    HaltReason.OVERFILL: "more was filled than ordered, or sold than held",
    HaltReason.LIQUIDATED: "the exchange took a position away",
    HaltReason.LATE_FILL: "an order filled that was believed dead",
    HaltReason.FEATURES_DIFFER: "the model was fed other numbers than the stored bars give",
}

ENDED: Mapping[ParentEnd, str] = {
    ParentEnd.FILLED: "all of it was filled",
    ParentEnd.NOTHING_LEFT: "nothing was left to close",
    ParentEnd.EXPIRED: "the market gave no more",
    ParentEnd.TIMED_OUT: "its time was over",
    ParentEnd.HALTED: "trading was halted",
    ParentEnd.FOREIGN_ORDER: "orders of ours that our books do not know are at the exchange",
    ParentEnd.PRICE_COLLAR: "the book was too far from what was decided on",
    ParentEnd.STOPPED: "the daemon stopped",
    ParentEnd.REFUSED: "the exchange refused it",
    ParentEnd.NOT_SENT: "it could not be sent",
    ParentEnd.ABSENT: "the exchange never had it",
    ParentEnd.TOO_SMALL: "what was left is less than the exchange takes",
    ParentEnd.UNPROTECTED: "the exchange held no stop for what it had bought",
    ParentEnd.ORDER_RATE: "so many orders were sent in the last hour or day already",
    ParentEnd.POLICY: "the policy closes or reduces what is held there",
    ParentEnd.NOWHERE: "no exchange that lists it could take it",
}
