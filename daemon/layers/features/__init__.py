"""Layer 2: turns the last closed bars of each instrument into a row of numbers, or into a reason.

Belongs here: what a feature is and how it is computed, live and in research alike. What a row is
worth belongs to layer 3.
"""

from daemon.layers.features.catalog import reference_features
from daemon.layers.features.golden import golden_check
from daemon.layers.features.handler import Features
from daemon.layers.features.matrix import feature_matrix
from daemon.layers.features.registry import feature
from daemon.layers.features.sets import FeatureSet

__all__ = [
    "FeatureSet",
    "Features",
    "feature",
    "feature_matrix",
    "golden_check",
    "reference_features",
]
