"""The Python interface: compare, train, load, predict and evaluate, in one call each.

run = spikewise.compare("digits", seeds=3, epochs=10)
model = run.load()
model.predict_proba("seven.png")
"""

from typing import TYPE_CHECKING

from spikewise.lazy import lazy_exports

if TYPE_CHECKING:
    from spikewise.api.costs import Costs, cost
    from spikewise.api.costs import Costs, cost
    from spikewise.api.encoding import encode, save_encoded
    from spikewise.api.evaluation import Evaluation, evaluate
    from spikewise.api.runs import Run, compare, execute, train
    from spikewise.api.sections import calibrate, section
    from spikewise.api.trained import Answers, Images, Trained, load
    from spikewise.api.wording import remarks, summary, tests
    from spikewise.data import load_data

__all__ = [
    "Answers",
    "Costs",
    "Costs",
    "Evaluation",
    "Images",
    "Run",
    "Trained",
    "calibrate",
    "compare",
    "cost",
    "cost",
    "encode",
    "evaluate",
    "execute",
    "load",
    "load_data",
    "remarks",
    "save_encoded",
    "section",
    "summary",
    "tests",
    "train",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Answers": "spikewise.api.trained",
        "Costs": "spikewise.api.costs",
        "Costs": "spikewise.api.costs",
        "Evaluation": "spikewise.api.evaluation",
        "Images": "spikewise.api.trained",
        "Run": "spikewise.api.runs",
        "Trained": "spikewise.api.trained",
        "calibrate": "spikewise.api.sections",
        "compare": "spikewise.api.runs",
        "cost": "spikewise.api.costs",
        "cost": "spikewise.api.costs",
        "encode": "spikewise.api.encoding",
        "evaluate": "spikewise.api.evaluation",
        "execute": "spikewise.api.runs",
        "load": "spikewise.api.trained",
        "load_data": "spikewise.data",
        "remarks": "spikewise.api.wording",
        "save_encoded": "spikewise.api.encoding",
        "section": "spikewise.api.sections",
        "summary": "spikewise.api.wording",
        "tests": "spikewise.api.wording",
        "train": "spikewise.api.runs",
    },
)
