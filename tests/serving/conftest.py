import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from spikewise.api import Run, train
from spikewise.data import load_data
from spikewise.serving import Limits, Models, Wanted, application

Serving = Callable[..., contextlib.AbstractContextManager[TestClient]]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished training, as small as one can be, with what it takes to stop early."""
    tiny: dict[str, Any] = {
        "split.limit": 200,
        "model.hidden": [16],
        "encoder.steps": 6,
        "sections": ["anytime"],
    }
    return train("digits", seeds=1, epochs=3, out=tmp_path_factory.mktemp("runs"), thorough=True, **tiny)


@pytest.fixture(scope="session")
def digits() -> list[bytes]:
    """Forty images of the set, as PNG files."""
    return [png(image[0]) for image in load_data("digits").images[:40]]


@pytest.fixture(scope="module")
def client(run: Run) -> Iterator[TestClient]:
    """A server that many tests share."""
    models = Models(Wanted((run.folder,), device="cpu"), Limits())
    with TestClient(application(models), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def serving(run: Run) -> Serving:
    """A server without a network beneath it."""

    @contextlib.contextmanager
    def start(*runs: Path, look: float = 0.05, guard: Any = None, **limits: Any) -> Iterator[TestClient]:
        models = Models(Wanted(runs or (run.folder,), device="cpu"), Limits(**limits))
        with TestClient(application(models, guard=guard, look=look), base_url="http://127.0.0.1") as client:
            yield client

    return start


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
