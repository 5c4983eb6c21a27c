"""Records of the section on explanations: which pixels made the networks answer as they do."""

from typing import Literal

from spikewise.evaluation.record import Count, Estimate, Many, Record, Share

__all__ = ["DeletionCheck", "Explained", "Explanations", "Method", "NetworkExplanations", "RandomWeights"]

Method = Literal["occlusion", "integrated_gradients"]


class DeletionCheck(Record):
    """Does it matter to the answer when the pixels that a method names are taken away?

    All areas are under the curve of the answer's probability against the share of pixels made black: the lower, the
    more those pixels mattered.
    """

    method: Method
    top: Estimate
    """Pixels that speak for the answer first."""
    bottom: Estimate
    """The same pixels last."""
    random: Estimate
    """Any order."""
    brightest: Estimate
    """The brightest first: what needs no method."""
    gain: Estimate
    """Area for random minus area for top, image by image; above zero, the method finds what matters."""
    gain_over_brightness: Estimate
    """Area for brightest minus area for top."""
    shares: Many[Share]
    """Shares of the pixels that are black."""
    curve_top: Many[float]
    """Mean probability of the answer at each share."""
    curve_bottom: Many[float]
    curve_random: Many[float]
    curve_brightest: Many[float]


class RandomWeights(Record):
    """Adebayo's check: a map must change when the weights are replaced by random ones.

    Rank correlation (Spearman) of the two maps over the pixels that are not black; near 1 the map shows the image, not
    the network.
    """

    method: Method
    correlation: Estimate


class NetworkExplanations(Record):
    """One network."""

    network: str
    seed: int
    deletion: Many[DeletionCheck]
    random_weights: Many[RandomWeights]
    completeness: float | None = None
    """Median over images of |sum of the attributions - change of the logit| over |change of the logit|.

    Integrated gradients promise 0 for a smooth network. A spiking network is not smooth: what is missing is what the
    surrogate does not know. Null where no logit depends on the image.
    """


class Explained(Record):
    """One image that is shown, with what each network answered."""

    index: Count
    """Position among the test images."""
    label: Count
    answers: Many[Count]
    """One for each network."""
    probabilities: Many[Share]
    """Of these answers."""


class Explanations(Record):
    """The spiking network beside its twin; maps are in `sections/explanations.npz` where images may be shown."""

    networks: Many[NetworkExplanations]
    shown: Many[Explained] = ()
    images: Count
    """Validation images in the checks."""
    patch: Count
    """Side of the occluded square, in pixels."""
    stride: Count
    path_steps: Count
    """Points on the way from black to the image."""
    input: Literal["expected rates", "currents", "spikes"]
    """What integrated gradients of the spiking network take as its input; the baseline is none of it: black."""
