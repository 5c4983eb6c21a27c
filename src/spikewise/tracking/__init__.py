"""Trackers by replay: what trainings wrote down is told to TensorBoard, MLflow, Weights & Biases or files, once each.

No training knows of a tracker. Each epoch stands in the training's event file (`training/event_file.py`); who wants it
elsewhere reads it there, while the training goes on or afterwards. What a tracker has been told is asked of the tracker
itself, so a replay that was killed goes on where it stopped, and a repeated one tells nothing twice.
"""

from spikewise.tracking.followers import Follower
from spikewise.tracking.replays import Replayed, replay
from spikewise.tracking.tracker import Tracker
from spikewise.tracking.trackers import TRACKERS

__all__ = ["TRACKERS", "Follower", "Replayed", "Tracker", "replay"]
