"""Sweeps end to end on small digits, each cell in a process of its own as in real use."""

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from spikewise.evaluation import Results
from waiting import wait_until

TINY = """
[base]
data = { source = "digits" }
split = { limit = 200 }
encoder = { kind = "rate", steps = 2 }

[set]
model.hidden = [16]
train.epochs = 30
train.learning_rate = 0.001
seeds = [0, 1]

[grid]
model.recurrent = [false, true]

[[grid.form]]
label = "mlp"

[[grid.form]]
label = "too deep"
only = { "model.recurrent" = false }
model = { kind = "conv", channels = [2, 2, 2, 2, 2], kernels = [3, 3, 3, 3, 3] }

[[claims]]
statement = "Recurrence costs 45 % on average"
factor = "model.recurrent"
levels = ["true", "false"]
"""
SOURCE = str(Path(__file__).parents[2] / "src")
ENVIRONMENT = {**os.environ, "PYTHONPATH": SOURCE, "OMP_NUM_THREADS": "1"}


def sweep(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "spikewise.cli.main", "sweep", "tiny.toml", "--jobs", "1", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def finished(folder: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("runs/train-*/results.json")}


class Swept:
    """A sweep that was killed in its last cell, whose process lives on, and then given again."""

    def __init__(self, folder: Path) -> None:
        (folder / "tiny.toml").write_text(TINY)
        first = sweep(folder)
        wait_until(lambda: len(list(folder.glob("runs/train-*/.lock"))) == 2 or first.poll() is not None)
        assert first.poll() is None, first.communicate()
        os.kill(first.pid, signal.SIGKILL)  # the sweep alone: what it started may live on
        first.communicate()
        self.before = finished(folder)
        second = sweep(folder, "--json")
        out, err = second.communicate(timeout=400)
        assert second.returncode == 0, err.decode()
        self.found, self.said = json.loads(out), err.decode()
        self.folder, self.after = folder, finished(folder)
        self.path = folder / self.found["folder"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return Swept(tmp_path_factory.mktemp("sweep"))


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_leaves_finished_cells_alone(swept):
    assert len(swept.before) == 1
    assert len(swept.after) == 2
    assert swept.before.items() <= swept.after.items()
    assert "finished already" in swept.said


@pytest.mark.slow
def test_a_failing_cell_is_recorded_and_does_not_stop_the_others(swept):
    failed = [row for row in swept.found["rows"] if row["status"] == "failed"]
    assert {row["form"] for row in failed} == {"too deep"}
    assert len(failed) == 2  # one for each seed
    assert all("max_pool" in row["error"] for row in failed)
    assert "FAILED" in swept.said
    assert "too deep" in (swept.path / "sweep.html").read_text()


@pytest.mark.slow
def test_the_tables_hold_what_the_run_folders_hold(swept):
    with (swept.path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    database = sqlite3.connect(swept.path / "table.sqlite")
    stored = database.execute("SELECT run, seed, test_accuracy, parameters FROM runs WHERE status = 'done'").fetchall()
    database.close()
    expected = []
    for name in swept.after:
        (network,) = Results.load(swept.folder / "runs" / name / "results.json").networks
        expected += [(name, run.seed, run.test["accuracy"], network.parameters) for run in network.runs]
    assert sorted(stored) == sorted(expected)
    of_csv = [
        (row["run"], int(row["seed"]), float(row["test_accuracy"]), int(row["parameters"]))
        for row in rows
        if row["status"] == "done"
    ]
    assert sorted(of_csv) == sorted(expected)


@pytest.mark.slow
def test_tables_and_page_are_rebuilt_from_the_run_folders(swept):
    written = {name: (swept.path / name).read_bytes() for name in ("table.csv", "sweep.html")}
    for name in written:
        (swept.path / name).unlink()
    again = sweep(swept.folder, "--table-only", "--quiet")
    _, err = again.communicate(timeout=200)
    assert again.returncode == 0, err.decode()
    assert {name: (swept.path / name).read_bytes() for name in written} == written
    assert finished(swept.folder) == swept.after


@pytest.mark.slow
def test_the_page_answers_the_claim_and_loads_nothing(swept):
    (claim,) = swept.found["claims"]
    assert "matched pairs" in claim["measured"]["all cells"]
    page = (swept.path / "sweep.html").read_text()
    assert claim["measured"]["all cells"] in page
    assert "src=" not in page
    assert "validation chooses" in page


@pytest.mark.slow
def test_a_forked_cell_is_the_same_training_as_a_command_and_has_its_report_when_it_is_asked_for(swept, tmp_path):
    name = min(swept.after)
    run = swept.folder / "runs" / name
    assert not (run / "report.html").exists()
    command = [sys.executable, "-m", "spikewise.cli.main", "train", "--config", swept.path / "cells" / f"{name}.toml"]
    done = subprocess.run([*command, "--out", tmp_path, "--quiet", "--threads", "1"], env=ENVIRONMENT, check=False,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    for path in sorted(run.rglob("weights.safetensors")):
        assert path.read_bytes() == (tmp_path / name / path.relative_to(run)).read_bytes()
    written = subprocess.run([*command[:3], "report", run], env=ENVIRONMENT, check=False, capture_output=True)
    assert written.returncode == 0, written.stderr.decode()
    assert (run / "report.html").exists()
    page = (swept.path / "sweep.html").read_text()
    assert all(run in page for run in swept.after)
    assert "report.html" not in page, "none was there"
    _, err = sweep(swept.folder, "--table-only", "--quiet").communicate(timeout=200)
    page = (swept.path / "sweep.html").read_text()
    (link,) = set(re.findall(r'href="([^"]+report.html)"', page))
    assert (swept.path / link).samefile(run / "report.html"), err.decode()
    assert not Path(link).is_absolute()
