"""Tensors of the Open Inference Protocol, in JSON and in binary."""

import base64
import binascii
import json
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from starlette.responses import JSONResponse, Response

from spikewise.errors import quoted
from spikewise.serving.errors import Refusal

__all__ = ["HEADER", "Tensor", "packed", "tensor_of"]

HEADER: Final = "Inference-Header-Content-Length"
_TYPES: Final[dict[str, str]] = {
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "INT32": "<i4", "INT64": "<i8", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_MOST_AXES: Final = 8


class Tensor(NamedTuple):
    """A named array; texts are bytes in an array of objects."""

    name: str
    datatype: str
    values: NDArray[Any]


def tensor_of(said: dict[str, Any], rest: memoryview) -> Tensor:
    """The tensor that a request describes.

    Args:
        rest: What stands behind the JSON, for tensors in binary.
    Raises:
        Refusal: its type is unknown, or what it holds does not fit its shape.
    """
    name, datatype, shape = str(said.get("name")), said.get("datatype"), said.get("shape")
    if datatype != "BYTES" and datatype not in _TYPES:
        raise Refusal(400, f"{quoted(name)} has datatype {quoted(datatype)}; known: {', '.join((*_TYPES, 'BYTES'))}.")
    if not isinstance(shape, list) or len(shape) > _MOST_AXES or not all(_is_size(axis) for axis in shape):
        raise Refusal(400, f"{quoted(name)} has the shape {quoted(shape)}; it is a list of sizes.")
    parameters = said.get("parameters", {})
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        values = _listed(name, datatype, said.get("data"))
    else:
        if not _is_size(size) or size != len(rest):
            raise Refusal(400, f"{quoted(name)} has {quoted(size)} bytes in binary; {len(rest):,} follow the JSON.")
        values = _texts(name, rest) if datatype == "BYTES" else _numbers(name, datatype, rest)
    if values.size != math.prod(shape) or not values.size:
        raise Refusal(
            400, f"{quoted(name)} holds {values.size:,} values; its shape {shape} wants {math.prod(shape):,}."
        )
    return Tensor(name, datatype, values.reshape(shape))


def packed(about: dict[str, Any], tensors: Sequence[tuple[Tensor, bool]]) -> Response:
    """The answer, each tensor in JSON or in binary behind it."""
    outputs, parts = [], []
    for tensor, binary in tensors:
        said: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.values.shape)}
        if binary:
            parts.append(_bytes_of(tensor))
            said["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            said["data"] = [one.decode() if isinstance(one, bytes) else one for one in tensor.values.ravel().tolist()]
        outputs.append(said)
    content = {**about, "outputs": outputs}
    if not parts:
        return JSONResponse(content)
    header = json.dumps(content, allow_nan=False).encode()
    return Response(header + b"".join(parts), headers={HEADER: str(len(header))}, media_type="application/octet-stream")


def _listed(name: str, datatype: str, data: Any) -> NDArray[Any]:
    if not isinstance(data, list):
        raise Refusal(400, f"{quoted(name)} has no data: a list, or binary with binary_data_size.")
    if datatype == "BYTES":
        return _objects([_decoded(name, one) for one in data])
    try:
        found = np.array(data)
    except ValueError:
        found = np.array(None)
    if found.dtype.kind not in "biuf":
        raise Refusal(400, f"{quoted(name)} is a list of numbers, flat or nested in rows of one length.")
    kind = np.dtype(_TYPES[datatype])
    if kind.kind in "biu":
        low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
        if found.dtype.kind == "f" or (found.size and (found.min() < low or found.max() > high)):
            raise Refusal(400, f"{quoted(name)} holds numbers that are no {datatype}.")
    return found.astype(kind).ravel()


def _decoded(name: str, text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Refusal(400, f"{quoted(name)} holds base64 texts of files; one is none.") from None


def _numbers(name: str, datatype: str, rest: memoryview) -> NDArray[Any]:
    kind = np.dtype(_TYPES[datatype])
    if len(rest) % kind.itemsize:
        raise Refusal(400, f"{quoted(name)} has {len(rest):,} bytes, which are no whole number of {datatype}.")
    return np.frombuffer(rest, kind)


def _texts(name: str, rest: memoryview) -> NDArray[Any]:
    return _objects(list(_split(name, rest)))


def _split(name: str, rest: memoryview) -> Iterator[bytes]:
    """Each element: its length in four bytes, then itself."""
    at = 0
    while at < len(rest):
        (size,) = struct.unpack_from("<I", rest, at) if at + 4 <= len(rest) else (len(rest),)
        if at + 4 + size > len(rest):
            raise Refusal(400, f"{quoted(name)} is cut off: an element of {size:,} bytes is not there.")
        yield bytes(rest[at + 4 : at + 4 + size])
        at += 4 + size


def _objects(items: Sequence[bytes]) -> NDArray[Any]:
    found = np.empty(len(items), object)
    found[:] = items
    return found


def _bytes_of(tensor: Tensor) -> bytes:
    if tensor.datatype == "BYTES":
        return b"".join(struct.pack("<I", len(one)) + one for one in tensor.values.ravel().tolist())
    return np.ascontiguousarray(tensor.values.astype(_TYPES[tensor.datatype])).tobytes()


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40
