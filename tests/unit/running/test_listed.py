"""A symbol that is not traded any more keeps no run from going on with what it holds."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from daemon.core.instruments import Instrument, InstrumentId
from daemon.running.world.listed import Listed, Wanted, known_by, listed
from tests.builders import BTC, ETH, an_instrument
from tests.fakes import FakeMarketData

OF_BTC, OF_ETH = an_instrument(id=BTC), an_instrument(id=ETH, base="ETH")


class Market(FakeMarketData):
    """Lists what it trades, and says of all else that it does not."""

    async def instruments(self, symbols: Sequence[str]) -> tuple[Instrument, ...]:
        if any(each in self.not_traded for each in symbols):
            raise ValueError("it is not traded")
        found = {each.id.symbol: each for each in await super().instruments(symbols)}
        return tuple(found[each] for each in symbols)


def found(known: Mapping[InstrumentId, Instrument], **not_traded: str) -> Listed:
    market = Market()
    market.listed = [OF_BTC, OF_ETH]
    market.not_traded = {f"{base}/USDT": why for base, why in not_traded.items()}
    wanted = Wanted([ETH.symbol, BTC.symbol], known)
    return asyncio.run(listed(market, BTC.exchange, wanted))


def test_what_is_traded_is_as_the_exchange_lists_it_whatever_was_known() -> None:
    known = {BTC: an_instrument(id=BTC, minimum_quantity=OF_BTC.lot * 7)}

    assert found(known) == Listed((OF_ETH, OF_BTC), {})


def test_what_the_run_has_known_is_there_although_it_is_not_traded_now() -> None:
    assert found({BTC: OF_BTC, ETH: OF_ETH}, ETH="BREAK") == Listed(
        (OF_ETH, OF_BTC), {ETH: "BREAK"}
    )


def test_what_a_run_has_never_known_was_misspelt() -> None:
    with pytest.raises(ValueError, match="not traded"):
        found({BTC: OF_BTC}, ETH="BREAK")


@pytest.mark.parametrize("left", [None, b"", b"no database"])
def test_of_a_journal_that_a_crash_left_without_a_table_nothing_is_known(
    tmp_path: Path, left: bytes | None
) -> None:
    """It is begun by the next start, or refused there with its reason."""
    path = tmp_path / "journal.db"
    if left is not None:
        path.write_bytes(left)

    assert known_by(path) == {}
    assert path.exists() is (left is not None)
