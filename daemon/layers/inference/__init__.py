"""Layer 3: turns feature rows into probabilities, knowing a model and nothing else.

Belongs here: walking a compiled model and calibrating what it says. Making a model belongs to
research, acting on a probability to layer 4.
"""

from daemon.layers.inference.forest import CompiledForest
from daemon.layers.inference.handler import Inference
from daemon.layers.inference.model import ActiveModel, Calibration

__all__ = ["ActiveModel", "Calibration", "CompiledForest", "Inference"]
