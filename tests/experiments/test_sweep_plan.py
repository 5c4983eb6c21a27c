"""Reading a sweep: its cells, and what is said about a file that is wrong."""

import hashlib
import json
from collections.abc import Iterator

import pytest

from spikewise.errors import ConfigError
from spikewise.experiments import preset_names, resolve, sweep_folder
from spikewise.experiments.experiment import DESCRIPTIVE, Experiment, parse_experiment
from spikewise.experiments.older import as_before
from spikewise.experiments.request import KnownSettings
from spikewise.experiments.settings import Change
from spikewise.experiments.standard import standard_of
from spikewise.experiments.sweep import load_sweep, parse_sweep, sweep_names
from spikewise.experiments.sweep_cells import Asked, cells_of, chosen_cells, identity_of
from spikewise.experiments.sweep_folder import SweepFolder, place

BASE = {"data": {"source": "digits"}, "train": {"epochs": 1}}


def plan(**table):
    return parse_sweep({"title": "t", "base": BASE, **table})


@pytest.mark.parametrize("name", sweep_names())
def test_every_sweep_that_comes_along_has_cells_that_all_differ(name):
    cells = cells_of(load_sweep(name))
    assert len({cell.experiment.identity() for cell in cells}) == len(cells) > 1


def test_cells_are_all_combinations_and_carry_their_settings():
    cells = cells_of(plan(grid={"model": {"hidden": [[8], [16]], "recurrent": [False, True]}}))
    found = {(cell.experiment.model.hidden, cell.experiment.model.recurrent) for cell in cells}
    assert found == {((8,), False), ((8,), True), ((16,), False), ((16,), True)}
    assert cells[0].levels == {"model.hidden": "8", "model.recurrent": "false"}


def whole_identity(experiment: Experiment) -> str:
    """By its definition, in one piece: nothing is taken from what other experiments have in common with it."""
    deciding = as_before(experiment.model_dump(mode="json", exclude=set(DESCRIPTIVE)))
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:8]


def in_pieces() -> Iterator[Experiment]:
    """Experiments of every kind, many of which share their settings as objects."""
    grid = {
        "model": {"hidden": [[8], [16]], "recurrent": [False, True]},
        "train.batch_size": [32, 64],
        "runs": [{"label": "one", "seeds": [0]}, {"label": "two", "seeds": 2}],
        "twin_gain": [1, 1.5, "readout"],
    }
    sweeps = [plan(grid=grid), load_sweep("mnist-grid-small"), load_sweep("xray-dt")]
    yield resolve("digits", overrides=["standardise=false"])
    for name in preset_names():
        yield resolve(preset=name, overrides=["standardise=false"])
    for cell in (cell for sweep in sweeps for cell in cells_of(sweep, Asked(overrides=("standardise=false",)))):
        yield cell.experiment
        for shape in ((1, 8, 8), (3, 40, 40)):
            yield cell.experiment.resolved("train", device="cpu", train_images=9, image_shape=shape)


def test_an_identity_and_a_row_made_of_known_parts_are_those_of_the_whole():
    for experiment in in_pieces():
        assert experiment.identity() == whole_identity(experiment)
        assert experiment.as_json() == json.dumps(experiment.model_dump(mode="json"))
        assert parse_experiment(json.loads(experiment.as_json())) == experiment


def test_an_experiment_checks_each_setting_by_itself():
    checks = Experiment.__pydantic_decorators__
    assert not checks.model_validators  # `KnownSettings` puts experiments together of settings that were checked apart
    assert not checks.root_validators


def test_a_cell_is_checked_as_one_that_stands_alone(monkeypatch):
    grid = {
        "model": {"hidden": [[8], [16]], "cell": [{"kind": "lif"}, {"kind": "alif"}]},
        "runs": [{"label": "one", "seeds": 1}, {"label": "two", "seeds": 2}],
        "train.learning_rate": [1, 0.5],
    }
    together = cells_of(plan(grid=grid))
    monkeypatch.setattr(KnownSettings, "checked", lambda self, table, start: parse_experiment(table))
    alone = cells_of(plan(grid=grid))
    assert together == alone
    assert [repr(at.experiment) for at in together] == [repr(at.experiment) for at in alone]  # 1 and 1.0 apart, too


def test_experiments_that_are_read_together_are_those_that_are_read_alone():
    tables = [cell.experiment.model_dump(mode="json") for cell in cells_of(load_sweep("mnist-grid-small"))]
    tables.append({key: value for key, value in tables[0].items() if key != "qcfs_levels"})  # as older versions wrote
    tables.append({**tables[0], "qcfs_levels": 4})
    known = KnownSettings()
    for table in [tables[-1], *tables, *tables]:
        assert repr(known.read(table)) == repr(parse_experiment(table))
    with pytest.raises(ConfigError, match="qcfs_levels"):
        known.read({**tables[0], "qcfs_levels": 0})


@pytest.mark.parametrize(
    ("key", "wrong"),
    [("train.batch_size", -1), ("seeds", [3, 3]), ("model.hidden", [0]), ("train.nothing", 1), ("qcfs_levels", 0)],
)
def test_a_wrong_setting_of_one_of_many_cells_is_named_in_its_own_words(key, wrong):
    with pytest.raises(ConfigError) as alone:
        resolve("digits", overrides=[Change(key, wrong)])
    forms = [{"label": "right", "train.batch_size": 8}, {"label": "wrong", key: wrong}]
    with pytest.raises(ConfigError) as found:
        cells_of(plan(grid={"encoder.kind": ["direct", "rate"], "form": forms}))
    assert str(found.value) == f"In the cell 'encoder.kind direct, form wrong': {alone.value}"


def test_a_table_is_a_level_and_deeper_settings_are_laid_over_it():
    cell = {"label": "slow", "kind": "lif", "beta": 0.99}
    grid = {"model.cell.threshold": [0.5], "model.cell": [cell, {"kind": "alif"}]}
    slow, adaptive = cells_of(plan(grid=grid))
    assert slow.levels["model.cell"] == "slow"
    assert (slow.experiment.model.cell.beta, slow.experiment.model.cell.threshold) == (0.99, 0.5)
    assert adaptive.levels["model.cell"] == adaptive.experiment.model.cell.kind == "alif"


def test_a_level_keeps_to_its_only():
    forms = [
        {"label": "a", "model.dropout": 0.1},
        {"label": "b", "only": {"model.recurrent": True}, "model.dropout": 0.2},
    ]
    cells = cells_of(plan(grid={"model.recurrent": [False, True], "form": forms}))
    assert [cell.name for cell in cells] == [
        "model.recurrent false, form a",
        "model.recurrent true, form a",
        "model.recurrent true, form b",
    ]


def test_defects_concern_the_cells_that_have_what_they_break():
    cells = {
        (cell.levels["cell"], cell.levels["as_published"]): cell for cell in cells_of(load_sweep("mnist-grid-small"))
    }
    assert cells["ALIF", "true"].experiment.model.cell.threshold_gradient is False
    assert cells["ALIF", "false"].experiment.model.cell.threshold_gradient is True
    for cell in ("LIF", "ALIF"):
        published, intended = (cells[cell, label].experiment for label in ("true", "false"))
        assert (published.encoder.tau, intended.encoder.tau) == (0.02, 2.0)
        assert (published.model.init.kind, intended.model.init.kind) == ("normal", "xavier")


def test_what_is_asked_wins_over_the_file_and_changes_the_identity():
    sweep = plan(set={"train": {"epochs": 3}, "seeds": 2}, grid={"model.recurrent": [False, True]})
    usual = cells_of(sweep)
    asked = cells_of(sweep, Asked(seeds=1, epochs=7, overrides=("train.batch_size=8",)))
    assert usual[0].experiment.seeds == (0, 1)
    assert (asked[0].experiment.seeds, asked[0].experiment.train.epochs) == ((0,), 7)
    assert asked[0].experiment.train.batch_size == 8
    assert identity_of(usual) != identity_of(asked)
    assert identity_of(usual) == identity_of(usual[::-1])


def test_a_subset_is_chosen_by_levels():
    cells = cells_of(load_sweep("mnist-grid-small"))
    chosen = chosen_cells(cells, ["cell=ALIF", "model.hidden=100,200", "as_published=false"])
    assert len(chosen) == 8
    with pytest.raises(ConfigError, match="Did you mean 'cell'"):
        chosen_cells(cells, ["cel=ALIF"])
    with pytest.raises(ConfigError, match="Unknown level of cell 'ALIFF'"):
        chosen_cells(cells, ["cell=ALIFF"])


GRID = {"model.recurrent": [False, True]}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"gird": {}, "grid": GRID}, "Unknown key 'gird'. Did you mean 'grid'"),
        ({"grid": {}}, "grid is empty"),
        ({"grid": {"model.recurrent": []}}, "'model.recurrent' has no levels"),
        ({"grid": {"model.recurrent": True}}, "needs a list of levels"),
        ({"grid": {"modle.recurrent": [True]}}, "Did you mean 'model'"),
        ({"grid": {"model.recurent": [True]}}, "Did you mean 'model.recurrent'"),
        ({"grid": {"form": [{"model.hidden": [3]}]}}, "needs a label"),
        ({"grid": {"network": ["snn"]}}, "column of that name"),
        ({"grid": {"model.recurrent": [True, True]}}, "two levels called 'true'"),
        ({"grid": {"form": [{"label": "a"}, {"label": "b"}]}}, "Two cells are one experiment"),
        ({"base": {}, "preset": "mnist-alf", "grid": GRID}, "Did you mean 'mnist-alif'"),
        ({"preset": "mnist-alif", "grid": GRID}, "give one of the two"),
        ({"metric": "acuracy", "grid": GRID}, "Did you mean 'accuracy'"),
        ({"title": "a/b", "grid": GRID}, "title"),
        ({"as_published": True, "grid": GRID}, "knows no difference"),
        (
            {"grid": GRID, "claims": [{"statement": "s", "factor": "model.recurrent", "levels": ["yes", "false"]}]},
            "Unknown level of model.recurrent 'yes'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_named_with_what_is_right(table, message):
    with pytest.raises(ConfigError, match=message):
        cells_of(plan(**table))


def test_unknown_sweeps_and_missing_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'mnist-grid'"):
        load_sweep("mnist-gird")
    with pytest.raises(ConfigError, match="Cannot read"):
        load_sweep(str(tmp_path / "none.toml"))


def test_a_factor_cannot_be_set_for_all_cells():
    with pytest.raises(ConfigError, match="is varied by the factor"):
        cells_of(plan(grid=GRID), Asked(overrides=("model.recurrent=true",)))


def test_the_folder_of_many_cells_is_read_back_and_a_set_is_looked_at_once(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(sweep_folder, "standard_of", lambda *given: looked.append(given) or standard_of(*given))
    sweep = plan(grid={"model.hidden": [[8], [16]], "train.batch_size": [8, 16, 32]})
    placed = place(cells_of(sweep), tmp_path, "train")
    assert len(looked) == 1
    folder = SweepFolder.create(tmp_path, sweep, placed)
    again = SweepFolder.open(folder.path)
    assert again.sweep == sweep
    assert [(one.cell, one.run) for one in again.cells] == [(one.cell, one.run) for one in placed]
    lines = (folder.path / "sweep.json").read_text().splitlines()
    assert sum(one.run.name in line for one in placed for line in lines) == len(placed)
