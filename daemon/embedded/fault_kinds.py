"""The kinds of faults: where each listens, and what has to be said with it.

Belongs here: the table. How rules are read belongs in fault_rules, when one strikes in faults, what
it then does in the modules that are struck.
"""

from collections.abc import Mapping
from enum import StrEnum


class Face(StrEnum):
    """Where a rule listens, and so what it counts."""

    REQUEST = "a request"
    PAGE = "a page of candles by REST"
    BAR = "a bar, wherever it is told"
    MESSAGE = "a message of a market stream"
    SUBSCRIPTION = "a subscription"
    CONNECTION = "a connection"
    STATE = "the exchange, as long as it is in force"
    ORDER = "an order, as it is placed"
    CANCEL = "a cancel, before it is carried out"
    READING = "an order, as it is read"
    MOMENT = "the close of a bar"


class FaultKind(StrEnum):
    """What goes wrong; "before" means that the exchange never sees the request."""

    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    DELAY_BEFORE = "delay_before"
    DELAY_AFTER = "delay_after"
    STATUS = "status"
    STATUS_AFTER = "status_after"
    BODY_AFTER = "body_after"
    UNKNOWN_WORDS = "unknown_words"
    LATE_ACCEPT = "late_accept"
    BARE_REPLY = "bare_reply"
    NULL_REPLY = "null_reply"

    PAGE_SHORT = "page_short"
    PAGE_DESCENDING = "page_descending"
    PAGE_DOUBLED = "page_doubled"
    PAGE_SHIFTED = "page_shifted"
    PAGE_UNLIMITED = "page_unlimited"
    PAGE_FROZEN = "page_frozen"

    BAR_MISSING = "bar_missing"
    BAR_VALUE = "bar_value"
    BAR_SWAPPED = "bar_swapped"
    BAR_CURRENT_PRICE = "bar_current_price"
    BAR_UNSETTLED = "bar_unsettled"

    DROP = "drop"
    STALL = "stall"
    REPEAT = "repeat"
    LATE = "late"
    OLD = "old"
    UNFLAGGED = "unflagged"
    BURST = "burst"
    FRAME = "frame"
    CLOSE = "close"

    DEAF = "deaf"

    REFUSED = "refused"
    NO_PONG = "no_pong"
    PONG_WITHIN = "pong_within"
    STREAMS_MAX = "streams_max"

    SWAPPED = "swapped"
    TERMINATED = "terminated"

    MAINTENANCE = "maintenance"
    BANNED = "banned"
    KEY_REVOKED = "key_revoked"
    KEY_SCOPE = "key_scope"
    CLOCK_AHEAD = "clock_ahead"
    MARKET_CLOSED = "market_closed"
    RULES = "rules"
    FEES = "fees"
    FEE_DRIFT = "fee_drift"
    BALANCE_LAG = "balance_lag"

    PART_FILLED = "part_filled"
    ORDER_LAG = "order_lag"
    TRADES_LAG = "trades_lag"
    FILLED_FIRST = "filled_first"
    DENIED = "denied"
    WORDED = "worded"

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    FOREIGN_ORDER = "foreign_order"
    ORDERS_ENDED = "orders_ended"


WHEN = frozenset({"kind", "from", "until"})
COUNTED = frozenset({"nth", "every", "probability", "times"})
REQUEST = frozenset({"path", "method"})
BAR = frozenset({"symbol", "told"})
MESSAGE = frozenset({"symbol", "stream", "candle", "event"})
SYMBOL = frozenset({"symbol"})
# Kind: where it listens, what has to be said with it, what may be said besides.
MEANING: Mapping[FaultKind, tuple[Face, frozenset[str], frozenset[str]]] = {
    FaultKind.DROP_BEFORE: (Face.REQUEST, frozenset({"path"}), REQUEST),
    FaultKind.DROP_AFTER: (Face.REQUEST, frozenset({"path"}), REQUEST),
    FaultKind.DELAY_BEFORE: (Face.REQUEST, frozenset({"path", "sec"}), REQUEST),
    FaultKind.DELAY_AFTER: (Face.REQUEST, frozenset({"path", "sec"}), REQUEST),
    FaultKind.STATUS: (Face.REQUEST, frozenset({"path"}), REQUEST | {"status", "body"}),
    FaultKind.STATUS_AFTER: (Face.REQUEST, frozenset({"path"}), REQUEST | {"status", "body"}),
    FaultKind.BODY_AFTER: (Face.REQUEST, frozenset({"path"}), REQUEST | {"body"}),
    FaultKind.UNKNOWN_WORDS: (Face.REQUEST, frozenset({"path"}), REQUEST),
    FaultKind.LATE_ACCEPT: (Face.REQUEST, frozenset({"path", "sec"}), REQUEST | {"status"}),
    FaultKind.BARE_REPLY: (Face.REQUEST, frozenset({"path"}), REQUEST),
    FaultKind.NULL_REPLY: (Face.REQUEST, frozenset({"path"}), REQUEST),
    FaultKind.PAGE_SHORT: (Face.PAGE, frozenset(), frozenset({"symbol", "count"})),
    FaultKind.PAGE_DESCENDING: (Face.PAGE, frozenset(), frozenset({"symbol"})),
    FaultKind.PAGE_DOUBLED: (Face.PAGE, frozenset(), frozenset({"symbol"})),
    FaultKind.PAGE_SHIFTED: (Face.PAGE, frozenset({"bars"}), frozenset({"symbol"})),
    FaultKind.PAGE_UNLIMITED: (Face.PAGE, frozenset(), frozenset({"symbol"})),
    FaultKind.PAGE_FROZEN: (Face.PAGE, frozenset({"from"}), frozenset({"symbol"})),
    FaultKind.BAR_MISSING: (Face.BAR, frozenset(), BAR),
    FaultKind.BAR_VALUE: (Face.BAR, frozenset({"field"}), BAR | {"value"}),
    FaultKind.BAR_SWAPPED: (Face.BAR, frozenset(), BAR),
    FaultKind.BAR_CURRENT_PRICE: (Face.BAR, frozenset(), BAR),
    FaultKind.BAR_UNSETTLED: (Face.BAR, frozenset(), BAR),
    FaultKind.DROP: (Face.MESSAGE, frozenset(), MESSAGE | {"bars"}),
    FaultKind.STALL: (Face.MESSAGE, frozenset(), MESSAGE),
    FaultKind.REPEAT: (Face.MESSAGE, frozenset(), MESSAGE),
    FaultKind.LATE: (Face.MESSAGE, frozenset({"sec"}), MESSAGE),
    FaultKind.OLD: (Face.MESSAGE, frozenset({"bars"}), MESSAGE),
    FaultKind.UNFLAGGED: (Face.MESSAGE, frozenset(), MESSAGE),
    FaultKind.BURST: (Face.MESSAGE, frozenset({"count"}), MESSAGE),
    FaultKind.FRAME: (Face.MESSAGE, frozenset(), MESSAGE | {"text", "hex"}),
    FaultKind.CLOSE: (Face.MESSAGE, frozenset(), MESSAGE | {"code", "bars"}),
    FaultKind.DEAF: (Face.SUBSCRIPTION, frozenset({"bars"}), frozenset({"symbol", "stream"})),
    FaultKind.REFUSED: (Face.CONNECTION, frozenset(), frozenset({"status", "stream"})),
    FaultKind.NO_PONG: (Face.CONNECTION, frozenset(), frozenset({"stream"})),
    FaultKind.PONG_WITHIN: (Face.CONNECTION, frozenset({"sec"}), frozenset({"stream"})),
    FaultKind.STREAMS_MAX: (Face.CONNECTION, frozenset({"count"}), frozenset()),
    FaultKind.SWAPPED: (Face.MESSAGE, frozenset({"stream"}), MESSAGE),
    FaultKind.TERMINATED: (Face.MESSAGE, frozenset({"stream"}), MESSAGE),
    FaultKind.MAINTENANCE: (Face.STATE, frozenset(), frozenset()),
    FaultKind.BANNED: (Face.STATE, frozenset({"count", "sec"}), frozenset()),
    FaultKind.KEY_REVOKED: (Face.STATE, frozenset(), frozenset()),
    FaultKind.KEY_SCOPE: (Face.STATE, frozenset({"allows"}), frozenset({"any_ip"})),
    FaultKind.CLOCK_AHEAD: (Face.STATE, frozenset({"ahead_sec"}), frozenset()),
    FaultKind.MARKET_CLOSED: (Face.STATE, frozenset(), SYMBOL),
    FaultKind.RULES: (
        Face.STATE,
        frozenset(),
        SYMBOL | {"tick", "lot", "minimum_quantity", "minimum_notional"},
    ),
    FaultKind.FEES: (Face.STATE, frozenset({"taker_bps", "maker_bps"}), SYMBOL | {"asset"}),
    FaultKind.FEE_DRIFT: (Face.STATE, frozenset({"bps"}), SYMBOL),
    FaultKind.BALANCE_LAG: (Face.STATE, frozenset({"sec"}), frozenset()),
    FaultKind.PART_FILLED: (Face.ORDER, frozenset({"ratio"}), SYMBOL),
    FaultKind.ORDER_LAG: (Face.ORDER, frozenset({"sec"}), SYMBOL),
    FaultKind.TRADES_LAG: (Face.ORDER, frozenset({"sec"}), SYMBOL),
    FaultKind.FILLED_FIRST: (Face.CANCEL, frozenset(), SYMBOL | {"ratio"}),
    FaultKind.DENIED: (Face.READING, frozenset(), SYMBOL),
    FaultKind.WORDED: (Face.READING, frozenset({"text"}), SYMBOL),
    FaultKind.DEPOSIT: (Face.MOMENT, frozenset({"asset", "amount"}), frozenset()),
    FaultKind.WITHDRAWAL: (Face.MOMENT, frozenset({"asset", "amount"}), frozenset()),
    FaultKind.FOREIGN_ORDER: (
        Face.MOMENT,
        frozenset({"symbol", "side", "amount"}),
        frozenset({"price", "client_id"}),
    ),
    FaultKind.ORDERS_ENDED: (Face.MOMENT, frozenset(), SYMBOL | {"says"}),
}
# What a rule of the user stream may be: the other kinds of messages are about candles.
USER_STREAM = "user"
ON_USER_STREAM = frozenset(
    {
        FaultKind.DROP,
        FaultKind.STALL,
        FaultKind.LATE,
        FaultKind.BURST,
        FaultKind.FRAME,
        FaultKind.CLOSE,
        FaultKind.SWAPPED,
        FaultKind.TERMINATED,
        FaultKind.REFUSED,
        FaultKind.NO_PONG,
        FaultKind.PONG_WITHIN,
    }
)
USER_EVENTS = ("NEW", "TRADE", "CANCELED", "EXPIRED", "TRADE_PREVENTION", "BALANCE", "FLOW")


def named_with(kind: FaultKind) -> tuple[frozenset[str], frozenset[str]]:
    """The fields that have to be said with a kind, and all that may be said with it."""
    face, needed, allowed = MEANING[kind]
    counted = frozenset() if face is Face.STATE else COUNTED
    return needed, WHEN | counted | needed | allowed
