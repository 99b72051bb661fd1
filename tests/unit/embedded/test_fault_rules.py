"""Fault scripts as text: what is taken, and the one line that a wrong one gets."""

from typing import Any

import pytest

from daemon.embedded.fault_kinds import MEANING, FaultKind
from daemon.embedded.fault_rules import Told, read_script, script_of
from daemon.embedded.faults import Faults
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket

BTC = "BTC/USDT"


def some_faults(*rules: dict[str, Any], seed: int = 1) -> Faults:
    faults = Faults(seed)
    faults.follow(FakeMarket())
    faults.add(list(rules))
    return faults


def open_of(slot: int) -> int:
    return FROM_MS + slot * HOUR_MS


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[", "not JSON: "),
        ('[{"kind":"drop"},{"kind":"explode"}]', "rule 2: kind: expected one of drop_before, "),
        ('{"kind":"drop","every":0}', "rule 1: every: expected `int` >= 1"),
        ('{"kind":"drop","evry":2}', "rule 1: object contains unknown field `evry`"),
        ('{"path":"/"}', "rule 1: object missing required field `kind`"),
        ('{"kind":"status"}', "rule 1: path: expected with kind status, missing"),
        ('{"kind":"stall","sec":1}', "rule 1: sec: means nothing with kind stall, expected candle"),
        (
            '{"kind":"drop","every":2,"nth":[1]}',
            "rule 1: probability: set at most one of nth, every and probability",
        ),
        ('{"kind":"drop","probability":1.5}', "rule 1: probability: expected `float` <= 1.0"),
        ('{"kind":"drop","nth":[0]}', "rule 1: nth[0]: expected `int` >= 1"),
        ('{"kind":"drop","from":"2024-01-01"}', "rule 1: from: time '2024-01-01' has no zone"),
        ('{"kind":"close","code":99}', "rule 1: code: expected a close code as 1000 or 1006"),
        ('{"kind":"frame"}', "rule 1: text: expected text or hex with kind frame"),
        ('{"kind":"frame","hex":"f"}', "rule 1: hex: expected `str` matching regex"),
        ('{"rules":{}}', "rules: expected a list of rules"),
        ('{"seed":"x","rules":[]}', "seed: expected a whole number, got 'x'"),
        ('{"seed":1,"rule":[]}', "rule: expected only seed and rules beside each other"),
        ('{"kind":"fees","taker_bps":1}', "rule 1: maker_bps: expected with kind fees, missing"),
        (
            '{"kind":"fee_drift","bps":"nan"}',
            "rule 1: bps: expected -1000 to 1000, got NaN",
        ),
        ('{"kind":"maintenance","nth":[1]}', "rule 1: nth: means nothing with kind maintenance"),
        ('{"kind":"part_filled","ratio":1.5}', "rule 1: ratio: expected at most 1, got 1.5"),
        ('{"kind":"part_filled","ratio":0}', "rule 1: ratio: expected more than zero, got 0"),
        ('{"kind":"deposit","asset":"X","amount":"-1"}', "rule 1: amount: expected more than zero"),
        ('{"kind":"rules","symbol":"X"}', "rule 1: lot: expected tick, lot, minimum_quantity or"),
        ('{"kind":"key_scope","allows":"all"}', "rule 1: allows: expected read,trade,withdraw"),
        ('{"kind":"old","stream":"user","bars":1}', "rule 1: stream: kind old is not for the user"),
        ('{"kind":"swapped","stream":"kline"}', "rule 1: stream: kind swapped is for the user"),
        (
            '{"kind":"drop","stream":"user","bars":2}',
            "rule 1: stream: candle and bars mean nothing",
        ),
        ('{"kind":"drop","event":"TRADE"}', "rule 1: event: expected stream user and one of NEW"),
        (
            '{"kind":"foreign_order","symbol":"X","side":"LONG","amount":1}',
            "rule 1: side: expected one of BUY, SELL",
        ),
        (
            '{"kind":"foreign_order","symbol":"X","side":"BUY","amount":1,"client_id":"a b"}',
            "rule 1: client_id: expected `str` matching regex",
        ),
        ("[3]", "rule 1: expected `object`, got `int`"),
    ],
)
def test_a_wrong_script_is_told_in_one_line_with_rule_field_and_expectation(
    text: str, line: str
) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read_script(text.encode())

    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


def test_json_and_toml_say_the_same() -> None:
    toml = """
        seed = 7
        [[rules]]
        kind = "drop"
        candle = "closed"
        from = 2024-01-01T05:00:00Z
        until = 9
    """
    json = """{"seed": 7, "rules": [
        {"kind": "drop", "candle": "closed", "from": "2024-01-01T05:00:00+00:00", "until": 9}
    ]}"""

    assert read_script(toml.encode(), is_toml=True) == read_script(json.encode())
    with pytest.raises(ValueError, match="not TOML: "):
        read_script(b"[[rules]", is_toml=True)


def test_every_kind_has_a_meaning() -> None:
    assert set(MEANING) == set(FaultKind)


def test_market_time_limits_a_rule_in_bars_or_by_the_clock() -> None:
    faults = some_faults({"kind": "drop", "from": 2, "until": "2024-01-01T04:00Z"})

    struck = [
        slot
        for slot in range(8)
        if faults.on_message(BTC, "kline", "closed", open_of(slot)) is not None
    ]

    assert struck == [2, 3]


def test_a_rule_strikes_at_most_so_often() -> None:
    faults = some_faults({"kind": "drop", "times": 2})

    struck = [faults.on_message(BTC, "kline", None, 0) is not None for _ in range(5)]

    assert struck == [True, True, False, False, False]
    assert faults.strikes == {FaultKind.DROP: 2}


def test_a_bar_is_struck_or_not_whoever_asks_and_however_often() -> None:
    rule = {"kind": "bar_missing", "probability": 0.3}
    faults, same, other = some_faults(rule), some_faults(rule), some_faults(rule, seed=2)
    slots = [open_of(slot) for slot in range(200)]

    def struck(script: Faults, opens: list[int]) -> set[int]:
        return {each for each in opens if script.on_bar(BTC, each, Told.REST) is not None}

    first = struck(faults, slots)
    assert first == struck(faults, slots) == struck(same, slots[::-1])
    assert first != struck(other, slots)
    assert 30 < len(first) < 90
    assert first == {each for each in slots if faults.is_gone(BTC, each)}


def test_a_bar_can_be_spoiled_the_first_times_it_is_told_only() -> None:
    faults = some_faults({"kind": "bar_value", "field": "close", "times": 1, "told": "rest"})

    told = [faults.on_bar(BTC, open_of(0), Told.REST) is not None for _ in range(3)]

    assert told == [True, False, False]
    assert faults.on_bar(BTC, open_of(1), Told.REST) is not None
    assert faults.on_bar(BTC, open_of(2), Told.STREAM) is None
    assert not faults.is_gone(BTC, open_of(0))


def test_bars_are_counted_from_the_first_streamed_one() -> None:
    faults = some_faults({"kind": "bar_missing", "nth": [2], "symbol": BTC})

    struck = [slot for slot in range(5) if faults.on_bar(BTC, open_of(slot), Told.REST)]

    assert struck == [1]
    assert faults.on_bar("ETH/USDT", open_of(1), Told.REST) is None


def test_a_seed_in_the_script_is_the_seed() -> None:
    rules = [{"kind": "bar_missing", "probability": 0.5}]
    one, other = Faults(1), Faults(2)
    for faults in (one, other):
        faults.add_script(script_of({"seed": 9, "rules": rules}))

    def struck(faults: Faults) -> list[bool]:
        return [faults.is_gone(BTC, open_of(slot)) for slot in range(50)]

    assert struck(one) == struck(other)


def test_a_rule_of_the_user_stream_strikes_no_market_stream_nor_the_other_way_round() -> None:
    faults = some_faults({"kind": "drop", "stream": "user"}, {"kind": "drop", "candle": "closed"})

    assert faults.on_message(BTC, "kline", "partial", FROM_MS) is None
    assert faults.on_message(BTC, "kline", "closed", FROM_MS) is not None
    assert faults.on_event(BTC, "TRADE", FROM_MS) is not None


def test_the_newest_rule_of_a_state_holds_and_only_while_it_is_in_force() -> None:
    faults = some_faults(
        {"kind": "fee_drift", "bps": 1}, {"kind": "fee_drift", "bps": 2, "from": 2, "until": 3}
    )

    found = [faults.in_force(FaultKind.FEE_DRIFT, open_of(slot), BTC) for slot in range(4)]

    assert [int(rule.bps) for rule in found if rule is not None] == [1, 1, 2, 1]


def test_what_others_do_happens_once_unless_it_is_said_how_often() -> None:
    deposit = {"kind": "deposit", "asset": "X", "amount": 1}
    faults = some_faults(
        deposit | {"from": 2}, deposit | {"every": 2}, deposit | {"nth": [1, 4], "times": 1}
    )
    done: dict[str, int] = {}
    happened = []
    for slot in range(6):
        for key, _ in faults.on_close(open_of(slot), lambda name: done.get(name, 0)):
            name = key.rpartition("/")[0]
            done[name] = done.get(name, 0) + 1
            happened.append((slot, int(name.split("/")[1])))
        assert faults.on_close(open_of(slot), lambda _name: 0) == []

    assert happened == [(1, 3), (2, 1), (2, 2), (4, 2)]
