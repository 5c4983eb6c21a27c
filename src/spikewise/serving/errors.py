"""What a request is refused for, and how errors become answers."""

from typing import Final

from starlette.responses import JSONResponse

from spikewise.errors import ConfigError, DataError, SpikewiseError
from spikewise.serving.models import UnknownModelError

__all__ = ["Refusal", "refused"]


class Refusal(Exception):
    """A request is answered with a status and words."""

    def __init__(self, status: int, words: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(words)
        self.status, self.words, self.headers = status, words, headers or {}

    def response(self) -> JSONResponse:
        """The body is `{"error": ...}`, as the Open Inference Protocol has it."""
        return JSONResponse({"error": self.words}, self.status, self.headers)


_FAULT: Final = "The server failed. Its own log says why; the request may be right."


def refused(error: Exception) -> Refusal:
    """What a client is told of an error: what was wrong with the request, or that the fault is the server's."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, UnknownModelError):
        return Refusal(404, str(error))
    if isinstance(error, DataError | ConfigError):
        return Refusal(400, str(error))
    return Refusal(500, str(error) if isinstance(error, SpikewiseError) else _FAULT)
