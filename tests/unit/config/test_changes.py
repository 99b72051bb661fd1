"""What trading hangs on is recorded, compared key by key, and restored to the same settings."""

import pytest

from daemon.config import ConfigRefused, changes, config_hash, load, recorded, restored, still_known


def loaded(**keys: object) -> dict[str, object]:
    return {key.replace("__", "."): value for key, value in keys.items()}


def test_a_record_gives_the_same_settings_back_whatever_the_environment_says() -> None:
    asked = loaded(risk__allotted_quote="10000.50", data__symbols=("SOL/USDT",), run__seed=7)
    settings = load(None, asked, {})

    again = restored(recorded(settings))

    assert recorded(again) == recorded(settings)
    assert (again.risk, again.data, again.signal) == (settings.risk, settings.data, settings.signal)
    assert config_hash(again) == config_hash(settings)


def test_each_changed_key_is_named_with_what_it_was_and_is() -> None:
    before = recorded(load(None, {}, {}))

    found = changes(before, load(None, loaded(data__timeframe="4h", data__symbols="BTC/USDT"), {}))

    assert [str(each) for each in found] == [
        "data.symbols was BTC/USDT, ETH/USDT and is BTC/USDT",
        "data.timeframe was 1h and is 4h",
    ]


def test_what_no_decision_is_made_of_may_change() -> None:
    before = recorded(load(None, {}, {}))
    secrets = {"TRADINGD__EXCHANGE__API_KEY": "a", "TRADINGD__EXCHANGE__API_SECRET": "b"}
    free = loaded(
        log__level="debug",
        log__format="json",
        run__state_dir="/elsewhere",
        data__transport="rest",
        data__stale_after_s=5.0,
    )

    settings = load(None, free, secrets)

    assert changes(before, settings) == []
    assert config_hash(settings) == config_hash(load(None, {}, {}))
    assert "exchange" not in recorded(settings)


def test_the_same_amount_written_otherwise_is_no_change() -> None:
    before = recorded(load(None, loaded(risk__allotted_quote="10000"), {}))

    assert changes(before, load(None, loaded(risk__allotted_quote="10000.00"), {})) == []


def test_a_key_the_record_does_not_know_yet_was_at_its_default() -> None:
    before = recorded(load(None, {}, {}))
    del before["risk"]["kelly_ratio"]

    assert changes(before, load(None, {}, {})) == []
    assert [
        each.key for each in changes(before, load(None, loaded(risk__kelly_ratio=0.5), {}))
    ] == ["risk.kelly_ratio"]


def test_a_record_with_a_key_this_version_lacks_is_refused_by_name() -> None:
    before = recorded(load(None, {}, {}))
    before["risk"]["martingale_ratio"] = 2.0

    with pytest.raises(ConfigRefused) as refused:
        restored(before)

    assert "risk.martingale_ratio" in refused.value.lines[0]


def test_to_close_what_is_held_a_key_that_a_version_lacks_is_left_out() -> None:
    settings = load(None, loaded(run__seed=7), {})
    before = recorded(settings)
    before["risk"]["of_a_newer_version"] = 1
    before["section_of_a_newer_version"] = {"key": 2}

    with pytest.raises(ConfigRefused):
        restored(before)
    assert recorded(restored(still_known(before))) == recorded(settings)
