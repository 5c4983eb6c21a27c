"""Every layer that a graph can say, joins and normalisation by the batch among them, on the Triton engine."""

import pytest

pytest.importorskip("triton")

import torch
from against import DEVICE, EXACT, LOOSE, check, copy_of, outputs, run, run_reference
from cases import error, images, network
from layered import CASES, NORMS, SHAPE, normalised

from spikewise.encoders import Direct, Rate
from spikewise.engine import RunOptions

HERE = {"currents added", "spikes added", "sums of windows", "residual"} if DEVICE == "cpu" else set()


def every(names):
    """The interpreter takes ten seconds for most of them."""
    return [name if DEVICE == "cuda" or name in HERE else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", every(CASES))
def test_layers_of_every_kind_are_the_references(name):
    net = network(*CASES[name], image_shape=SHAPE, encoder=Rate(steps=2), scale=2.0)
    check(net.train(), images(2, SHAPE), record=frozenset(at.name for at in net.graph.named))


@pytest.mark.parametrize("name", every(name for name in CASES if "added" in name or "past" in name))
def test_joins_in_evaluation_of_a_constant_current(name):
    net = network(*CASES[name], image_shape=SHAPE, encoder=Direct(steps=2), scale=2.0)
    check(net.eval(), images(2, SHAPE))


@pytest.mark.parametrize("encoder", [Rate(steps=2), Direct(steps=2)], ids=str)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", every(NORMS))
def test_normalisation_by_the_batch_and_by_what_was_seen(name, training, encoder):
    net, batch = normalised(name, encoder, 1).train(training), images(2, SHAPE)
    found, gradients = outputs(net, batch, EXACT)
    wanted, own = outputs(net, batch, torch.float32)
    exact, true = outputs(net, batch, torch.float64)
    apart = error(found.trajectory.membrane, exact.trajectory.membrane)
    assert apart <= max(3e-5, LOOSE * error(wanted.trajectory.membrane, exact.trajectory.membrane))
    assert gradients.keys() == true.keys()
    largest = max(gradient.abs().max().item() for gradient in true.values())
    for key, gradient in true.items():
        # the bias before a normalisation has no gradient: what is left of it is rounding of much larger sums
        left = (gradients[key].double() - gradient).abs().max().item()
        assert (
            error(gradients[key], gradient) <= max(3e-5, LOOSE * error(own[key], gradient)) or left < 1e-6 * largest
        ), key


def test_what_was_seen_moves_as_in_the_reference():
    net, batch = normalised("spikes", Rate(steps=2), 1).train(), images(2, SHAPE)
    ours, theirs = copy_of(net), copy_of(net)
    theirs.engine_name = "reference"
    run(ours, batch, EXACT, RunOptions(training=True))
    run_reference(theirs, batch, RunOptions(training=True), torch.float32)
    for (name, found), wanted in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6, msg=name)
