"""The OpenAPI description (version 3.1) of what the server takes and gives."""

from typing import Any, Final

from spikewise import __version__
from spikewise.serving.models import Models

__all__ = ["described"]

Schema = dict[str, Any]  # JSON
_TEXT: Final[Schema] = {"type": "string"}
_NUMBER: Final[Schema] = {"type": "number"}
_WHOLE: Final[Schema] = {"type": "integer"}
_ANSWER: Final[Schema] = {
    "type": "object",
    "required": ["image", "label", "probability", "probabilities", "unlike", "network", "seed", "model"],
    "properties": {
        "image": {**_TEXT, "description": "The name that came with it, or its number."},
        "label": _TEXT,
        "probability": _NUMBER,
        "probabilities": {"type": "object", "additionalProperties": _NUMBER},
        "unlike": {"type": ["string", "null"], "description": "What sets it apart from the training images."},
        "steps": {**_WHOLE, "description": "Steps that were run; only with exit."},
        "spikes": {"type": ["array", "null"], "items": _WHOLE, "description": "Of each output; with evidence."},
        "layer_spikes": {"type": "object", "additionalProperties": _WHOLE},
        "evidence": {"type": "array", "items": {"type": "array", "items": _NUMBER}},
        "network": _TEXT,
        "seed": _WHOLE,
        "model": _TEXT,
    },
}
_IMAGE: Final[Schema] = {
    "oneOf": [
        {**_TEXT, "contentEncoding": "base64", "description": "An image file."},
        {"type": "array", "description": "Numbers, in the network's height and width."},
        {"type": "object", "required": ["data"], "properties": {"name": _TEXT, "data": {}}},
    ]
}
_ERROR: Final[Schema] = {"type": "object", "required": ["error"], "properties": {"error": _TEXT}}
_TENSOR: Final[Schema] = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": _TEXT,
        "datatype": _TEXT,
        "shape": {"type": "array", "items": _WHOLE},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}
_OPTIONS: Final[dict[str, tuple[Schema, str]]] = {
    "evidence": ({"type": "boolean"}, "How the evidence grew, and the spikes that were sent."),
    "exit": ({"oneOf": [_NUMBER, {"const": "auto"}]}, "Confidence that ends a run; auto: as the run found."),
    "white": (_NUMBER, "The number that is white, such as 4095 for 12 bits."),
    "skip_bad": ({"type": "boolean"}, "Leave out images that cannot be read, and list them."),
}
_FAILURES: Final = {
    "400": "The request is wrong; the message says what to do.",
    "401": "A token is needed.",
    "403": "A page of another origin asked.",
    "413": "Too large.",
    "429": "The server is full; Retry-After says when to come again.",
    "503": "It took too long.",
}


def described(models: Models) -> Schema:
    """The description, with the models that are served."""
    names: Schema = {"type": "string", "enum": list(models.loaded)}
    options = {"model": (names, "Which network; the first by default."), **_OPTIONS}
    query = [
        {"name": name, "in": "query", "schema": schema, "description": about}
        for name, (schema, about) in options.items()
    ]
    body = {name: {**schema, "description": about} for name, (schema, about) in options.items()}
    place = {"name": "model", "in": "path", "required": True, "schema": names}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Spikewise",
            "version": __version__,
            "description": "Classifies images with trained networks, spiking or not.",
        },
        "paths": {
            "/predict": {"post": _prediction("Classify images.", query, body, "application/json", _answers())},
            "/predict/steps": {
                "post": _prediction(
                    "Classify one image; each step is an event.", query, body, "text/event-stream", _TEXT
                )
            },
            "/v2": {"get": _got("What the server is.")},
            "/v2/health/live": {"get": _got("The process runs.", closed=False)},
            "/v2/health/ready": {"get": _got("All models answer; 503 when it is about to stop.", closed=False)},
            "/v2/models": {"get": _got("Every model.")},
            "/v2/models/{model}": {"get": _got("What a model reads and says.", [place])},
            "/v2/models/{model}/ready": {"get": _got("The model answers.", [place])},
            "/v2/models/{model}/infer": {"post": _inference(place)},
            "/metrics": {"get": _got("Counters for Prometheus.", kind="text/plain")},
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
            "schemas": {"Answer": _ANSWER, "Error": _ERROR, "Tensor": _TENSOR},
        },
        "security": [{}, {"bearer": []}, {"basic": []}],
    }


def _answers() -> Schema:
    answer = {"$ref": "#/components/schemas/Answer"}
    properties = {"answers": {"type": "array", "items": answer}, "left_out": {"type": "array", "items": _TEXT}}
    return {"type": "object", "required": list(properties), "properties": properties}


def _prediction(about: str, query: list[Schema], options: Schema, kind: str, answer: Schema) -> Schema:
    form = {"image": {"type": "array", "items": {**_TEXT, "contentMediaType": "image/*"}}, **options}
    listed = {"images": {"type": "array", "items": _IMAGE}, **options}
    content = {
        "multipart/form-data": {"schema": {"type": "object", "properties": form}},
        "application/json": {"schema": {"type": "object", "required": ["images"], "properties": listed}},
        "image/*": {"schema": {"contentMediaType": "image/*"}},
    }
    return {
        "summary": about,
        "parameters": query,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _response("The answers.", kind, answer), **_failures()},
    }


def _inference(place: Schema) -> Schema:
    tensors = {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}}
    asked = {"id": _TEXT, "inputs": tensors, "outputs": {"type": "array"}, "parameters": {"type": "object"}}
    said = {"model_name": _TEXT, "model_version": _TEXT, "id": _TEXT, "outputs": tensors}
    schema = {"type": "object", "required": ["inputs"], "properties": asked}
    answer = {"type": "object", "properties": said}
    return {
        "summary": "Inference of the Open Inference Protocol, version 2.",
        "parameters": [place],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"200": _response("The outputs.", "application/json", answer), **_failures()},
    }


def _got(
    about: str, parameters: list[Schema] | None = None, *, kind: str = "application/json", closed: bool = True
) -> Schema:
    found: Schema = {"summary": about, "responses": {"200": _response("Here it is.", kind, {})}}
    if parameters:
        found |= {"parameters": parameters}
    return found if closed else {**found, "security": [{}]}


def _response(about: str, kind: str, schema: Schema) -> Schema:
    return {"description": about, "content": {kind: {"schema": schema}}}


def _failures() -> Schema:
    error = {"$ref": "#/components/schemas/Error"}
    return {status: _response(about, "application/json", error) for status, about in _FAILURES.items()}
