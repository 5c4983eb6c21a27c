"""What holds for any network on the Triton engine: errors, states, layouts, refusals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")

from against import DEVICE, EXACT, copy_of, draw_of, run
from cases import images, network

from spikewise.dynamics import ALIF, IF, LIF, CubaLIF, Izhikevich, TwoPhaseIF
from spikewise.encoders import Rate
from spikewise.engine import Ask, RunOptions, choose, reference
from spikewise.engine.triton import TritonEngine
from spikewise.engine.triton import run as engine
from spikewise.errors import EngineError
from spikewise.graph import BatchNorm, Conv2d, Flatten, Linear, MaxPool, Neuron

SHAPE = (1, 5, 6)


def nets():
    recurrent = Neuron(dynamics=ALIF(learn=("beta", "threshold"), per="channel"), recurrent=True)
    return [
        network(Flatten(), Linear(features=20), recurrent, Linear(features=5), Neuron(dynamics=LIF()), scale=3.0,
                image_shape=SHAPE, encoder=Rate(steps=5)),
        network(Conv2d(channels=3, kernel=2), MaxPool(), Neuron(dynamics=LIF(learn=("beta",))), Flatten(),
                Linear(features=5), Neuron(dynamics=ALIF()), scale=3.0, image_shape=SHAPE, encoder=Rate(steps=5)),
    ]  # fmt: skip


def others():
    """With neurons of every other state."""
    layers = (CubaLIF(), Izhikevich(gain=3000.0), IF(initial=0.5), TwoPhaseIF(listens_from=1, fires_from=2, phase=3))
    hidden = (layer for neuron in layers for layer in (Linear(features=9), Neuron(dynamics=neuron)))
    again = Neuron(dynamics=CubaLIF(), recurrent=True)
    return network(Flatten(), *hidden, Linear(features=5), again, scale=3.0, image_shape=SHAPE, encoder=Rate(steps=5))


NAMES = [(which, name) for which, net in enumerate(nets()) for name, _ in net.named_parameters()]


@pytest.mark.parametrize(("which", "name"), NAMES)
def test_a_weight_that_is_not_finite_names_its_layer(which, name):
    net = copy_of(nets()[which])
    net.get_parameter(name).data.view(-1)[-1] = float("nan")
    with pytest.raises(EngineError, match=name.split(".", maxsplit=1)[0]):
        run(net, images(2, SHAPE), EXACT, RunOptions())


@pytest.mark.parametrize("which", range(3))
def test_the_state_lets_a_run_go_on(which):
    net = copy_of([*nets(), others()][which])
    whole = torch.rand(5, 3, *SHAPE, generator=torch.Generator().manual_seed(0)).round().to(DEVICE)
    with torch.no_grad():
        at_once = _run(net, whole)
        first = _run(net, whole[:2])
        rest = _run(net, whole[2:], RunOptions(state=first.state))
    parts = torch.cat([first.trajectory.membrane, rest.trajectory.membrane])
    assert torch.equal(parts, at_once.trajectory.membrane)
    for name, state in at_once.state.items():
        for part, wanted in zip(rest.state[name], state, strict=True):
            assert torch.equal(part, wanted)


def _run(net, inputs, options=RunOptions()):  # noqa: B008  # immutable
    return engine.run_encoded(net.graph, net.weights, inputs, draw_of(inputs.shape[1]), options, EXACT)


@pytest.mark.parametrize("which", range(2))
def test_inputs_of_any_layout_and_their_gradient(which):
    net = copy_of(nets()[which])
    values = torch.randn(5, 3, *SHAPE, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    turned = values.transpose(0, 1).contiguous().transpose(0, 1)
    assert not turned.is_contiguous()
    found = []
    for made in (values, turned):
        inputs = made.detach().requires_grad_()
        _run(net, inputs).trajectory.membrane.square().sum().backward()
        found.append(inputs.grad)
    assert torch.equal(*found)
    inputs = values.double().requires_grad_()
    exact = copy_of(net, torch.float64)
    result = reference.ReferenceEngine().run(net.graph, exact.weights, inputs, draw_of(3), RunOptions())
    result.trajectory.membrane.square().sum().backward()
    assert (found[0] - inputs.grad).abs().max() <= 1e-4 * inputs.grad.abs().max()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("which", range(3))
def test_weights_of_any_layout(which, training):
    layers = (Conv2d(channels=3, kernel=2), BatchNorm(), Neuron(dynamics=LIF()), BatchNorm(), Flatten())
    normalised = network(*layers, Linear(features=5), scale=3.0, image_shape=SHAPE, encoder=Rate(steps=5))
    net, found = copy_of([*nets(), normalised][which]), []
    for apart in (False, True):
        weights = {name: value.detach().clone() for name, value in net.weights.items()}
        if apart:  # each number beside another that is not of the weight
            weights = {name: torch.stack([value, value + 7], -1)[..., 0] for name, value in weights.items()}
        learned = [value.requires_grad_() for name, value in weights.items() if ".running" not in name]
        options = RunOptions(training=training)
        result = engine.run_encoding(net.graph, weights, images(3, SHAPE).to(DEVICE), draw_of(3), options, EXACT)
        result.trajectory.membrane.square().sum().backward()
        found.append([result.trajectory.membrane, *weights.values(), *(value.grad for value in learned)])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("which", range(2))
def test_no_images_have_no_answers_and_no_gradients(which):
    net, batch = copy_of(nets()[which]), images(0, SHAPE).to(DEVICE)
    entering = torch.zeros(5, 0, *SHAPE, device=DEVICE)
    for result in (
        TritonEngine().run_images(net.graph, net.weights, batch, draw_of(0), RunOptions()),
        TritonEngine().run(net.graph, net.weights, entering, draw_of(0), RunOptions()),
    ):
        assert result.trajectory.membrane.shape == (5, 0, 5)
        result.trajectory.membrane.sum().backward()
    assert all(value.grad is not None and not value.grad.any() for value in net.parameters())


def test_a_second_backward_pass_is_an_error_not_a_wrong_gradient():
    net = copy_of(nets()[0])
    loss = run(net, images(2, SHAPE), EXACT, RunOptions(training=True)).logits.sum()
    loss.backward(retain_graph=True)
    with pytest.raises(EngineError, match="one pass"):
        loss.backward()


def test_what_it_cannot_do_is_said_in_words():
    graph, refuses = nets()[0].graph, TritonEngine().refuses
    assert refuses(Ask(graph, "cuda")) is None
    assert "not on cpu" in refuses(Ask(graph, "cpu"))
    assert "starts from a state" in refuses(Ask(graph, "cuda", options=RunOptions(state={"alif1": None}), learns=True))
    assert choose("auto", Ask(graph, "cuda")).name == "triton"
    with pytest.raises(EngineError, match="triton engine cannot"):
        choose("triton", Ask(graph, "cpu"))


@pytest.mark.slow
def test_kernels_compile_for_a_gpu_that_is_not_there(tmp_path):
    program = Path(__file__).with_name("compiles.py")
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("compiled\n"), done.stderr[-3000:]
