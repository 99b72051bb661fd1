"""Makes one frozen value from command line, environment, credentials, config.toml and defaults.

Belongs here: every tunable and the only reading of config.toml and of the environment. What a value
means for trading belongs to the layer that receives its section.
"""

from daemon.config.advice import warnings_for
from daemon.config.changes import (
    Change,
    Recorded,
    changes,
    config_hash,
    recorded,
    restored,
    still_known,
)
from daemon.config.going_live import GoliveSection
from daemon.config.health import HealthSection
from daemon.config.loading import load
from daemon.config.operations import AlertsSection, ProcessSection
from daemon.config.promotion import PromotionSection
from daemon.config.refusals import ConfigRefused
from daemon.config.retraining import RetrainingSection
from daemon.config.sections import (
    AddedFeature,
    DataSection,
    ExchangeSection,
    ExecutionSection,
    FeaturesSection,
    LogSection,
    ModelSection,
    PolicySection,
    RiskSection,
    RunSection,
    Section,
    SignalSection,
    StoreSection,
)
from daemon.config.settings import Settings

__all__ = [
    "AddedFeature",
    "AlertsSection",
    "Change",
    "ConfigRefused",
    "DataSection",
    "ExchangeSection",
    "ExecutionSection",
    "FeaturesSection",
    "GoliveSection",
    "HealthSection",
    "LogSection",
    "ModelSection",
    "PolicySection",
    "ProcessSection",
    "PromotionSection",
    "Recorded",
    "RetrainingSection",
    "RiskSection",
    "RunSection",
    "Section",
    "Settings",
    "SignalSection",
    "StoreSection",
    "changes",
    "config_hash",
    "load",
    "recorded",
    "restored",
    "still_known",
    "warnings_for",
]
