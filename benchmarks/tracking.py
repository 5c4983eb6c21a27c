"""What `spikewise log` promises, measured: kills at random moments, and trackers that are down or full.

    python -m benchmarks.tracking --kills 20 [--only kills harmless beside]

1. A training that is killed at random moments, while a replay that is killed at random moments tells of it, again and
   again; what TensorBoard's and MLflow's own readers then show is compared with what they show of an undisturbed one.
2. A training beside followers whose tracker is down, or whose disk is full: its seconds, and its weights.
3. A training beside followers that do their work, in turn with one that has none: its processor time and its epochs.
"""

import argparse
import hashlib
import itertools
import json
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.tracking.readers import of_mlflow, of_tensorboard

from spikewise.api import execute
from spikewise.errors import SpikewiseError
from spikewise.experiments import Experiment
from spikewise.tracking import replay

FORK = multiprocessing.get_context("fork")
EPOCHS = 30
PARTS = ("kills", "harmless", "beside")
CLOCKS = ("time/", "train_seconds", "latency_ms", "throughput_images_per_second", "peak_memory_mb")
TIMES: dict[str, list[float]] = {}
"""Seconds of the fastest epoch of each training, by what stood beside it: others use the machine, too."""


def experiment(epochs: int = EPOCHS) -> Experiment:
    return Experiment(
        data={"source": "digits"},
        train={"epochs": epochs, "learning_rate": 1e-3},
        seeds=(0, 1),
        sections=(),
        device="cpu",
    )


def train(out: Path) -> None:
    execute(experiment(), kind="train", out=out)


def tell(run: Path, to: str, out: Path) -> None:
    silence()
    replay(run, to, out=str(out / ("mlflow.db" if to == "mlflow" else to)))


def silence() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)


def started(work, *arguments):
    process = FORK.Process(target=work, args=arguments)
    process.start()
    return process


def killed(process, seconds: float) -> bool:
    """Whether SIGKILL met it alive after so many seconds."""
    process.join(seconds)
    alive = process.exitcode is None
    process.kill()
    process.join()
    return alive and process.exitcode == -signal.SIGKILL


def clockless(told: dict) -> dict:
    """Without what the clock and the machine say, which differs between any two trainings."""
    return {name: value for name, value in told.items() if not any(word in name[2] for word in CLOCKS)}


def kills(folder: Path, wanted: int, seed: int) -> None:
    chance = random.Random(seed)
    whole, torn = folder / "undisturbed", folder / "killed"
    started(train, whole).join()
    (name,) = (path.name for path in whole.iterdir() if (path / "results.json").exists())
    begun = time.perf_counter()
    ends = [*(whole / name).rglob("fit.json"), whole / name / "results.json"]
    length = max(path.stat().st_mtime for path in ends) - (whole / name / "run.json").stat().st_mtime
    of_training, of_replay = 0, {"tensorboard": 0, "mlflow": 0}
    started(tell, whole / name, "mlflow", whole).join()  # and how long one takes
    replays = time.perf_counter() - begun
    while of_training < wanted:
        training = started(train, torn)
        deadline = time.perf_counter() + chance.uniform(0.02, 2.5 * length / wanted)
        while time.perf_counter() < deadline:
            if (torn / name / "run.json").exists():
                to = chance.choice(["tensorboard", "mlflow"])
                of_replay[to] += killed(started(tell, torn / name, to, torn), chance.uniform(0.01, 0.3 * replays))
            time.sleep(0.01)
        of_training += killed(training, 0.0)
        if (torn / name / "results.json").exists():
            break
    before = {to: of_replay[to] for to in of_replay}
    started(train, torn).join()
    for to, done in before.items():
        for _ in range(max(0, wanted - done)):
            of_replay[to] += killed(started(tell, torn / name, to, torn), chance.uniform(0.01, 0.3 * replays))
    for out in (whole, torn):
        for to in ("tensorboard", "mlflow"):
            started(tell, out / name, to, out).join()
    lines = sum(len(path.read_text().splitlines()) for path in (torn / name).rglob("events.jsonl"))
    print(f"kills of the training: {of_training}; of replays: {of_replay}; lines in its event files: {lines}")
    for to, read in (
        ("tensorboard", lambda out: of_tensorboard(out / "tensorboard")),
        ("mlflow", lambda out: of_mlflow(f"sqlite:///{out / 'mlflow.db'}")[0]),
    ):
        undisturbed, disturbed = read(whole), read(torn)
        alike = undisturbed.keys() == disturbed.keys()
        same, count = clockless(undisturbed) == clockless(disturbed), len(clockless(disturbed))
        print(f"{to}: {len(disturbed):,} figures, each (step, tag) once, as in the undisturbed training: {alike}")
        print(f"  {count:,} of them not the clock's, equal to the undisturbed training's: {same}")


def digest(run: Path) -> str:
    weights = sorted(run.rglob("weights.safetensors"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()[:12]


def disturbed(folder: Path, to: str, environment: dict[str, str]) -> None:
    """One training as a user starts it, whose follower cannot do its work."""
    if to == "csv":
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "csv").write_text("")  # where the tracker wants a folder
    options = ["--epochs", str(EPOCHS), "--seeds", "2", "--without", "all", "--set", "train.learning_rate=0.001"]
    command = [sys.executable, "-m", "spikewise", "train", "digits", "--device", "cpu", *options, "--out", str(folder)]
    done = subprocess.run(
        [*command, *(["--track", to] if to else [])],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    (run,) = (path for path in folder.iterdir() if (path / "run.json").exists())
    seconds = min(second for path in run.rglob("events.jsonl") for second in epoch_seconds(path))
    said = [line for line in done.stderr.splitlines() if line.startswith(f"{to}: ")] if to else []
    print(f"  rc {done.returncode}, fastest epoch {1000 * seconds:.0f} ms, weights {digest(run)}, said: {said[:2]}")
    TIMES.setdefault(to or "none", []).append(seconds)


def epoch_seconds(path: Path) -> list[float]:
    return [json.loads(line)["seconds"] for line in path.read_text().splitlines()]


def harmless(folder: Path, rounds: int) -> None:
    for number in range(rounds):
        for what, to, environment in (
            ("no tracker", "", {}),
            ("MLflow's server is down", "mlflow", {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}),
            ("a file stands where the tracker's folder belongs", "csv", {}),
        ):
            print(what)
            disturbed(folder / f"{to or 'none'}-{number}", to, environment)
    for to, seconds in TIMES.items():
        print(f"{to}: fastest epoch of {len(seconds)} trainings {1000 * min(seconds):.0f} ms")


def beside(folder: Path, rounds: int) -> None:
    """Trainings in turn, with a follower that does its work and without."""
    timed = "import atexit, time; atexit.register(lambda: print(time.process_time())); "
    found: dict[str, list[tuple[float, float]]] = {}
    options = ["--epochs", str(EPOCHS), "--seeds", "2", "--without", "all", "--set", "train.learning_rate=0.001"]
    for number, to in itertools.product(range(rounds), ("", "csv", "tensorboard")):
        out = folder / f"{to or 'none'}-{number}"
        command = [sys.executable, "-c", timed + "from spikewise.cli.main import main; main()", "train", "digits"]
        command += ["--device", "cpu", *options, "--out", str(out), *(["--track", to] if to else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        epochs = [second for path in out.rglob("events.jsonl") for second in epoch_seconds(path)]
        found.setdefault(to or "none", []).append((float(done.stdout.split()[-1]), statistics.median(epochs)))
        print(f"{to or 'none'}: {found[to or 'none'][-1]}", flush=True)
    for to, each in found.items():
        spent, epoch = ([one[k] for one in each] for k in (0, 1))
        print(
            f"{to}: processor seconds of the training's own process {statistics.median(spent):.2f} "
            f"({min(spent):.2f} to {max(spent):.2f}), median epoch {1000 * statistics.median(epoch):.0f} ms "
            f"({1000 * min(epoch):.0f} to {1000 * max(epoch):.0f})"
        )


def full_disk(folder: Path, size: str = "48k") -> None:
    """The tracker's folder lies on a disk of a few kilobytes."""
    out = folder / "full"
    disk = out / "tensorboard"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
    try:
        print(f"a disk of {size} for the tracker")
        disturbed(out, "tensorboard", {})
        (run,) = (path for path in out.iterdir() if (path / "run.json").exists())
        lacking = len(of_tensorboard(disk))
        subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
        replay(run, "tensorboard")
        replay(run, "tensorboard", out=str(out / "whole"))
        told = of_tensorboard(disk)
        print(f"  {lacking:,} figures were there; with room, after a replay {len(told):,}, all of them once: "
              f"{told == of_tensorboard(out / 'whole')}")  # fmt: skip
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    asked = parser.parse_args()
    import mlflow  # noqa: F401  # before a process is forked for each replay
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        if "kills" in asked.only:
            kills(Path(name) / "kills", asked.kills, asked.seed)
        if "harmless" in asked.only:
            harmless(Path(name) / "harmless", asked.rounds)
            if os.geteuid() == 0:
                full_disk(Path(name))
        if "beside" in asked.only:
            beside(Path(name) / "beside", asked.rounds)


if __name__ == "__main__":
    try:
        main()
    except SpikewiseError as error:
        sys.exit(f"Error: {error}")
