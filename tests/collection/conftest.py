"""A folder of runs: three finished ones of two image sets, one that has only begun, one that is damaged."""

import json
import os
from pathlib import Path

import pytest
from tests.written_runs import WrittenRun

from spikewise.evaluation import Results

ACCURACIES = {"compare-a": 0.97, "compare-b": 0.91, "project/compare-c": 0.99}


def changed(results: Results, *, accuracy: float, data: str, created: str) -> Results:
    """The same run with another accuracy of its spiking network, of another set and day."""
    table = results.model_dump(mode="json")
    table["networks"][0]["metrics"]["accuracy"] |= {"mean": accuracy, "low": accuracy - 0.01, "high": accuracy + 0.005}
    table["data"]["name"], table["created"] = data, created
    return Results(**table)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "runs"
    for number, (name, accuracy) in enumerate(ACCURACIES.items(), start=1):
        batch, title = 32 * number, "mnist-snn" if number == 1 else "custom"
        run = WrittenRun(root / name, train={"batch_size": batch}, title=title)
        data = "digits" if number < 3 else "letters"
        changed(run.results, accuracy=accuracy, data=data, created=f"2026-11-0{number}T10:00:00+00:00").save(
            run.folder.results
        )
    begun = WrittenRun(root / "compare-d").path / "run.json"
    os.utime(begun, (1_800_000_000, 1_800_000_000))
    broken = root / "compare-e"
    broken.mkdir()
    (broken / "run.json").write_text(json.dumps({"format": 1, "kind": "compare"}))
    (root / "notes").mkdir()
    return root
