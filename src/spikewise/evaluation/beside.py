"""What decides beside accuracy, in sentences of the verdict: robustness, speed, energy by every model, early exit."""

from collections.abc import Sequence
from typing import Final

from spikewise.evaluation.opponents import early_exit, is_cheaper
from spikewise.evaluation.results import NetworkResult, PairComparison
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.units import energy_unit
from spikewise.evaluation.wording import called, capital, interval, listed, points, times

__all__ = [
    "cost_sentences",
    "early_exit_sentences",
    "energy_agreement",
    "energy_sentences",
    "robustness_sentences",
    "speed_sentences",
]

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
            found.setdefault(worse, []).append(
                f"{what}; {called(one.a)} against {called(one.b)}: {interval(one.difference)})"
            )
    others = {main.a: main.b, main.b: main.a}
    return [
        f"{capital(called(worse))} keeps less of its accuracy above chance than {called(others[worse])} with "
        f"{listed(told)}."
        for worse, told in found.items()
    ]


def speed_sentences(a: NetworkResult, b: NetworkResult) -> list[str]:
    """Images per second, measured where the run took place."""
    ours, theirs = a.cost.throughput_images_per_second, b.cost.throughput_images_per_second
    if ours is None or theirs is None or max(ours, theirs) < _FASTER * min(ours, theirs):
        return []
    words = times(ours, theirs).replace("less", "fewer")
    told = f"{called(a.name)} answers {ours:,.0f} images per second and {called(b.name)} {theirs:,.0f}{words}"
    return [f"On this machine {told}."]


def cost_sentences(a: NetworkResult, b: NetworkResult) -> list[str]:
    """Operations of both networks, their energy by every model, and what an epoch of training took."""
    sentences = [f"{_operations(a)} {_operations(b)}", *energy_sentences(a, b)]
    spent = a.cost.train_seconds_per_epoch, b.cost.train_seconds_per_epoch
    if spent[0] is not None and spent[1] is not None:
        sentences.append(
            f"An epoch of training took {called(a.name)} {spent[0].mean:.3g} s and {called(b.name)} "
            f"{spent[1].mean:.3g} s{times(spent[0].mean, spent[1].mean)}."
        )
    return sentences


def energy_sentences(a: NetworkResult, b: NetworkResult) -> list[str]:
    """The energy of one image by every model that prices both, and what "zeros skipped" means where that occurs."""
    ours, theirs = a.cost.energy_nanojoule, b.cost.energy_nanojoule
    shared = [model for model in ours if model in theirs]
    if not shared:
        return []
    energies = [
        f"{_both(ours[model], theirs[model], 'and')} by '{model}'{times(ours[model], theirs[model])}"
        for model in shared
    ]
    zeros = " Models with 'zeros skipped' are of hardware that does not multiply by zero; the others pay for zeros."
    return [
        f"The energy of one image, {called(a.name)} and {called(b.name)}: {'; '.join(energies)}. "
        "It is computed from operation counts, not measured."
        + (zeros if any(model.endswith("zeros skipped") for model in shared) else "")
    ]


def _operations(network: NetworkResult) -> str:
    cost = network.cost
    macs = f"{cost.macs:,.0f} multiply-accumulates per image"
    if cost.effective_macs is not None and cost.effective_macs < cost.macs:
        macs += f", {cost.effective_macs:,.0f} of them with an input that is not zero"
    done = []
    if cost.synaptic_operations is not None:
        done = [f"{cost.synaptic_operations:,.0f} additions for spikes", f"{cost.state_updates:,.0f} membrane updates"]
    done += [f"{cost.additions:,.0f} additions of residual sums"] if cost.additions else []
    return f"{capital(called(network.name))} does {listed([*done, macs])}."


def energy_agreement(a: NetworkResult, b: NetworkResult) -> list[str]:
    """Whether the models agree on which of two networks is cheaper, and where no rate of spikes would do."""
    shared = [model for model in a.cost.energy_nanojoule if model in b.cost.energy_nanojoule]
    cheaper = {
        ours.name: [m for m in shared if is_cheaper(ours.cost.energy_nanojoule[m], theirs.cost.energy_nanojoule[m])]
        for ours, theirs in ((a, b), (b, a))
    }
    sentences = []
    if all(cheaper.values()):
        sides = [f"{called(name)} is cheaper by {_quoted(models)}" for name, models in cheaper.items()]
        sentences.append(f"The energy models do not agree: {listed(sides)}.")
    for network in (a, b):
        never = [m for m, rate in network.cost.break_even_spikes_per_synapse_and_step.items() if rate == 0]
        if never:
            sentences.append(
                f"By {_quoted(never)} no rate of spikes would make {called(network.name)} as cheap as its twin."
            )
    return sentences


def early_exit_sentences(a: NetworkResult, b: NetworkResult, sections: Sections | None) -> list[str]:
    """What answering as soon as a network is sure would save, against the other network's energy."""
    sentences = []
    for network, other in ((a, b), (b, a)):
        early = early_exit(network.name, None if sections is None else sections.anytime)
        if early is None:
            continue
        told = [
            f"{_both(energy, other.cost.energy_nanojoule[model], 'against')} by '{model}'"
            for model, energy in early.energy_nanojoule.items()
            if model in other.cost.energy_nanojoule
        ]
        if told:
            sentences.append(
                f"With early exit {called(network.name)} takes {early.steps.mean:.3g} of {network.steps} steps on "
                f"average, for {points(early.difference.mean)} points of accuracy; its energy, against that of "
                f"{called(other.name)}, is then {listed(told)}."
            )
    return sentences


def _quoted(models: Sequence[str]) -> str:
    return listed([f"'{model}'" for model in models])


def _both(ours: float, theirs: float, word: str) -> str:
    """Two energies in one unit."""
    unit = energy_unit((ours, theirs))
    return f"{unit.alone(ours)} {word} {unit.alone(theirs)}"
