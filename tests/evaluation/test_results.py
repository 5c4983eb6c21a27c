"""`results.json`: what is saved is what is loaded, and nothing else is accepted."""

import json
import math
from importlib import import_module
from typing import Any

import pytest

from spikewise.errors import ConfigError, RunError
from spikewise.evaluation.results import SCHEMA_VERSION, EpochRecord, Estimate, Results, results_json_schema
from spikewise.evaluation.sections import SECTION_NAMES, Sections
from spikewise.evaluation.sections.diagnosis import NetworkFinding


def part(per_class: list[int]) -> dict[str, Any]:
    return {"images": sum(per_class), "per_class": per_class}


def network(name: str, role: str) -> dict[str, Any]:
    epoch = {
        "epoch": 1,
        "train_loss": 0.5,
        "validation_loss": math.nan,
        "validation_accuracy": 0.75,
        "learning_rate": 1e-3,
        "seconds": 1.5,
        "images_per_second": 1000.0,
        "spike_rates": {"hidden": 0.125},
    }
    run = {
        "seed": 0,
        "best_epoch": 1,
        "epochs_run": 1,
        "stopped_early": False,
        "validation": {"accuracy": 0.75},
        "test": {"accuracy": 0.5, "auc": math.nan},
        "confusion": [[1, 1], [1, 1]],
        "history": [epoch],
        "warnings": ["the hidden layer is nearly silent"],
        "train_seconds": 1.5,
    }
    return {
        "name": name,
        "role": role,
        "description": "one hidden layer",
        "engine": "reference",
        "parameters": 10,
        "steps": 25,
        "runs": [run],
        "metrics": {"accuracy": {"mean": 0.5, "method": "one seed"}},
        "cost": {"macs": 0.0, "synaptic_operations": 12.5, "parameters": 10, "bytes": 40},
    }


def content() -> dict[str, Any]:
    return {
        "kind": "compare",
        "spikewise_version": "0.1.0",
        "environment": {
            "python": "3.11.7",
            "torch": "2.6.0",
            "numpy": "2.0.0",
            "platform": "Linux",
            "cpu": "some processor",
            "cores": 2,
            "threads": 2,
        },
        "data": {
            "name": "digits",
            "fingerprint": "0" * 64,
            "source": "scikit-learn",
            "classes": ["zero", "one"],
            "image_shape": [1, 8, 8],
            "train": part([3, 3]),
            "validation": part([1, 1]),
            "test": part([2, 2]),
            "overlap": {"duplicates": 0},
        },
        "protocol": {"seeds": [0], "epochs": 1, "test_opened": 2},
        "networks": [network("snn", "spiking"), network("twin", "twin")],
        "comparisons": [
            {
                "a": "snn",
                "b": "twin",
                "metric": "accuracy",
                "difference": {"mean": 0.0, "low": -0.5, "high": 0.5, "method": "images only"},
                "p": 1.0,
                "per_seed": [{"seed": 0, "only_a": 0, "only_b": 0, "p": 1.0}],
                "images": 4,
                "units": 4,
                "significant": None,
                "sentence": "One seed cannot tell.",
            }
        ],
        "verdict": {"headline": "h", "paragraph": "p", "sentences": ["p"], "outcome": "cannot_tell"},
        "seconds": 3.0,
    }


def test_every_section_has_a_record_what_makes_it_and_what_shows_it():
    assert set(Sections.model_fields) - {"seconds", "less", "skipped"} == set(SECTION_NAMES)
    for name in SECTION_NAMES:
        assert callable(import_module(f"spikewise.experiments.sections.{name}").make)
        assert callable(import_module(f"spikewise.report.sections.{name}").view)


def test_what_is_saved_is_what_is_loaded(tmp_path):
    results = Results(**content())
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results


def test_a_number_that_could_not_be_had_is_null_in_the_file(tmp_path):
    Results(**content()).save(tmp_path / "results.json")
    text = (tmp_path / "results.json").read_text()
    run = json.loads(text)["networks"][0]["runs"][0]
    assert run["test"]["auc"] is None
    assert run["history"][0]["validation_loss"] is None
    assert "NaN" not in text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_diverged_loss_becomes_null_and_an_estimate_refuses_it(value):
    record = content()["networks"][0]["runs"][0]["history"][0]
    assert EpochRecord(**{**record, "train_loss": value}).train_loss is None
    with pytest.raises(ConfigError, match="mean"):
        Estimate(mean=value, method="none")


def test_records_are_frozen_down_to_their_lists():
    results = Results(**content())
    with pytest.raises(ValueError, match="frozen"):
        results.seconds = 0.0
    assert isinstance(results.networks, tuple)
    assert isinstance(results.networks[0].runs[0].confusion[0], tuple)


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 0, None, "1"])
def test_another_schema_version_is_refused_with_both_versions_and_advice(tmp_path, version):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({**content(), "schema_version": version}))
    with pytest.raises(RunError, match=f"schema version {version!r}; .* reads version {SCHEMA_VERSION}.*run it again"):
        Results.load(path)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema_version": 1}', "\udcff"], ids=repr)
def test_damaged_files_are_run_errors(tmp_path, damage):
    path = tmp_path / "results.json"
    path.write_bytes(damage.encode("utf-8", "surrogateescape"))
    with pytest.raises(RunError, match=r"results\.json"):
        Results.load(path)


def test_a_missing_file_is_a_run_error(tmp_path):
    with pytest.raises(RunError, match="finished run folder"):
        Results.load(tmp_path / "results.json")


FIGURE = {"mean": 0.1, "method": "none"}
CURVE = {"network": "snn", "accuracy": [0.9], "low": [None], "high": [None], "score": None}
DISTURBANCE = {"name": "noise", "family": "corruptions", "parameter": "sigma", "counted": True}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {
                "yardsticks": {
                    "models": [],
                    "differences": [{"network": "ann", "yardstick": "guessing", "difference": FIGURE}],
                    "train_images": 1,
                    "of_train_images": 1,
                    "features": 1,
                }
            },
            "yardsticks names 'ann'; the networks are ",
        ),
        (
            {
                "robustness": {
                    "families": [],
                    "disturbances": [{**DISTURBANCE, "strengths": [1.0, 2.0], "curves": [CURVE]}],
                }
            },
            "a curve of 'noise' has other points than its 2 strengths",
        ),
        (
            {
                "explanations": {
                    "networks": [],
                    "shown": [{"index": 0, "label": 0, "answers": [1], "probabilities": [0.5]}],
                    "images": 1,
                    "patch": 1,
                    "stride": 1,
                    "path_steps": 1,
                    "input": "currents",
                }
            },
            "1 answers of 0 networks",
        ),
    ],
    ids=["network", "strengths", "answers"],
)
def test_sections_that_speak_of_another_run_are_refused(sections, message):
    with pytest.raises(ConfigError, match=message):
        Results(**{**content(), "sections": sections})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seconds": "3"}, "seconds"),
        ({"sconds": 3.0}, "Did you mean 'seconds'"),
        ({"kind": "guess"}, "kind"),
        ({"networks": [network("snn", "spiking"), network("snn", "twin")]}, "share a name"),
        ({"networks": [network("snn", "spiking")]}, "names 'twin'"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_results_that_contradict_themselves_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        Results(**{**content(), **change})


def test_counts_per_class_add_up():
    data = content()["data"]
    with pytest.raises(ConfigError, match="adds up to 4, images is 5"):
        Results(**{**content(), "data": {**data, "test": {"images": 5, "per_class": [2, 2]}}})
    with pytest.raises(ConfigError, match="3 counts per class for 2 classes"):
        Results(**{**content(), "data": {**data, "test": part([2, 1, 1])}})


def test_networks_are_found_by_name():
    assert Results(**content()).network("twin").role == "twin"
    with pytest.raises(ConfigError, match="Available: snn, twin"):
        Results(**content()).network("cnn")


def test_the_only_network_of_a_run_need_not_be_named():
    results = Results(**content())
    alone = results.model_copy(update={"networks": (results.network("twin"),)})
    assert alone.network("snn").name == "twin"
    with pytest.raises(ConfigError, match="Unknown network 'cnn'"):
        alone.network("cnn")


def test_the_json_schema_describes_every_field():
    schema = results_json_schema()
    assert schema["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    assert set(schema["properties"]) == set(Results.model_fields)
    assert "per image" in schema["$defs"]["Cost"]["description"]


def test_the_spellings_of_older_runs_are_read():
    older = content()
    older["data"]["straddling"] = {**older["data"].pop("overlap"), "subjects": 2}
    assert Results(**older).data.overlap.subjects == 2
    finding = {"code": "dead_units", "network": "snn", "seeds": [0], "text": "t", "evidence": {}, "advice": "a"}
    assert NetworkFinding(**finding, gravity="warning") == NetworkFinding(**finding, severity="warning")
    assert "gravity" not in NetworkFinding(**finding, gravity="warning").model_dump()
