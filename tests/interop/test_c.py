"""Networks in C99: what is compiled does what the network, or the simulator of its integers, does."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.interop.boards import BOARDS, run_on
from tests.interop.small_graphs import dyadic, graphs, pictures

from spikewise.dynamics import ALIF, LIF, CubaLIF, Izhikevich, LeakyIntegrator
from spikewise.encoders import Delta, Direct, Rate
from spikewise.errors import ConfigError, DataError, DependencyError, ShapeError
from spikewise.graph import Activation, BatchNorm, Conv2d, Flatten, Graph, Linear, MaxPool, Neuron, SpikingActivation
from spikewise.interop import CheckImages, deploy, export_network, verify_bundle
from spikewise.interop.c import FORMAT, compiled, export
from spikewise.interop.c.layout import lay_out
from spikewise.interop.c.memory import ConstantArray
from spikewise.interop.c.numbers import encoder_tables
from spikewise.interop.c.text import array
from spikewise.interop.check import Source
from spikewise.interop.runtime import Here, Wish
from spikewise.network import Network
from spikewise.readouts import MaxMembrane, MeanMembrane, SpikeCount
from spikewise.ties import without_ties

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="needs a C compiler (apt install gcc)"
)
NUMBERS = ("float32", "int8")


@pytest.fixture(autouse=True)
def _here_alone(monkeypatch):
    """Sizes for other processors are asked for by the tests that are about them."""
    monkeypatch.setattr(export, "_TARGETS", ())


def written(network: Network, folder, numbers, count=16, seed=0, name="net"):
    """The export, opened, and its images."""
    graph, images = network.graph, pictures(network.graph, count, seed).numpy()
    wish = Wish(name, None, numbers, tuple("abcdefghij"[: graph.classes]), seed, images)
    deployed = deploy(network)
    made = FORMAT.write(deployed, folder, wish)
    return made, FORMAT.open(deployed, folder, f"{name}.c", wish), images


def same(expected, found):
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], spikes, err_msg=name)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found.scores.argmax(1), expected.scores.argmax(1))


MLP = Graph(
    image_shape=(1, 5, 7),
    encoder=Rate(steps=6),
    layers=(
        Flatten(),
        Linear(features=19),
        Neuron(dynamics=ALIF(adaptation=0.25), recurrent=True),
        Linear(features=4),
        Neuron(dynamics=LIF(beta=0.75, reset_delay=True)),
    ),
    readout=SpikeCount(),
)
CONV = Graph(
    image_shape=(2, 8, 8),
    encoder=Direct(steps=4, mean=(0.25, 0.5), deviation=(0.5, 0.25)),
    layers=(
        Conv2d(channels=4, kernel=3, padding=1, stride=2),
        Neuron(dynamics=CubaLIF(reset="zero")),
        MaxPool(size=2),
        Flatten(),
        Linear(features=3),
        Neuron(dynamics=LeakyIntegrator()),
    ),
    readout=MeanMembrane(),
)


@pytest.mark.parametrize("numbers", NUMBERS)
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 99))
def test_whatever_c_knows_does_the_same_in_c(data, seed, numbers, tmp_path_factory):
    try:
        graph = data.draw(graphs())
    except ShapeError:
        assume(False)
    network = dyadic(graph, seed)
    network.engine_name = "reference"
    _, opened, images = written(network, tmp_path_factory.mktemp("c"), numbers, 6, seed)
    same((opened.reference or Here(network, seed=seed))(images), opened.runtime(images))


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("graph", [MLP, CONV], ids=["mlp", "conv"])
def test_the_files_pass_their_own_test_under_sanitizers(graph, numbers, tmp_path):
    made, _, _ = written(dyadic(graph, 3), tmp_path, numbers)
    assert set(made.files) == {"net.c", "net.h", "net_test.c", "README.md"}
    asked = [
        "gcc",
        *compiled.FLAGS,
        "-g",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover",
        "net.c",
        "net_test.c",
    ]
    subprocess.run([*asked, "-o", "check"], cwd=tmp_path, check=True)
    said = subprocess.run(["./check"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "16 of 16" in said.stdout


@pytest.mark.parametrize("size", [16, 5000])
def test_a_table_of_floats_reads_back_bit_for_bit(size, tmp_path):
    bits = np.random.default_rng(size).integers(0, 2**32, size, dtype=np.uint32)
    bits = np.where(bits >> 23 & 0xFF == 0xFF, bits & 0xBFFFFFFF, bits)  # of all patterns those that are numbers
    special = [0.0, -0.0, 1.0, -1.5, 1e-45, -1e-40, 3.4028235e38, 0.1]
    bits[: len(special)] = np.array(special, np.float32).view(np.uint32)
    text = array(ConstantArray("table", bits.view(np.float32)))
    (tmp_path / "table.c").write_text(f"extern const float *given;\n{text}const float *given = table;\n")
    subprocess.run(["gcc", *compiled.FLAGS, "-shared", "-fPIC", "table.c", "-o", "table.so"], cwd=tmp_path, check=True)
    given = ctypes.POINTER(ctypes.c_uint32).in_dll(ctypes.CDLL(str(tmp_path / "table.so")), "given")
    np.testing.assert_array_equal(np.ctypeslib.as_array(given, (size,)), bits)


def test_a_test_that_expects_something_else_fails(tmp_path):
    written(dyadic(MLP, 3), tmp_path, "int8")
    text = (tmp_path / "net_test.c").read_text()
    start = text.index("counts[")
    first = text.index("\n", start) + 1
    number = text[first:].split(",")[0]
    (tmp_path / "net_test.c").write_text(f"{text[:first]}{int(number) + 1}{text[first + len(number) :]}")
    subprocess.run(["gcc", "net.c", "net_test.c", "-o", "check"], cwd=tmp_path, check=True)
    assert subprocess.run(["./check"], cwd=tmp_path, check=False, capture_output=True).returncode == 1


def test_two_networks_in_one_program_do_not_disturb_each_other(tmp_path):
    written(dyadic(MLP, 3), tmp_path, "int8", name="one")
    written(dyadic(MLP, 4), tmp_path, "int8", name="two")
    (tmp_path / "main.c").write_text(
        """
        #include "one.h"
        #include "two.h"
        int main(void)
        {
            static uint8_t light[ONE_PIXELS], dark[ONE_PIXELS];
            static one_state a, b, alone;
            static two_state c;
            one_score mixed[2 * ONE_CLASSES], plain[2 * ONE_CLASSES];
            for (int i = 0; i < ONE_PIXELS; i++) { light[i] = 250; dark[i] = (uint8_t)i; }
            one_init(&a); one_init(&b); two_init(&c);
            for (int t = 0; t < ONE_STEPS; t++) { one_step(&a, light); two_step(&c, dark); one_step(&b, dark); }
            one_answer(&a, mixed); one_answer(&b, mixed + ONE_CLASSES);
            one_classify(&alone, light, plain); one_classify(&alone, dark, plain + ONE_CLASSES);
            for (int k = 0; k < 2 * ONE_CLASSES; k++) if (mixed[k] != plain[k]) return 1;
            for (int k = 0; k < ONE_CLASSES; k++) if (plain[k] != plain[ONE_CLASSES + k]) return 0;
            return 2;
        }
        """
    )
    subprocess.run(["gcc", "-std=c99", "main.c", "one.c", "two.c", "-o", "check"], cwd=tmp_path, check=True)
    assert subprocess.run(["./check"], cwd=tmp_path, check=False).returncode == 0


def test_real_weights_in_floating_point_differ_by_rounding_alone(tmp_path):
    network = Network(MLP, seed=5).eval()
    _, opened, images = written(network, tmp_path, "float32", 200)
    ours, theirs = Here(network)(images), opened.runtime(images)
    differing = sum(int((ours.spikes[name] != theirs.spikes[name]).sum()) for name in ours.spikes)
    assert differing <= 1e-5 * sum(spikes.size for spikes in ours.spikes.values())


def test_integers_follow_the_network_they_were_rounded_from(tmp_path):
    network = Network(CONV, seed=2).eval()
    _, opened, images = written(network, tmp_path, "int8", 200)
    ours, theirs = Here(network)(images), opened.runtime(images)
    assert (ours.scores.argmax(1) == theirs.scores.argmax(1)).mean() > 0.95
    sent = {name: (int(ours.spikes[name].sum()), int(theirs.spikes[name].sum())) for name in ours.spikes}
    assert all(abs(here - there) <= 0.02 * here for here, there in sent.values()), sent
    near = np.abs(theirs.scores - ours.scores) <= 0.05 * np.abs(ours.scores).max()
    assert near.mean() > 0.97  # one spike more or less moves a score


def test_ties_are_broken_as_predict_breaks_them(tmp_path):
    network = dyadic(MLP, 3)
    with torch.no_grad():  # outputs 1, 2 and 3 are the same, and 0 is lower
        network.weights["linear2.weight"][1:] = network.weights["linear2.weight"][1].clone()
        network.weights["linear2.bias"].copy_(torch.tensor([-4.0, 0.5, 0.5, 0.5]))
    for numbers in NUMBERS:
        folder = tmp_path / numbers
        folder.mkdir()
        _, opened, images = written(network, folder, numbers)
        found = opened.runtime(images).scores.argmax(1)
        tied = torch.tensor([[0.0, 1.0, 1.0, 1.0]])
        drawn = int(without_ties(tied, tied, torch.zeros(1, dtype=torch.int64)).argmax())
        np.testing.assert_array_equal(found, np.full(len(images), drawn))


@pytest.mark.parametrize("threshold", [0.1, 0.2, 51 / 255, 0.5])
def test_changes_between_levels_are_decided_as_the_encoder_decides(threshold):
    levels = torch.arange(256).float() / 255
    tables = encoder_tables(Delta(steps=3, threshold=threshold))
    change = levels[:, None] - levels[None]  # [after, before]
    after = np.arange(256)[:, None]
    np.testing.assert_array_equal(after >= tables["brighter"], (change > threshold).numpy())
    np.testing.assert_array_equal(after < tables["darker"], (change < -threshold).numpy())


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((Flatten(), Linear(features=2), Neuron(dynamics=Izhikevich())), "izhikevich1"),
        ((Flatten(), Linear(features=2), SpikingActivation()), "spiking_activation1"),
        ((Flatten(), Linear(features=2), Activation(function="tanh")), "activation1.*tanh"),
        ((BatchNorm(), Flatten(), Linear(features=2)), "batch_norm1.*folded"),
    ],
)
def test_what_c_cannot_say_is_refused_by_name(layers, words):
    graph = Graph(image_shape=(1, 4, 4), encoder=Direct(steps=2), layers=layers, readout=MaxMembrane())
    with pytest.raises(ConfigError, match=words):
        lay_out(deploy(Network(graph)).graph)


@pytest.mark.parametrize("name", ["int", "9lives", "a-b", "", "main", "x" * 40, "a/b"])
def test_a_name_that_is_none_in_c_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match="name in C"):
        written(dyadic(MLP, 1), tmp_path, "int8", name=name)


def test_a_label_cannot_end_its_comment(tmp_path):
    network = dyadic(MLP, 1)
    images = pictures(MLP, 4).numpy()
    labels = ("*/ int x = ;", "/* y", "naïve", "new\nline\\")
    FORMAT.write(deploy(network), tmp_path, Wish("net", None, "int8", labels, 0, images))
    assert (tmp_path / "net.h").is_file()


def test_a_changed_file_that_does_not_compile_is_told(tmp_path):
    written(dyadic(MLP, 1), tmp_path, "int8")
    (tmp_path / "net.c").write_text("int;x")
    with pytest.raises(DataError, match=r"net\.c does not compile"):
        FORMAT.open(deploy(dyadic(MLP, 1)), tmp_path, "net.c", Wish("net", None, "int8"))


def test_a_missing_compiler_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DependencyError, match="apt install gcc"):
        written(dyadic(MLP, 1), tmp_path, "int8")


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("graph", [MLP, CONV], ids=["mlp", "conv"])
def test_other_processors_count_the_same_spikes(graph, numbers, board, tmp_path):
    written(Network(graph, seed=7).eval(), tmp_path, numbers)  # real weights: their sums are rounded alike, too
    assert run_on(board, tmp_path, "net") == 0


def test_a_board_notices_what_differs(tmp_path):
    written(dyadic(MLP, 3), tmp_path, "int8")
    other = tmp_path / "other"
    other.mkdir()
    written(dyadic(MLP, 4), other, "int8")
    shutil.copy(tmp_path / "net_test.c", other)
    assert run_on("cortex-m4", other, "net") > 0


@pytest.mark.skipif(not shutil.which("clang") or not shutil.which("wasm-ld"), reason="apt install clang lld")
@pytest.mark.parametrize("numbers", NUMBERS)
def test_web_assembly_answers_the_same(numbers, tmp_path):
    _, opened, images = written(Network(MLP, seed=7).eval(), tmp_path, numbers)
    text = (tmp_path / "README.md").read_text()
    command = text[text.index("clang --target") : text.index("```\n\nFloating")].replace("\\\n", " ")
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    if not shutil.which("node"):
        pytest.skip("apt install nodejs")
    (tmp_path / "images.json").write_text(str(images.reshape(len(images), -1).tolist()))
    (tmp_path / "run.cjs").write_text(RUN_JS)
    said = subprocess.run(["node", "run.cjs"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    answers = opened.runtime(images).scores.argmax(1).tolist()
    assert said.split() == [str(answer) for answer in answers]


RUN_JS = """
const fs = require("fs");
const compiled = new WebAssembly.Module(fs.readFileSync("net.wasm"));
const { memory, __heap_base, net_classify, net_state_size } = new WebAssembly.Instance(compiled).exports;
memory.grow(4);
const state = (__heap_base.value + 15) & ~15, image = state + ((net_state_size() + 15) & ~15);
for (const pixels of JSON.parse(fs.readFileSync("images.json"))) {
    new Uint8Array(memory.buffer).set(pixels, image);
    console.log(net_classify(state, image, 0));
}
"""


@pytest.mark.parametrize("numbers", NUMBERS)
def test_an_export_is_checked_and_can_be_verified_elsewhere(numbers, tmp_path):
    images = CheckImages(pictures(MLP, 40).numpy(), np.arange(40) % 4)
    source = Source(run="a run", network="snn", seed=0, classes=tuple("abcd"), data="pictures")
    made, check = export_network(
        Network(MLP, seed=6), "c", images, source, tmp_path / "out", wish=Wish(numbers=numbers, classes=tuple("abcd"))
    )
    assert check.passed, check.verdict
    assert made.file.name == "network.c"
    assert {one.name for one in check.files} == {"network.c", "network.h", "network_test.c", "README.md"}
    assert check.facts["state (RAM), bytes"] > 0
    (tmp_path / "out").rename(tmp_path / "moved")
    again = verify_bundle(tmp_path / "moved" / "network.c")
    assert again.check.passed
    assert not again.changed
    text = (tmp_path / "moved" / "network.c").read_text()
    (tmp_path / "moved" / "network.c").write_text(text.replace("v > limit", "v >= limit + 1"))
    assert verify_bundle(tmp_path / "moved" / "network.c").changed == ("network.c",)


@pytest.mark.parametrize(("body", "words"), [("*(volatile int *)0 = 1;", "signal"), ("int n; n = 0;", None)])
def test_a_changed_file_that_crashes_is_told(body, words, tmp_path):
    written(dyadic(MLP, 1), tmp_path, "int8")
    text = (tmp_path / "net.c").read_text()
    start = text.index("void net_step(")
    start = text.index("{", start) + 1
    (tmp_path / "net.c").write_text(f"{text[:start]}\n    {body}\n{text[start:]}".replace("int n; n = 0;", ""))
    wish = Wish("net", None, "int8", tuple("abcd"), foreign=True)
    if words is None:
        FORMAT.open(deploy(dyadic(MLP, 1)), tmp_path, "net.c", wish)
        return
    with pytest.raises(DataError, match=words):
        FORMAT.open(deploy(dyadic(MLP, 1)), tmp_path, "net.c", wish)


def test_images_that_may_not_be_passed_on_stay_out_of_the_files(tmp_path):
    images = CheckImages(np.full((4, *MLP.image_shape), 201, np.uint8), np.zeros(4, np.int64), kept=False)
    source = Source(run="a run", network="snn", seed=0, classes=tuple("abcd"), data="secret")
    export_network(dyadic(MLP, 6), "c", images, source, tmp_path / "out")
    assert "201, 201, 201" not in (tmp_path / "out" / "network_test.c").read_text()
