"""A run that is killed again and again ends as if nothing had happened, bit for bit."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from safetensors.numpy import load_file

EPOCHS = 5
CONV = {"kind": "conv", "channels": [4], "kernels": [3], "batch_norm": True, "hidden": [8], "dropout": 0.2}
CASES: dict[str, dict[str, Any]] = {
    "adam-ema-norm-dropout-augment": {
        "model": CONV,
        "train": {"optimizer": {"kind": "adam"}, "ema": 0.8, "gradient_clip": 1.0, "class_weights": True},
        "augment": {"shift": 1, "flip": 0.5, "mixup": 0.2},
    },
    "sgd-patience-warmup": {
        "model": {"kind": "mlp", "hidden": [8], "recurrent": True, "dropout": 0.1},
        "train": {"optimizer": {"kind": "sgd"}, "patience": 2, "warmup_epochs": 1.5, "learning_rate": 0.05},
        "augment": {"rotation": 10.0, "erase": 0.2},
    },
}
TIMINGS = {"seconds", "images_per_second", "train_seconds", "train_seconds_per_epoch", "time", "created"}
MEASURED = {
    "throughput_images_per_second",
    "latency_ms",
    "latency_p99_ms",
    "stream_step_ms",
    "peak_memory_mb",
    "openings",
}


@pytest.fixture
def config(request, columns_file, tmp_path) -> Path:
    case = CASES[request.param]
    table = {
        "data": {"source": str(columns_file)},
        "encoder": {"kind": "rate", "steps": 4},
        "seeds": [0, 1],
        "device": "cpu",
        **case,
        "train": {"epochs": EPOCHS, "batch_size": 12, **case["train"]},
    }
    (tmp_path / "experiment.toml").write_text(tomli_w.dumps(table))
    return tmp_path / "experiment.toml"


@pytest.mark.slow
@pytest.mark.parametrize("config", CASES, indirect=True)
def test_killed_at_random_moments_it_ends_bit_for_bit_the_same(config, server, tmp_path):
    whole = server.start(config, tmp_path / "whole").finish()
    chance = random.Random(7)
    kills = 0
    # Each process is killed a little after its k-th line: in an epoch, in a checkpoint, between trainings, ...
    for lines in (0, 1, 2, 1, 3, 2):
        run = server.start(config, tmp_path / "killed")
        run.wait_for(lambda said, lines=lines: len(said) >= lines)
        time.sleep(chance.uniform(0, 0.05))
        kills += run.kill()
    # ... and while it tests and reports.
    for delay in (0.05, 0.3, 0.8):
        run = server.start(config, tmp_path / "killed")
        run.wait_for(_is_trained(tmp_path / "killed"))
        time.sleep(delay * chance.uniform(0.5, 1))
        kills += run.kill()
    assert kills >= 7
    print(f"{kills} kills")
    again = server.start(config, tmp_path / "killed").finish()
    assert _facts(whole) == _facts(again)
    assert not list(again.rglob("*.part"))


def _is_trained(out: Path) -> Callable[[list[str]], bool]:
    """Whether both trainings have left their learning curves, or the run is over."""
    return lambda said: len(list(out.rglob("fit.json"))) == 2 or (bool(said) and said[-1].startswith(str(out)))


def _facts(folder: Path) -> dict[str, Any]:
    """Everything that a run has left, but for times."""
    facts: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.parent.name == "tuning" or path.name in {"fit.json", "results.json"}:
            facts[name] = _without_times(json.loads(path.read_text()))
        elif path.name == "weights.safetensors":
            facts[name] = {key: value.tobytes() for key, value in load_file(path).items()}
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                facts[name] = {key: arrays[key].tobytes() for key in arrays.files}
        elif path.name == "experiment.toml":
            facts[name] = path.read_text()
    assert len(facts) >= 2 * 3 + 3
    return facts


def _without_times(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_times(value) for key, value in content.items() if key not in TIMINGS | MEASURED}
    return [_without_times(value) for value in content] if isinstance(content, list) else content
