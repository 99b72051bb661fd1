"""What stands between paper and real money, on the disk: checks, an override, an arming, an audit.

Belongs here: the file and its lines. What has to be met belongs to `running.golive.items`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from daemon.core.errors import CheckFailed
from daemon.store.artifacts import append_durably, lines_of, replace_durably

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "golive"
FOLDER_MODE = 0o700
_STATE = "state.json"
_AUDIT = "audit.jsonl"


class KeyCheck(Struct, frozen=True, kw_only=True):
    """What an exchange said of a key; `refused` is why it must not be used, or empty."""

    exchange: str
    key: str  # a fingerprint
    at_ns: int  # wire time
    remarks: tuple[str, ...] = ()
    refused: str = ""


class ClockCheck(Struct, frozen=True, kw_only=True):
    exchange: str
    at_ns: int
    offset_ms: float
    error_ms: float


class Override(Struct, frozen=True, kw_only=True):
    """Somebody takes the model without proof of skill; it holds for this model alone."""

    model: str
    reason: str
    who: str
    at_ns: int


class PaperCosts(Struct, frozen=True, kw_only=True):
    """What orders cost on paper, and how much of them was filled: what real ones are held against.

    Per order, slippage in bps against the decision price, positive is worse.
    """

    orders: int
    slippage_mean_bps: float
    slippage_sd_bps: float
    parents: int
    fill_ratio: float


class Canary(Struct, frozen=True, kw_only=True):
    """The terms on which the size grows after an arming."""

    days: float
    ratio: float
    steps: int
    min_orders: int


class Arming(Struct, frozen=True, kw_only=True):
    """That real orders may be sent: on which account, with which configuration, by whose word."""

    bot: str
    exchange: str
    account: str  # the key's fingerprint
    config_hash: str
    config: dict[str, dict[str, object]]
    model: str
    code: str
    who: str
    at_ns: int
    limits: tuple[str, ...]
    canary: Canary
    paper: PaperCosts | None


class GoliveState(Struct, frozen=True, kw_only=True):
    key: KeyCheck | None = None
    clock: ClockCheck | None = None
    override: Override | None = None
    arming: Arming | None = None


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the audit; `ts` is RFC 3339 UTC."""

    ts: str
    what: str  # check, override, arm, disarm, or refused when an arming was
    who: str
    reason: str = ""
    bot: str = ""
    exchange: str = ""
    config_hash: str = ""
    detail: tuple[str, ...] = ()


class GoliveStore:
    """Of one state directory. A crash leaves the state before or after a call."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / FOLDER

    def read(self) -> GoliveState:
        """CheckFailed when what is there cannot be understood: then nothing is armed."""
        path = self._folder / _STATE
        try:
            return msgspec.json.decode(path.read_bytes(), type=GoliveState)
        except FileNotFoundError:
            return GoliveState()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            msg = f"{path} cannot be read ({error}); remove it, and check and arm anew"
            raise CheckFailed(msg) from error

    def write(self, state: GoliveState, entry: Entry) -> None:
        """The line of the audit first: what is armed has always been noted."""
        self.note(entry)
        content = msgspec.json.format(msgspec.json.encode(state), indent=1)
        replace_durably(self._folder / _STATE, content)

    def note(self, entry: Entry) -> None:
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        append_durably(self._folder / _AUDIT, msgspec.json.encode(entry))

    def entries(self) -> list[Entry]:
        """Oldest first; a line that a crash cut off is left out."""
        return lines_of(self._folder / _AUDIT, Entry)
