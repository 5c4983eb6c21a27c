"""The sides of a comparison: the spiking network, its twin, and a conventional baseline."""

from typing import Literal, NamedTuple

from spikewise.data import ImageSet
from spikewise.encoders import Direct, Encoder, Rate
from spikewise.errors import ConfigError
from spikewise.experiments.experiment import CandidateKind, Experiment
from spikewise.experiments.standard import standardised
from spikewise.graph import Activation, Graph
from spikewise.losses import CountMSE, CrossEntropy, Loss, StepCrossEntropy
from spikewise.models import MLP, Conv, build, quantised, readout_gain, twin
from spikewise.network import check_size
from spikewise.readouts import LastMembrane

__all__ = ["Candidate", "candidates_for", "candidates_of", "describe"]

SMALL_CNN = Conv(cell=Activation(), hidden=(128,), output="none")


class Candidate(NamedTuple):
    """One network of a comparison."""

    kind: CandidateKind
    name: str
    role: Literal["spiking", "twin", "baseline"]
    graph: Graph
    loss: Loss
    noise: Rate | None = None
    """Code whose noise it is trained with."""


def candidates_of(experiment: Experiment, images: ImageSet) -> list[Candidate]:
    """The networks of an experiment for one image set.

    Raises:
        ConfigError: the noise of spikes is asked for, and the encoder brings none.
        ShapeError: a network does not fit the images, or this machine.
    """
    return candidates_for(experiment, images.image_shape, len(images.classes))


def candidates_for(experiment: Experiment, shape: tuple[int, int, int], classes: int) -> list[Candidate]:
    """The same for images of a shape (channels, height, width) and a number of classes; errors as there."""
    model, encoder = experiment.network(shape)
    standard = experiment.standard
    spiking = build(model, standardised(encoder, standard), experiment.readout, image_shape=shape, classes=classes)
    conventional = _without_spikes(experiment.loss)

    def without_spikes() -> Graph:
        given = experiment.twin_gain
        return twin(spiking, gain=readout_gain(spiking, experiment.loss) if given == "readout" else given)

    def candidate(kind: CandidateKind) -> Candidate:
        match kind:
            case "snn":
                role: Literal["spiking", "baseline"] = "spiking" if spiking.spiking_layers else "baseline"
                return Candidate(kind, kind if role == "spiking" else "ann", role, spiking, experiment.loss)
            case "twin":
                return Candidate(kind, kind, "twin", without_spikes(), conventional)
            case "twin-noise":
                return Candidate(kind, kind, "baseline", without_spikes(), conventional, _noise_of(encoder))
            case "twin-qcfs":
                graph = quantised(without_spikes(), experiment.qcfs_levels)
                return Candidate(kind, kind, "baseline", graph, conventional)
            case "cnn":
                cnn: Conv | MLP = experiment.cnn or SMALL_CNN
                graph = build(
                    cnn, standardised(Direct(steps=1), standard), LastMembrane(), image_shape=shape, classes=classes
                )
                return Candidate(kind, kind, "baseline", graph, conventional)

    found = [candidate(kind) for kind in experiment.sides]
    for one in found:
        check_size(one.graph)
    return found


def _noise_of(encoder: Encoder) -> Rate:
    if isinstance(encoder, Rate):
        return encoder
    raise ConfigError(
        f"'twin-noise' trains the twin with the noise of a rate code, and the encoder is '{encoder.kind}', which "
        "brings none. Leave it out (without --with noise), or take encoder.kind=rate."
    )


def describe(graph: Graph) -> str:
    """A network in one line, such as "rate T=25 | linear 512 | lif | linear 10 | lif | spike_count"."""
    scale = graph.readout.scale if isinstance(graph.readout, LastMembrane) else 1.0
    read = graph.readout.kind if scale == 1 else f"{graph.readout.kind} x {scale:.3g}"
    return " | ".join([f"{graph.encoder.label} T={graph.steps}", *(layer.summary for layer in graph.layers), read])


def _without_spikes(loss: Loss) -> Loss:
    """The loss for a network without output spikes: those that count spikes become cross-entropy."""
    if isinstance(loss, StepCrossEntropy):
        return CrossEntropy(label_smoothing=loss.label_smoothing)
    return CrossEntropy() if isinstance(loss, CountMSE) else loss
