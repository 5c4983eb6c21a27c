"""What the check of an export concludes: whether it is passed, in words."""

from typing import Final, Literal

from spikewise.evaluation.wording import brief
from spikewise.interop.check import Compared

__all__ = ["StandsFor", "verdict_of"]

_MOST_PER_MILLION: Final = 10.0
"""Spikes that may differ by rounding where an export isn't exact, of a million neuron-steps of all layers together."""
_ONE_IN: Final = 1000
"""Of so many decisions one near tie may fall to the other side by such a spike; one may of fewer, too."""
_MOST_RELATIVE: Final = 1e-3
"""How far scores may be apart where no spikes are compared, as a share of the range of an image's scores."""
_FEWEST_AGREEING: Final = 0.75
"""Share of the network's decisions that whole numbers must keep."""
_AGREEING: Final = 0.99
"""The share below which their reader is warned."""
StandsFor = Literal["integers", "rounded weights"]
"""What a file is held against in place of the network itself."""
_FINER: Final[dict[StandsFor, str]] = {
    "integers": "Weights have 8 bits here, and what layers without spikes hand on keeps the bits that the largest "
    "possible sum leaves. If that costs too much, export in floating point (without --int8).",
    "rounded weights": "Weights are rounded here, so that the file stays small. If that costs too much, allow it more "
    "(--max-size).",
}


def verdict_of(found: Compared, *, exact: bool, tool: str, stands_for: StandsFor | None = None) -> tuple[bool, str]:
    """Whether the check is passed, and a sentence that says why.

    Args:
        exact: whether nothing at all may differ.
        stands_for: what the file was held against, where that is not the network itself.
    """
    wrong, counted = _broken_rule(found, exact=exact), f"{_decisions(found)}, {_spikes(found)}"
    if stands_for is not None:
        return _of_other_numbers(found, wrong, counted, tool, stands_for)
    if wrong is None:
        return True, f"The {tool} does what the network does: {counted}."
    return False, f"The {tool} does something else than the network: {counted}; {wrong}."


def _of_other_numbers(
    found: Compared, wrong: str | None, counted: str, tool: str, numbers: StandsFor
) -> tuple[bool, str]:
    images, finer = len(found.correct_here), _FINER[numbers]
    kept = f"of the network's own decisions it keeps {found.agreeing:,} of {images:,}"
    if wrong is not None:
        return False, f"The {tool} does something else than its {numbers} should: {counted}; {wrong}."
    if found.agreeing < _FEWEST_AGREEING * images:
        least = f"{100 * _FEWEST_AGREEING:.0f} %"
        return False, f"The {tool} computes its {numbers} right ({counted}), but {kept}, and not {least}. {finer}"
    warned = "" if found.agreeing >= _AGREEING * images else f" {finer}"
    return True, f"The {tool} does what its {numbers} should ({counted}); {kept}.{warned}"


def _broken_rule(found: Compared, *, exact: bool) -> str | None:
    """The limit that is not kept; None where all are."""
    judged = found.judged
    others = len(found.correct_here) - judged.equal_decisions
    if exact:
        return "nothing may differ" if others or judged.per_million else None
    if judged.per_million > _MOST_PER_MILLION:
        return f"{_MOST_PER_MILLION:g} of a million may differ by rounding"
    if others > max(1, len(found.correct_here) // _ONE_IN):
        return f"1 decision of {_ONE_IN:,} may differ by rounding"
    if others > judged.near_ties:
        return "a decision may differ where two scores are nearly tied, and these were not"
    if not judged.layers and judged.relative_score_difference > _MOST_RELATIVE:
        apart = brief(100 * judged.relative_score_difference)
        return f"scores are up to {apart} % of their range apart, and {100 * _MOST_RELATIVE:g} % may be rounding"
    return None


def _decisions(found: Compared) -> str:
    near = f" ({found.judged.near_ties:,} nearly tied)" if found.judged.near_ties else ""
    return f"{found.judged.equal_decisions:,} of {len(found.correct_here):,} decisions equal{near}"


def _spikes(found: Compared) -> str:
    if not found.judged.layers:
        return "and it has no spikes that could differ"
    if not sum(one.differing for one in found.judged.layers):
        return "every spike equal"
    return f"{brief(found.judged.per_million)} of a million neuron-steps differ"
