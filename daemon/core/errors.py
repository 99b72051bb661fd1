"""The few errors of the project, each named after what its catcher must do.

Belongs here: errors that cross an area's border. An error only one area knows stays in that area.
"""


class TradingdError(Exception):
    """Base of every error that is reported to a user in one line."""

    exit_code = 1


class UsageRefused(TradingdError):
    """The command line asks for something that does not make sense."""

    exit_code = 2


class DaemonNotRunning(TradingdError):
    """A query needs a living daemon and there is none."""

    exit_code = 3


class CheckFailed(TradingdError):
    """A check or gate said no."""

    exit_code = 4


class ExchangeUnreachable(TradingdError):
    """The exchange gave no answer; nothing is known about the request."""

    exit_code = 69


class LockHeld(TradingdError):
    """Another process owns this state directory, or trades its account as the same bot."""

    exit_code = 75


class LiveRefused(TradingdError):
    """Live trading is not allowed under these conditions."""

    exit_code = 77


class ModelRefused(TradingdError):
    """A model artefact must not be used; the text says which check failed."""

    exit_code = 78


class ModelForeign(ModelRefused):
    """A model artefact was written by another version: nothing is wrong with it, but not for us."""


class IllegalTransition(TradingdError):
    """An order was asked to take a step its state table does not have; its state is unchanged."""


class JournalBroken(TradingdError):
    """The journal on disk contradicts itself or cannot be written; trading must not go on."""
