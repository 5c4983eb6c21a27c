"""A full disk is one message; what is on it stays whole, and with space again the same command ends the same."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from spikewise.errors import StorageError
from spikewise.experiments import run_experiment

SIZE = 4 * 2**20


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MiB."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small disk needs Linux and root")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", disk], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path, leave: int) -> Path:
    """A file that leaves so many bytes."""
    status = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * max(status.f_bavail * status.f_frsize - leave, 0))
    return ballast


def weights(folder: Path) -> dict[str, bytes]:
    files = sorted(folder.rglob("weights.safetensors"))
    return {
        f"{path.relative_to(folder)}/{name}": value.tobytes()
        for path in files
        for name, value in load_file(path).items()
    }


@pytest.mark.parametrize("leave", [0, 40_000, 120_000, 300_000])
def test_a_full_disk_loses_nothing(leave, small, small_disk, tmp_path):
    # 40 KB hold run.json but no checkpoint of 65 KB, 120 KB one checkpoint, 300 KB the first side
    experiment = small.replace(model={"kind": "mlp", "hidden": [64]}, sides=("snn", "twin"), seeds=(0,))
    whole = run_experiment(experiment, out=tmp_path / "whole").folder
    ballast = fill(small_disk, leave)
    for _ in range(2):
        with pytest.raises(StorageError, match=r"The disk is full: free some space .* same command") as caught:
            run_experiment(experiment, out=small_disk / "runs")
        assert len(str(caught.value).splitlines()) == 1
        assert not list(small_disk.rglob("*.part"))
    ballast.unlink()
    finished = run_experiment(experiment, out=small_disk / "runs").folder
    assert weights(finished) == weights(whole)
    assert len(weights(whole)) >= 8
    assert {path.name for path in finished.iterdir()} == {path.name for path in whole.iterdir()}
