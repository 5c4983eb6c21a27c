"""The Python interface: compare, train, load, predict and evaluate, in one call each.

run = spikewise.compare("digits", seeds=3, epochs=10)
model = run.load()
model.predict_proba("seven.png")
"""

from typing import TYPE_CHECKING

from spikewise.lazy import lazy_exports

if TYPE_CHECKING:
    from spikewise.api.answering import IncomingImage, answer_records, incoming, remarks_on
    from spikewise.api.auditing import audit
    from spikewise.api.contest import Contest, versus
    from spikewise.api.converting import Converted, convert
    from spikewise.api.costs import Costs, cost
    from spikewise.api.diagnosis import diagnose
    from spikewise.api.encoding import encode, save_encoded
    from spikewise.api.evaluation import Evaluation, evaluate
    from spikewise.api.explanation import ImageExplanation, explain, explanations
    from spikewise.api.exporting import Export, export, verify
    from spikewise.api.first_screen import first_table, lines
    from spikewise.api.fitting import fits
    from spikewise.api.importing import from_nir, from_snntorch, from_spikingjelly, import_network
    from spikewise.api.judging import TrainingImages, judge, training_images
    from spikewise.api.paper import figures, table
    from spikewise.api.registering import register
    from spikewise.api.robust import robustness
    from spikewise.api.runs import Run, compare, execute, share, train
    from spikewise.api.searching import Swept, sweep, tune
    from spikewise.api.sections import anytime, calibrate, section
    from spikewise.api.stepping import StepAnswers, exit_thresholds, walk
    from spikewise.api.tracing import may_show, save_trace, trace
    from spikewise.api.trained import Answers, Images, Trained, load, networks_of
    from spikewise.api.wording import summary, tests
    from spikewise.data import load_data
    from spikewise.report import write_report

__all__ = [
    "Answers",
    "Contest",
    "Converted",
    "Costs",
    "Evaluation",
    "Export",
    "ImageExplanation",
    "Images",
    "IncomingImage",
    "Run",
    "StepAnswers",
    "Swept",
    "Trained",
    "TrainingImages",
    "answer_records",
    "anytime",
    "audit",
    "calibrate",
    "compare",
    "convert",
    "cost",
    "diagnose",
    "encode",
    "evaluate",
    "execute",
    "exit_thresholds",
    "explain",
    "explanations",
    "export",
    "figures",
    "first_table",
    "fits",
    "from_nir",
    "from_snntorch",
    "from_spikingjelly",
    "import_network",
    "incoming",
    "judge",
    "lines",
    "load",
    "load_data",
    "may_show",
    "networks_of",
    "register",
    "remarks_on",
    "robustness",
    "save_encoded",
    "save_trace",
    "section",
    "share",
    "summary",
    "sweep",
    "table",
    "tests",
    "trace",
    "train",
    "training_images",
    "tune",
    "verify",
    "versus",
    "walk",
    "write_report",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "IncomingImage": "spikewise.api.answering",
        "answer_records": "spikewise.api.answering",
        "incoming": "spikewise.api.answering",
        "remarks_on": "spikewise.api.answering",
        "StepAnswers": "spikewise.api.stepping",
        "exit_thresholds": "spikewise.api.stepping",
        "walk": "spikewise.api.stepping",
        "Contest": "spikewise.api.contest",
        "versus": "spikewise.api.contest",
        "Converted": "spikewise.api.converting",
        "convert": "spikewise.api.converting",
        "Answers": "spikewise.api.trained",
        "Costs": "spikewise.api.costs",
        "Evaluation": "spikewise.api.evaluation",
        "ImageExplanation": "spikewise.api.explanation",
        "Images": "spikewise.api.trained",
        "Run": "spikewise.api.runs",
        "Trained": "spikewise.api.trained",
        "audit": "spikewise.api.auditing",
        "anytime": "spikewise.api.sections",
        "calibrate": "spikewise.api.sections",
        "compare": "spikewise.api.runs",
        "cost": "spikewise.api.costs",
        "diagnose": "spikewise.api.diagnosis",
        "encode": "spikewise.api.encoding",
        "evaluate": "spikewise.api.evaluation",
        "execute": "spikewise.api.runs",
        "share": "spikewise.api.runs",
        "explain": "spikewise.api.explanation",
        "explanations": "spikewise.api.explanation",
        "Export": "spikewise.api.exporting",
        "export": "spikewise.api.exporting",
        "verify": "spikewise.api.exporting",
        "from_nir": "spikewise.api.importing",
        "from_snntorch": "spikewise.api.importing",
        "from_spikingjelly": "spikewise.api.importing",
        "import_network": "spikewise.api.importing",
        "figures": "spikewise.api.paper",
        "first_table": "spikewise.api.first_screen",
        "fits": "spikewise.api.fitting",
        "lines": "spikewise.api.first_screen",
        "table": "spikewise.api.paper",
        "TrainingImages": "spikewise.api.judging",
        "judge": "spikewise.api.judging",
        "training_images": "spikewise.api.judging",
        "load": "spikewise.api.trained",
        "load_data": "spikewise.data",
        "networks_of": "spikewise.api.trained",
        "may_show": "spikewise.api.tracing",
        "register": "spikewise.api.registering",
        "robustness": "spikewise.api.robust",
        "save_encoded": "spikewise.api.encoding",
        "save_trace": "spikewise.api.tracing",
        "section": "spikewise.api.sections",
        "Swept": "spikewise.api.searching",
        "summary": "spikewise.api.wording",
        "sweep": "spikewise.api.searching",
        "tests": "spikewise.api.wording",
        "trace": "spikewise.api.tracing",
        "train": "spikewise.api.runs",
        "tune": "spikewise.api.searching",
        "write_report": "spikewise.report",
    },
)
