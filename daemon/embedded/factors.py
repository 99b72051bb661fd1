"""Makes what all synthetic symbols share: two factors, the market's volatility, the hour of day.

Belongs here: the common part of the random process and the law of log volatility. What one symbol
makes of it belongs in process.
"""

import math
from dataclasses import dataclass

import numpy as np

from daemon.embedded.chains import Chain
from daemon.embedded.changes import Regime, Regimes
from daemon.embedded.noise import Floats, normal_cdfs, normals

CHUNK_BARS = 512

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BUSIEST_HOUR = 15.0


@dataclass(frozen=True, slots=True)
class Clustering:
    """A first-order autoregression of log volatility, fed by the surprise of each shock."""

    persistence: float
    response: float

    def pushes(self, shocks: Floats) -> list[float]:
        """By how much each shock moves the next bar's log volatility.

        A standard normal becomes a centred exponential: large shocks raise, small ones lower.
        """
        surprises = -np.array(list(map(math.log, normal_cdfs(-shocks).tolist()))) - 1.0
        pushed: list[float] = (self.response * surprises).tolist()
        return pushed

    def log_mean_square(self) -> float:
        """log E exp(2 * log volatility); a surprise x has log E exp(s x) = -log(1 - s) - s."""
        total, weight = 0.0, 2.0 * self.response
        while weight > 1e-9:
            total += -math.log1p(-weight) - weight
            weight *= self.persistence
        return total


MARKET_CLUSTERING = Clustering(persistence=0.985, response=0.045)


@dataclass(frozen=True, slots=True)
class Setting:
    """What both processes are made from; `genesis_ms` is the open of bar 0."""

    seed: int
    regimes: Regimes
    timeframe_ms: int
    genesis_ms: int

    def key(self, name: str, index: int) -> str:
        first_ms = self.genesis_ms + index * CHUNK_BARS * self.timeframe_ms
        return f"{self.seed}/{name}/{self.timeframe_ms}/{first_ms}"

    def regimes_of(self, index: int) -> list[Regime]:
        """What holds in each bar of a chunk."""
        first = index * CHUNK_BARS
        return [
            self.regimes.at(self.genesis_ms + (first + offset) * self.timeframe_ms)
            for offset in range(CHUNK_BARS)
        ]


@dataclass(frozen=True, slots=True)
class MarketChunk:
    """What all symbols share in each bar: two factors, the market's log volatility, the hour."""

    shock_factor: list[float]
    direction_factor: list[float]
    log_volatility: list[float]
    season: list[float]


class MarketProcess:
    """The factors every symbol shares; independent of which symbols are listed."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._chain: Chain[float, MarketChunk] = Chain(0.0, self._step)

    def chunk(self, index: int) -> MarketChunk:
        return self._chain.chunk(index)

    def _step(self, index: int, state: float) -> tuple[MarketChunk, float]:
        drawn = normals(self._setting.key("market", index), CHUNK_BARS, 2)
        shocks: list[float] = drawn[:, 0].tolist()
        volatilities = []
        for push in MARKET_CLUSTERING.pushes(drawn[:, 0]):
            volatilities.append(state)
            state = MARKET_CLUSTERING.persistence * state + push
        first = index * CHUNK_BARS
        seasons = [self._season(first + offset) for offset in range(CHUNK_BARS)]
        return MarketChunk(shocks, drawn[:, 1].tolist(), volatilities, seasons), state

    def _season(self, bar: int) -> float:
        timeframe_ms = self._setting.timeframe_ms
        if timeframe_ms >= DAY_MS:
            return 0.0
        middle_ms = self._setting.genesis_ms + bar * timeframe_ms + timeframe_ms // 2
        return _season_of_hour(middle_ms % DAY_MS / HOUR_MS)


def mean_square_of_season() -> float:
    return sum(math.exp(2.0 * _season_of_hour(float(hour))) for hour in range(24)) / 24.0


def _season_of_hour(hour: float) -> float:
    angle = 2.0 * math.pi * (hour - BUSIEST_HOUR) / 24.0
    return 0.18 * math.cos(angle) + 0.07 * math.cos(2.0 * angle)
