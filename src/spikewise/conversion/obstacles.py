"""What cannot become a spiking network, by name, with what to do."""

from spikewise.encoders import Direct
from spikewise.errors import ConfigError
from spikewise.graph import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Graph,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Residual,
    SpikingActivation,
    SumPool,
)
from spikewise.readouts import SpikeCount

__all__ = ["check_convertible", "hidden_activations"]


def hidden_activations(graph: Graph) -> tuple[NamedLayer, ...]:
    """The activations that become neurons."""
    return tuple(at for at in graph.named if isinstance(at.layer, Activation | QCFS))


def check_convertible(graph: Graph, *, name: str) -> None:
    """Refuse what cannot be converted, naming the layer and what to do.

    Raises:
        ConfigError: a layer, the encoder or the readout has no counterpart.
    """
    reason = _obstacle(graph)
    if reason is not None:
        raise ConfigError(f"The network '{name}' cannot be converted: {reason}.")


def _obstacle(graph: Graph) -> str | None:
    return _whole_obstacle(graph) or _chain_obstacle(graph)


def _whole_obstacle(graph: Graph) -> str | None:
    """What stands in the way whatever the order of the layers is."""
    if graph.spiking_layers:
        return f"layer {graph.spiking_layers[0]} spikes already; convert a network without spikes, such as the twin"
    if not isinstance(graph.encoder, Direct) or graph.steps != 1:
        return f"it sees its images through the encoder '{graph.encoder.label}' in {graph.steps} steps, not as they are"
    if isinstance(graph.readout, SpikeCount):
        return "its readout counts spikes"
    if not hidden_activations(graph):
        return "it has no activations that could become neurons; it is a linear classifier"
    kinds = {at.layer.summary for at in hidden_activations(graph)}
    if len(kinds) > 1 and any(isinstance(at.layer, QCFS) for at in hidden_activations(graph)):
        return f"its activations are of several kinds ({', '.join(sorted(kinds))}); train it with one of them"
    return None


def _chain_obstacle(graph: Graph) -> str | None:
    """Layers that do not convert, or not where they stand."""
    weights_before: NamedLayer | None = None
    parted = False
    for at in graph.named:
        reason = _layer_obstacle(at, weights_before, parted=parted)
        if reason is not None:
            return f"layer {at.name}: {reason}"
        if at.layer.weighted:
            weights_before, parted = at, False
        elif isinstance(at.layer, Activation | QCFS):
            weights_before = None
        elif isinstance(at.layer, Flatten) and len(at.input) == 3 and at.input[1:] != (1, 1):
            parted = True
    return None if weights_before is not None else "it ends in an activation; its outputs would have to be counted"


def _layer_obstacle(  # noqa: PLR0911  # one line per kind of layer
    at: NamedLayer, before: NamedLayer | None, *, parted: bool
) -> str | None:
    match at.layer:
        case Linear() | Conv2d() | AvgPool() | SumPool() | GlobalAvgPool() | Flatten() | Dropout():
            return None
        case MaxPool():
            return (
                "the largest of several rates is no sum of spikes; average instead (model.pooling=average, or "
                "`--with qcfs`, whose network averages)"
            )
        case BatchNorm() if before is None or at.inputs != (before.name,):
            return "a batch normalisation that does not stand right behind weights, into which it could be folded"
        case BatchNorm():
            return None
        case Activation(function=function) if function != "relu":
            return f"the function {function} is no rate of spikes; train with relu or qcfs"
        case Activation() | QCFS() if before is None:
            return "no weights stand before this activation, so its input cannot be rescaled"
        case Activation() | QCFS() if parted:
            return "a flatten layer stands between its weights and it; put the flatten layer behind it"
        case Activation() | QCFS():
            return None
        case Residual():
            return "two paths with rates of different sizes meet; only chains of layers are converted"
        case Neuron() | SpikingActivation():
            return "it keeps a state"
