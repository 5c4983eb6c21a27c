"""A network of another tool becomes a run folder, on which every command works that takes one."""

import importlib
import json
import sys

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import spikewise
from spikewise.cli.main import app
from spikewise.dynamics import LIF
from spikewise.encoders import Rate
from spikewise.errors import ConfigError, DataError
from spikewise.evaluation import Results
from spikewise.graph import Activation, Flatten, Graph, Linear, Neuron
from spikewise.interop.deployed import deploy
from spikewise.interop.incoming import imported as imported_source
from spikewise.interop.nir.files import save_graph
from spikewise.interop.nir.writing import to_nir
from spikewise.network import Network
from spikewise.readouts import MeanMembrane, SpikeCount
from spikewise.report.methods import methods
from spikewise.report.paper_part import experiment_of

nir = pytest.importorskip("nir", reason="nir is not installed: pip install 'spikewise[nir]'")
QUICK = {"quick": True, "epochs": 1, "split.limit": 100, "sections": []}


def network(classes=10, reset="zero", shape=(1, 8, 8)):
    layers = (
        Flatten(),
        Linear(features=12),
        Neuron(dynamics=LIF(reset=reset)),
        Linear(features=classes),
        Neuron(dynamics=LIF(reset=reset)),
    )
    return Network(Graph(image_shape=shape, encoder=Rate(steps=5), layers=layers, readout=SpikeCount()), seed=3).eval()


def bare(of):
    """Its NIR graph as another tool would write it."""
    made = to_nir(deploy(of))
    return nir.NIRGraph(made.nodes, made.edges, type_check=False)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    settings = {"encoder.steps": 5}
    graph = bare(network())
    return spikewise.import_network(graph, "digits", dialect="snntorch", reset="zero", out=out, **QUICK, **settings)


def test_an_imported_network_is_tested_beside_a_twin_that_is_trained(imported):
    snn, twin = imported.results.networks
    assert (snn.name, twin.name, snn.steps) == ("snn", "twin", 5)
    weights = imported.load().network.weights
    assert all(torch.equal(weights[name], value) for name, value in network().weights.items())
    assert snn.runs[0].history[0].seconds == 0
    assert twin.runs[0].history[0].seconds > 0
    assert any("made elsewhere" in caution for caution in imported.results.data.cautions)
    assert imported.report.exists()
    assert imported.results.protocol.test_opened == 2


def test_nothing_is_said_of_a_training_that_the_run_did_not_see(imported):
    snn, twin = imported.results.networks
    assert (snn.trained_here, snn.train_seconds, snn.cost.train_seconds_per_epoch) == (False, None, None)
    assert (snn.tuning, twin.tuning is None) == (None, False)
    assert twin.trained_here
    assert twin.train_seconds > 0
    text = methods(imported.results, experiment_of(imported.folder))
    assert "The spiking network was trained elsewhere, on images that are not known here." in text
    assert "The same network without spikes was trained on the training images, at most" in text
    assert "for the spiking network" not in text
    assert "after epoch" in imported.report.read_text()
    assert "the spiking network after epoch" not in imported.report.read_text()


def test_its_diagnosis_does_not_speak_of_its_training(imported):
    found = spikewise.diagnose(imported.folder, again=True)
    snn = found.networks[0].seeds[0]
    assert snn.weight_change == {}
    assert {layer.rate_before_training for layer in snn.layers} == {None}
    told = [one for one in found.findings if one.network == "snn"]
    assert "not_learning" in {one.code for one in told}  # it was drawn
    for one in told:
        assert one.settings == ()
        assert "made elsewhere" in one.advice
        assert "before training" not in one.text
        assert "epoch" not in one.text


def test_its_accuracy_is_that_of_the_network(imported):
    images = spikewise.load_data("digits")
    test = np.load(imported.folder / "networks" / "snn" / "seed-0" / "test.npz")
    answers = imported.load().predict(images.images[test["index"]])
    share = (answers == images.labels[test["index"]]).mean()
    found = imported.results.networks[0].metrics["accuracy"].mean
    assert found == pytest.approx(share, abs=0.02)  # `predict` draws the same bytes for every image
    assert found < 0.5  # it was drawn, not trained


def test_the_same_call_finds_the_run_and_trains_nothing(imported):
    again = spikewise.import_network(
        bare(network()), "digits", dialect="snntorch", reset="zero", out=imported.folder.parent, **QUICK,
        **{"encoder.steps": 5},
    )  # fmt: skip
    assert again.folder == imported.folder
    assert again.results.protocol.test_opened == 2


def test_sections_that_need_a_network_are_made_of_it(imported):
    for family in ("corruptions",):
        spikewise.robustness(imported.folder, families=[family], images=20)
    results = Results.load(imported.folder / "results.json")
    assert results.sections.robustness is not None
    exported = spikewise.export(imported.folder, "nir", images=20)
    assert exported.check.passed


def test_its_experiment_cannot_be_trained_from_nothing(imported, tmp_path):
    with pytest.raises(ConfigError, match="was made elsewhere"):
        spikewise.compare(config=imported.folder / "experiment.toml", out=tmp_path)


def test_a_network_for_other_classes_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="answers with 7 classes"):
        spikewise.import_network(bare(network(7)), "digits", dialect="snntorch", reset="zero", out=tmp_path, **QUICK)
    with pytest.raises(
        ConfigError, match=r"digits: it answers with 7 classes, and these have 10\. Take the images that "
    ):
        spikewise.import_network(bare(network(7)), "digits", dialect="snntorch", reset="zero", out=tmp_path, **QUICK)
    assert not any(tmp_path.iterdir())


def test_the_command_says_what_it_understood_and_brings_images_to_the_networks_size(tmp_path):
    path = tmp_path / "net.nir"
    save_graph(bare(network(shape=(1, 6, 6))), path)
    asked = [
        "import",
        str(path),
        "--data",
        "digits",
        "--quick",
        "--epochs",
        "1",
        "--set",
        "split.limit=100",
        "--without",
        "all",
        "--out",
        str(tmp_path / "runs"),
    ]
    refused = CliRunner().invoke(app, asked)
    assert isinstance(refused.exception, ConfigError)
    assert "--dialect snntorch" in str(refused.exception)
    done = CliRunner().invoke(app, [*asked, "--dialect", "snntorch", "--reset", "zero", "--json"])
    assert done.exit_code == 0, done.exception
    told = json.loads(done.stdout)
    assert told["networks"][0]["name"] == "snn"
    assert told["data"]["image_shape"] == [1, 6, 6]
    wrong = CliRunner().invoke(app, [*asked, "--reset", "zeros"])
    assert "Did you mean 'zero'" in str(wrong.exception)


def test_settings_that_the_network_decides_are_refused(tmp_path):
    for settings in ({"model.hidden": [4]}, {"model": {"kind": "conv"}}, {"standardise": False}):
        with pytest.raises(ConfigError, match="would change nothing"):
            spikewise.import_network("none.nir", "digits", out=tmp_path, **settings)
    assert not [*tmp_path.iterdir()]


def test_networks_without_spikes_are_judged_otherwise(tmp_path):
    layers = (Flatten(), Linear(features=10), Activation(), Linear(features=10))
    silent = Network(Graph(image_shape=(1, 8, 8), encoder=Rate(steps=2), layers=layers, readout=MeanMembrane()))
    linear = nir.NIRGraph(
        {
            "input": nir.Input(np.array([64])),
            "fc": nir.Affine(np.ones((10, 64), np.float32), np.zeros(10, np.float32)),
            "output": nir.Output(np.array([10])),
        },
        [("input", "fc"), ("fc", "output")],
        type_check=False,
    )
    with pytest.raises(ConfigError, match="no spiking layer"):
        spikewise.import_network(linear, "digits", out=tmp_path, **QUICK)
    with pytest.raises(ConfigError, match="no neurons of snnTorch"):
        spikewise.import_network(silent, "digits", out=tmp_path, **QUICK)


def test_a_pickled_module_is_opened_only_by_who_trusts_it(tmp_path):
    path = tmp_path / "module.pt"
    torch.save(nn.Sequential(nn.Linear(64, 10)), path)
    with pytest.raises(ConfigError, match="--trust"):
        spikewise.import_network(f"snntorch:{path}", "digits", out=tmp_path)
    torch.save(nn.Linear(64, 10).state_dict(), path)
    with pytest.raises(DataError, match="weights alone"):
        spikewise.import_network(f"snntorch:{path}", "digits", trust=True, out=tmp_path)
    path.write_bytes(b"no pickle")
    with pytest.raises(DataError, match="cannot be opened"):
        spikewise.import_network(f"snntorch:{path}", "digits", trust=True, out=tmp_path)
    with pytest.raises(DataError, match="There is no file"):
        spikewise.import_network("snntorch:none.pt", "digits", trust=True, out=tmp_path)


def test_a_pickled_module_finds_the_program_beside_it(tmp_path, monkeypatch):
    """Such a module pickles where its surrogate has a name; snnTorch's own make functions without one."""
    pytest.importorskip("snntorch", reason="snnTorch is not installed: pip install 'spikewise[peers]'")
    (tmp_path / "somebodys_network.py").write_text(
        "import snntorch, torch\n"
        "def spike(x):\n    return snntorch.surrogate.ATan.apply(x, 2.0)\n"
        "def leaky():\n    return snntorch.Leaky(beta=0.75, spike_grad=spike, init_hidden=True)\n"
        "class Net(torch.nn.Sequential):\n    pass\n"
    )
    with monkeypatch.context() as path:
        path.syspath_prepend(tmp_path)
        program = importlib.import_module("somebodys_network")
        module = program.Net(nn.Linear(64, 12), program.leaky(), nn.Linear(12, 10), program.leaky())
        torch.save(module, tmp_path / "module.pt")
        monkeypatch.delitem(sys.modules, "somebodys_network")
    source, before = f"snntorch:{tmp_path / 'module.pt'}", list(sys.path)
    found, same = imported_source(source, trust=True).network, spikewise.from_snntorch(module)
    assert sys.path == before
    assert found.graph == same.graph
    assert all(torch.equal(value, found.weights[name]) for name, value in same.weights.items())
    (tmp_path / "somebodys_network.py").unlink()
    monkeypatch.delitem(sys.modules, "somebodys_network")
    importlib.invalidate_caches()
    with pytest.raises(DataError, match="needs code that is not found here"):
        imported_source(source, trust=True)


def test_what_is_no_network_is_said():
    with pytest.raises(DataError, match="There is no file"):
        spikewise.from_nir("nothing.nir")
    with pytest.raises(DataError, match="got int"):
        spikewise.from_nir(3)


def test_images_are_not_said_to_get_channels_that_none_have(tmp_path):
    graph = bare(network(shape=(2, 8, 8)))
    with pytest.raises(
        ConfigError, match=r"not fit digits: it reads images of 2x8x8 .*are 1x8x8\. Take the images"
    ) as told:
        spikewise.import_network(graph, "digits", dialect="snntorch", reset="zero", out=tmp_path, **QUICK)
    assert "data.size" not in str(told.value)  # no size gives an image a second channel


def test_images_are_brought_to_what_a_network_reads_by_the_settings_that_do_it(tmp_path):
    for shape, settings in (((3, 8, 8), "(--set data.grey=false)"), ((1, 16, 12), "(--set data.size=16x12)")):
        with pytest.raises(ConfigError) as told:
            spikewise.import_network(
                bare(network(shape=shape)), "digits", dialect="snntorch", reset="zero", out=tmp_path,
                **{"data.size": 8}, **QUICK,
            )  # fmt: skip
        assert settings in str(told.value)
