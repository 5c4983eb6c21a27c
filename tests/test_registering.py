"""A neuron and an encoder from outside the package take part in everything, on the reference engine."""

from typing import ClassVar, Literal

import pytest
import torch

import spikewise
from spikewise.config import registered
from spikewise.dynamics import LIF, RegisteredNeuron
from spikewise.encoders import ImageEncoder, Rate, RegisteredEncoder
from spikewise.errors import ConfigError, RunError
from spikewise.evaluation import Results
from spikewise.experiments import resolve
from spikewise.models import MLP
from spikewise.types import Signal

QUICK = {
    "split.limit": 200,
    "sections": ["diagnosis"],
    "thorough": True,
    "encoder": {"steps": 4},
    "model.hidden": [12],
    "seeds": 1,
    "epochs": 1,
}


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    monkeypatch.setattr(registered, "_kinds", {})

    @spikewise.register
    class Fading(LIF):
        """A LIF neuron by another name."""

        kind: Literal["fading"] = "fading"

    @spikewise.register
    class Twice(ImageEncoder):
        """Every bright pixel at every step."""

        kind: Literal["twice"] = "twice"
        emits: ClassVar[Signal] = Signal("spikes")
        differentiable: ClassVar[bool] = False
        steps: int = 3
        above: int = 127

        def __call__(self, images, draw):
            del draw
            return (images > self.above).float().expand(self.steps, *images.shape)

    return Fading, Twice


def test_a_neuron_of_one_s_own_learns_what_its_likeness_learns(tmp_path):
    ours = spikewise.compare("digits", out=tmp_path, model={"cell": "lif"}, engine="reference", **QUICK)
    own = spikewise.compare("digits", out=tmp_path, model={"cell": "fading"}, **QUICK)
    again = Results.load(own.folder / "results.json")
    assert again.network("snn").engine == "reference"
    assert "fading" in again.network("snn").description
    assert again.network("snn").metrics["accuracy"] == ours.results.network("snn").metrics["accuracy"]
    assert again.network("snn").cost.energy_nanojoule == ours.results.network("snn").cost.energy_nanojoule
    assert again.sections.diagnosis is not None
    assert list(own.load().spikes(torch.zeros(1, 8, 8, dtype=torch.uint8))) == ["fading1"]


def test_settings_reach_it_by_word_table_instance_and_text(registry):
    fading, _ = registry
    wanted = RegisteredNeuron(name="fading", settings={"beta": 0.5, "learn": ["beta"]})
    assert MLP(cell={"kind": "fading", "beta": 0.5, "learn": ["beta"]}).cell == wanted
    assert MLP(cell=fading(beta=0.5, learn=("beta",))).cell.values() == wanted.values()
    assert MLP(cell="fading").cell.values() == {"beta": 0.9, "threshold": 1.0}
    found = resolve("digits", overrides=["model.cell=fading", "model.cell.beta=0.5", 'model.cell.learn=["beta"]'])
    assert found.model.cell == wanted
    assert wanted.learned() == {"beta"}
    assert hash(found.model.cell) == hash(wanted)


def test_an_encoder_of_one_s_own(tmp_path):
    run = spikewise.compare("digits", out=tmp_path, **{**QUICK, "encoder": {"kind": "twice", "above": 100}})
    assert run.results.network("snn").description.startswith("twice T=3")
    assert run.results.network("snn").engine in ("native", "reference")
    encoder = run.load().network.graph.encoder
    assert encoder == RegisteredEncoder(name="twice", settings={"above": 100})
    assert not encoder.differentiable


def test_a_run_is_not_read_without_the_class(tmp_path, monkeypatch):
    run = spikewise.compare("digits", out=tmp_path, model={"cell": "fading"}, **{**QUICK, "sections": []})
    monkeypatch.setattr(registered, "_kinds", {})
    with pytest.raises(RunError, match=r"No neuron 'fading' is registered.*SPIKEWISE_PLUGINS"):
        run.load()


def test_a_module_that_the_environment_names_is_imported(tmp_path, monkeypatch):
    (tmp_path / "own_neurons.py").write_text(
        "import spikewise\nfrom typing import Literal\nfrom spikewise.dynamics import LIF\n"
        "@spikewise.register\nclass Slow(LIF):\n    kind: Literal['slow'] = 'slow'\n    beta: float = 0.99\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SPIKEWISE_PLUGINS", "own_neurons")
    monkeypatch.setattr(registered, "_looked", [])
    assert MLP(cell="slow").cell.values()["beta"] == 0.99
    monkeypatch.setenv("SPIKEWISE_PLUGINS", "nowhere_to_be_found")
    monkeypatch.setattr(registered, "_looked", [])
    with pytest.raises(ConfigError, match="nowhere_to_be_found"):
        MLP(cell="slower")


@pytest.mark.parametrize(
    ("given", "told"),
    [("fadign", "Unknown cell.kind 'fadign'"), ({"kind": "fading", "beta": 2}, "beta"), ("twice", "Unknown cell.kind")],
)
def test_mistakes_are_said_in_words(given, told):
    with pytest.raises(ConfigError, match=told):
        MLP(cell=given)


def test_what_cannot_be_registered_is_refused():
    with pytest.raises(ConfigError, match="takes a subclass"):
        spikewise.register(int)

    class Nameless(LIF):
        pass

    with pytest.raises(ConfigError, match="a kind of this package already"):
        spikewise.register(Nameless)

    class Other(Rate):
        kind: Literal["fading"] = "fading"

    with pytest.raises(ConfigError, match=r"already\. Give yours another kind"):
        spikewise.register(Other)
