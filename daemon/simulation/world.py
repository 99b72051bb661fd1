"""One simulated world, made of a seed: an exchange, its market, its faults, and what goes wrong.

Belongs here: everything a run has around the bot. How it is judged belongs to `judge`.
"""

from __future__ import annotations

import hashlib
import random
from decimal import Decimal

from daemon.core.instruments import Instrument, InstrumentId
from daemon.core.timeframes import NS_PER_MS, NS_PER_S
from daemon.simulation.client import ModelClient
from daemon.simulation.exchange import ModelExchange
from daemon.simulation.faults import Fault, Faults
from daemon.simulation.virtual_loop import Timeline, VirtualWire

SLOT_S = 60.0
EPOCH_NS = 1_704_067_200 * NS_PER_S  # 2024-01-01
SLOTS = 7  # in which orders may be decided
CALM_FROM_S = SLOTS * SLOT_S + 30.0
MOVE_EVERY_S = 7.5
MOVE_MAX_BPS = 12
CRASHES_MAX = 3
CRASH_WITHIN = 900  # callbacks of one process
COMMITS_WITHIN = 24
DOWN_MAX_S = 50.0


class World:
    """What outlives a process of the bot: time, exchange, chance, and the trace of it all."""

    def __init__(
        self, seed: int, exchange: str = "binance", fee_currency: str | None = None
    ) -> None:
        """`fee_currency` takes the place of a drawn one."""
        self.rng = random.Random(seed)  # noqa: S311  # a drawn world, not secrets
        self.timeline = Timeline()
        self.wire = VirtualWire(self.timeline, EPOCH_NS)
        self.faults = Faults(self.rng)
        self.closes: dict[int, Decimal] = {}  # by slot
        self.instrument = Instrument(
            id=InstrumentId(exchange, "BTC/USDT"),
            base="BTC",
            quote="USDT",
            tick=Decimal("0.01"),
            lot=Decimal("0.00001"),
            minimum_quantity=Decimal("0.00001"),
            minimum_notional=Decimal(5),
        )
        # What is not the bot's lies on the same account.
        self.opening = {
            "USDT": Decimal(50_000),
            "BTC": self.rng.choice((Decimal(0), Decimal("1.5"))),
            "BNB": Decimal(10),
        }
        self.exchange = ModelExchange(
            self.timeline,
            self.rng,
            self.faults,
            self.instrument,
            epoch_ms=EPOCH_NS // NS_PER_MS,
            balances=self.opening,
            price=Decimal(42_000),
            fee_currency=fee_currency or self.rng.choice((None, "USDT", "BNB")),
            shown=self.rng.choice((Decimal("0.02"), Decimal(3))),
        )
        # Whether a position is kept at the end of each slot; who has none always wants one.
        self.keeps = [self.rng.random() < 0.4 for _ in range(SLOTS)]
        self._digest = hashlib.sha256()
        self.exchange.note = self.note
        self._crashes = self.rng.randint(1, CRASHES_MAX) if self.faults.has(Fault.CRASH) else 0
        self.timeline.after(MOVE_EVERY_S, self._move)
        self._is_calm = False

    # --- chance ---------------------------------------------------------------------------------

    def crash_point(self) -> tuple[int, int]:
        """(callback, commit) at which the next process dies, -1 for never; a commit counts twice,
        before it and after it.
        """
        if self._is_calm or self._crashes == 0:
            return (-1, -1)
        self._crashes -= 1
        if self.rng.random() < 0.5:
            return (int(CRASH_WITHIN ** self.rng.random()), -1)
        return (-1, self.rng.randint(1, 2 * COMMITS_WITHIN))

    def stay_down(self) -> None:
        """Nobody is there for a while; the exchange goes on."""
        self.faults.fired[Fault.CRASH.value] += 1
        down_s = DOWN_MAX_S ** self.rng.random()
        self.note(f"{self.timeline.now_s:.6f} CRASH")
        self.timeline.advance(self.timeline.now_s + down_s)

    def client(self) -> ModelClient:
        return ModelClient(
            self.timeline, self.rng, self.faults, self.exchange, self.instrument, self.wire
        )

    def calm(self) -> None:
        """The chaos is over: no new fault, no crash, and the market stands."""
        self._is_calm = True
        self.faults.calm()

    # --- the market -----------------------------------------------------------------------------

    def close_of(self, slot: int) -> Decimal:
        """The market's price at the end of a slot."""
        return self.closes.get(slot, self.exchange.price)

    def _move(self) -> None:
        if self._is_calm:
            return
        bps = Decimal(self.rng.randint(-MOVE_MAX_BPS, MOVE_MAX_BPS))
        price = self.instrument.price_down(self.exchange.price * (1 + bps / 10_000))
        self.exchange.move(price)
        self.closes[int(self.timeline.now_s // SLOT_S)] = price
        self.timeline.after(MOVE_EVERY_S, self._move)

    # --- the trace ------------------------------------------------------------------------------

    def note(self, line: str) -> None:
        self._digest.update(line.encode() + b"\n")

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()
