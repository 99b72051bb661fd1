"""Fault scripts as text: what is taken, and the one line that a wrong one gets."""

from typing import Any

import pytest

from daemon.embedded.fault_rules import MEANING, FaultKind, Told, read_script, script_of
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
