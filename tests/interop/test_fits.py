"""What fits a device is said before training, and what does not is named."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.interop.small_graphs import graphs, pictures
from typer.testing import CliRunner

import spikewise
from spikewise.cli.main import app
from spikewise.data import load_data
from spikewise.dynamics import ALIF, IF, LIF
from spikewise.encoders import Direct, Rate
from spikewise.errors import ConfigError, DataError, ShapeError
from spikewise.experiments import preset_names, resolve
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.standard import standard_of
from spikewise.graph import Conv2d, Flatten, Graph, Linear, Neuron, SumPool
from spikewise.interop import deploy
from spikewise.interop.c import FORMAT, export
from spikewise.interop.c.sizes import layer_sizes
from spikewise.interop.fits import fit, read_target, target_names
from spikewise.interop.runtime import Wish
from spikewise.network import Network
from spikewise.readouts import MeanMembrane, SpikeCount


def mlp(hidden: int = 64, neuron=None, **more) -> Graph:
    neuron = neuron or IF()
    layers = (
        Flatten(),
        Linear(features=hidden),
        Neuron(dynamics=neuron, **more),
        Linear(features=10),
        Neuron(dynamics=IF()),
    )
    return Graph(image_shape=(1, 16, 16), encoder=Rate(steps=5), layers=layers, readout=SpikeCount())


def conv(channels: int = 8, side: int = 32) -> Graph:
    layers = (
        Conv2d(channels=channels, kernel=3, padding=1), Neuron(dynamics=IF()), SumPool(size=2),
        Conv2d(channels=channels, kernel=3, padding=1), Neuron(dynamics=IF()), SumPool(size=side // 2),
        Flatten(), Linear(features=10), Neuron(dynamics=IF()),
    )  # fmt: skip
    return Graph(image_shape=(1, side, side), encoder=Rate(steps=5), layers=layers, readout=SpikeCount())


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_is_held_against_every_target(preset):
    """Without its images: of sets that come in any size, and whose classes depend on what is asked, too."""
    for target in ("speck2f", "hls4ml"):
        found = spikewise.fits(preset, target)
        assert found.fits or found.problems
    refused = {"xray-hybrid", "fingers-cnn", "fingers-snn"}
    assert spikewise.fits(preset, "riscv32:900m/900m").fits == (preset not in refused)


def folder_of_images(folder, side=24):
    draw = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            pixels = draw.integers(0, 256, (side, side, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_before_training_a_folder_says_what_compare_would_train(tmp_path):
    folder = folder_of_images(tmp_path / "photos")
    experiment = resolve(str(folder))
    images = load_data(experiment.data)
    standard = standard_of(images.images, np.arange(len(images)))
    whole = experiment.resolved("compare", device="cpu", train_images=9, image_shape=(3, 24, 24), standard=standard)
    target = "cortex-m4:512k/160k"
    for one in candidates_of(whole, images):
        assert (
            spikewise.fits(folder, target, network=one.name).limits
            == fit(one.graph, read_target(target), target).limits
        )


def test_settings_change_what_would_be_trained(tmp_path):
    few, many = (
        spikewise.fits("digits", "riscv32:900m/900m", settings=[f"model.hidden=[{count}]"]).limits[0].used
        for count in (16, 64)
    )
    assert few < many
    ran = CliRunner().invoke(app, ["fits", "digits", "-t", "riscv32:900m/900m", "--json", "--set", "model.hidden=[16]"])
    assert json.loads(ran.stdout)["limits"][0]["used"] == few


def test_what_is_made_already_takes_no_settings():
    with pytest.raises(ConfigError, match="made already"):
        spikewise.fits(mlp(), "speck2f", settings=["model.hidden=[16]"])
    with pytest.raises(ConfigError, match="Unknown network 'ann2'"):
        spikewise.fits("digits", "speck2f", network="ann2")


ANY_C = "#include <math.h>\n#include <stdint.h>\nint32_t one(void) { return 1; }\n"


@pytest.mark.skipif(not shutil.which("gcc"), reason="apt install gcc")
@pytest.mark.parametrize("numbers", ["float32", "int8"])
@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_sizes_said_before_training_are_those_of_the_export(numbers, data, tmp_path_factory):
    try:
        graph = data.draw(graphs())
    except ShapeError:
        assume(False)
    folder = tmp_path_factory.mktemp("c")
    wish = Wish("net", None, numbers, (), 0, pictures(graph, 2).numpy())
    made = FORMAT.write(deploy(Network(graph, seed=9)), folder, wish)  # other weights than those of the estimate
    sizes = layer_sizes(deploy(Network(graph)), numbers)
    assert sum(one.tables for one in sizes) == made.facts["constant tables, bytes"]
    assert sum(one.state for one in sizes) == made.facts["state (RAM), bytes"]
    for target in export._TARGETS:
        if export.code_size(folder, ANY_C, target) is not None:  # a compiler may be there without its C library
            code = made.facts[f"{target.name}: flash, bytes"] - made.facts["constant tables, bytes"]
            assert 0 < code < read_target("cortex-m0:1m/1m").code - 2048  # the rest is for floating point in software


def test_flash_of_the_device_itself_is_what_size_prints(tmp_path):
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("apt install gcc-arm-none-eabi")
    graph = mlp()
    FORMAT.write(deploy(Network(graph)), tmp_path, Wish("net", None, "int8", (), 0, pictures(graph, 2).numpy()))
    (tmp_path / "state.c").write_text('#include "net.h"\nnet_state one;\n')
    command = [
        "arm-none-eabi-gcc",
        "-mcpu=cortex-m4",
        "-mthumb",
        "-fno-common",
        "-ffreestanding",
        "-Os",
        "-c",
        "state.c",
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    said = subprocess.run(["arm-none-eabi-size", "state.o"], cwd=tmp_path, check=True, capture_output=True, text=True)
    bss = int(said.stdout.splitlines()[1].split()[2])
    assert bss == sum(one.state for one in layer_sizes(deploy(Network(graph)), "int8"))


def test_a_microcontroller_takes_what_fits_and_names_what_does_not():
    roomy = fit(mlp(64), read_target("cortex-m4:128k/8k"), "m4")
    assert roomy.fits
    assert roomy.forms == ("float32", "int8")
    integers = fit(mlp(128), read_target("cortex-m4:64k/8k"), "m4")
    assert integers.fits
    assert integers.forms == ("int8",)
    assert "--int8" in integers.verdict
    small = fit(mlp(512), read_target("cortex-m4:64k/64k"), "m4")
    assert not small.fits
    assert {problem.layer for problem in small.problems} == {"linear1"}
    lean = fit(mlp(512), read_target("cortex-m4:1m/2k"), "m4")
    assert not lean.fits
    assert all("RAM" in problem.words for problem in lean.problems)


def test_a_chip_of_cores_takes_what_fits():
    found = fit(conv(), read_target("speck2f"), "speck2f")
    assert found.fits, found.problems
    assert {limit.what for limit in found.limits} >= {"weighted layers", "conv2d1: words of weights"}


@pytest.mark.parametrize(
    ("graph", "layer", "words"),
    [
        (mlp(1024), "linear1", "262,144 words of weights"),  # 1 x 2^(8 + 10)
        (conv(96), "conv2d1", "98,304 places of neurons"),
        (mlp(16, LIF()), "lif1", "lif.*if"),
        (mlp(16, IF(reset_delay=True)), "if1", "reset_delay = false"),
        (mlp(16, recurrent=True), "if1", "recurrent"),
        (mlp(16).replace(encoder=Direct(steps=5)), None, "encoder is 'direct'"),
        (mlp(16).replace(readout=MeanMembrane()), None, "readout is 'mean_membrane'"),
    ],
)
def test_what_does_not_fit_a_chip_is_named(graph, layer, words):
    found = fit(graph, read_target("speck2f"), "speck2f")
    assert not found.fits
    one = next(problem for problem in found.problems if problem.layer == layer)
    assert re.search(words, one.words)


def test_memory_of_a_core_is_counted_in_powers_of_two():
    """By hand, from the formula in the docstring of sinabs's `memory_summary`: K = c 2^(5 + 4), N = f 2^(4 + 5)."""
    layers = (Conv2d(channels=12, kernel=5), Neuron(dynamics=IF()), Flatten(), Linear(features=2))
    layers += (Neuron(dynamics=IF()),)
    graph = Graph(image_shape=(3, 20, 24), encoder=Rate(steps=2), layers=layers, readout=SpikeCount())
    used = {limit.what: limit.used for limit in fit(graph, read_target("speck2f"), "x").limits}
    assert used["conv2d1: words of weights"] == 3 * 2**9
    assert used["conv2d1: places of neurons"] == 12 * 2**9
    assert used["conv2d1: biases"] == 12
    assert used["linear1: words of weights"] == 12 * 2 ** (9 + 1)


def test_more_layers_than_cores_are_too_many():
    layers = [layer for _ in range(10) for layer in (Linear(features=8), Neuron(dynamics=IF()))]
    graph = Graph(image_shape=(1, 4, 4), encoder=Rate(steps=2), layers=(Flatten(), *layers), readout=SpikeCount())
    found = fit(graph, read_target("speck2f"), "speck2f")
    assert [problem.layer for problem in found.problems] == ["linear10"]


def test_a_layer_finds_its_core_whatever_comes_first():
    """The first layer fits every core, the last one only the largest: it must not be taken by the first."""
    target = read_target("speck2f").replace(
        cores=({"count": 1, "weights": 1 << 16, "neurons": 64, "biases": 64},
               {"count": 1, "weights": 1 << 8, "neurons": 64, "biases": 64})
    )  # fmt: skip
    layers = (Flatten(), Linear(features=16), Neuron(dynamics=IF()), Linear(features=64), Neuron(dynamics=IF()))
    graph = Graph(image_shape=(1, 4, 4), encoder=Rate(steps=2), layers=layers, readout=SpikeCount())
    assert fit(graph, target, "two cores").fits


def test_each_target_has_neurons_of_its_own():
    graph = mlp(16, ALIF())
    assert fit(graph, read_target("cortex-m4:1m/64k"), "m4").fits
    assert not fit(graph, read_target("hls4ml"), "hls4ml").fits
    assert fit(mlp(16, LIF()), read_target("hls4ml"), "hls4ml").fits
    late = fit(mlp(16, LIF(reset_delay=True)), read_target("hls4ml"), "hls4ml")
    assert [one.layer for one in late.problems] == ["lif1"]  # its kernels reset in the step of the spike


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cortex-m5:1k/1k", "cortex-m4"),
        ("cortex-m4", "cortex-m4:512k/160k"),
        ("cortex-m4:512k", "cortex-m4:512k/160k"),
        ("cortex-m4:0/1", "cortex-m4:512k/160k"),
        ("speck2f:1k/1k", "sizes of its own"),
    ],
)
def test_a_wrong_target_is_told(name, words):
    with pytest.raises(ConfigError, match=words):
        read_target(name)


def test_sizes_may_be_written_as_a_data_sheet_writes_them():
    assert read_target("cortex-m4:512KB/1MiB") == read_target("cortex-m4:512k/1m")


def test_parts_that_take_nothing_are_not_blamed():
    found = fit(mlp(16), read_target("cortex-m4:512/160"), "m4")
    assert "linear1 takes" in found.verdict
    assert all(" takes 0" not in problem.words for problem in found.problems)


def test_targets_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    with pytest.raises(DataError, match="mine"):
        read_target(str(path))
    path.write_text("title = ")
    with pytest.raises(ConfigError, match="is no TOML"):
        read_target(str(path))
    path.write_text('title = "mine"\nsources = ["data sheet"]\nneurons = ["lif"]\nflesh = 3\n')
    with pytest.raises(ConfigError, match="flash"):
        read_target(str(path))
    path.write_text('title = "mine"\nsources = ["data sheet"]\nneurons = ["lif"]\nmemory = true\nflash = 1000\n')
    assert fit(mlp(), read_target(str(path)), "x").problems[0].layer == "if1"


@pytest.mark.parametrize("name", target_names())
def test_every_target_says_where_its_limits_come_from(name):
    target = read_target(f"{name}:64k/8k" if name.startswith(("cortex", "riscv")) else name)
    assert target.sources
    assert spikewise.fits(mlp(16), f"{name}:64k/8k" if target.memory else name).title == target.title


def test_the_command_says_it_for_a_preset():
    said = CliRunner().invoke(app, ["fits", "mnist-alif", "--target", "cortex-m4:512k/160k", "--json"])
    assert said.exit_code == 0
    found = json.loads(said.stdout)
    assert found["fits"]
    assert found["forms"] == ["float32", "int8"]
    said = CliRunner().invoke(app, ["fits", "fashion-snn", "--target", "cortex-m4:512k/160k"])
    assert said.exit_code == 1
    assert "linear1" in said.stdout
