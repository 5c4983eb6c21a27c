"""The commands of docs/your-images.md run, one after the other, on a small folder of colour photos of mixed sizes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parent.parent / "docs" / "your-images.md"


def make_photos(folder: Path) -> None:
    """Blobs on dark ground: where the blob is, is the class; sizes differ."""
    rng = np.random.default_rng(0)
    for name, centre in (("cat", 0.3), ("person", 0.7)):
        (folder / name).mkdir(parents=True)
        for number in range(1, 41):
            side = int(rng.integers(18, 26))
            y, x = np.mgrid[:side, :side] / side
            at = centre + rng.normal(0, 0.05, 2)
            light = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 0.03)[..., None] * rng.uniform(150, 250, 3)
            pixels = (light + rng.uniform(0, 30, light.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03}.jpg")


def make_scans(folder: Path) -> None:
    """Images of patients, in folders of their own and beside a table."""
    rows = ["image_id,dx,patient_id"]
    for number in range(80):
        name, who = ("benign", "malignant")[number % 2], f"p{number // 4:02}"
        pixels = np.random.default_rng(number).integers(0, 256, (12, 12), np.uint8)
        rows.append(f"im{number},{name},{who}")
        for path in (folder / "scans" / name / who / f"{number}.png", folder / "skin" / "images" / f"im{number}.png"):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    (folder / "skin" / "meta.csv").write_text("\n".join(rows))


def make_tables(folder: Path) -> None:
    """The same images beside a table with a column for each class, and beside a table for each part."""
    hot, parts = ["image,MEL,NV,BCC"], {part: ["image,label"] for part in ("train", "val", "test")}
    for number in range(60):
        image, label = folder / "skin" / "images" / f"im{number}.png", number % 3
        for name in ("moles", "eyes"):
            (folder / name / "images").mkdir(parents=True, exist_ok=True)
            shutil.copy(image, folder / name / "images")
        hot.append(f"im{number},{','.join('1.0' if label == at else '0.0' for at in range(3))}")
        parts[("train", "train", "val", "test")[number % 4]].append(f"im{number},{'abc'[label]}")
    (folder / "moles" / "truth.csv").write_text("\n".join(hot))
    for part, rows in parts.items():
        (folder / "eyes" / f"{part}.csv").write_text("\n".join(rows))


@pytest.mark.slow
def test_the_page_for_a_folder_of_images_runs(tmp_path):
    make_photos(tmp_path / "photos")
    make_scans(tmp_path)
    make_tables(tmp_path)
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) == 13
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "SPIKEWISE_CACHE": str(tmp_path / "cache"),
    }
    said = {}
    for command in commands:
        if "runs/compare" in command:  # the last run of the two is the answer
            (command_run,) = [
                path.parent for path in (tmp_path / "runs").glob("*/report.html") if is_whole(path.parent)
            ]
            command = command.replace("runs/compare-photos-*", str(command_run.relative_to(tmp_path)))  # noqa: PLW2901
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said[command.split()[1]] = done.stdout
        if command.startswith(("spikewise data info scans", "spikewise data info skin")):
            assert "20, told by" in done.stdout
    assert "At a first look" not in said["compare"]
    assert re.search(r"\b(Yes|No|It depends|Better|Cheaper|Cannot tell|As )\b", said["compare"])
    assert said["fits"].startswith("It fits")
    assert re.search(r"cat|person", said["predict"])
    assert r"\toprule" in said["table"]


def is_whole(run: Path) -> bool:
    """Whether it is no first look."""
    return "At a first look" not in (run / "results.json").read_text(encoding="utf-8")
