"""Private events of swaps: turns an outcome into what the user stream of the fapi dialect tells.

Belongs here: shapes of ACCOUNT_UPDATE, ORDER_TRADE_UPDATE and ALGO_UPDATE. Who hears them belongs
in user_stream.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal

from daemon.embedded.account import ZERO
from daemon.embedded.dialect import Payload, fixed
from daemon.embedded.futures.account import Algo, SwapFill, SwapOrder, SwapOutcome
from daemon.embedded.futures.dialect import ALGO_NAMES, SELF_TRADE_MODE
from daemon.embedded.settlement import Execution, Report


def swap_events(
    outcome: SwapOutcome,
    event_ms: int,
    mark: Callable[[str], Decimal],
    wallet: Callable[[str], Decimal],
) -> Iterator[Payload]:
    """Conditional orders first, then orders, each as it was, and at last money and positions."""
    for algo in outcome.algos:
        yield {"e": "ALGO_UPDATE", "T": event_ms, "E": event_ms, "o": _algo(algo)}
    for report in outcome.reports:
        yield {
            "e": "ORDER_TRADE_UPDATE",
            "E": event_ms,
            "T": event_ms,
            "o": _order(report),
        }
    if outcome.money or outcome.positions:
        yield {
            "e": "ACCOUNT_UPDATE",
            "E": event_ms,
            "T": event_ms,
            "a": {
                "m": outcome.why,
                "B": [
                    {"a": asset, "wb": fixed(wallet(asset)), "cw": fixed(money), "bc": "0"}
                    for asset, money in outcome.money.items()
                ],
                "P": [
                    {
                        "s": each.symbol_id,
                        "pa": fixed(each.quantity),
                        "ep": f"{each.entry_price:.8f}",
                        "bep": f"{each.entry_price:.8f}",
                        "cr": fixed(each.realized),
                        "up": f"{each.unrealized(mark(each.symbol_id)):.8f}",
                        "mt": "isolated",
                        "iw": fixed(each.wallet),
                        "ps": "BOTH",
                        "ma": each.asset,
                    }
                    for each in outcome.positions
                ],
            },
        }


def _order(report: Report) -> Payload:
    order, fill = report.order, report.fill
    assert isinstance(order, SwapOrder), "a swap account has orders of its own"
    realized = fill.realized if isinstance(fill, SwapFill) else ZERO
    average = order.cumulative_quote / order.executed if order.executed else ZERO
    kind = "LIQUIDATION" if order.is_liquidation else order.type
    payload: Payload = {
        "s": order.symbol_id,
        "c": order.client_order_id,
        "S": order.side,
        "o": kind,
        "f": "GTX" if order.is_post_only else order.time_in_force,
        "q": fixed(order.quantity),
        "p": fixed(order.price),
        "ap": f"{average:.8f}",
        "sp": "0",
        "x": "CALCULATED" if order.is_liquidation and fill is not None else report.execution,
        "X": order.status,
        "i": order.order_id,
        "l": fixed(fill.quantity if fill is not None else ZERO),
        "z": fixed(order.executed),
        "L": fixed(fill.price if fill is not None else ZERO),
        "T": order.updated_ms,
        "t": fill.trade_id if fill is not None else 0,
        "b": "0",
        "a": "0",
        "m": fill.is_maker if fill is not None else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": kind,
        "ps": "BOTH",
        "cp": False,
        "rp": fixed(realized),
        "pP": False,
        "V": SELF_TRADE_MODE,
        "pm": "NONE",
        "gtd": 0,
    }
    if fill is not None and report.execution is Execution.TRADE:
        payload |= {"N": fill.fee_asset, "n": fixed(fill.fee)}
    return payload


def _algo(algo: Algo) -> Payload:
    return {
        "caid": algo.client_algo_id,
        "aid": algo.algo_id,
        "at": "CONDITIONAL",
        "o": ALGO_NAMES[algo.type],
        "s": algo.symbol_id,
        "S": algo.side,
        "ps": "BOTH",
        "f": algo.time_in_force,
        "q": fixed(algo.quantity),
        "X": algo.status,
        "ai": str(algo.order_id) if algo.order_id else "",
        "ap": "0.00000",
        "aq": "0.00000",
        "act": "0",
        "tp": fixed(algo.trigger_price),
        "p": fixed(algo.price),
        "V": SELF_TRADE_MODE,
        "wt": "CONTRACT_PRICE",
        "pm": "NONE",
        "cp": algo.close_position,
        "pP": False,
        "R": algo.reduce_only,
        "tt": algo.triggered_ms,
        "gtd": 0,
        "rm": algo.reason,
    }
