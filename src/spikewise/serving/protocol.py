"""The Open Inference Protocol, version 2, over HTTP, with its extension for binary tensors.

Source: KServe, "Open Inference Protocol" (github.com/kserve/open-inference-protocol), specification/protocol/
inference_rest.md; Triton Inference Server, "Binary tensor data extension".
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from spikewise import __version__
from spikewise.api import IncomingImage
from spikewise.errors import quoted
from spikewise.serving.admission import Room, held_body
from spikewise.serving.batching import Batcher, Question
from spikewise.serving.errors import Refusal
from spikewise.serving.incoming import Options, json_of, options_of, read_images
from spikewise.serving.models import Model, Models
from spikewise.serving.predicting import Decoders
from spikewise.serving.tensors import HEADER, Tensor, packed, tensor_of

__all__ = ["InferenceProtocol"]

_FILES = "files"
_IMAGES = "images"


class _Asked(NamedTuple):
    """A request for inference that has been read."""

    images: list[IncomingImage]
    options: Options
    outputs: list[tuple[str, bool]]
    """Name of each output that is wanted, and whether in binary; none is all."""
    binary: bool
    """Whether outputs are sent in binary that do not say it."""
    id: str | None


class InferenceProtocol:
    """Health, metadata and inference."""

    def __init__(self, models: Models, batcher: Batcher, decoders: Decoders, room: Room) -> None:
        self.models, self.batcher, self.decoders, self.room = models, batcher, decoders, room
        self.stopping = False
        """Whether no further requests are wanted."""

    async def server(self, request: Request) -> Response:
        """What this server is."""
        del request
        return JSONResponse({"name": "spikewise", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def live(self, request: Request) -> Response:
        """The process runs."""
        del request
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """All models answer, and the server is not about to stop."""
        del request
        return JSONResponse({"ready": not self.stopping}, 503 if self.stopping else 200)

    async def index(self, request: Request) -> Response:
        """Every model, and why one that has changed could not be read again."""
        del request
        return JSONResponse({"models": [self._listed(model) for model in self.models.loaded.values()]})

    async def metadata(self, request: Request) -> Response:
        """What a model reads and says."""
        return JSONResponse(metadata_of(self._model(request)))

    async def model_ready(self, request: Request) -> Response:
        """The model answers."""
        model = self._model(request)
        status = 503 if self.stopping else 200
        return JSONResponse({"name": model.name, "ready": not self.stopping}, status)

    async def infer(self, request: Request) -> Response:
        """Classify."""
        model = self._model(request)
        header = request.headers.get(HEADER)
        async with held_body(request, self.room) as body:
            asked = await self.decoders.run(lambda: self._take_apart(model, header, body))
        threshold = None if asked.options.exit is None else model.threshold(asked.options.exit)
        question = Question(model, asked.images, self._grows(model, asked), asked.options.exit is not None, threshold)
        outputs = _outputs(model, await self.batcher.ask(question))
        wanted = asked.outputs or [(name, asked.binary) for name in outputs if name != "evidence"]
        for name, _ in wanted:
            if name not in outputs:
                raise Refusal(400, f"There is no output {quoted(name)}. Available: {', '.join(outputs)}.")
        about = {"model_name": model.name, "model_version": model.version}
        about |= {} if asked.id is None else {"id": asked.id}
        return packed(about, [(outputs[name], binary) for name, binary in wanted])

    def _model(self, request: Request) -> Model:
        model = self.models.named(request.path_params["model"])
        version = request.path_params.get("version")
        if version not in (None, model.version):
            raise Refusal(404, f"'{model.name}' has version {model.version}; asked was {quoted(version)}.")
        return model

    def _listed(self, model: Model) -> dict[str, Any]:
        failed = self.models.failed.get(model.name)
        about = {"name": model.name, "version": model.version, "state": "READY"}
        return about if failed is None else {**about, "reason": f"The run has changed and cannot be read: {failed}"}

    def _grows(self, model: Model, asked: _Asked) -> bool:
        """Whether the evidence of each step is wanted; where runs end early, it has different lengths."""
        wanted = any(name == "evidence" for name, _ in asked.outputs)
        if wanted and asked.options.exit is not None:
            raise Refusal(400, "Evidence is a tensor of all steps; runs that end early have none. Leave out one.")
        return wanted

    def _take_apart(self, model: Model, header: str | None, body: bytes) -> _Asked:
        size = len(body)
        if header is not None:
            if not header.isdecimal() or int(header) > size:
                raise Refusal(400, f"{HEADER} is {quoted(header)}, and the body has {size:,} bytes.")
            size = int(header)
        table = json_of(body[:size], self.room.limits)
        parameters = _table(table, "parameters")
        binary = bool(parameters.pop("binary_data_output", False))
        parameters = {key: value for key, value in parameters.items() if key in ("exit", "white")}
        options = options_of(parameters)
        inputs = table.get("inputs")
        if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
            raise Refusal(400, f"'inputs' is a list of one tensor, '{_IMAGES}' or '{_FILES}'; got {quoted(inputs)}.")
        images = self._images(model, tensor_of(inputs[0], memoryview(body)[size:]), options)
        outputs = [_wanted(one, binary) for one in _list(table, "outputs")]
        said = table.get("id")
        return _Asked(images, options, outputs, binary, None if said is None else str(said)[:200])

    def _images(self, model: Model, tensor: Tensor, options: Options) -> list[IncomingImage]:
        if len(tensor.values) > self.room.limits.images:
            raise Refusal(413, f"The request has {len(tensor.values):,} images; one takes {self.room.limits.images:,}.")
        if tensor.datatype == "BYTES":
            named = [(f"image {number}", one) for number, one in enumerate(tensor.values.ravel().tolist())]
            return read_images(model, named, options)[0]
        if tensor.values.ndim != 4:
            raise Refusal(400, f"'{_IMAGES}' is [N, C, H, W]; got the shape {list(tensor.values.shape)}.")
        pixels = model.trained.pixels(tensor.values, white=options.white, layout="NCHW")
        return [IncomingImage(f"image {number}", one, False) for number, one in enumerate(pixels)]


def metadata_of(model: Model) -> dict[str, Any]:
    """Inputs and outputs of a model. Images come as pixels, or as the bytes of files; -1 is any number."""
    channels, height, width = model.trained.reading.shape
    classes = len(model.trained.classes)
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "spikewise",
        "inputs": [
            {"name": _IMAGES, "datatype": "UINT8", "shape": [-1, channels, height, width]},
            {"name": _FILES, "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, classes]},
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "class", "datatype": "BYTES", "shape": [-1]},
            {"name": "steps", "datatype": "INT64", "shape": [-1]},
            {"name": "evidence", "datatype": "FP32", "shape": [-1, model.steps, classes]},
        ],
        "parameters": {
            "classes": list(model.trained.classes),
            "network": model.trained.name,
            "seed": model.trained.seed,
            "either_input": True,
        },
    }


def _outputs(model: Model, records: list[dict[str, Any]]) -> dict[str, Tensor]:
    classes = model.trained.classes
    labels = [classes.index(record["label"]) for record in records]
    found: dict[str, NDArray[Any]] = {
        "probabilities": np.array([list(record["probabilities"].values()) for record in records], np.float32),
        "label": np.array(labels, np.int64),
        "class": np.array([record["label"].encode() for record in records], object),
        "steps": np.array([record.get("steps", model.steps) for record in records], np.int64),
    }
    if "evidence" in records[0]:
        found["evidence"] = np.array([record["evidence"] for record in records], np.float32)
    types = {"class": "BYTES", "label": "INT64", "steps": "INT64"}
    return {name: Tensor(name, types.get(name, "FP32"), values) for name, values in found.items()}


def _wanted(one: Any, binary: bool) -> tuple[str, bool]:
    if not isinstance(one, dict) or not isinstance(one.get("name"), str):
        raise Refusal(400, f"An output is a table with a name; got {quoted(one)}.")
    return one["name"], bool(_table(one, "parameters").get("binary_data", binary))


def _table(place: dict[str, Any], key: str) -> dict[str, Any]:
    found = place.get(key, {})
    if not isinstance(found, dict):
        raise Refusal(400, f"'{key}' is a table; got {quoted(found)}.")
    return dict(found)


def _list(place: dict[str, Any], key: str) -> list[Any]:
    found = place.get(key, [])
    if not isinstance(found, list):
        raise Refusal(400, f"'{key}' is a list; got {quoted(found)}.")
    return found
