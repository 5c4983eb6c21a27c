"""A network that no batch of this machine can train is refused before anything is drawn."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from spikewise import memory as limits
from spikewise.data import ImageSet
from spikewise.encoders import Rate
from spikewise.errors import ShapeError
from spikewise.graph import Graph
from spikewise.models import Conv, build, twin
from spikewise.readouts import MeanMembrane
from spikewise.training import TrainConfig, memory
from spikewise.training.memory import Loaded, check_update

CPU = torch.device("cpu")
PHOTO = (3, 2000, 3000)


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: 64 * 2**30)


def network(shape: tuple[int, int, int]) -> Graph:
    return build(Conv(hidden=()), Rate(steps=25), MeanMembrane(), image_shape=shape, classes=2)


def test_photos_are_refused_with_what_they_take_what_is_there_and_what_to_set():
    with pytest.raises(ShapeError, match=r"128 images of 3 x 2,000 x 3,000 over 25 time steps") as caught:
        check_update("snn", network(PHOTO), TrainConfig(batch_size=128), Loaded(5000, 0), CPU)
    said = str(caught.value)
    assert "There are 64.0 GiB" in said
    for setting in ("train.batch_size=4 or less", "data.size", "model.width", "encoder.steps"):
        assert setting in said
    check_update("snn", network(PHOTO), TrainConfig(batch_size=4), Loaded(5000, 0), CPU)
    with pytest.raises(ShapeError):
        check_update("snn", network(PHOTO), TrainConfig(batch_size=5), Loaded(5000, 0), CPU)


def test_a_batch_has_no_more_images_than_there_are_and_a_gpu_speaks_for_itself():
    check_update("snn", network(PHOTO), TrainConfig(batch_size=128), Loaded(4, 0), CPU)
    check_update("snn", network(PHOTO), TrainConfig(batch_size=128), Loaded(5000, 0), torch.device("cuda"))


def test_the_image_set_counts_unless_it_is_read_from_a_file_piece_by_piece(tmp_path):
    pixels = np.zeros((6, 1, 8, 8), np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    sizes = []
    for one in (pixels, mapped, mapped[2:].view(np.ndarray), pixels[1:4]):
        labels, roles = np.zeros(len(one), np.int64), np.full(len(one), -1, np.int8)
        sizes.append(Loaded.of(ImageSet("dots", one, labels, ("a", "b"), roles, "dots"), 3).size)
    assert sizes == [6 * 64, 0, 0, 3 * 64]
    graph, train = network(PHOTO), TrainConfig(batch_size=4)
    with pytest.raises(ShapeError, match=r"50\.0 for the image set.* train\.batch_size=1 or less"):
        check_update("snn", graph, train, Loaded(5000, 50 * 2**30), CPU)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to this limit")
def test_a_limit_of_the_process_counts_as_its_memory():
    """In a process of its own: a limit cannot be raised again."""
    code = (
        "import resource; from spikewise.memory import memory_limit; before, less = memory_limit(), 3 * 2**28;"
        "resource.setrlimit(resource.RLIMIT_AS, (less, -1)); print(before > less, memory_limit() == less)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "True"]


@pytest.mark.parametrize(("file", "text"), [("memory.max", "1000"), ("memory/memory.limit_in_bytes", "1000\n")])
def test_a_limit_of_the_container_counts_as_its_memory(file, text, monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "_GROUPS", tmp_path)
    before = limits.memory_limit()
    assert before > 2**28
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("max\n")  # none
    assert limits.memory_limit() == before
    (tmp_path / file).write_text(text)
    assert limits.memory_limit() == 1000


def test_where_no_batch_fits_none_is_named():
    huge = network((3, 20_000, 30_000))
    with pytest.raises(ShapeError, match=r"data\.size") as caught:
        check_update("snn", huge, TrainConfig(), Loaded(5000, 0), CPU)
    assert "batch_size" not in str(caught.value)


def test_a_twin_keeps_its_activations_once():
    one = network(PHOTO)
    check_update("twin", twin(one), TrainConfig(batch_size=64), Loaded(5000, 0), CPU)
    with pytest.raises(ShapeError, match="'twin'"):
        check_update("twin", twin(one), TrainConfig(batch_size=1024), Loaded(5000, 0), CPU)


def test_weights_count_with_their_gradients_and_moments():
    small = network((1, 512, 512))
    weights = 4 * sum(torch.Size(shape).numel() for shape in small.parameter_shapes().values())
    assert memory._weights(small, TrainConfig()) == 4 * weights
    assert memory._weights(small, TrainConfig(optimizer={"kind": "sgd"})) == 2 * weights


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to this limit")
def test_a_checkpoint_that_finds_no_memory_is_told_in_words_alone(tmp_path):
    """Not in those of the library that writes it, which prints its stack on the way."""
    code = (
        "import resource, pathlib, sys, torch; from spikewise.errors import StorageError;"
        "from spikewise.training.checkpoint import Checkpoint;"
        "tensors = {'weights/a': torch.zeros(2**26)};"
        "used = int(pathlib.Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize();"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, -1))\n"
        "try: Checkpoint(tensors, {}).save(pathlib.Path(sys.argv[1]))\n"
        "except StorageError as error: print(error)"
    )
    place = tmp_path / "checkpoint.safetensors"
    said = subprocess.run([sys.executable, "-c", code, str(place)], capture_output=True, text=True, check=True)
    assert f"no memory left to write {place} (256 MiB)" in said.stdout
    assert said.stderr == ""
    assert not place.exists()
