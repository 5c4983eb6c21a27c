import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spikewise.api import Run, compare
from spikewise.cli import main as entry

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished comparison, as small as one can be."""
    out = tmp_path_factory.mktemp("runs")
    tiny: dict[str, Any] = {
        "split.limit": 200,
        "model.hidden": [16],
        "encoder.steps": 4,
        "sections": ["anytime", "calibration"],
    }
    return compare("digits", seeds=2, epochs=1, out=out, thorough=True, **tiny)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "stripe.png"
    pixels = np.zeros((32, 24, 3), np.uint8)
    pixels[:, 10:14] = 255
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run `spikewise ...` as a user would: another process, another folder, no terminal."""
    source = Path(__file__).parents[2] / "src"

    def call(*arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "spikewise.cli.main", *map(str, arguments)],
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(source), "SPIKEWISE_DATA": str(tmp_path), "COLUMNS": "120"},
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run `spikewise ...` in this process; returns exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPIKEWISE_DATA", str(tmp_path))
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["spikewise", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        out, err = capsys.readouterr()
        assert not CONTROL.search(out + err)
        assert "Traceback" not in out + err
        return int(stop.value.code or 0), out, err

    return run
