"""What the command line of `tradingd run` makes of a configuration with several exchanges."""

from pathlib import Path

from daemon.cli.running import RunRequest, asked_for, overrides_of
from daemon.config import Settings, load, recorded
from daemon.store.runs import RunSpec


def settings_for(request: RunRequest, path: Path | None) -> Settings:
    return load(path, asked_for(request, path), {})


def a_file(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_further_exchanges_of_the_file_stay_beside_the_one_they_were_written_for(
    tmp_path: Path,
) -> None:
    path = a_file(tmp_path, "[data]\nexchange = 'binance'\nalso = {okx = []}\n")

    def names(market: str | None, *also: str) -> list[str]:
        request = RunRequest(market=market, also=also)
        return list(settings_for(request, path).data.by_exchange)

    assert names(None) == names("binance") == ["binance", "okx"]
    assert names("synthetic") == ["embedded"]
    assert names("kraken") == ["kraken"]
    assert names("kraken", "bybit=BTC/USDT") == ["kraken", "bybit"]
    assert names("synthetic", "embedded-b") == ["embedded", "embedded-b"]


def test_a_market_in_the_box_keeps_the_exchanges_in_the_box(tmp_path: Path) -> None:
    path = a_file(tmp_path, "[data]\nexchange = 'embedded-b'\nalso = {embedded-c = []}\n")

    data = settings_for(RunRequest(market="synthetic"), path).data

    assert list(data.by_exchange) == ["embedded-b", "embedded-c"]


def test_a_run_goes_on_with_the_exchanges_it_was_started_with(tmp_path: Path) -> None:
    path = a_file(tmp_path, "[data.also]\nembedded-x = []\n")
    request = RunRequest(market="synthetic", also=("embedded-b=BTC/USDT",))
    settings = settings_for(request, path)
    spec = RunSpec(
        run="20240101T000000-0001",
        created_ns=1,
        mode="paper",
        market="synthetic",
        symbols=settings.data.symbols,
        timeframe="1h",
        seed=42,
        config_hash="",
        exchange_name=settings.data.exchange,
        also=settings.data.also,
        settings=recorded(settings),
        typed=("data.exchange", "data.also"),
    )

    again = load(path, overrides_of(spec), {})

    assert again.data.by_exchange == settings.data.by_exchange
    assert again.data.also == {"embedded-b": ("BTC/USDT",)}
