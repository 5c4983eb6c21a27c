"""Is it the noise? What the twin reaches when it is trained with the noise that the spikes of a rate code bring."""

from collections.abc import Sequence
from typing import Final

from spikewise.evaluation.results import NetworkResult, PairComparison
from spikewise.evaluation.wording import MINUS, points

__all__ = ["NOISY", "noise_sentences"]

NOISY: Final = "twin-noise"
"""Name of the control."""


def noise_sentences(networks: Sequence[NetworkResult], comparisons: Sequence[PairComparison]) -> list[str]:
    """What the control says of a lead over the twin; nothing where it was not trained."""
    by_name = {network.name: network for network in networks}
    noisy, twin = by_name.get(NOISY), by_name.get("twin")
    spiking = next((network for network in networks if network.role == "spiking"), None)
    if noisy is None:
        return []
    reaches = f"With the noise that the spikes bring, the same network without spikes reaches {_percent(noisy)} %"
    if twin is not None:
        change = noisy.metrics["accuracy"].mean - twin.metrics["accuracy"].mean
        reaches += f", {points(abs(change))} points {'more' if change >= 0 else 'less'} than without it"
    sentences = [f"{reaches} ({_difference(_pair(comparisons, NOISY, 'twin'), NOISY)})." if twin else f"{reaches}."]
    if spiking is not None and (pair := _pair(comparisons, spiking.name, NOISY)) is not None:
        sentences.append(_beside(pair, spiking.name, _pair(comparisons, spiking.name, "twin")))
    return sentences


def _beside(pair: PairComparison, spiking: str, main: PairComparison | None) -> str:
    """Whether the spiking network's lead outlives the noise in the other's training."""
    ahead = _signed(pair, spiking)
    led = main is not None and bool(main.significant) and _signed(main, spiking) > 0
    said = _difference(pair, spiking)
    if led and not (pair.significant and ahead > 0):
        return f"Against it the spiking network's lead is gone ({said}): the noise may be all that the lead came from."
    if led:
        return f"The spiking network leads that one, too ({said}): the noise alone is not what the lead comes from."
    return f"The spiking network is {points(abs(ahead))} points {'above' if ahead >= 0 else 'below'} it ({said})."


def _difference(pair: PairComparison | None, first: str) -> str:
    """The difference with its interval, from the side of one network, and whether it is significant."""
    if pair is None:
        return "not compared"
    sign = 1 if pair.a == first else -1
    found = pair.difference
    shown = f"difference {_signed_points(sign * found.mean)} points"
    if found.low is not None and found.high is not None:
        low, high = sorted((sign * found.low, sign * found.high))
        shown += f", {100 * found.level:g} % interval {_signed_points(low)} to {_signed_points(high)}"
    told = {True: "significant", False: "not significant", None: "which cannot be told from luck"}[pair.significant]
    return f"{shown}, {told}"


def _signed(pair: PairComparison, first: str) -> float:
    return pair.difference.mean if pair.a == first else -pair.difference.mean


def _signed_points(difference: float) -> str:
    text = points(difference)
    return f"+{text}" if float(text.replace(MINUS, "-")) > 0 else text


def _pair(comparisons: Sequence[PairComparison], a: str, b: str) -> PairComparison | None:
    return next((pair for pair in comparisons if {pair.a, pair.b} == {a, b}), None)


def _percent(network: NetworkResult) -> str:
    return f"{100 * network.metrics['accuracy'].mean:.2f}"
