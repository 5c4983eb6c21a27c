"""A network that no batch of this machine can train is refused before anything is drawn."""

import pytest
import torch

from spikewise.encoders import Rate
from spikewise.errors import ShapeError
from spikewise.graph import Graph
from spikewise.models import Conv, build, twin
from spikewise.readouts import MeanMembrane
from spikewise.training import TrainConfig, memory
from spikewise.training.memory import check_update

CPU = torch.device("cpu")
PHOTO = (3, 2000, 3000)


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    monkeypatch.setattr(memory, "physical_memory", lambda: 64 * 2**30)


def network(shape: tuple[int, int, int]) -> Graph:
    return build(Conv(hidden=()), Rate(steps=25), MeanMembrane(), image_shape=shape, classes=2)


def test_photos_are_refused_with_what_they_take_what_is_there_and_what_to_set():
    with pytest.raises(ShapeError, match=r"128 images of 3 x 2,000 x 3,000 over 25 time steps") as caught:
        check_update("snn", network(PHOTO), TrainConfig(batch_size=128), 5000, CPU)
    said = str(caught.value)
    assert "This machine has 64.0 GiB" in said
    for setting in ("train.batch_size=4 or less", "data.size", "model.width", "encoder.steps"):
        assert setting in said
    check_update("snn", network(PHOTO), TrainConfig(batch_size=4), 5000, CPU)
    with pytest.raises(ShapeError):
        check_update("snn", network(PHOTO), TrainConfig(batch_size=5), 5000, CPU)


def test_a_batch_has_no_more_images_than_there_are_and_a_gpu_speaks_for_itself():
    check_update("snn", network(PHOTO), TrainConfig(batch_size=128), 4, CPU)
    check_update("snn", network(PHOTO), TrainConfig(batch_size=128), 5000, torch.device("cuda"))


def test_where_no_batch_fits_none_is_named():
    huge = network((3, 20_000, 30_000))
    with pytest.raises(ShapeError, match=r"data\.size") as caught:
        check_update("snn", huge, TrainConfig(), 5000, CPU)
    assert "batch_size" not in str(caught.value)


def test_a_twin_keeps_its_activations_once():
    one = network(PHOTO)
    check_update("twin", twin(one), TrainConfig(batch_size=64), 5000, CPU)
    with pytest.raises(ShapeError, match="'twin'"):
        check_update("twin", twin(one), TrainConfig(batch_size=1024), 5000, CPU)


def test_weights_count_with_their_gradients_and_moments():
    small = network((1, 512, 512))
    weights = 4 * sum(torch.Size(shape).numel() for shape in small.parameter_shapes().values())
    assert memory._weights(small, TrainConfig()) == 4 * weights
    assert memory._weights(small, TrainConfig(optimizer={"kind": "sgd"})) == 2 * weights
