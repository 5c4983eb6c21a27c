"""What decides beside accuracy, in sentences of the verdict: robustness, speed, energy by every model, early exit."""

from collections.abc import Sequence
from typing import Final

from spikewise.evaluation.results import NetworkResult, PairComparison
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.sections.anytime import Anytime
from spikewise.evaluation.wording import brief, interval, listed, points, times

__all__ = ["early_exit_sentences", "energy_agreement", "robustness_sentences", "speed_sentences"]

_FASTER: Final = 1.2
"""Ratio of throughputs worth a sentence."""
_LOSSES: Final = {
    "corruptions": "damaged images",
    "attacks": "attacked images",
    "spikes": "disturbed spikes",
    "weights": "disturbed weights",
    "neurons": "silenced neurons",
}


def robustness_sentences(main: PairComparison, sections: Sections | None) -> list[str]:
    """Families of disturbances in which one network of the pair keeps less of its accuracy than the other, surely."""
    if sections is None or sections.robustness is None:
        return []
    found: dict[str, list[str]] = {}
    for family in sections.robustness.families:
        for one in family.differences:
            ends = one.difference.low, one.difference.high
            if {one.a, one.b} != {main.a, main.b} or ends[0] is None or ends[1] is None or ends[0] <= 0 <= ends[1]:
                continue
            worse = one.a if one.difference.mean < 0 else one.b
            what = f"{_LOSSES.get(family.family, family.family)} ({points(abs(one.difference.mean))} points"
            found.setdefault(worse, []).append(f"{what}; {one.a} against {one.b}: {interval(one.difference)})")
    others = {main.a: main.b, main.b: main.a}
    return [
        f"{worse} keeps less of its accuracy above chance than {others[worse]} with {listed(told)}."
        for worse, told in found.items()
    ]


def speed_sentences(a: NetworkResult, b: NetworkResult) -> list[str]:
    """Images per second, measured where the run took place."""
    ours, theirs = a.cost.throughput_images_per_second, b.cost.throughput_images_per_second
    if ours is None or theirs is None or max(ours, theirs) < _FASTER * min(ours, theirs):
        return []
    words = times(ours, theirs).replace("less", "fewer")
    return [f"On this machine {a.name} answers {ours:,.0f} images per second and {b.name} {theirs:,.0f}{words}."]


def energy_agreement(a: NetworkResult, b: NetworkResult) -> list[str]:
    """Whether the models agree on which of two networks is cheaper, and where no rate of spikes would do."""
    shared = [model for model in a.cost.energy_nanojoule if model in b.cost.energy_nanojoule]
    cheaper = {
        name: [m for m in shared if (a.cost.energy_nanojoule[m] - b.cost.energy_nanojoule[m]) * sign < 0]
        for name, sign in ((a.name, 1), (b.name, -1))
    }
    sentences = []
    if all(cheaper.values()):
        sides = [f"{name} is cheaper by {_quoted(models)}" for name, models in cheaper.items()]
        sentences.append(f"The energy models do not agree: {listed(sides)}.")
    for network in (a, b):
        never = [m for m, rate in network.cost.break_even_spikes_per_synapse_and_step.items() if rate == 0]
        if never:
            sentences.append(f"By {_quoted(never)} no rate of spikes would make {network.name} as cheap as its twin.")
    return sentences


def early_exit_sentences(a: NetworkResult, b: NetworkResult, anytime: Anytime | None) -> list[str]:
    """What answering as soon as a network is sure would save, against the other network's energy."""
    sentences = []
    for network, other in ((a, b), (b, a)):
        found = next((one for one in (anytime.networks if anytime else ()) if one.network == network.name), None)
        early = next((one for one in (found.early_exit if found else ()) if one.tolerance == anytime.tolerance), None)  # type: ignore[union-attr]  # `found` comes from it
        if early is None:
            continue
        told = [
            f"{brief(energy)} nJ against {brief(other.cost.energy_nanojoule[model])} by '{model}'"
            for model, energy in early.energy_nanojoule.items()
            if model in other.cost.energy_nanojoule
        ]
        if told:
            sentences.append(
                f"With early exit {network.name} takes {early.steps.mean:.3g} of {network.steps} steps on average, for "
                f"{points(early.difference.mean)} points of accuracy; its energy against {other.name}'s is then "
                f"{listed(told)}."
            )
    return sentences


def _quoted(models: Sequence[str]) -> str:
    return listed([f"'{model}'" for model in models])
