"""What a paper venue assumes of the exchange it stands for: turns settings into fees and delays.

Belongs here: numbers that somebody chose or measured. What is done with them belongs to the venue.
"""

from __future__ import annotations

import hashlib
import math
from decimal import Decimal

from msgspec import Struct

BPS = Decimal(10_000)
JITTERS_MAX = 10.0


class FeeTier(Struct, frozen=True):
    """What is charged once so much was traded in 30 days, in the reporting currency."""

    from_volume_quote: float
    maker_bps: float
    taker_bps: float


class PaperTerms(Struct, frozen=True, kw_only=True):
    """Fees, delays and the book's manners; a `seed` gives every order the same delay for ever."""

    maker_fee_bps: float = 10.0
    taker_fee_bps: float = 10.0
    tiers: tuple[FeeTier, ...] = ()  # by rising volume
    latency_ms: int = 250
    latency_jitter_ms: int = 0  # mean of what comes on top, which has no upper end to speak of
    recovery_s: float = 30.0  # half of what we took from a level is there again after so long
    extra_slippage_bps: float = 0.0  # on market orders, beyond what the book shows
    seed: int = 0
    leverage: Decimal = Decimal(1)  # of swaps, each of which has a margin of its own
    maintenance_ratio: Decimal = Decimal(0)

    def latency_s(self, key: str) -> float:
        """How long the request called `key` is on its way: exponential jitter above a base."""
        text = f"{self.seed}:{key}".encode()
        drawn = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
        jitter = min(JITTERS_MAX, -math.log1p(-(drawn + 0.5) / 2**64 * (1 - 2**-53)))
        return (self.latency_ms + self.latency_jitter_ms * jitter) / 1_000

    def fee_ratio(self, volume_quote: Decimal, *, is_maker: bool) -> Decimal:
        """The fee of one fill as a share of what it brings; a negative one is a rebate."""
        maker_bps, taker_bps = self.maker_fee_bps, self.taker_fee_bps
        for tier in self.tiers:
            if volume_quote >= tier.from_volume_quote:
                maker_bps, taker_bps = tier.maker_bps, tier.taker_bps
        return Decimal(repr(maker_bps if is_maker else taker_bps)) / BPS

    def worse(self, price: Decimal, *, is_buy: bool) -> Decimal:
        """A market order's price with the slippage that no book shows."""
        extra = Decimal(repr(self.extra_slippage_bps)) / BPS
        return price * (1 + extra if is_buy else 1 - extra)
