"""A whole network in ONNX: images in, scores, evidence and spikes out, with all time steps inside."""

import json
from typing import Final

import onnx
from onnx import ModelProto, TensorProto, helper

from spikewise import __version__
from spikewise.errors import ConfigError
from spikewise.graph import NamedLayer, Neuron, Residual, SpikingActivation
from spikewise.interop.deployed import Deployed
from spikewise.interop.onnx.answers import answered, counted
from spikewise.interop.onnx.builder import Builder, Value
from spikewise.interop.onnx.encoders import encode
from spikewise.interop.onnx.frames import Frames, Span, spread
from spikewise.interop.onnx.layers import activated, frame_layer
from spikewise.interop.onnx.neurons import carried_rates, neuron_layer
from spikewise.interop.runtime import Wish

__all__ = ["IMAGES", "OPSET", "model_of"]

IMAGES: Final = "images"
"""Name of the input."""
OPSET: Final = 21
_IR: Final = 10
_MOST_BYTES: Final = 2**31 - 2**20
"""What a file of protocol buffers can hold, with room for the nodes."""


def model_of(deployed: Deployed, wish: Wish) -> ModelProto:
    """The network as a model: images uint8 [B, C, H, W]; scores [B, K], evidence [T, B, K], spikes_per_layer [B, L].

    Raises:
        ConfigError: ONNX cannot hold a layer, which is named, or the whole.
    """
    graph, b = deployed.graph, Builder()
    images = Value(b, IMAGES)
    with b.scope("input"):
        span = Span(graph.steps, b.op("Shape", images, start=0, end=1))
        outputs = {"": encode(b, graph.encoder, images, graph.image_shape, wish.seed)}
    last = graph.named[-1]
    membrane: Value | None = None
    for at in graph.named:
        with b.scope(at.name):
            arrived = [outputs[name] for name in at.inputs]
            outputs[at.name], membrane = _layer(b, deployed, at, arrived, span, wish.seed, last=at is last)
    with b.scope("output"):
        output = spread(b, outputs[last.name], span, last.output)
        answered(b, graph.readout, output, output if membrane is None else membrane, span, graph.classes)
        sent = [(at, outputs[at.name].value) for at in graph.named if at.layer.spikes]
        if sent:
            counted(b, sent, span.steps)
    return _model(b, deployed, wish)


def _layer(  # noqa: PLR0913  # what it computes, with what, from what
    b: Builder, deployed: Deployed, at: NamedLayer, arrived: list[Frames], span: Span, seed: int, *, last: bool
) -> tuple[Frames, Value | None]:
    """Frames that a layer sends, and its membranes where somebody asks for them."""
    frames = arrived[0]
    match at.layer:
        case Neuron():
            done = neuron_layer(b, deployed, at, frames, span, membranes=last)
            return Frames(done.output), done.membrane
        case SpikingActivation(function=function):
            rates = Frames(activated(b, function, frames.value), frames.constant)
            return Frames(carried_rates(b, deployed, at, rates, span, seed)), None
        case Residual():
            same = len({one.constant for one in arrived}) == 1
            both = [one.value if same else spread(b, one, span, at.output) for one in arrived]
            return Frames(b.op("Add", *both, name=at.name), constant=same and frames.constant), None
    return Frames(frame_layer(b, deployed, at, frames.value), frames.constant), None


def _model(b: Builder, deployed: Deployed, wish: Wish) -> ModelProto:
    size = sum(len(one.raw_data) for one in b.initializers)
    if size > _MOST_BYTES:
        raise ConfigError(
            f"The network's weights and tables take {size / 2**30:.1f} GiB, and an ONNX file holds 2 GiB. "
            "Make the network, the images or the number of steps smaller."
        )
    graph = deployed.graph
    outputs = [
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", graph.classes]),
        helper.make_tensor_value_info("evidence", TensorProto.FLOAT, [graph.steps, "batch", graph.classes]),
    ]
    if graph.spiking_layers:
        counts: list[str | int] = ["batch", len(graph.spiking_layers)]
        outputs.append(helper.make_tensor_value_info("spikes_per_layer", TensorProto.INT32, counts))
    images = helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["batch", *graph.image_shape])
    made = helper.make_graph(b.nodes, wish.name, [images], outputs, b.initializers)
    model = helper.make_model(
        made,
        producer_name="spikewise",
        producer_version=__version__,
        ir_version=_IR,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, _words(deployed, wish))
    onnx.checker.check_model(model, full_check=True)
    return model


def _words(deployed: Deployed, wish: Wish) -> dict[str, str]:
    """What a reader of the file has to know; lists as JSON."""
    graph = deployed.graph
    channels, height, width = graph.image_shape
    return {
        "classes": json.dumps(list(wish.classes)),
        "spiking_layers": json.dumps(list(graph.spiking_layers)),
        "preprocessing": (
            f"{channels} x {height} x {width} pixels as bytes, channels first, 0 black and 255 white, brought to that "
            "size as the images of the training were; nothing is scaled or normalised"
        ),
        "data": wish.data,
        "encoder": graph.encoder.model_dump_json(),
        "readout": graph.readout.model_dump_json(),
        "steps": str(graph.steps),
        "seed": str(wish.seed),
        "spikewise": __version__,
    }
