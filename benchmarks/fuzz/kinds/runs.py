"""Damaged run folders, and every command that reads one."""

import contextlib
import functools
import importlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.fuzz.mutate import Rng, damaged, hostile
from spikewise import api
from spikewise.errors import ConfigError
from spikewise.evaluation import Results
from spikewise.experiments import run_experiment
from spikewise.experiments.experiment import Experiment
from spikewise.experiments.reproduction import fold
from spikewise.experiments.tune import tune
from spikewise.report import render_many, write_report

_FEW = 100
"""Cases for which loading every module beforehand does not pay."""


class Damage(NamedTuple):
    """What was done to a file of a sound run, and what is asked of the run then."""

    name: str
    command: str
    file: str
    content: bytes | None
    """None: see `instead`."""
    instead: str = ""
    """Something else in the file's place: folder, pipe, device, nothing, loop, empty; or the file as it was: sound."""


@functools.cache
def _sound() -> Path:
    """A finished comparison of two networks, a tuning and its images, as small as can be."""
    place = Path(tempfile.mkdtemp(prefix="spikewise-fuzz-"))
    os.environ["SPIKEWISE_CACHE"] = str(place / "cache")
    rng = np.random.default_rng(3)
    parts = {}
    for part, count in {"train": 24, "val": 12, "test": 12}.items():
        labels = np.arange(count) % 2
        images = rng.integers(0, 100, (count, 8, 8), dtype=np.uint8)
        images[np.arange(count), :, 2 * labels] = rng.integers(90, 250, (count, 8))
        parts |= {f"{part}_images": images, f"{part}_labels": labels[:, None]}
    np.savez(place / "images.npz", **parts)
    child = os.fork()  # a process that has trained has threads, and cannot be forked any more
    if not child:
        torch.set_num_threads(1)
        run_experiment(_experiment(place), out=place / "runs")
        tune(_experiment(place), trials=1, out=place / "runs")
        os._exit(0)
    os.waitpid(child, 0)
    return place


@functools.cache
def _warm_up() -> None:
    """Load once what every command takes, and not in every case."""
    place = _sound()
    child = os.fork()
    if not child:
        _use_every_command(place)
        os._exit(0)
    os.waitpid(child, 0)
    for name in json.loads((place / "modules.json").read_text()):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _use_every_command(place: Path) -> None:
    """See that each succeeds on a sound run, and keep the names of the modules that it took."""
    file = str(next((place / "runs").rglob("run.json")).relative_to(place / "runs"))
    for command in _COMMANDS:
        with contextlib.suppress(ConfigError if command == "reproduce" else ()):  # the run is of no preset
            run(Damage(command, command, file, None, "sound"))
    (place / "modules.json").write_text(json.dumps(sorted(sys.modules)))


def _experiment(place: Path) -> Experiment:
    return Experiment(
        data={"source": str(place / "images.npz")},
        encoder={"kind": "direct", "steps": 3},
        model={"kind": "mlp", "hidden": [6]},
        train={"epochs": 1, "batch_size": 16},
        sides=("snn", "twin"),
        seeds=(0,),
        sections=("calibration", "explanations"),
        device="cpu",
    )


def _folder(place: Path, kind: str = "compare") -> Path:
    return next(path for path in (place / "runs").iterdir() if path.name.startswith(kind))


def cases(seed: int, count: int) -> Iterator[Damage]:
    place = _sound()
    if count > _FEW:
        _warm_up()
    folder = _folder(place)
    files = [str(path.relative_to(place / "runs")) for path in sorted(folder.rglob("*")) if path.is_file()]
    files = [name for name in files if not name.endswith((".lock", ".svg", ".png", ".html"))]
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        command = list(_COMMANDS)[number % len(_COMMANDS)]
        about = files if command != "tune" else _tuning(place)
        yield _damage(rng, command, about[rng.integers(len(about))], place / "runs")


def _tuning(place: Path) -> list[str]:
    root = place / "runs"
    return [str(p.relative_to(root)) for p in sorted(_folder(place, "tune").rglob("*.json"))]


def _damage(rng: Rng, command: str, file: str, root: Path) -> Damage:
    content = (root / file).read_bytes()
    short = file.partition("/")[2]
    if rng.random() < 0.15:
        instead = str(rng.choice(["folder", "pipe", "device", "nothing", "loop", "empty"]))
        return Damage(f"{command}: {short} is {instead}", command, file, None, instead)
    if file.endswith(".json") and rng.random() < 0.75:
        name, content = damaged_json(content, rng)
    elif file.endswith(".npz") and rng.random() < 0.75:
        name, content = damaged_npz(root / file, rng)
    elif file.endswith(".safetensors") and rng.random() < 0.75:
        name, content = damaged_weights(content, rng)
    else:
        name, content = damaged(content, rng)
    return Damage(f"{command}: {short} {name}", command, file, content)


def damaged_json(content: bytes, rng: Rng) -> tuple[str, bytes]:
    """One value of a tree is hostile, gone, or doubled."""
    name, changed = _tree(json.loads(content), rng)
    return name, json.dumps(changed).encode()


def _tree(tree: Any, rng: Rng) -> tuple[str, Any]:
    places: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        for key in one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ():
            places.append((one, key))
            waiting.append(one[key])
    if not places:
        return "unchanged", tree
    holder, key = places[rng.integers(len(places))]
    match rng.integers(5):
        case 0:
            del holder[key]
            return f"without {key}", tree
        case 1:
            other, at = places[rng.integers(len(places))]
            holder[key] = json.loads(json.dumps(other[at]))
            return f"{key} is {at}", tree
        case 2:
            holder[key] = [0, -1, 1, 99_999, 1e300, True, None, "", {}, []][rng.integers(10)]
            return f"{key} is simple", tree
        case _:
            name, value = hostile(rng)
            try:
                json.dumps(value)
            except (ValueError, RecursionError):  # too long or too deep for JSON to be written
                name, value = "long text", "x" * 50
            holder[key] = value
            return f"{key} is {name}", tree


def damaged_npz(path: Path, rng: Rng) -> tuple[str, bytes]:
    """One array is of another type, shape or range, or gone."""
    with np.load(path) as stored:
        arrays = dict(stored)
    key = list(arrays)[rng.integers(len(arrays))]
    one = arrays[key]
    makers: list[tuple[str, Callable[[], Any]]] = [
        ("gone", lambda: None),
        ("float", lambda: one.astype(np.float64) if one.dtype.kind != "U" else np.zeros(3)),
        ("text", lambda: one.astype(str)),
        ("empty", lambda: one[:0] if one.ndim else np.zeros(0)),
        ("flat", lambda: one.reshape(-1)),
        ("deeper", lambda: one[None]),
        ("shorter", lambda: one[:-1] if one.ndim else one),
        ("negative", lambda: -np.ones_like(one, dtype=np.int64) if one.dtype.kind != "U" else one[None]),
        ("large", lambda: np.full_like(one, 2**40, dtype=np.int64) if one.dtype.kind != "U" else one[None]),
        ("nan", lambda: np.full(one.shape, np.nan, np.float32)),
        ("complex", lambda: np.zeros(one.shape, np.complex64)),
        ("bool", lambda: np.ones(one.shape, bool)),
    ]
    name, make = makers[rng.integers(len(makers))]
    value = make()
    arrays.pop(key)
    if value is not None:
        arrays[key] = value
    with tempfile.TemporaryFile() as file:
        np.savez(file, **arrays)
        file.seek(0)
        return f"{key} {name}", file.read()


def damaged_weights(content: bytes, rng: Rng) -> tuple[str, bytes]:
    """The header of a safetensors file with its notes, damaged as JSON."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    notes = json.loads(header.get("__metadata__", {}).get("notes", "null"))
    if notes is not None and rng.random() < 0.75:
        name, notes = _tree(notes, rng)
        header["__metadata__"]["notes"] = json.dumps(notes)
    else:
        name, header = _tree(header, rng)
    changed = json.dumps(header).encode()
    return f"notes: {name}", len(changed).to_bytes(8, "little") + changed + content[8 + size :]


def run(case: Damage) -> object:
    sound = _sound()
    torch.set_num_threads(1)
    if case.command != "report":  # drawing takes seconds; that one command is enough
        Figure.savefig = _undrawn
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(sound / "runs", Path(place) / "runs")
        _put(Path(place) / "runs" / case.file, case)
        return _COMMANDS[case.command](_folder(Path(place)), sound)


def _undrawn(_: Figure, file: Any, **__: Any) -> None:
    """A figure that is made, and not drawn."""
    blank = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    file.write(blank) if hasattr(file, "write") else Path(file).write_bytes(blank)


def _put(target: Path, case: Damage) -> None:
    if case.instead != "sound":
        target.unlink()
    if case.content is not None:
        target.write_bytes(case.content)
    match case.instead:
        case "folder":
            target.mkdir()
        case "pipe":
            os.mkfifo(target)
        case "device":
            target.symlink_to("/dev/zero")
        case "loop":
            target.symlink_to(target.name)
        case "empty":
            target.touch()


def _again(folder: Path, place: Path) -> object:
    (folder / "results.json").unlink(missing_ok=True) if not (folder / "results.json").is_dir() else None
    return run_experiment(_experiment(place), out=folder.parent)


def _retrain(folder: Path, place: Path) -> object:
    for name in ("results.json", "networks/snn/seed-0/fit.json"):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    return run_experiment(_experiment(place), out=folder.parent)


def _predict(folder: Path, place: Path) -> object:
    return api.load(folder).predict(np.zeros((2, 8, 8), np.uint8))


def _trace(folder: Path, place: Path) -> object:
    found, classes = api.trace(folder, np.zeros((1, 8, 8), np.uint8))
    return api.save_trace(found, classes, folder / "trace", publishable=api.may_show(folder))


def _reproduced(folder: Path, place: Path) -> object:
    return fold([folder], ())


def _tuned(folder: Path, place: Path) -> object:
    return tune(_experiment(place), trials=1, out=folder.parent)


def _config(folder: Path, place: Path) -> object:
    from spikewise.experiments import resolve

    return resolve(config=folder / "experiment.toml")


_COMMANDS: dict[str, Callable[[Path, Path], object]] = {
    "report": lambda folder, _: write_report(folder),
    "reports": lambda folder, _: render_many([Results.load(folder / "results.json")]),
    "compare": lambda folder, place: run_experiment(_experiment(place), out=folder.parent),
    "compare again": _again,
    "train on": _retrain,
    "predict": _predict,
    "evaluate": lambda folder, _: api.evaluate(folder),
    "versus": lambda folder, _: api.versus([f"{folder}:snn", f"{folder}:twin"]),
    "trace": _trace,
    "calibrate": lambda folder, _: api.calibrate(folder, again=True),
    "anytime": lambda folder, _: api.anytime(folder),
    "diagnose": lambda folder, _: api.diagnose(folder),
    "cost": lambda folder, _: api.cost(folder),
    "reproduce": _reproduced,
    "tune": _tuned,
    "config": _config,
}
