"""The tutorial notebook runs from top to bottom, as a reader would run it, and shows what it gives."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import torch

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads, backend = torch.get_num_threads(), mpl.get_backend()
    torch.set_num_threads(1)
    mpl.use("agg")
    yield
    torch.set_num_threads(threads)
    mpl.use(backend)


def _module():
    found = importlib.util.spec_from_file_location("docs_tutorial", DOCS / "tutorial.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _form(notebook: dict[str, Any]) -> list[list[tuple[str, list[str]]]]:
    """Of each cell the kinds of what it gave: another processor rounds otherwise, so words and figures may differ."""
    return [
        [(one["output_type"], sorted(one.get("data", ()))) for one in cell.get("outputs", ())]
        for cell in notebook["cells"]
    ]


def test_the_tutorial_runs_its_figures_are_those_of_the_run_and_it_is_stored_with_what_it_gives():
    stored = json.loads((DOCS / "tutorial.ipynb").read_text(encoding="utf-8"))
    made, names = _module().executed(stored)
    run = names["run"]
    assert run.results.verdict.answer is not None
    assert names["spikes"].shape[0] == run.results.network("snn").steps
    assert names["judged"].results.network("mine").metrics["accuracy"].mean > 0.9
    assert _form(made) == _form(stored), "run `python docs/tutorial.py`"
    for one in (made, stored):
        shown = json.dumps([cell.get("outputs") for cell in one["cells"]])
        words = re.sub(r'"image/png": "[^"]*"', "", shown)
        assert not re.search(r"file:|runs/|\.html|\d m?s\b|\dmin\b", words), "no path and no time"
        assert shown.count("image/png") == 2
