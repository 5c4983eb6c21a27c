"""Checks of the maps of one network, averaged over images."""

from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from spikewise.evaluation.explanations.agreement import rank_correlations
from spikewise.evaluation.explanations.deletion_curves import SHARES, Deleted, deletion, order_of, without_a_map
from spikewise.evaluation.explanations.gradients import Attribution, integrated_gradients
from spikewise.evaluation.explanations.occlusion_maps import occlusion
from spikewise.evaluation.explanations.scoring import SeededNetwork, probabilities
from spikewise.evaluation.record import Estimate
from spikewise.evaluation.sections.explanations import DeletionCheck, Method, NetworkExplanations, RandomWeights
from spikewise.evaluation.statistics import bootstrap_seeds_and_images

__all__ = ["Pictures", "check_network", "maps_of"]

_NO_CHANGE: Final = 1e-6


class Pictures(NamedTuple):
    """Images with the key of their random numbers, and their subjects, where known."""

    images: UInt8[np.ndarray, "N C H W"]
    index: Int[np.ndarray, " N"]  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    groups: Int[np.ndarray, " N"] | None = None

    def first(self, count: int) -> "Pictures":
        """Some of them."""
        return Pictures(self.images[:count], self.index[:count], None if self.groups is None else self.groups[:count])


def maps_of(
    seeded: SeededNetwork, pictures: Pictures, answers: Int[np.ndarray, " N"]
) -> tuple[dict[Method, Float[np.ndarray, "N H W"]], Attribution]:
    """Both maps of every image, and what else integrated gradients say."""
    attribution = integrated_gradients(seeded, pictures.images, pictures.index, answers)
    covered = occlusion(seeded, pictures.images, pictures.index, answers)
    return {"occlusion": covered, "integrated_gradients": attribution.maps}, attribution


def check_network(
    name: str, seeded: SeededNetwork, random: SeededNetwork, pictures: Pictures, *, compared: int
) -> NetworkExplanations:
    """Deletion, random weights and completeness.

    Args:
        random: the same network with other weights, drawn as before training.
        compared: how many of the images are explained with random weights too.
    """
    images, index, groups = pictures
    answers = probabilities(seeded, images, index).argmax(1)
    maps, attribution = maps_of(seeded, pictures, answers)
    plain = without_a_map(seeded, images, index, answers)
    few = pictures.first(compared)
    others, _ = maps_of(random, few, answers[:compared])

    def check(method: Method) -> DeletionCheck:
        top = deletion(seeded, images, index, answers, order_of(maps[method]))
        bottom = deletion(seeded, images, index, answers, order_of(-maps[method]))
        return _check(method, {"top": top, "bottom": bottom, **plain}, groups)

    def alike(method: Method) -> RandomWeights:
        found = rank_correlations(maps[method][:compared], others[method], few.images)
        return RandomWeights(method=method, correlation=bootstrap_seeds_and_images(found[None], few.groups))

    return NetworkExplanations(
        network=name,
        seed=seeded.seed,
        deletion=tuple(check(method) for method in maps),
        random_weights=tuple(alike(method) for method in maps),
        completeness=_missing(attribution),
    )


def _missing(attribution: Attribution) -> float | None:
    """What the attributions do not add up to; None for a network whose logits do not depend on the image."""
    depends = np.abs(attribution.change) > _NO_CHANGE
    if not depends.any():
        return None
    added = attribution.maps.sum((1, 2))
    return float(np.median(np.abs(added - attribution.change)[depends] / np.abs(attribution.change)[depends]))


def _check(method: Method, curves: dict[str, Deleted], groups: Int[np.ndarray, " N"] | None) -> DeletionCheck:
    areas = {name: one.areas for name, one in curves.items()}

    def over_images(area: Float[np.ndarray, " N"]) -> Estimate:
        return bootstrap_seeds_and_images(area[None], groups)

    def curve(name: str) -> tuple[float, ...]:
        return tuple(float(share) for share in curves[name].curves.mean(0))

    return DeletionCheck(
        method=method,
        top=over_images(areas["top"]),
        bottom=over_images(areas["bottom"]),
        random=over_images(areas["random"]),
        brightest=over_images(areas["brightest"]),
        gain=over_images(areas["random"] - areas["top"]),
        gain_over_brightness=over_images(areas["brightest"] - areas["top"]),
        shares=SHARES,
        curve_top=curve("top"),
        curve_bottom=curve("bottom"),
        curve_random=curve("random"),
        curve_brightest=curve("brightest"),
    )
