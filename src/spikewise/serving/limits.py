"""What one request, and all of them together, may take of the machine."""

from typing import Annotated, Final

from pydantic import Field

from spikewise.config import Config

__all__ = ["MIB", "Limits"]

MIB: Final = 2**20


class Limits(Config):
    """Bounds of a server; each keeps memory and time bounded whatever is sent."""

    body: Annotated[int, Field(ge=1024)] = 16 * MIB
    """Bytes of one request."""
    held: Annotated[int, Field(ge=1024)] = 256 * MIB
    """Bytes of all requests that are being received or wait to be decoded."""
    numbers: Annotated[int, Field(ge=1024)] = 4 * MIB
    """Bytes of a request in JSON, whose numbers take several times that once they are read."""
    pixels: Annotated[int, Field(ge=1)] = 16_777_216
    """Pixels of one image file: 4096 x 4096."""
    images: Annotated[int, Field(ge=1)] = 256
    """Images of one request."""
    waiting: Annotated[int, Field(ge=1)] = 1024
    """Requests that are received, wait or are answered at the same time; one more is told to come again."""
    seconds: Annotated[float, Field(gt=0)] = 30.0
    """From the first byte of a request's body to its answer."""
    window: Annotated[float, Field(ge=0, le=1)] = 0.002
    """Seconds for which the first image of a batch waits for others."""
    batch: Annotated[int, Field(ge=1)] = 64
    """Images that are run together."""
