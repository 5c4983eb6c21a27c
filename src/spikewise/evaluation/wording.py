"""Numbers and p values inside sentences for people: a real minus sign, points for differences of shares."""

from collections.abc import Sequence
from typing import Final

from spikewise.evaluation.record import Estimate

__all__ = ["MINUS", "aligned", "brief", "called", "capital", "count_of", "fraction", "fractions", "gap", "interval",
           "listed", "p_value", "percent", "points", "seeds_named", "shares", "signed", "times"]  # fmt: skip

MINUS = "\u2212"


def points(share: float) -> str:
    """A share, or a difference of shares, in percent with two digits."""
    return signed(100 * share, 2)


def signed(value: float, digits: int) -> str:
    """A number with a true minus sign, and none before a zero."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)


def percent(value: float, digits: int = 0) -> str:
    """A share of 1 in percent, as everywhere with a space before the sign: 41 %."""
    return f"{signed(100 * value, digits)} %"


def brief(value: float) -> str:
    """A quantity with three figures, thousands grouped."""
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def aligned(value: float) -> str:
    """`brief` for a row of figures: all three figures stand there, zeros at the end too (0.250 beside 0.353)."""
    text = brief(value) if abs(value) >= 999.5 else f"{value:#.3g}"
    return text.removesuffix(".")


def interval(estimate: Estimate, digits: int | None = None) -> str:
    """The interval in percentage points, or as it is with `digits`; or that there is none."""
    if estimate.low is None or estimate.high is None:
        return "no interval"
    low, high = (points(end) if digits is None else signed(end, digits) for end in (estimate.low, estimate.high))
    return f"{100 * estimate.level:g} % interval {low} to {high}"


def p_value(p: float) -> str:
    """A p value with three digits, or that it is smaller."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}"


def count_of(number: int, word: str) -> str:
    """A number with its noun in the singular or plural."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def listed(words: list[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def seeds_named(seeds: list[str]) -> str:
    """seed 0; seeds 0, 1 and 2."""
    return f"seed{'s' if len(seeds) > 1 else ''} {listed(seeds)}"


def times(ours: float, theirs: float) -> str:
    """How two costs compare, as the tail of a sentence; nothing where one of them is zero."""
    if min(ours, theirs) <= 0:
        return ""
    ratio = max(ours, theirs) / min(ours, theirs)
    return f", {ratio:.3g} times {'less' if ours < theirs else 'more'}" if ratio >= 1.05 else ", about the same"


_CALLED: Final = {
    "snn": "the spiking network",
    "twin": "the same network without spikes",
    "twin-noise": "the same network without spikes, trained with their noise",
    "twin-qcfs": "the same network with quantised activations",
    "cnn": "the small CNN",
    "ann": "the network without spikes",
    "baseline": "the baseline",
    "guessing": "one constant answer",
    "logistic regression": "logistic regression on the pixels",
    "nearest neighbours": "nearest neighbours on the pixels",
    "SVM (RBF)": "an SVM with RBF kernel on the pixels",
}
_FRACTIONS: Final = {
    2: "twice",
    0.75: "three quarters of",
    0.5: "half",
    1 / 3: "a third of",
    0.25: "a quarter of",
    0.2: "a fifth of",
    0.1: "a tenth of",
}
_NEARLY: Final = 0.04
"""Relative distance at which a ratio is called by its fraction."""


def called(name: str) -> str:
    """What prose calls a network or a simple classifier; tables have the name."""
    return _CALLED.get(name, f"'{name}'")


def capital(text: str) -> str:
    """With a capital first letter."""
    return text[:1].upper() + text[1:]


def fraction(ratio: float, what: str) -> str:
    """A positive ratio of costs before what it is of: half the energy; 1.8 times its energy."""
    for value, words in _FRACTIONS.items():
        if abs(ratio / value - 1) <= _NEARLY:
            return f"{words} {what}"
    return f"{_ratio(ratio)} times {what}"


def fractions(ratios: Sequence[float], what: str) -> str:
    """Several ratios of one kind as one, or as the range that they span: 1.2 to 1.8 times its energy."""
    low, high = _ratio(min(ratios)), _ratio(max(ratios))
    return fraction(min(ratios), what) if low == high else f"{low} to {high} times {what}"


def _ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 99.5 else f"{ratio:.2g}"


def gap(difference: float) -> str:
    """The size of a difference of shares in points: one digit, two where it is below one point."""
    return f"{100 * abs(difference):.{_digits(difference)}f} points"


def shares(a: float, b: float) -> str:
    """Two shares beside each other, as fine as their difference: 91.2 against 65.6 %."""
    digits = _digits(a - b)
    return f"{100 * a:.{digits}f} against {100 * b:.{digits}f} %"


def _digits(difference: float) -> int:
    return 1 if abs(difference) >= 0.01 else 2
