"""What holds for any network: threads, batches, ISA, errors, states, random graphs."""

import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Literal

import pytest
import torch
from cases import check, images, network, outputs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikewise.dynamics import ALIF, LIF, LeakyIntegrator
from spikewise.encoders import Rate
from spikewise.engine import Ask, RunOptions, choose, native
from spikewise.errors import EngineError, ShapeError
from spikewise.graph import AvgPool, Conv2d, Flatten, Graph, Linear, MaxPool, Neuron
from spikewise.layers.base import ShapeKept
from spikewise.network import Network
from spikewise.types import Draw, Signal
from waiting import LONG

pytestmark = pytest.mark.skipif("not compiled" in native.status(), reason="built without a compiler")


def nets():
    recurrent = Neuron(dynamics=ALIF(learn=("beta", "threshold"), per="channel"), recurrent=True)
    return [
        network(Flatten(), Linear(features=600), Neuron(dynamics=LIF(learn=("beta",))), Linear(features=5), scale=3.0),
        network(Flatten(), Linear(features=90), recurrent, Linear(features=5), Neuron(dynamics=LIF()), scale=3.0),
        network(Conv2d(channels=6, kernel=3), MaxPool(), Neuron(dynamics=LIF(learn=("beta",))),
                Conv2d(channels=8, kernel=2),
                Neuron(dynamics=LIF()), Flatten(), Linear(features=5), scale=3.0),
    ]  # fmt: skip


def real_weights(net):
    g = torch.Generator().manual_seed(5)
    for p in net.parameters():
        if p.ndim > 1:
            p.data = torch.randn(p.shape, generator=g) * 3 / p[0].numel() ** 0.5
    return net


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("which", range(3))
def test_the_number_of_threads_changes_nothing(which, threads):
    net, batch = real_weights(nets()[which]), images(37, (1, 7, 9))
    results = []
    for count in (1, 2, 3):
        threads(count)
        out, grads = outputs(net, batch, "native")
        results.append([out.trajectory.membrane, *grads.values()])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_threads_do_not_share_the_ends_of_pooled_rows(threads):
    """Six channels fill no vector, and 192 features a whole row: what reaches over its end is another image's."""
    pool = MaxPool(size=3, stride=1, padding=1)
    net = network(Conv2d(channels=6, kernel=3, padding=1), Neuron(dynamics=LIF()), pool, pool, pool, Flatten(),
                  Linear(features=2), image_shape=(1, 4, 8), encoder=Rate(steps=2))  # fmt: skip
    batch, found = images(64, (1, 4, 8)), []
    for count in (1, *[2] * 40):
        threads(count)
        found.append(outputs(net, batch, "native")[1])
    assert all(torch.equal(value, other[name]) for other in found[1:] for name, value in found[0].items())


def test_threads_do_not_share_the_sum_over_the_neurons_of_a_learned_value(threads):
    """Longer than what PyTorch sums in one piece."""
    neuron = Neuron(dynamics=LIF(learn=("beta", "threshold"), beta=0.8))
    net = network(Conv2d(channels=1, kernel=3), neuron, Flatten(), Linear(features=2), image_shape=(1, 190, 190),
                  encoder=Rate(steps=2))  # fmt: skip
    found = []
    for count in (1, 2, 3):
        threads(count)
        found.append(outputs(real_weights(net), images(2, (1, 190, 190)), "native")[1])
    assert all(torch.equal(found[0][name], other[name]) for other in found[1:] for name in found[0])


@pytest.mark.parametrize("which", range(3))
def test_an_image_gives_the_same_in_any_batch(which):
    net, batch = real_weights(nets()[which]), images(23, (1, 7, 9))
    net.engine_name = "native"
    index = torch.arange(23)
    with torch.no_grad():
        together = net(batch, Draw(1, 0, index)).trajectory.membrane
        for part in (slice(0, 1), slice(5, 9), slice(22, 23)):
            assert torch.equal(net(batch[part], Draw(1, 0, index[part])).trajectory.membrane, together[:, part])


@pytest.mark.parametrize("features", [3, 8, 70])
def test_sparse_dim_and_bright_images_share_a_batch(features):
    """Each is added up in its own way, which neither its neighbours nor their number may change."""
    shape = (2, 15, 17)
    g = torch.Generator().manual_seed(3)
    level, share = torch.linspace(8, 255, 12), torch.linspace(0.05, 1, 12).flip(0)
    here = torch.rand(12, *shape, generator=g) < share[:, None, None, None]
    batch = (here * level[:, None, None, None]).to(torch.uint8)
    layers = (
        Conv2d(channels=2, kernel=1),
        Neuron(dynamics=LIF()),
        Flatten(),
        Linear(features=features),
        Neuron(dynamics=LIF()),
    )
    for net in (
        network(*layers, image_shape=shape, encoder=Rate(steps=21), scale=3.0),
        network(*layers[2:], image_shape=shape, scale=3.0),
    ):
        check(net, batch)
        real_weights(net)
        index = torch.arange(12)
        net.engine_name = "native"
        with torch.no_grad():
            together = net(batch, Draw(1, 0, index)).trajectory.membrane
            for part in (slice(0, 1), slice(3, 7), slice(6, 7), slice(11, 12)):
                assert torch.equal(net(batch[part], Draw(1, 0, index[part])).trajectory.membrane, together[:, part])


def test_two_engines_in_two_threads_do_not_disturb_each_other():
    work = [(real_weights(net), images(16, (1, 7, 9))) for net in nets()]
    alone = [outputs(net, batch, "native")[1] for net, batch in work]
    failures = []

    def repeat(position):
        for _ in range(5):
            grads = outputs(*work[position], "native")[1]
            if not all(torch.equal(grads[k], alone[position][k]) for k in grads):
                failures.append(position)

    running = [threading.Thread(target=repeat, args=(i,)) for i in range(3)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    assert not failures


FOLDERS = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
FORKED = """
import os, sys, torch
sys.path[:0] = {tests!r}
from test_promises import images, nets
from spikewise.types import Draw
torch.set_num_threads(2)
batch, networks = images(40, (1, 7, 9)), nets()  # PyTorch itself may wait for ever in a forked process

def answers():
    with torch.no_grad():
        return [net(batch, Draw.first(40)).trajectory.membrane for net in networks]

before = answers()
child = os.fork()
if not child:  # the parent's threads are not here
    os._exit(0 if all(map(torch.equal, before, answers())) else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("policy", ["active", "passive"])
def test_a_forked_process_computes_the_same_with_threads_of_its_own(policy):
    """The parent works with PyTorch's threads where they spin, and with the engine's where they sleep."""
    script = FORKED.format(tests=FOLDERS)
    there = {**os.environ, "OMP_WAIT_POLICY": policy}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=LONG, env=there)


ALONE = """
import os, resource, sys, torch
sys.path[:0] = {tests!r}
from test_promises import images, nets
from spikewise.types import Draw
batch, networks = images(40, (1, 7, 9)), nets()

def answers():
    with torch.no_grad():
        return [net(batch, Draw.first(40)).trajectory.membrane for net in networks]

before = answers()
child = os.fork()
if not child:  # here the engine has threads of its own
    torch.set_num_threads(3)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20), -1))  # no room for the stack of a thread
    os._exit(0 if all(map(torch.equal, before, answers())) else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="such limits are Linux's")
def test_a_process_that_may_have_no_more_threads_does_the_work_with_those_it_has():
    script = ALONE.format(tests=FOLDERS)
    command = ["bash", "-c", 'ulimit -Ss 1048576; exec "$@"', "bash", sys.executable, "-c", script]  # kB of each stack
    there = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    subprocess.run(command, env=there, check=True, timeout=LONG)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("which", range(3))
def test_weights_that_are_not_finite_are_an_error_that_names_the_layer(which, bad):
    net = nets()[which]
    net.engine_name = "native"
    at = next(name for name, p in net.named_parameters() if name.endswith("weight"))
    net.get_parameter(at).data.view(-1)[3] = bad
    with pytest.raises(EngineError, match=at.split(".", maxsplit=1)[0]):
        net(images(2, (1, 7, 9)))


def test_the_state_lets_a_run_go_on():
    for net in nets():
        whole = torch.rand(9, 4, 1, 7, 9, generator=torch.Generator().manual_seed(0)).round()
        draw = Draw.first(4)
        net.engine_name = "native"
        with torch.no_grad():
            all_at_once = net.run(whole, draw)
            first = net.run(whole[:4], draw)
            rest = net.run(whole[4:], draw, RunOptions(state=first.result.state))
        parts = torch.cat([first.trajectory.membrane, rest.trajectory.membrane])
        assert torch.equal(parts, all_at_once.trajectory.membrane)
        for name, state in all_at_once.result.state.items():
            for part, wanted in zip(rest.result.state[name], state, strict=True):
                assert torch.equal(part, wanted)


def test_a_state_of_other_images_is_named_not_read_beyond():
    net, steps = nets()[0], torch.zeros(2, 6, 1, 7, 9)
    net.engine_name = "native"
    with torch.no_grad():
        state = net.run(steps[:, :2], Draw.first(2)).result.state
        with pytest.raises(ShapeError, match=r"state of layer lif1 is \[2, 600\]; there are 6 images"):
            net.run(steps, Draw.first(6), RunOptions(state=state))


def test_states_and_traces_are_the_references():
    for net in nets():
        record = frozenset(at.name for at in net.graph.named if isinstance(at.layer, Neuron))
        results = []
        for net.engine_name in ("native", "reference"):
            with torch.no_grad():
                results.append(net(images(3, (1, 7, 9)), Draw.first(3), RunOptions(record=record)).result)
        state = results[0].state
        for name in record:
            for part, wanted in zip(state[name], results[1].state[name], strict=True):
                torch.testing.assert_close(part, wanted.detach(), rtol=1e-5, atol=1e-6)
            assert torch.equal(results[0].traces[name].spikes, results[1].traces[name].spikes.detach())
            torch.testing.assert_close(
                results[0].traces[name].output, results[1].traces[name].output.detach(), rtol=1e-5, atol=1e-5
            )


def test_streaming_gives_the_evidence_of_the_whole_run():
    net = nets()[1]
    net.engine_name = "native"
    image, draw = images(1, (1, 7, 9)), Draw.first(1)
    with torch.no_grad():
        evidence = net.graph.readout.evidence(net(image, draw).trajectory)[:, 0]
        streamed = torch.stack(list(net.stream(image, draw)))
    assert torch.equal(streamed, evidence)


@pytest.mark.parametrize(
    ("parameter", "named"), [("linear1.bias", "linear1"), ("lif1.beta", "lif1"), ("lif1.threshold", "lif1")]
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_parameters_that_are_not_finite_name_their_layer(parameter, named, value):
    net = network(Flatten(), Linear(features=4), Neuron(dynamics=LIF(learn=("beta", "threshold"))), Linear(features=2))
    net.engine_name = "native"
    with torch.no_grad():
        net.get_parameter(parameter).fill_(value)
        clamped = named == "lif1" and math.isinf(value) and parameter.endswith("beta")
        if clamped:  # a decay is used as at most 1
            net(images(2, (1, 7, 9)))
            return
        with pytest.raises(EngineError, match=f"Layer {named} has parameters that are not finite"):
            net(images(2, (1, 7, 9)))


def test_an_encoder_without_a_native_version_is_named_and_auto_takes_the_reference():
    class Other(Rate):
        def __call__(self, images, draw):
            return super().__call__(images, draw) * 0.5

    graph = nets()[0].graph
    other = graph.model_copy(update={"encoder": Other(steps=3)})
    assert choose("auto", Ask(other)).name == "reference"
    with pytest.raises(EngineError, match="encoder"):
        choose("native", Ask(other))
    assert choose("native", Ask(other, encodes=False)).name == "native"


def test_a_layer_that_cannot_run_is_named_and_auto_takes_the_reference():
    late = LIF(reset="zero", reset_delay=True, reset_gradient=True)
    net = network(Flatten(), Linear(features=4), Neuron(dynamics=late), Linear(features=2))
    assert choose("auto", Ask(net.graph, "cpu")).name == "reference"
    with pytest.raises(EngineError, match="lif1: reset_gradient"):
        choose("native", Ask(net.graph, "cpu"))
    with pytest.raises(EngineError, match="cuda"):
        choose("native", Ask(nets()[0].graph, "cuda"))
    assert choose("auto", Ask(nets()[0].graph, "cpu")).name == "native"
    assert choose("auto", Ask(nets()[0].graph, "cpu", torch.float64)).name == "reference"


def test_a_layer_that_the_engine_does_not_know_is_refused_not_passed_over():
    class Doubled(ShapeKept):
        kind: Literal["doubled"] = "doubled"

        def emits(self, arriving):
            return Signal("values", constant=arriving.constant)

    graph = network(Flatten(), Linear(features=4), Neuron(dynamics=LIF()), Linear(features=2)).graph
    layers = (*graph.layers[:2], Doubled(), *graph.layers[2:])
    doubled = Graph.model_construct(**{**dict(graph), "layers": layers})  # no member of the union
    assert [at.name for at in doubled.named] == ["flatten1", "linear1", "doubled1", "lif1", "linear2"]
    assert choose("auto", Ask(doubled)).name == "reference"
    with pytest.raises(EngineError, match="doubled1: a layer of the kind doubled"):
        choose("native", Ask(doubled))


def test_a_second_backward_pass_is_an_error_not_a_wrong_gradient():
    net = nets()[0]
    net.engine_name = "native"
    loss = net(images(2, (1, 7, 9))).logits.sum()
    loss.backward(retain_graph=True)
    with pytest.raises(EngineError, match="one pass"):
        loss.backward()


@pytest.mark.parametrize("isa", ["avx512", "avx2", "portable"])
def test_every_version_of_the_kernels_keeps_parity(isa):
    if isa not in native.versions():  # an illegal instruction would end the process
        pytest.skip(f"{isa}: not built, or not what this processor runs")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/engine/native/test_parity.py"]
    done = subprocess.run(
        command, env={**os.environ, "SPIKEWISE_ISA": isa}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]


NEURON = st.builds(
    lambda kind, **parts: kind(**parts),
    st.sampled_from([LIF, ALIF]),
    beta=st.sampled_from([0.0, 0.5, 0.875, 1.0]),
    threshold=st.sampled_from([0.5, 1.0, 2.0]),
    reset=st.sampled_from(["subtract", "zero", "none"]),
    reset_delay=st.booleans(),
)


CHANNELS = st.one_of(st.integers(1, 40), st.sampled_from([48, 55, 56, 57, 63, 64, 65, 72, 112, 113, 128, 129]))
FEATURES = st.one_of(st.integers(1, 150), st.sampled_from([191, 192, 193, 383, 384, 385, 769]))
STEPS = st.one_of(st.integers(1, 7), st.sampled_from([16, 31, 32, 33]))
IMAGES = st.one_of(st.integers(1, 6), st.sampled_from([16, 17, 33]))


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def graphs(draw):
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 16)), draw(st.integers(1, 16)))
    layers, sides = [], shape[1:]
    for _ in range(draw(st.integers(0, 2))):
        kernel, stride, padding = draw(pairs(1, 5)), draw(pairs(1, 3)), draw(pairs(0, 2))
        kernel = tuple(min(k, n + 2 * p) for k, n, p in zip(kernel, sides, padding, strict=True))
        channels = draw(CHANNELS)
        layers.append(
            Conv2d(channels=channels, kernel=kernel, stride=stride, padding=padding, bias=draw(st.booleans()))
        )
        sides = layers[-1].output_shape((1, *sides))[1:]
        if draw(st.booleans()) and min(sides) >= 2:
            layers.append(draw(st.sampled_from([MaxPool(), AvgPool(), MaxPool(size=2, stride=1), MaxPool(stride=3)])))
            sides = layers[-1].output_shape((1, *sides))[1:]
        layers.append(Neuron(dynamics=draw(NEURON)))
    layers.append(Flatten())
    for _ in range(draw(st.integers(0, 2))):
        layers += [Linear(features=draw(FEATURES)), Neuron(dynamics=draw(NEURON), recurrent=draw(st.booleans()))]
    layers += [
        Linear(features=draw(st.integers(1, 20))),
        Neuron(dynamics=draw(st.one_of(NEURON, st.just(LeakyIntegrator(beta=0.5))))),
    ]
    fill = draw(st.sampled_from(["random", "black", "white", "bright"]))
    return network(
        *layers, image_shape=shape, encoder=Rate(steps=draw(STEPS)), scale=draw(st.sampled_from([0.5, 3.0]))
    ), fill


@given(case=graphs(), count=IMAGES)
@settings(max_examples=120, suppress_health_check=list(HealthCheck))
def test_random_graphs_give_the_references_spikes(case, count):
    net, fill = case
    batch = images(count, net.graph.image_shape)
    batch = {"random": batch, "black": batch * 0, "white": batch * 0 + 255, "bright": 255 - batch // 6}[fill]
    draw = Draw(3, 1, torch.arange(count))
    with torch.no_grad():
        found, wanted = (Network(net.graph, engine_name=name) for name in ("native", "reference"))
        for one in (found, wanted):
            one.load_state_dict(net.state_dict())
        ours, theirs = found(batch, draw).trajectory, wanted(batch, draw).trajectory
    if theirs.spikes is not None:
        assert torch.equal(ours.spikes, theirs.spikes)
    torch.testing.assert_close(ours.membrane, theirs.membrane, rtol=1e-5, atol=1e-5)
