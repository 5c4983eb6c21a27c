"""`spikewise cost` and `spikewise.cost`: the figures of the run's results, each energy model with its constants."""

import json

import pytest

import spikewise
from spikewise.api import Run
from spikewise.errors import ConfigError, RunError
from spikewise.evaluation import Results
from spikewise.evaluation.cost import ENERGY_MODELS


def test_the_command_shows_every_model_with_constants_and_source(command, run: Run):
    done = command("cost", run.folder)
    assert done.returncode == 0
    for model in ENERGY_MODELS:
        assert f"Energy, {model.name}" in done.stdout
        assert model.source in done.stdout
        assert all(f"{name} {value:g} pJ" in done.stdout for name, value in model.constants.items())


def test_json_holds_what_the_results_hold(command, run: Run):
    done = command("cost", run.folder, "--json")
    found = json.loads(done.stdout)
    stored = json.loads((run.folder / "results.json").read_text())
    assert found["networks"] == {network["name"]: network["cost"] for network in stored["networks"]}
    assert set(found["models"]) == {model.name for model in ENERGY_MODELS}


def test_one_model_is_shown_alone_whatever_its_case(run: Run):
    found = repr(spikewise.cost(run, "LOIHI"))
    assert "Energy, Loihi" in found
    assert "45 nm" not in found


def test_an_unknown_model_names_the_known_ones(command, run: Run):
    with pytest.raises(ConfigError, match="Loihi"):
        spikewise.cost(run.folder, "loihy")
    done = command("cost", run.folder, "--model", "loihy")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'Loihi'?" in done.stderr


def test_a_folder_that_is_no_run_is_refused(command, tmp_path):
    done = command("cost", tmp_path)
    assert done.returncode == 2
    assert "is not a run folder" in done.stderr


def test_a_model_without_a_figure_says_why(run: Run):
    networks = tuple(
        network.replace(cost=network.cost.replace(energy_nanojoule={})) for network in run.results.networks
    )
    old = Results(**{**dict(run.results), "networks": networks})
    with pytest.raises(RunError, match="no multiply-accumulate"):
        spikewise.cost(Run(old, run.folder), "Loihi")


def test_the_costs_of_a_run_agree_with_each_other(run: Run):
    costs = spikewise.cost(run).networks
    snn, twin = costs["snn"], costs["twin"]
    assert snn.spikes_per_synapse_and_step == pytest.approx(snn.synaptic_operations / snn.dense_operations)
    assert snn.dense_operations == 4 * twin.macs  # four steps
    assert (snn.activation_bits, twin.activation_bits) == (3, 3)
    assert "Loihi" in snn.energy_nanojoule
    assert "Loihi" not in twin.energy_nanojoule
    assert twin.effective_macs < twin.macs
    assert snn.latency_ms <= snn.latency_p99_ms
    for model, rate in snn.break_even_spikes_per_synapse_and_step.items():
        wins = snn.energy_nanojoule[model] < twin.energy_nanojoule[model]
        assert wins == (snn.spikes_per_synapse_and_step < rate)
