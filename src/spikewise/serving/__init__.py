"""Networks of finished runs behind HTTP: a page, predictions, the Open Inference Protocol, metrics."""

from typing import TYPE_CHECKING, Any

from spikewise.errors import DependencyError
from spikewise.lazy import lazy_exports

if TYPE_CHECKING:
    from spikewise.serving.limits import Limits
    from spikewise.serving.models import Models, Wanted
    from spikewise.serving.running import Address, serve
    from spikewise.serving.service import application

__all__ = ["Address", "Limits", "Models", "Wanted", "application", "serve"]

_exports = lazy_exports(
    __name__,
    {
        "application": "spikewise.serving.service",
        "Limits": "spikewise.serving.limits",
        "Models": "spikewise.serving.models",
        "Wanted": "spikewise.serving.models",
        "Address": "spikewise.serving.running",
        "serve": "spikewise.serving.running",
    },
)


def __getattr__(name: str) -> Any:  # whatever the package exports
    try:
        return _exports(name)
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"Serving needs the packages starlette, uvicorn and python-multipart ({error}): "
            "pip install 'spikewise[serve]'"
        ) from error
