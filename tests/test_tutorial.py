"""The tutorial notebook runs from top to bottom, as a reader would run it."""

import json
from pathlib import Path

import matplotlib as mpl
import pytest
import torch

TUTORIAL = Path(__file__).parent.parent / "docs" / "tutorial.ipynb"


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads, backend = torch.get_num_threads(), mpl.get_backend()
    torch.set_num_threads(1)
    mpl.use("agg")
    yield
    torch.set_num_threads(threads)
    mpl.use(backend)


def test_the_tutorial_runs_and_its_figures_are_those_of_the_run():
    cells = [cell for cell in json.loads(TUTORIAL.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    names: dict[str, object] = {"__name__": "tutorial"}
    for cell in cells:
        exec(compile("".join(cell["source"]), f"{cell['id']} of the tutorial", "exec"), names)  # our own
    run = names["run"]
    assert run.results.verdict.answer is not None
    assert names["spikes"].shape[0] == run.results.network("snn").steps
    assert names["judged"].results.network("mine").metrics["accuracy"].mean > 0.9
