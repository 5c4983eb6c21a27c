"""A mistake in a config is one sentence that names the key."""

import pytest

from spikewise.config import parse
from spikewise.dynamics import LIF
from spikewise.encoders import Direct, Latency, Rate
from spikewise.errors import ConfigError, ShapeError, SpikewiseError
from spikewise.graph import Flatten, Graph, Linear
from spikewise.models import MLP, Conv
from spikewise.readouts import LastMembrane


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Rate(steps="x" * 5000), r"got 'x{119}\.\.\.\.$"),
        (lambda: parse(LIF, 3), "LIF is a table of settings; got 3"),
        (lambda: LIF(bta=0.5), r"Unknown key 'bta'\. Did you mean 'beta'\? Available: .*threshold"),
        (
            lambda: MLP(cell={"kind": "lif", "treshold": 1}),
            r"Unknown key 'cell\.treshold'\. Did you mean 'cell\.threshold'\? Available: .*beta",
        ),
        (lambda: MLP(cell={"kind": "izikevich"}), r"Unknown cell\.kind 'izikevich'\. Did you mean 'izhikevich'\?"),
        (lambda: MLP(cell={"beta": 0.5}), r"'cell' needs a kind"),
        (lambda: MLP(hidden=(100, "many")), r"'hidden\.1' is a whole number from 1; got 'many'"),
        (
            lambda: MLP(cell={"kind": "lif", "surrogate": {"kind": "atan", "alpha": 0}}),
            r"cell.*surrogate.*alpha.*got 0",
        ),
        (lambda: Rate(steps=0), r"'steps' is a whole number from 1 to 100,000; got 0"),
        (lambda: Rate(steps=2.5), r"'steps' is a whole number .*got 2\.5"),
        (lambda: LIF(beta=1.0001), r"'beta' is a number from 0 to 1; got 1\.0001"),
        (lambda: LIF(beta=-0.1), r"'beta' .*got -0\.1"),
        (lambda: LIF(beta="fast"), r"'beta' is a number .*got 'fast'"),
        (lambda: LIF(threshold=float("nan")), r"'threshold' is .*finite"),
        (lambda: LIF(threshold=0), r"'threshold' is a number above 0; got 0"),
        (lambda: LIF(reset="soft"), r"'reset' is 'subtract', 'zero' or 'none'; got 'soft'"),
        (lambda: LIF(learn=("betta",)), r"'learn\.0' is .*got 'betta'"),
        (lambda: Latency(threshold=1), r"'threshold' is a number .* below 1"),
        (lambda: Conv(channels=(8, 8), kernels=(3,)), r"2 entries and model\.kernels 1"),
        (lambda: parse(LIF, {"beta": None}), r"'beta' is .*got None"),
    ],
)
def test_a_mistake_names_its_key_and_what_was_found(make, says):
    with pytest.raises(ConfigError, match=says) as caught:
        make()
    assert isinstance(caught.value, SpikewiseError)
    assert caught.value.__cause__ is None
    assert "pydantic" not in str(caught.value)


def test_every_mistake_is_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        LIF(beta=2, threshold=-1, colour="red")
    assert len(str(caught.value).splitlines()) == 3


def test_of_very_many_mistakes_the_first_twenty_are_told_and_the_others_counted():
    with pytest.raises(ConfigError, match=r"And 19,980 mistakes more\.$") as error:
        MLP(hidden=("many",) * 20_000)  # each is wrong, and each was compared with all others once
    assert str(error.value).count("'hidden.") == 20


def test_a_shape_mistake_below_keeps_its_kind():
    layers = (Linear(features=3),)
    with pytest.raises(ShapeError):
        Graph(image_shape=(1, 4, 4), encoder=Direct(), layers=layers, readout=LastMembrane())


def test_a_config_is_frozen_hashable_and_equal_by_value():
    neuron = LIF(beta=0.5)
    with pytest.raises(ValueError, match="frozen"):
        neuron.beta = 0.7
    assert {neuron: "same"}[LIF(beta=0.5)] == "same"
    assert neuron != LIF(beta=0.6)


def test_replace_changes_what_is_named_checks_it_and_leaves_the_original():
    layers = (Flatten(), Linear(features=3))
    graph = Graph(image_shape=(1, 4, 4), encoder=Direct(), layers=layers, readout=LastMembrane())
    changed = graph.replace(encoder=Rate(steps=3))
    assert (changed.encoder, graph.encoder) == (Rate(steps=3), Direct())
    assert changed.layers == layers
    assert changed.steps == 3
    with pytest.raises(ConfigError, match="'beta'"):
        LIF().replace(beta=7)


def test_a_config_comes_back_from_its_own_data():
    model = Conv(channels=(4,), kernels=(5,), cell=LIF(beta=0.3, learn=("beta",)), hidden=(7,), dropout=0.2)
    assert parse(Conv, model.model_dump()) == model
    assert parse(Conv, model.model_dump(mode="json")) == model
    assert Conv.model_validate_json(model.model_dump_json()) == model


def test_the_word_none_switches_an_optional_setting_off():
    from spikewise.experiments import resolve

    assert resolve("digits", overrides=["train.patience=none"]).train.patience is None
    assert resolve("digits", overrides=["model.output=none"]).model.output == "none"
