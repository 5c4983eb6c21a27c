"""Layers of other tools with their weights: what every importer hands over, and how a network is made of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from spikewise.dynamics import IF, LIF, CubaLIF, LeakyIntegrator, Reset
from spikewise.encoders import Encoder, Rate
from spikewise.errors import ConfigError
from spikewise.graph import Conv2d, Flatten, Graph, Layer, Linear, NamedLayer, Neuron, Residual, Shape
from spikewise.network import Network
from spikewise.readouts import MeanMembrane, Readout, SpikeCount

__all__ = ["NeuronValues", "Piece", "assemble", "image_shape_of", "neuron_piece"]

Array = Float[np.ndarray, "..."]
_PARAMETERS = ("alpha", "beta", "threshold")


@dataclass
class Piece:
    """A layer and its weights, by their names within it; for a residual block the layers of both paths."""

    name: str
    """What the other tool calls it."""
    layer: Layer
    weights: dict[str, Array] = field(default_factory=dict)
    main: list["Piece"] = field(default_factory=list)
    shortcut: list["Piece"] = field(default_factory=list)


class NeuronValues(NamedTuple):
    """What is known of a layer of neurons: v <- beta v + gain x + current, spikes above a threshold."""

    kind: Literal["lif", "cuba_lif", "integrator"]
    beta: Array
    threshold: Array | None = None
    """None of integrators."""
    gain: Array | float = 1.0
    alpha: Array | None = None
    """Decay of the synaptic current."""
    reset: Reset = "zero"
    delay: bool = False
    at_least: bool = False
    """Whether they spike where the membrane meets the threshold."""


def neuron_piece(
    name: str, shape: Shape, found: NeuronValues, before: list[Piece], matrix: Array | None = None
) -> Piece:
    """The layer of some neurons; a gain goes into the threshold, or into the weights before an integrator.

    Args:
        shape: of the layer.
        before: what stands before it.
        matrix: recurrent weights [N, N].
    Raises:
        ConfigError: parameters differ within a channel, or a gain finds no place.
    """
    if found.kind == "integrator":
        _scale_before(name, before, found.gain)
        return _with_parameters(name, shape, LeakyIntegrator, {"beta": found.beta}, {})
    assert found.threshold is not None
    with np.errstate(all="ignore"):
        threshold = (np.asarray(found.threshold, np.float64) / found.gain).astype(np.float32)
    if found.at_least:
        threshold = np.nextafter(threshold, np.float32(0))
    values = {"beta": found.beta, "threshold": threshold}
    if found.kind == "cuba_lif":
        assert found.alpha is not None
        values["alpha"] = found.alpha
    kind: Any = CubaLIF if found.kind == "cuba_lif" else IF if (np.asarray(found.beta) == 1).all() else LIF
    if kind is IF:
        del values["beta"]
    piece = _with_parameters(name, shape, kind, values, {"reset": found.reset, "reset_delay": found.delay})
    if matrix is None:
        return piece
    assert isinstance(piece.layer, Neuron)
    piece.layer = piece.layer.replace(recurrent=True, self_connections=True)
    piece.weights["recurrent"] = matrix
    return piece


def _with_parameters(name: str, shape: Shape, kind: Any, values: dict[str, Array], settings: dict[str, Any]) -> Piece:
    held: dict[str, Array] = {}
    for key, value in values.items():
        array = np.asarray(value, np.float32)
        _check_values(name, key, array)
        if array.size == 1 or (array == array.flat[0]).all():
            settings[key] = float(str(array.flat[0]))  # the shortest number that float32 takes for it
        else:
            held[key] = _per_channel(name, key, array, shape)
    if held:
        settings |= {"per": "channel", "learn": tuple(held)}
    return Piece(name, Neuron(dynamics=kind(**settings)), held)


def _check_values(name: str, key: str, array: Array) -> None:
    low, high = (0.0, np.inf) if key == "threshold" else (0.0, 1.0)
    if not (np.isfinite(array).all() and (array >= low).all() and (array <= high).all() and array.size):
        extent = f"{array.min():.4g} to {array.max():.4g}" if array.size else "none"
        raise ConfigError(
            f"The neurons '{name}' have a {key} of {extent}, which is no {key} here "
            f"({'above 0' if key == 'threshold' else '0 to 1'}). Is the file read with the right --dt and --dialect?"
        )
    if key == "threshold" and (array <= 1e-3).any():
        raise ConfigError(
            f"The neurons '{name}' have a threshold of {array.min():.4g} once their gain is in it; here it is at least "
            "0.001. Scale weights and threshold up by the same factor before."
        )


def _per_channel(name: str, key: str, array: Array, shape: Shape) -> Array:
    if array.shape == shape[:1]:
        array = array.reshape(-1, *[1] * (len(shape) - 1))
    try:
        full = np.broadcast_to(array, shape)
    except ValueError:
        raise ConfigError(
            f"The neurons '{name}' have a {key} of the shape {array.shape}, and the layer has {shape}."
        ) from None
    first = full.reshape(shape[0], -1)[:, :1]
    if not (full.reshape(shape[0], -1) == first).all():
        raise ConfigError(
            f"The neurons '{name}' have a {key} of its own for each pixel; here it may differ between channels."
        )
    return np.ascontiguousarray(first).reshape(shape[0], *[1] * (len(shape) - 1))


def _scale_before(name: str, before: list[Piece], gain: Array | float) -> None:
    by = np.asarray(gain, np.float64)
    if (by == 1).all():
        return
    last = before[-1] if before else None
    if last is None or not isinstance(last.layer, Linear | Conv2d):
        raise ConfigError(
            f"The integrators '{name}' multiply their input by {by.flat[0]:.4g}, and no weights stand before them that "
            "could take that in."
        )
    for key, value in last.weights.items():
        outputs = by.reshape(-1, *[1] * (value.ndim - 1)) if by.size == len(value) else by.flat[0]
        last.weights[key] = (value * outputs).astype(np.float32)


def image_shape_of(input_shape: Shape) -> tuple[int, int, int]:
    """Channels, height, width of images for an input: as it is, or for N features a square, or a row, of N pixels."""
    if len(input_shape) == 3:
        return input_shape[0], input_shape[1], input_shape[2]
    if len(input_shape) == 2:
        return 1, input_shape[0], input_shape[1]
    if len(input_shape) != 1:
        raise ConfigError(f"The network reads {input_shape}; images have channels, height and width.")
    side = int(input_shape[0] ** 0.5)
    return (1, side, side) if side * side == input_shape[0] else (1, 1, input_shape[0])


def assemble(
    pieces: Sequence[Piece],
    image_shape: tuple[int, int, int],
    encoder: Encoder | None = None,
    readout: Readout | None = None,
) -> Network:
    """The network of some layers, in evaluation mode.

    Args:
        encoder: how images become its input; None is the rate code over 25 steps.
        readout: None counts the spikes of the last layer, or takes the mean of its membrane where it does not spike.
    Raises:
        ConfigError: the layers do not fit the images or each other.
    """
    layers = tuple(_layer(piece) for piece in pieces)
    if not layers:
        raise ConfigError("The network has no layers.")
    spiking = isinstance(layers[-1], Neuron) and layers[-1].spikes
    if isinstance(layers[0], Linear):
        layers, pieces = (Flatten(), *layers), [Piece("flatten", Flatten()), *pieces]
    graph = Graph(
        image_shape=image_shape,
        encoder=encoder or Rate(steps=25),
        layers=layers,
        readout=readout or (SpikeCount() if spiking else MeanMembrane()),
    )
    network = Network(graph)
    network.load_state_dict(dict(_weights(graph, pieces)))
    return network.eval()


def _layer(piece: Piece) -> Layer:
    if not isinstance(piece.layer, Residual):
        return piece.layer
    return Residual(main=tuple(map(_layer, piece.main)), shortcut=tuple(map(_layer, piece.shortcut)))


def _weights(graph: Graph, pieces: Sequence[Piece]) -> Iterator[tuple[str, torch.Tensor]]:
    for at, piece in zip(graph.named, _in_order(pieces), strict=True):
        for key, shape in at.parameters().items():
            yield f"{at.name}.{key}", torch.from_numpy(_fitting(at, piece, key, shape))


def _in_order(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """As a graph names layers: those of a block's main path, of its shortcut, then their sum."""
    for piece in pieces:
        yield from _in_order(piece.main)
        yield from _in_order(piece.shortcut)
        yield piece


def _fitting(at: NamedLayer, piece: Piece, key: str, shape: Shape) -> Array:
    value = np.array(piece.weights[key], np.float32, order="C")
    if value.shape != shape:
        raise ConfigError(
            f"'{piece.name}' has {key} of the shape {value.shape}; layer {at.name}, with what stands before it, needs "
            f"{shape}."
        )
    if not np.isfinite(value).all():
        raise ConfigError(f"'{piece.name}' has {key} that are no finite numbers.")
    return value
