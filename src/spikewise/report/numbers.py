"""Numbers as a reader wants them: shares in percent, thousands grouped, a real minus sign, nothing for nothing."""

from typing import Final, NamedTuple

from spikewise.evaluation import Estimate, wording

__all__ = [
    "METRICS",
    "Metric",
    "brief",
    "count",
    "duration",
    "in_sentence",
    "interval",
    "metric_label",
    "metric_value",
    "p_value",
    "percent",
    "points",
]

NONE: Final = "–"


class Metric(NamedTuple):
    """How a metric is called and written."""

    label: str
    percent: bool
    hint: str = ""
    of_positive: str = ""
    """How it is called where the positive class is known, {} being its name; empty for figures of no single class."""


METRICS: Final = {
    "accuracy": Metric("Accuracy", True),
    "balanced_accuracy": Metric("Balanced accuracy", True),
    "f1_macro": Metric("F1, macro", True),
    "f1": Metric("F1, positive class", True, of_positive="F1 of ‘{}’"),
    "f1_weighted": Metric("F1, weighted", True),
    "precision_macro": Metric("Precision, macro", True),
    "precision_weighted": Metric("Precision, weighted", True),
    "precision": Metric("Precision, positive class", True, of_positive="Precision of ‘{}’"),
    "recall_macro": Metric("Recall, macro", True, "sensitivity"),
    "recall": Metric("Recall, positive class", True, "sensitivity", "Recall of ‘{}’"),
    "specificity_macro": Metric("Specificity, macro", True),
    "specificity": Metric("Specificity", True, "recall of the other class", "Specificity, ‘{}’ positive"),
    "g_mean": Metric("G-mean", True),
    "auc": Metric("AUC", False),
    "ece": Metric("ECE", True, "calibration error, lower is better"),
    "brier": Metric("Brier score", False, "lower is better"),
    "nll": Metric("Log loss", False, "lower is better"),
}
"""Known metrics, in the order of the table."""


def metric_label(name: str, positive: str | None = None) -> str:
    """What a metric is called, with the class it is about where it is about one.

    Args:
        positive: Name of the positive class of two; None where nobody knows it.
    """
    metric = METRICS.get(name)
    if metric is None:
        return name
    return metric.of_positive.format(positive) if positive is not None and metric.of_positive else metric.label


def in_sentence(label: str) -> str:
    """What a metric is called inside a sentence: accuracy, F1 of ‘a’, AUC, Brier score."""
    named = label.startswith("Brier") or label[1:2].isupper() or label[1:2] in {"1", "-"}
    return label if named else label[0].lower() + label[1:]


def percent(value: float | None, digits: int = 2) -> str:
    """A share of 1 in percent."""
    return NONE if value is None else wording.percent(value, digits)


def points(value: float | None, digits: int = 2) -> str:
    """A difference of shares in percentage points, always with its sign."""
    if value is None:
        return NONE
    text = wording.signed(100 * value, digits)
    return text if text.startswith(wording.MINUS) else f"+{text}"


def count(value: float | None) -> str:
    """A whole number with its thousands grouped."""
    return NONE if value is None else f"{value:,.0f}".replace("-", wording.MINUS)


def brief(value: float | None) -> str:
    """Three or four significant figures, thousands grouped: 0.0123, 1.23, 12,300."""
    return NONE if value is None else wording.brief(value).replace("-", wording.MINUS)


def duration(seconds: float | None, *, aligned: bool = False) -> str:
    """Seconds as a person says them.

    Args:
        aligned: Three figures, zeros at the end too, for a column.
    """
    if seconds is None:
        return NONE
    if seconds < 60:
        return f"{wording.aligned(seconds) if aligned else f'{seconds:.3g}'} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def p_value(p: float | None) -> str:
    """A p value with three digits, or that it is smaller; a column or a word before it says that it is one."""
    return NONE if p is None else wording.p_value(p).removeprefix("p ").removeprefix("= ")


def metric_value(name: str, value: float | None) -> str:
    """A metric in its unit."""
    if value is None:
        return NONE
    metric = METRICS.get(name)
    return percent(value) if metric and metric.percent else wording.signed(value, 4)


def interval(name: str, estimate: Estimate) -> str:
    """The ends of an interval in the metric's unit, or nothing."""
    if estimate.low is None or estimate.high is None:
        return ""
    ends = (metric_value(name, end).removesuffix(" %") for end in (estimate.low, estimate.high))
    return " to ".join(ends)
