"""Training: the loop, its rules, checkpoints, and what can go wrong."""

from spikewise.training.checkpoint import load_weights, save_weights
from spikewise.training.config import TrainConfig
from spikewise.training.events import Listener, Silent
from spikewise.training.loop import FitResult, Task, fit

__all__ = ["FitResult", "Listener", "Silent", "Task", "TrainConfig", "fit", "load_weights", "save_weights"]
