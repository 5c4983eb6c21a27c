"""Numbers and p values inside sentences for people: a real minus sign, points for differences of shares."""

from spikewise.evaluation.record import Estimate

__all__ = ["MINUS", "brief", "count_of", "interval", "listed", "p_value", "points", "seeds_named", "signed", "times"]

MINUS = "\u2212"


def points(share: float) -> str:
    """A share, or a difference of shares, in percent with two digits."""
    return signed(100 * share, 2)


def signed(value: float, digits: int) -> str:
    """A number with a true minus sign, and none before a zero."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)


def brief(value: float) -> str:
    """A quantity with three figures, thousands grouped."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


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
