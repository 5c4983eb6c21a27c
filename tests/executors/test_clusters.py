"""A sweep is the same to the byte, but for times, whatever runs its cells."""

import contextlib
import csv
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import spikewise
from spikewise.errors import ConfigError
from waiting import wait_until

SWEEP = """
[base]
data = { source = "digits" }
split = { limit = 100 }
encoder = { kind = "direct", steps = 2 }
[set]
train.epochs = 2
train.learning_rate = 0.001
model.hidden = [8]
seeds = 1
[grid]
model.recurrent = [false, true]
"""
SOURCE = str(Path(spikewise.__file__).parents[1])
RAY = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--head", "--block"]


def table(swept):
    with (swept.folder / "table.csv").open() as file:
        return [{key: value for key, value in row.items() if "seconds" not in key} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    file = tmp_path_factory.mktemp("plan") / "two.toml"
    file.write_text(SWEEP)
    return file


@pytest.fixture(scope="module")
def expected(plan, tmp_path_factory):
    rows = table(spikewise.sweep(plan, jobs=2, out=tmp_path_factory.mktemp("local")))
    assert [row["status"] for row in rows] == ["done", "done"]
    return rows


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Address of a Ray cluster of this machine, with one processor."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'spikewise[ray]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment = {**os.environ, "PYTHONPATH": SOURCE, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0", **token}
    options = ["--num-cpus=1", f"--port={port}", "--include-dashboard=false",
               "--disable-usage-stats", "--object-store-memory=80000000"]  # fmt: skip
    log = tmp_path_factory.mktemp("ray") / "log.txt"
    with log.open("wb") as said:
        process = subprocess.Popen([*RAY, *options], stdout=said, stderr=said, env=environment)
    wait_until(lambda: "To connect to this Ray cluster" in log.read_text() or process.poll() is not None, log.read_text)
    assert process.poll() is None, log.read_text()
    address = re.search(r"--address='([^']*)'", log.read_text())[1]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in token.items():
            patch.setenv(name, value)
        yield address
    process.terminate()
    process.wait()


def test_a_ray_cluster_that_does_not_see_the_folder_brings_the_same_back(cluster, plan, expected, tmp_path):
    asked = {"kind": "ray", "address": cluster, "shared": False}
    swept = spikewise.sweep(plan, executor=asked, out=tmp_path / "runs")
    assert table(swept) == expected
    assert not (tmp_path / "runs" / ".claims").exists()


def test_a_ray_cluster_without_what_is_asked_for_is_told(cluster, plan, tmp_path):
    with pytest.raises(ConfigError, match=r"8 GPUs.*The most that a node has is 1 CPUs, 0 GPUs"):
        spikewise.sweep(plan, executor={"kind": "ray", "address": cluster, "gpus": 8}, out=tmp_path / "runs")


def killed(begins):
    """SIGKILL for the process of a Ray worker whose work is called so; its name once it is at work."""

    def met():
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "cmdline").read_text().startswith(f"ray::{begins}"):
                    os.kill(int(process.name), signal.SIGKILL)
                    return True
        return False

    wait_until(met, lambda: "no such work was begun")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are found by /proc")
def test_a_killed_worker_of_a_ray_cluster_changes_nothing(cluster, plan, expected, tmp_path, capfd):
    killer = threading.Thread(target=killed, args=["train-digits-"])
    killer.start()
    swept = spikewise.sweep(plan, executor=f"ray:{cluster}", out=tmp_path / "runs", progress=True)
    killer.join()
    assert table(swept) == expected
    host = re.escape(socket.gethostname())
    assert re.search(
        rf"failed( on {host} \([0-9a-f]{{8}}\))?, begun again elsewhere\. The machine", capfd.readouterr().err
    )


@pytest.mark.slow
def test_slurm_jobs_give_the_same(plan, expected, tmp_path):
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'spikewise[slurm]'")
    asked = {"kind": "slurm", "cluster": "local", "shared": False, "jobs": 2}
    assert table(spikewise.sweep(plan, executor=asked, out=tmp_path / "runs")) == expected


SBATCH = """#!/bin/sh
[ -f "$1" ] || exit 0
cp "$1" "$(dirname "$0")/submitted"
{answer}
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A machine whose `sbatch` keeps what was submitted, and answers as it is told."""
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'spikewise[slurm]'")

    def make(answer):
        for name in ("sbatch", "srun", "squeue", "sinfo", "scancel"):
            file = tmp_path / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(SBATCH.format(answer=answer))
            file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        return tmp_path / "bin" / "submitted"

    return make


def test_a_partition_that_slurm_does_not_have_is_told_in_its_words(slurm, plan, tmp_path):
    submitted = slurm("echo 'sbatch: error: invalid partition specified: gqu' >&2; exit 1")
    asked = {"kind": "slurm", "partition": "gqu", "gpus": 2, "memory": "8 GB", "minutes": 30, "account": "lab",
             "options": {"nice": 5}}  # fmt: skip
    with pytest.raises(ConfigError, match="invalid partition specified: gqu"):
        spikewise.sweep(plan, executor=asked, out=tmp_path / "runs")
    text = submitted.read_text()
    for line in ("--partition=gqu", "--gpus-per-node=2", "--mem=8GB", "--time=30", "--account=lab", "--nice=5",
                 "--cpus-per-task=1", "--array=0-1"):  # fmt: skip
        assert f"#SBATCH {line}" in text
    assert not (tmp_path / "runs" / ".claims").exists()
