import re
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.ids import CLIENT_ORDER_ID_LENGTH, client_order_id_for, mark_of, trace_for
from daemon.core.instruments import InstrumentId
from tests.builders import BTC, CLOSE_NS, ETH, HOUR_NS, TRACE


def an_id(**changes: Any) -> str:
    parts: dict[str, Any] = {
        "bot": "tradingd",
        "account": "instance-1",
        "instrument": BTC,
        "close_ns": CLOSE_NS,
        "leg": "entry",
        "ordinal": 0,
    }
    return client_order_id_for(**(parts | changes))


def test_the_trace_of_a_bar_is_the_same_text_for_ever() -> None:
    # Written down, because logs and journals of other years must still be found by it.
    assert TRACE == "7fac71c2134bbd4449357e4fd3c2e8ce"
    assert trace_for(BTC, "1h", CLOSE_NS) == TRACE


def test_the_order_id_of_a_decision_is_the_same_text_for_ever() -> None:
    # Another version that decides the same bar again must collide with the order that is there.
    assert an_id() == "td5a6s5iuti24zjoae"


def test_an_order_bears_the_mark_of_its_bot_on_its_account_and_of_no_other() -> None:
    mark = mark_of(bot="tradingd", account="instance-1")

    assert an_id().startswith(mark)
    assert an_id(instrument=ETH, leg="stop", ordinal=7).startswith(mark)
    assert not an_id(bot="second").startswith(mark)
    assert not an_id(account="instance-2").startswith(mark)


def test_a_trace_knows_nothing_but_exchange_symbol_timeframe_and_close() -> None:
    others = [
        trace_for(ETH, "1h", CLOSE_NS),
        trace_for(InstrumentId("kraken", "BTC/USDT"), "1h", CLOSE_NS),
        trace_for(BTC, "2h", CLOSE_NS),
        trace_for(BTC, "1h", CLOSE_NS + HOUR_NS),
    ]

    assert len({TRACE, *others}) == 5
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in others)


def test_the_same_decision_has_the_same_order_id_and_any_other_a_different_one() -> None:
    hours = [CLOSE_NS + n * HOUR_NS for n in range(40)]
    all_parts = product(
        ("tradingd", "second"), ("a", "b"), (BTC, ETH), hours, ("entry", "exit"), range(3)
    )
    names = ("bot", "account", "instrument", "close_ns", "leg", "ordinal")

    ids = [an_id(**dict(zip(names, parts, strict=True))) for parts in all_parts]

    assert len(set(ids)) == len(ids) == 2 * 2 * 2 * 40 * 2 * 3
    assert an_id() == an_id()


@given(st.text(), st.text(), st.text())
def test_an_order_id_fits_every_exchange_whatever_the_names_are(
    bot: str, account: str, symbol: str
) -> None:
    made = an_id(bot=bot, account=account, instrument=InstrumentId("binance", symbol))

    assert re.fullmatch("td[a-z2-7]{16}", made)
    assert len(made) == CLIENT_ORDER_ID_LENGTH <= 18


def test_names_cannot_reach_over_their_border() -> None:
    assert an_id(bot="a|b", account="c") != an_id(bot="a", account="b|c")
    assert an_id(bot="a', 'b", account="c") != an_id(bot="a", account="b', 'c")
