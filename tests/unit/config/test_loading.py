import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from daemon.config import ConfigRefused, Settings, config_hash, load

CANARY = "c4n4ry-0f-a-secret"


def a_file(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(
    path: Path | None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[str]:
    with pytest.raises(ConfigRefused) as caught:
        load(path, overrides or {}, environ or {})
    return [line.replace(f"{path}", "config.toml") for line in caught.value.lines]


def credentials(folder: Path, mode: int = 0o600, **files: str) -> dict[str, str]:
    for name, text in files.items():
        file = folder / name
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def test_without_any_source_the_defaults_hold() -> None:
    assert load(None, {}, {}) == Settings.model_construct()


def test_the_command_line_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    path = a_file(tmp_path, "[run]\nseed = 1\nname = 'file'\n[model]\ntrees = 7\n")
    environ = {"TRADINGD__RUN__SEED": "2", "TRADINGD__RUN__NAME": "environment"}

    settings = load(path, {"run.seed": 3, "model.depth": None}, environ)

    assert (settings.run.seed, settings.run.name) == (3, "environment")
    assert (settings.model.trees, settings.model.depth) == (7, 6)


def test_the_environment_beats_a_credential(tmp_path: Path) -> None:
    environ = credentials(tmp_path, exchange__api_key="stored", exchange__api_secret=CANARY)

    settings = load(None, {}, {**environ, "TRADINGD__EXCHANGE__API_KEY": "given"})

    assert settings.exchange.api_key is not None
    assert settings.exchange.api_key.get_secret_value() == "given"


def test_a_credential_is_read_without_its_trailing_newline_and_never_shown(tmp_path: Path) -> None:
    environ = credentials(
        tmp_path, exchange__api_key="a key\n", exchange__api_secret=f" {CANARY}\n"
    )

    settings = load(None, {}, environ)

    assert settings.exchange.api_secret is not None
    assert settings.exchange.api_secret.get_secret_value() == CANARY
    assert CANARY not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()


def test_settings_are_frozen() -> None:
    settings = load(None, {}, {})

    with pytest.raises(ValidationError):
        settings.risk.kelly_ratio = 1.0  # type: ignore[misc]


def test_lists_may_be_written_with_commas_in_the_environment() -> None:
    environ = {"TRADINGD__DATA__SYMBOLS": "BTC/EUR, ETH/EUR", "TRADINGD__FEATURES__LAGS": "0,4"}

    settings = load(None, {}, environ)

    assert settings.data.symbols == ("BTC/EUR", "ETH/EUR")
    assert settings.data.quote == "EUR"
    assert settings.features.lags == (0, 4)


def test_further_exchanges_are_a_table_in_the_file(tmp_path: Path) -> None:
    path = a_file(tmp_path, "[data.also]\nembedded-b = ['BTC/USDT']\nembedded-c = []\n")

    settings = load(path, {}, {})

    assert settings.data.also == {"embedded-b": ("BTC/USDT",), "embedded-c": ()}


def test_further_exchanges_in_the_environment_take_the_place_of_those_in_the_file(
    tmp_path: Path,
) -> None:
    path = a_file(tmp_path, "[data]\nalso = {embedded-b = ['BTC/USDT']}\n")

    def also(text: str) -> dict[str, tuple[str, ...]]:
        return load(path, {}, {"TRADINGD__DATA__ALSO": text}).data.also

    assert also("embedded-c=BTC/USDT, ETH/USDT; embedded-d") == {
        "embedded-c": ("BTC/USDT", "ETH/USDT"),
        "embedded-d": (),
    }
    assert also("") == {}


def test_what_is_wrong_with_a_further_exchange_is_told_at_its_line(tmp_path: Path) -> None:
    path = a_file(tmp_path, "[data]\nexchange = 'binance'\n[data.also]\nokx = []\nkrakn = []\n")

    (in_file,) = refused(path)
    (in_environment,) = refused(path, environ={"TRADINGD__DATA__ALSO": "okx=BTCEUR"})

    assert in_file.startswith("config.toml:5: error: `data.also.krakn` = 'krakn': is no exchange")
    assert in_environment.startswith(
        "environment TRADINGD__DATA__ALSO: error: `data.also.okx` = 'BTCEUR': should be BASE/QUOTE"
    )
    assert refused(a_file(tmp_path, "[data]\nalso = {okx = 1}\n"))[0].startswith(
        "config.toml:2: error: `data.also` = {'okx': 1}: should be a table of exchanges"
    )


def test_money_is_exact() -> None:
    settings = load(None, {}, {"TRADINGD__RISK__ALLOTTED_QUOTE": "0.1"})

    assert settings.risk.allotted_quote == Decimal("0.1")


def test_every_error_is_told_at_once_with_its_line_and_a_guess(tmp_path: Path) -> None:
    path = a_file(
        tmp_path,
        "[run]\nmode = 'papr'\n\n[risk]\nmax_position_ratio = 10\nkelly_ration = 0.2\n"
        "[sginal]\nmin_interval_bars = 1\n",
    )

    assert refused(path) == [
        (
            "config.toml:2: error: `run.mode` = 'papr': should be 'paper', 'shadow' or 'live'; "
            "did you mean `paper`?"
        ),
        (
            "config.toml:5: error: `risk.max_position_ratio` = 10: should be less than or equal to "
            "5; is this a per cent? 10 % is 0.1"
        ),
        "config.toml:6: error: unknown key `risk.kelly_ration`; did you mean `risk.kelly_ratio`?",
        "config.toml:7: error: unknown section or key `sginal`; did you mean `signal`?",
    ]


def test_errors_of_all_sources_are_told_together(tmp_path: Path) -> None:
    path = a_file(tmp_path, "[model]\ndepth = 0\n")

    lines = refused(path, {"log.level": "loud"}, {"TRADINGD__RUN__SEED": "-1"})

    assert [line.partition(": error")[0] for line in lines] == [
        "environment TRADINGD__RUN__SEED",
        "config.toml:2",
        "command line",
    ]


def test_an_unknown_variable_of_ours_is_refused_with_a_guess() -> None:
    lines = refused(None, environ={"TRADINGD__RISK__MAX_POSITON_RATIO": "0.1", "HOME": "/root"})

    assert lines == [
        (
            "environment: error: TRADINGD__RISK__MAX_POSITON_RATIO is no setting "
            "(TRADINGD__* is ours); did you mean `TRADINGD__RISK__MAX_POSITION_RATIO`?"
        )
    ]


def test_an_unknown_section_in_a_variable_is_refused() -> None:
    (line,) = refused(None, environ={"TRADINGD__RIKS__KELLY_RATIO": "0.1"})

    assert "did you mean `TRADINGD__RISK__KELLY_RATIO`?" in line


def test_a_key_without_its_section_is_told_where_it_belongs(tmp_path: Path) -> None:
    (line,) = refused(a_file(tmp_path, "rsi_period = 14\n"))

    assert line.endswith("unknown section or key `rsi_period`; it belongs under [features]")


def test_a_key_in_the_wrong_section_is_told_where_it_belongs(tmp_path: Path) -> None:
    (line,) = refused(a_file(tmp_path, "[data]\nkelly_ratio = 0.1\n"))

    assert line.endswith("unknown key `data.kelly_ratio`; did you mean `risk.kelly_ratio`?")


def test_a_value_where_a_section_should_be_is_refused(tmp_path: Path) -> None:
    lines = refused(a_file(tmp_path, "risk = 0.1\n"))

    assert lines == ["config.toml:1: error: `risk` should be a section: write [risk]"]


@pytest.mark.parametrize("value", ["true", "nan", "inf", "-inf", "1e400", "'much'", "[]"])
@pytest.mark.parametrize("key", ["max_position_ratio", "allotted_quote"])
def test_only_finite_numbers_are_numbers(tmp_path: Path, key: str, value: str) -> None:
    (line,) = refused(a_file(tmp_path, f"[risk]\n{key} = {value}\n"))

    assert line.startswith(f"config.toml:2: error: `risk.{key}` = ")


def test_true_is_not_a_count(tmp_path: Path) -> None:
    (line,) = refused(a_file(tmp_path, "[model]\ntrees = true\n"))

    assert line.endswith("`model.trees` = True: should be a number, not true or false")


def test_a_decimal_comma_is_recognised() -> None:
    (line,) = refused(None, environ={"TRADINGD__RISK__KELLY_RATIO": "0,05"})

    assert line.endswith("; write a dot: 0.05")


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    assert refused(tmp_path / "config.toml") == ["config.toml: error: no such file or directory"]


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    assert refused(tmp_path) == ["config.toml: error: is a directory"]


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    (line,) = refused(a_file(tmp_path, "[run]\nseed = \n"))

    assert line.startswith("config.toml:2: error: not TOML: ")


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    (line,) = refused(a_file(tmp_path, "[run]\nseed = 1\nseed = 2\n"))

    assert line.startswith("config.toml:3: error: not TOML: ")


def test_a_file_from_windows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[run]\r\nseed = 5\r\n")

    assert load(path, {}, {}).run.seed == 5


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"[run]\nname = '\xff'\n")

    assert refused(path) == ["config.toml: error: is not UTF-8 text"]


@pytest.mark.parametrize(
    "text", ["[exchange]\napi_key = '{}'", "[data]\ntoken = '{}'", "secret = '{}'"]
)
def test_a_secret_in_the_file_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    (line,) = refused(a_file(tmp_path, text.format(CANARY)))

    assert "is a secret and does not belong in this file; use a credential" in line
    assert CANARY not in line


def test_addresses_of_alerts_are_secrets_that_come_from_credentials(tmp_path: Path) -> None:
    text = f"[alerts]\nurls = 'json://h/{CANARY}'\nheartbeat_url = 'https://h/{CANARY}'"
    in_file = refused(a_file(tmp_path, text))
    (tmp_path / "config.toml").unlink()
    stored = credentials(tmp_path, alerts__urls=f"json://h/{CANARY}\nmailto://a:b@h\n")

    settings = load(None, {}, stored)

    assert [line.partition(": error: ")[2] for line in in_file] == [
        f"`alerts.{key}` is a secret and does not belong in this file; use a credential named "
        "alerts__urls or alerts__heartbeat_url, or the environment (TRADINGD__*)"
        for key in ("urls", "heartbeat_url")
    ]
    assert settings.alerts.addresses == (f"json://h/{CANARY}", "mailto://a:b@h")
    assert CANARY not in str(settings)


@pytest.mark.parametrize("url", ["ftp://h/x", "h/x", "https:///x"])
def test_a_sign_of_life_goes_to_http_alone_and_the_address_is_not_shown(url: str) -> None:
    (line,) = refused(None, environ={"TRADINGD__ALERTS__HEARTBEAT_URL": f"{url}{CANARY}"})

    assert "`alerts.heartbeat_url` is no http:// or https:// address" in line
    assert CANARY not in line


def test_a_misspelt_credential_is_refused_without_showing_it(tmp_path: Path) -> None:
    (line,) = refused(None, environ=credentials(tmp_path, exchange__api_kye=CANARY))

    assert line == (
        "credential exchange__api_kye: error: unknown key `exchange.api_kye`; "
        "did you mean `exchange.api_key`?"
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_credential_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    environ = credentials(tmp_path, mode, exchange__api_key="a key", exchange__api_secret=CANARY)

    lines = refused(None, environ=environ)

    assert lines == [
        f"credential exchange__{name}: error: is readable by others ({mode:04o}); chmod 600"
        for name in ("api_key", "api_secret")
    ]


def test_a_credentials_directory_that_is_missing_is_refused(tmp_path: Path) -> None:
    (line,) = refused(None, environ={"CREDENTIALS_DIRECTORY": str(tmp_path / "none")})

    assert line.startswith("CREDENTIALS_DIRECTORY: error: ")


@pytest.mark.parametrize("text", ["", "'quoted'", "YOUR_API_KEY", "xxxxxxxx"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(text: str) -> None:
    environ = {"TRADINGD__EXCHANGE__API_KEY": text, "TRADINGD__EXCHANGE__API_SECRET": CANARY}

    (line,) = refused(None, environ=environ)

    assert line.startswith("environment TRADINGD__EXCHANGE__API_KEY: error: `exchange.api_key` ")
    assert CANARY not in line
    assert not text or text not in line


def test_key_and_secret_come_together() -> None:
    (line,) = refused(None, environ={"TRADINGD__EXCHANGE__API_KEY": CANARY})

    assert line == (
        "credentials: error: `exchange.api_secret` is missing: key and secret come together"
    )


def test_a_secret_that_equals_the_key_is_refused() -> None:
    environ = {"TRADINGD__EXCHANGE__API_KEY": CANARY, "TRADINGD__EXCHANGE__API_SECRET": CANARY}

    (line,) = refused(None, environ=environ)

    assert line.endswith("`exchange.api_secret` is the same as the key")


def test_the_hash_is_the_same_however_a_value_was_written_or_given(tmp_path: Path) -> None:
    path = a_file(tmp_path, "[risk]\nallotted_quote = 10_000.00\nkelly_ratio = 0.250\n")

    assert config_hash(load(path, {}, {})) == config_hash(load(None, {}, {}))


def test_the_hash_ignores_where_the_state_is_and_what_the_secrets_are() -> None:
    environ = {"TRADINGD__EXCHANGE__API_KEY": "a", "TRADINGD__EXCHANGE__API_SECRET": "b"}

    moved = load(None, {"run.state_dir": "/elsewhere"}, environ)

    assert config_hash(moved) == config_hash(load(None, {}, {}))


def test_the_hash_changes_with_any_other_setting() -> None:
    plain = load(None, {}, {})
    other = {
        "run.mode": "live",
        "data.history_bars": 9_000,
        "features.lags": (1, 2),
        "risk.kelly_ratio": 0.5,
        "risk.allotted_quote": "10000.01",
    }

    hashes = {config_hash(load(None, {key: value}, {})) for key, value in other.items()}

    assert len(hashes | {config_hash(plain)}) == len(other) + 1
    assert all(len(each) == 12 and int(each, 16) >= 0 for each in hashes)


def test_settings_dump_to_json_for_those_who_record_them() -> None:
    dumped = json.loads(load(None, {}, {}).model_dump_json())

    assert dumped["risk"]["allotted_quote"] == "10000"
