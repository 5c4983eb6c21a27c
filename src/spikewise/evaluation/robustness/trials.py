"""`RobustnessTrial`: which answers stay right under one disturbance; one function for each family of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, UInt8

from spikewise.evaluation.prediction import Selection, batches_of
from spikewise.evaluation.robustness.adversarial import (
    EPSILONS,
    AttackTarget,
    fgsm,
    passes_gradients,
    pgd,
    random_signs,
    search,
    zero_gradients,
)
from spikewise.evaluation.robustness.candidates import Images, TrainedCandidate, correct_answers
from spikewise.evaluation.robustness.corruptions import CORRUPTIONS
from spikewise.evaluation.robustness.spikes import SPIKE_DISTURBANCES, chances
from spikewise.evaluation.robustness.weights import (
    BITS,
    DEAD_SHARES,
    NOISE_STRENGTHS,
    hidden_layers,
    noisy,
    quantised,
    silenced,
)
from spikewise.evaluation.sections.robustness import Family, GradientCheck
from spikewise.evaluation.ties import answers_of
from spikewise.network import Network

__all__ = [
    "RobustnessTrial",
    "RobustnessTrials",
    "under_attack",
    "undisturbed",
    "with_corruptions",
    "with_damage",
    "with_spike_noise",
]

Right = Bool[np.ndarray, "L S N"]
"""Whether the answer is right, by strength, seed and image."""


class RobustnessTrial(NamedTuple):
    """What each network made of one disturbance."""

    name: str
    family: Family
    parameter: str
    strengths: tuple[float, ...]
    right: Mapping[str, Right]
    """By network; those it does not apply to are absent."""
    counted: bool = True


class RobustnessTrials(NamedTuple):
    """What came of one family."""

    trials: Sequence[RobustnessTrial]
    left_out: Sequence[str] = ()
    gradients: Sequence[GradientCheck] = ()
    example: UInt8[np.ndarray, "C H W"] | None = None
    """The first image, attacked as strongly as it gets."""


class _Damage(NamedTuple):
    """One way to damage a network; `change` takes network, strength and seed."""

    name: str
    family: Family
    parameter: str
    strengths: Sequence[float]
    change: Callable[[Network, float, int], Network]


_WEIGHT_DAMAGE: Final = (
    _Damage(
        "weight_noise",
        "weights",
        "sd, share of the layer's own",
        NOISE_STRENGTHS,
        lambda network, strength, seed: noisy(network, strength, seed=seed),
    ),
    _Damage("quantisation", "weights", "bits", BITS, lambda network, bits, _: quantised(network, int(bits))),
)
_DEATH: Final = _Damage(
    "dead_neurons",
    "neurons",
    "share of the hidden neurons",
    DEAD_SHARES,
    lambda network, share, seed: silenced(network, share, seed=seed),
)


def undisturbed(candidates: Iterable[TrainedCandidate], images: Images) -> dict[str, Right]:
    """The same for the images as they are: one strength."""
    return {
        one.name: _by_seed(one, lambda net, seed: correct_answers(net, images, seed=seed))[None] for one in candidates
    }


def with_corruptions(candidates: Sequence[TrainedCandidate], images: Images) -> RobustnessTrials:
    """All networks on the same corrupted images."""
    trials = []
    for corruption in CORRUPTIONS:
        right: dict[str, list[np.ndarray]] = {one.name: [] for one in candidates}
        for strength in corruption.strengths:
            pixels = corruption(images.pixels, images.index, strength)
            for one in candidates:
                right[one.name].append(_on_pixels(one, images, pixels))
        stacked = {name: np.stack(rows) for name, rows in right.items()}
        trials.append(
            RobustnessTrial(corruption.name, "corruptions", corruption.parameter, corruption.strengths, stacked)
        )
    return RobustnessTrials(trials)


def with_spike_noise(candidates: Sequence[TrainedCandidate], images: Images) -> RobustnessTrials:
    """Networks whose input is spikes, with some of these lost, added or moved."""
    spiking = [one for one in candidates if one.graph.encoder.emits.carrier != "values"]
    answered = {
        one.name: np.stack(
            [_with_spike_noise(net, images, seed) for net, seed in zip(one.networks, one.seeds, strict=True)], axis=2
        )
        for one in spiking
    }
    trials = [
        RobustnessTrial(name, "spikes", parameter, strengths, {key: right[which] for key, right in answered.items()})
        for which, (name, parameter, strengths, _) in enumerate(SPIKE_DISTURBANCES)
    ]
    others = [one.name for one in candidates if one not in spiking]
    left_out = [f"{', '.join(others)}: the input has no spikes, and losing pixels instead is not comparable."]
    return RobustnessTrials(trials if spiking else [], left_out if others else [])


def with_damage(candidates: Sequence[TrainedCandidate], images: Images, family: Family) -> RobustnessTrials:
    """Networks with changed weights ("weights"), or with dead neurons ("neurons")."""
    if family == "weights":
        return RobustnessTrials([_damaged(candidates, images, one) for one in _WEIGHT_DAMAGE])
    without = [one.name for one in candidates if not hidden_layers(one.graph)]
    if without:
        return RobustnessTrials(
            [], [f"{', '.join(without)}: no hidden neurons that could die, so the family is left out."]
        )
    return RobustnessTrials([_damaged(candidates, images, _DEATH)])


def under_attack(
    candidates: Sequence[TrainedCandidate], images: Images, *, transfer_from: str | None
) -> RobustnessTrials:
    """Networks of the first seed on images made to mislead them, and the checks that gradients are not masked.

    FGSM and PGD count where every network passes gradients to the image; elsewhere the search counts, for all alike.

    Args:
        transfer_from: the network whose images are also shown to all others.
    """
    first = [TrainedCandidate(one.name, one.networks[:1], one.seeds[:1]) for one in candidates]
    attacked = {one.name: _attacked(one, images) for one in first}
    usable = [name for name, made in attacked.items() if "pgd" in made]
    fair = len(usable) == len(first)
    trials = []
    for name in ("fgsm", "pgd", "search", "random_signs"):
        right = {
            one.name: np.stack([_on_pixels(one, images, pixels) for pixels in attacked[one.name][name]])
            for one in first
            if name in attacked[one.name]
        }
        counted = fair if name in ("fgsm", "pgd") else name == "search" and not fair
        if right:
            trials.append(_attack(name, right, counted=counted))
    if transfer_from in usable and len(first) > 1:
        borrowed = attacked[transfer_from]["pgd"]
        others = [one for one in first if one.name != transfer_from]
        right = {one.name: np.stack([_on_pixels(one, images, pixels) for pixels in borrowed]) for one in others}
        trials.append(_attack(f"pgd_from_{transfer_from}", right, counted=False))
    left_out = [
        f"{one.name}: the encoder '{one.graph.encoder.label}' passes no useful gradient to images, so it is attacked "
        "by a search that needs none, and the search counts for all networks."
        for one in first
        if one.name not in usable
    ]
    shown = attacked[first[0].name]
    example = shown.get("pgd", shown["search"])[-1][0]
    return RobustnessTrials(trials, left_out, [_gradient_check(one, images) for one in first], example)


def _damaged(candidates: Sequence[TrainedCandidate], images: Images, damage: _Damage) -> RobustnessTrial:
    def answers(network: Network, strength: float, seed: int) -> Bool[np.ndarray, " N"]:
        return correct_answers(damage.change(network, strength, seed), images, seed=seed)

    right = {
        one.name: np.array([
            [answers(network, float(strength), seed) for network, seed in zip(one.networks, one.seeds, strict=True)]
            for strength in damage.strengths
        ])
        for one in candidates
    }  # fmt: skip
    return RobustnessTrial(damage.name, damage.family, damage.parameter, tuple(map(float, damage.strengths)), right)


def _attack(name: str, right: dict[str, Right], *, counted: bool) -> RobustnessTrial:
    return RobustnessTrial(name, "attacks", "eps, of 255", tuple(float(eps) for eps in EPSILONS), right, counted)


def _attacked(one: TrainedCandidate, images: Images) -> dict[str, list[UInt8[np.ndarray, "N C H W"]]]:
    """For each attack that can be made on a network the images of every strength."""
    target = AttackTarget.of(one.networks[0], images, seed=one.seeds[0])
    made = {
        "search": [search(target, eps) for eps in EPSILONS],
        "random_signs": [random_signs(target.images, target.index, eps) for eps in EPSILONS],
    }
    if passes_gradients(one.graph):
        gradient = target.gradient(target.images, 2)
        made["fgsm"] = [fgsm(target, eps, gradient) for eps in EPSILONS]
        made["pgd"] = [pgd(target, eps, also=also) for eps, also in zip(EPSILONS, made["fgsm"], strict=True)]
    return {name: [pixels.cpu().numpy() for pixels in strengths] for name, strengths in made.items()}


def _gradient_check(one: TrainedCandidate, images: Images) -> GradientCheck:
    if not passes_gradients(one.graph):
        return GradientCheck(network=one.name, usable=False, zero_gradients=None)
    target = AttackTarget.of(one.networks[0], images, seed=one.seeds[0])
    share = zero_gradients(target.gradient(target.images, 2)).float().mean().item()
    return GradientCheck(network=one.name, usable=True, zero_gradients=share)


def _with_spike_noise(network: Network, images: Images, seed: int) -> Bool[np.ndarray, "D L N"]:
    """For each disturbance of spikes and each strength."""
    network.eval()
    parts = []
    with torch.no_grad():
        for part, batch, draw in batches_of(network, Selection(images.pixels, images.index), seed):
            spikes = network.encode(batch, draw)
            chance = chances(draw, spikes)
            answers = [
                [answers_of(network.run(change(spikes, chance, s), draw), draw.index) for s in strengths]
                for _, _, strengths, change in SPIKE_DISTURBANCES
            ]
            parts.append(np.array(answers) == images.labels[part])
    return np.concatenate(parts, axis=2)


def _on_pixels(one: TrainedCandidate, images: Images, pixels: UInt8[np.ndarray, "N C H W"]) -> Bool[np.ndarray, "S N"]:
    return _by_seed(one, lambda network, seed: correct_answers(network, images, seed=seed, pixels=pixels))


def _by_seed(
    one: TrainedCandidate, answer: Callable[[Network, int], Bool[np.ndarray, " N"]]
) -> Bool[np.ndarray, "S N"]:
    return np.stack([answer(network, seed) for network, seed in zip(one.networks, one.seeds, strict=True)])
