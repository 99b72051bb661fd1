"""Makes the bars of synthetic symbols, chunk by chunk, from a seed and a planted edge.

Belongs here: the random process itself, in ticks and lots. Decimals, slots and the market port
belong in synthetic.

A bar's log return is direction * volatility * shock, where, with the rank u of the shock exactly
uniform and independent of everything before it:

- shock = F^-1(u), F the law of |t4| with unit variance: fat tails;
- log volatility = two first-order autoregressions (the market's, fed by market-wide shocks, and
  the symbol's own) plus the hour of the day: clustering, shared among symbols;
- direction is up with probability p = 1/2 - direction' * g(u') / 2 of the bar before: a violent
  bar (rank u above c = TURN_RANK) reverts, g = ((u - c) / (1 - c))^k, and a quiet one runs on,
  g = -((c - u) / c)^k. k = 1/edge - 1 makes E|2p - 1| = E|g| = 1/(k + 1) = edge, so nobody can call
  the direction right more often than 1/2 + edge/2 on average. Because of the turn the last return
  alone does not tell: a model has to set it against the volatility of its time. An edge below zero
  is the opposite pattern: violent bars run on, quiet ones revert.

What a change of regime does to the edge, to volume and to volatility holds from its bar on; the
draws are the same with and without it.

Shocks and directions are correlated among symbols through Gaussian copulas, which leave each
symbol's own law as it is. A weak pull toward the symbol's price level makes steps away from it a
little shorter and steps back a little longer; it moves lengths only, never a direction.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.embedded.chains import Chain
from daemon.embedded.changes import Regime
from daemon.embedded.factors import (
    CHUNK_BARS,
    HOUR_MS,
    MARKET_CLUSTERING,
    Clustering,
    MarketProcess,
    Setting,
    mean_square_of_season,
)
from daemon.embedded.listings import Listing
from daemon.embedded.noise import Floats, fat_magnitude, normal_cdfs, normals

PATH_STEPS = 16

OWN_CLUSTERING = Clustering(persistence=0.960, response=0.090)
SHOCK_LOADING = 0.75
DIRECTION_LOADING = 0.90
TURN_RANK = 0.4  # bars quieter than this run on, the others revert

PRICE_SPREAD = 0.4  # long-run deviation of log price around its level
PULL_MAX = 0.3
STEP_MAX = 0.35  # no bar moves by more than this in log price
VOLUME_ELASTICITY = 0.8
VOLUME_NOISE = 0.35
TRADE_NOTIONAL = 1_500.0

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SymbolChunk:
    """Bars as ticks and lots; `path` has PATH_STEPS + 1 columns, open to close."""

    path: Ints
    volume: list[int]
    trades: list[int]
    probability_up: list[float]


@dataclass(frozen=True, slots=True)
class SymbolState:
    """All that the next bar depends on."""

    ticks: int
    log_volatility: float
    direction: int
    rank: float


@dataclass(frozen=True, slots=True)
class Walk:
    """A chunk's bars as far as one depends on the other; `closes` has the first open too."""

    closes: list[int]
    deviations: list[float]
    sizes: list[float]
    log_volatilities: list[float]
    chances: list[float]


class SymbolProcess:
    """One symbol's bars, given the market's factors; independent of the other symbols listed."""

    def __init__(self, setting: Setting, listing: Listing, market: MarketProcess) -> None:
        self._setting = setting
        self._market = market
        self._name = listing.instrument.symbol
        character = listing.character
        hours = setting.timeframe_ms / HOUR_MS
        deviation = character.hourly_sd_ratio * math.sqrt(hours)
        log_mean_square = MARKET_CLUSTERING.log_mean_square() + OWN_CLUSTERING.log_mean_square()
        self._scale = deviation / math.sqrt(math.exp(log_mean_square) * mean_square_of_season())
        self._pull = deviation / (2.0 * _MEAN_SHOCK * PRICE_SPREAD**2)
        self._level_ticks = character.price / float(listing.instrument.tick)
        self._trades_per_lot_tick = (
            float(listing.instrument.tick) * float(listing.instrument.lot) / TRADE_NOTIONAL
        )
        lots = character.hourly_turnover_quote / character.price / float(listing.instrument.lot)
        self._typical_lots = lots * hours
        first = SymbolState(round(self._level_ticks), 0.0, direction=1, rank=0.5)
        self._chain: Chain[SymbolState, SymbolChunk] = Chain(first, self._step, self._skip)

    def chunk(self, index: int) -> SymbolChunk:
        return self._chain.chunk(index)

    def _step(self, index: int, state: SymbolState) -> tuple[SymbolChunk, SymbolState]:
        drawn = self._drawn(index)
        walk, after = self._walk(index, state, drawn)
        seasons = self._market.chunk(index).season
        regimes, crowds = self._setting.regimes_of(index), drawn[:, 2].tolist()
        volumes = list(map(self._lots, regimes, walk.log_volatilities, seasons, walk.sizes, crowds))
        path = _paths(walk.closes, walk.deviations, drawn[:, 3:])
        trades = [
            max(1, round(lots * ticks * self._trades_per_lot_tick))
            for lots, ticks in zip(volumes, walk.closes[1:], strict=True)
        ]
        return SymbolChunk(path, volumes, trades, walk.chances), after

    def _skip(self, index: int, state: SymbolState) -> SymbolState:
        """The state after a chunk that nobody asked for."""
        return self._walk(index, state, self._drawn(index))[1]

    def _drawn(self, index: int) -> Floats:
        return normals(self._setting.key(self._name, index), CHUNK_BARS, PATH_STEPS + 3)

    def _walk(self, index: int, state: SymbolState, drawn: Floats) -> tuple[Walk, SymbolState]:
        """What each bar needs of the one before it; all else is computed for whole chunks."""
        market = self._market.chunk(index)
        ranks = normal_cdfs(_mixed(SHOCK_LOADING, market.shock_factor, drawn[:, 0])).tolist()
        draws = normal_cdfs(_mixed(DIRECTION_LOADING, market.direction_factor, drawn[:, 1]))
        sizes = list(map(fat_magnitude, ranks))
        pushes, persistence = OWN_CLUSTERING.pushes(drawn[:, 0]), OWN_CLUSTERING.persistence
        closes, deviations, chances, log_volatilities = [state.ticks], [], [], []
        own, direction, rank, ticks = state.log_volatility, state.direction, state.rank, state.ticks
        exp, scale, chance_of, moved = math.exp, self._scale, _probability_up, self._next_ticks
        regimes = self._setting.regimes_of(index)
        shared_parts = zip(market.log_volatility, market.season, regimes, strict=True)
        each_bar = zip(ranks, draws.tolist(), sizes, pushes, shared_parts, strict=True)
        for next_rank, draw, size, push, (shared, season, regime) in each_bar:
            chance = chance_of(regime.edge, rank, direction)
            direction, rank = 1 if draw < chance else -1, next_rank
            log_volatility = own + shared
            deviation = scale * exp(log_volatility + season) * regime.volatility
            ticks = moved(ticks, direction, deviation * size)
            own = persistence * own + push
            chances.append(chance)
            log_volatilities.append(log_volatility)
            deviations.append(deviation)
            closes.append(ticks)
        walk = Walk(closes, deviations, sizes, log_volatilities, chances)
        return walk, SymbolState(ticks, own, direction, rank)

    def _next_ticks(self, ticks: int, direction: int, length: float) -> int:
        distance = math.log(ticks / self._level_ticks)
        pull = min(max(self._pull * distance, -PULL_MAX), PULL_MAX)
        step = min(length * (1.0 - direction * pull), STEP_MAX)
        # At least one tick, so that rounding never hides a direction in a tie.
        moved = max(1, abs(round(ticks * math.expm1(direction * step))))
        assert moved < ticks or direction > 0, "a price stays above zero"
        return ticks + direction * moved

    def _lots(
        self, regime: Regime, log_volatility: float, season: float, size: float, crowd: float
    ) -> int:
        noise = VOLUME_NOISE * regime.volume_noise
        liveliness = math.exp(VOLUME_ELASTICITY * log_volatility + 1.6 * season + noise * crowd)
        typical_lots = self._typical_lots * regime.volume
        return max(1, round(typical_lots * liveliness * (0.5 + 0.7 * size)))


# E|t4| is 1 and the deviation of t4 is sqrt(2).
_MEAN_SHOCK = 1.0 / math.sqrt(2.0)


def _probability_up(edge: float, rank: float, direction: int) -> float:
    if edge == 0.0:
        return 0.5
    past_turn = rank - TURN_RANK
    share = past_turn / (1.0 - TURN_RANK) if past_turn > 0.0 else -past_turn / TURN_RANK
    strength: float = math.copysign(share ** (1.0 / abs(edge) - 1.0), edge)
    return 0.5 - 0.5 * math.copysign(1.0, past_turn) * strength * direction


def _mixed(loading: float, shared: list[float], own: Floats) -> Floats:
    mixed: Floats = loading * np.array(shared) + math.sqrt(1.0 - loading * loading) * own
    return mixed


def _paths(closes: list[int], deviations: list[float], steps: npt.NDArray[np.float64]) -> Ints:
    """Brownian bridges in log price from each close to the next, on tick, ends exact."""
    ends = np.array(closes, dtype=np.int64)
    opens, finals = ends[:-1], ends[1:]
    walk = np.cumsum(steps, axis=1) / math.sqrt(PATH_STEPS)
    shares = np.arange(1, PATH_STEPS + 1) / PATH_STEPS
    bridge = walk - walk[:, -1:] * shares
    drift = np.log(finals / opens)[:, None] * shares
    inside = opens[:, None] * np.exp(drift + np.array(deviations)[:, None] * bridge)
    path = np.empty((len(opens), PATH_STEPS + 1), dtype=np.int64)
    path[:, 0] = opens
    path[:, 1:] = np.maximum(np.rint(inside), 1)
    path[:, -1] = finals
    return path
