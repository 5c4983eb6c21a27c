"""What a request brings: files of a form, one file, or JSON; no name in it is ever used as a path."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from spikewise.api import IncomingImage, incoming
from spikewise.data.incoming import as_array
from spikewise.errors import ConfigError, DataError, ShapeError, quoted, readable
from spikewise.parsing import ParseError, parse_json
from spikewise.serving.errors import Refusal
from spikewise.serving.limits import MIB, Limits
from spikewise.serving.models import Model

__all__ = ["Options", "Received", "json_of", "options_of", "read_images", "received"]

_MOST_NAME: Final = 200
_MOST_FIELD: Final = 1000
_KNOWN: Final = frozenset({"model", "evidence", "exit", "white", "skip_bad"})
_TRUE, _FALSE = ("1", "true", "yes", "on", ""), ("0", "false", "no", "off")


class Options(NamedTuple):
    """How a prediction is to be made."""

    model: str | None = None
    evidence: bool = False
    exit: str | float | None = None
    """None runs all steps and says nothing of them."""
    white: float | None = None
    skip_bad: bool = False


class Received(NamedTuple):
    """A body that has been taken apart."""

    sources: list[tuple[str, Any]]
    """Name and bytes, or numbers, of each image."""
    fields: dict[str, Any]
    """What else stands there: options."""


def received(kind: str, body: bytes, limits: Limits) -> Received:
    """Take a body apart by its content type.

    Raises:
        Refusal: it is of no known type, damaged, empty, or has too many images.
    """
    bare = kind.partition(";")[0].strip().lower()
    if bare == "multipart/form-data":
        found = _form(kind, body)
    elif bare == "application/json":
        found = _listed(json_of(body, limits))
    elif bare.startswith("image/") or bare == "application/octet-stream":
        found = Received([("image", body)], {})
    else:
        raise Refusal(
            415,
            f"A prediction takes multipart/form-data with files, application/json, or one image/*; got {quoted(bare)}.",
        )
    if not found.sources:
        raise Refusal(400, "The request has no image: send a file (curl -F image=@FILE), or {'images': [...]}.")
    if len(found.sources) > limits.images:
        raise Refusal(413, f"The request has {len(found.sources):,} images; one takes at most {limits.images:,}.")
    return found


def json_of(body: bytes, limits: Limits) -> dict[str, Any]:
    """The table in a body of JSON.

    Raises:
        Refusal: too large, no JSON, or no table.
    """
    if len(body) > limits.numbers:
        raise Refusal(
            413, f"JSON may have at most {limits.numbers / MIB:g} MiB; send large images as files, or in binary."
        )
    try:
        found = parse_json(body.decode())
    except (UnicodeDecodeError, ParseError) as error:
        raise Refusal(400, f"The body is no JSON: {str(error).rstrip('.')}.") from None
    if not isinstance(found, dict):
        raise Refusal(400, f"The body is a JSON object such as {{'images': [...]}}; got {quoted(found)}.")
    return found


def options_of(*places: Mapping[str, Any]) -> Options:
    """Options from the query and the body; what stands in both must agree.

    Raises:
        ConfigError: an unknown option, a wrong value, or a contradiction.
    """
    said: dict[str, Any] = {}
    for place in places:
        for key, value in place.items():
            if key not in _KNOWN:
                raise ConfigError(f"Unknown option {quoted(key)}. Available: {', '.join(sorted(_KNOWN))}.")
            if key in said and str(said[key]) != str(value):
                raise ConfigError(f"'{key}' is said twice: {quoted(said[key])} and {quoted(value)}.")
            if value is not None:
                said[key] = value
    return Options(
        model=None if said.get("model") is None else str(said["model"]),
        evidence=_truth("evidence", said.get("evidence", False)),
        exit=said.get("exit"),
        white=_number("white", said.get("white")),
        skip_bad=_truth("skip_bad", said.get("skip_bad", False)),
    )


def read_images(
    model: Model, sources: Iterable[tuple[str, Any]], options: Options
) -> tuple[list[IncomingImage], list[str]]:
    """The images as the network reads them, and what is wrong with each that cannot be read.

    Raises:
        DataError: one cannot be read, and none is to be left out, or none can be read.
    """
    read: list[IncomingImage] = []
    bad: list[str] = []
    for name, source in sources:
        try:
            read.append(_image(model, name, source, options.white))
        except (DataError, ShapeError) as error:
            bad.append(f"{name}: {error}")
            if not options.skip_bad:
                raise DataError(f"{name}: {error}") from None
    if not read:
        raise DataError(f"None of the {len(bad)} images can be read. {bad[0]}")
    return read, bad


def _image(model: Model, name: str, source: Any, white: float | None) -> IncomingImage:
    if isinstance(source, bytes):
        return incoming(model.trained, name, source, white)
    pixels = model.trained.pixels(as_array(source), white=white)
    if len(pixels) != 1:
        raise ShapeError(f"it is {len(pixels)} images, where one is expected")
    return IncomingImage(name, pixels[0], False)


class _Form:
    """Parts of a form as they come; nothing is written to a disk."""

    def __init__(self) -> None:
        self.found = Received([], {})
        self._header, self._value = bytearray(), bytearray()
        self._disposition, self._data = b"", bytearray()

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_ended,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._ended,
        }

    def _begin(self) -> None:
        self._disposition, self._data = b"", bytearray()

    def _header_ended(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _ended(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" in options:
            name = options[b"filename"].decode("utf-8", "replace")
            self.found.sources.append((_shown(name), bytes(self._data)))
            return
        key = options.get(b"name", b"").decode("utf-8", "replace")
        if len(self._data) > _MOST_FIELD:
            raise Refusal(413, f"The field {quoted(key)} has over {_MOST_FIELD:,} bytes; images are sent as files.")
        if key in self.found.fields:
            raise Refusal(400, f"The field {quoted(key)} stands twice in the form.")
        self.found.fields[key] = self._data.decode("utf-8", "replace")


def _form(kind: str, body: bytes) -> Received:
    _, options = parse_options_header(kind)
    if b"boundary" not in options:
        raise Refusal(400, "The form says no boundary in its Content-Type.")
    form, ended = _Form(), False

    def end() -> None:
        nonlocal ended
        ended = True

    try:
        parser = MultipartParser(options[b"boundary"], {**form.callbacks(), "on_end": end})  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refusal(400, f"The form is damaged: {str(error).rstrip('.')}.") from None
    if not ended:
        raise Refusal(400, "The form is cut off: its last boundary is missing.")
    return form.found


def _listed(table: dict[str, Any]) -> Received:
    """Images of a JSON body: base64 of a file, nested lists of numbers, or either with a name."""
    listed = table.pop("images", None)
    if not isinstance(listed, list):
        raise Refusal(400, f"'images' is a list of base64 texts or of arrays of numbers; got {quoted(listed)}.")
    sources = []
    for number, one in enumerate(listed):
        name, content = f"image {number}", one
        if isinstance(one, dict):
            if not one.keys() <= {"name", "data"} or "data" not in one:
                raise Refusal(400, f"An image is {{'name': ..., 'data': ...}}; got the keys {quoted(sorted(one))}.")
            name, content = _shown(str(one.get("name", name))), one["data"]
        sources.append((name, _unpacked(name, content)))
    return Received(sources, table)


def _unpacked(name: str, content: Any) -> Any:
    if not isinstance(content, str):
        return content
    try:
        return base64.b64decode(content.partition(",")[2] if content.startswith("data:") else content, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, f"{name} is no base64.") from None


def _shown(name: str) -> str:
    """A name of a client's file, fit to be shown; that is all it is for."""
    return readable(name[:_MOST_NAME]).replace("\n", " ") or "image"


def _truth(key: str, value: Any) -> bool:
    word = str(value).lower()
    if word not in (*_TRUE, *_FALSE):
        raise ConfigError(f"'{key}' is true or false; got {quoted(value)}.")
    return word in _TRUE


def _number(key: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = np.nan
    if isinstance(value, bool) or not np.isfinite(found):
        raise ConfigError(f"'{key}' is a number; got {quoted(value)}.")
    return found
