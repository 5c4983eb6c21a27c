"""The Python interface: compare, train, load, predict and evaluate, in one call each.

run = spikewise.compare("digits", seeds=3, epochs=10)
model = run.load()
model.predict_proba("seven.png")
"""

from spikewise.api.encoding import encode, save_encoded
from spikewise.api.evaluation import Evaluation, evaluate
from spikewise.api.runs import Run, compare, execute, train
from spikewise.api.summary import remarks, summary, tests
from spikewise.api.trained import Answers, Images, Trained, load
from spikewise.data import load_data

__all__ = [
    "Answers",
    "Evaluation",
    "Images",
    "Run",
    "Trained",
    "compare",
    "encode",
    "evaluate",
    "execute",
    "load",
    "load_data",
    "remarks",
    "save_encoded",
    "summary",
    "tests",
    "train",
]
