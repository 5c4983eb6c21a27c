"""What the package says its presets gave can be traced to runs, and run again."""

import json
import sys
from types import SimpleNamespace

import pytest

from spikewise.api.presets import preset_rows
from spikewise.errors import ConfigError
from spikewise.experiments import load_preset, preset_names, resolve
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.reproduction import fold, main_network, reproduction_of, reproductions
from spikewise.experiments.run import run_experiment


def test_every_recorded_command_asks_for_what_was_run():
    for record in reproductions():
        assert record.preset in preset_names()
        words = record.command.split()
        assert words[:2] == ["spikewise", words[1]]
        told = resolve(preset=record.preset, overrides=record.changes, as_published=record.as_published)
        assert len(told.seeds) == record.seeds
        assert set(load_preset(record.preset).get("published", {})) <= set(record.networks[0].metrics)


def test_every_preset_that_was_run_as_it_stands_shows_what_it_gave():
    shown = {name: found for name, _, _, found, _ in preset_rows()}
    whole = {record.preset for record in reproductions() if not record.changes}
    assert whole
    assert not [name for name in whole if "%" not in shown[name]]


@pytest.mark.parametrize("name", [name for name in preset_names() if "same_as" in load_preset(name)])
def test_a_preset_that_takes_its_figures_from_another_trains_the_same_network(name):
    where, side = main_network(name)
    mine, other = resolve(preset=name), resolve(preset=where)
    images = _like(mine.data.given_size or (28, 28), 2 if "xray" in name else 10)
    [own] = candidates_of(mine, images)
    theirs = next(one for one in candidates_of(other, images) if one.name == side)
    assert own.graph == theirs.graph
    assert own.loss == theirs.loss
    assert (mine.train, mine.data, mine.split, mine.augment) == (other.train, other.data, other.split, other.augment)


def test_a_run_of_a_preset_becomes_a_record_with_its_command(tmp_path, monkeypatch):
    preset = {
        "title": "mnist-alif",
        "data": {"source": "digits"},
        "model": {"kind": "mlp", "hidden": [8]},
        "published": {"auc": 0.9},
    }
    changed = resolve("digits", overrides=["title=mnist-alif", "published={auc = 0.9}", "model.hidden=[8]",
                                           "train.epochs=1", "encoder.steps=3", "sections=[]"], seeds=1)  # fmt: skip
    finished = run_experiment(changed, out=tmp_path, kind="train")
    module = sys.modules["spikewise.experiments.request"]
    monkeypatch.setattr(module, "load_preset", lambda name: json.loads(json.dumps(preset)))
    record = reproduction_of(finished.folder)
    assert record.command == "spikewise train --preset mnist-alif --set encoder.steps=3 --epochs 1 --seeds 1"
    assert set(record.networks[0].metrics) == {"accuracy", "auc"}
    again = fold([finished.folder], tuple(fold([finished.folder], ())))
    assert [(one.command, one.stand_in) for one in again] == [(record.command, "")]
    compared = record.replace(command=record.command.replace("spikewise train", "spikewise compare"))
    monkeypatch.setattr(sys.modules["spikewise.experiments.reproduction"], "reproduction_of", lambda run: compared)
    assert fold([finished.folder], (record,)) == [compared], "a comparison holds the training of its spiking network"
    monkeypatch.undo()
    monkeypatch.setattr(module, "load_preset", lambda name: json.loads(json.dumps(preset)))
    (other,) = fold([finished.folder], (), stand_in="other images")
    assert other.stand_in == "other images"


def test_a_run_of_no_preset_is_refused(tmp_path):
    own = resolve("digits", overrides=["train.epochs=1", "encoder.steps=2", "model.hidden=[4]", "sections=[]"], seeds=1)
    finished = run_experiment(own, out=tmp_path, kind="train")
    with pytest.raises(ConfigError, match="no run of a preset"):
        reproduction_of(finished.folder)


def _like(size, classes):
    """As much of an image set as the sides of a comparison look at."""
    return SimpleNamespace(image_shape=(1, *size), classes=tuple(map(str, range(classes))))
