"""What image files give away: found from headers and folders alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.data import DataConfig, load_data, split
from spikewise.data.audit import audit, folder_of
from spikewise.data.audit.files import read_facts

SIDE = 20


@pytest.fixture
def folder(tmp_path: Path):
    """Write noise as cat/0.png, dog/0.png, ...; `save(image, path)` says how."""

    def write(save, classes=("cat", "dog"), count=60) -> Path:
        rng = np.random.default_rng(3)
        for name in classes:
            (tmp_path / "set" / name).mkdir(parents=True)
            for number in range(count):
                image = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE), np.uint8))
                save(image, tmp_path / "set" / name / f"{number:03}.png", name)
        return tmp_path / "set"

    return write


def audited(root: Path, **options):
    images = load_data(root, **options)
    return audit(images, split(images), root=root)


def plain(image, path, name):
    image.save(path)


def test_files_of_one_kind_give_nothing_away(folder):
    found = audited(folder(plain))
    assert found.count("red") == 0
    assert not any(one.check.startswith(("label-from", "origin", "mixed", "damaged")) for one in found.findings)


def test_a_colour_mode_that_tells_the_label_is_grave(folder):
    root = folder(lambda image, path, name: image.convert("RGBA" if name == "cat" else "L").save(path))
    found = audited(root, grey=True).find("label-from-bit-depth-colour-mode")
    assert found is not None
    assert (found.gravity, found.probe.score) == ("red", 1.0)


def test_compression_that_tells_the_label_is_grave(folder):
    def save(image, path, name):
        image.save(path.with_suffix(".jpg"), quality=95 if name == "cat" else 60)

    found = audited(folder(save)).find("label-from-file-format-compression")
    assert found is not None
    assert found.gravity == "red"


def test_a_size_that_tells_the_label_is_grave_and_mixed_sizes_are_named(folder):
    root = folder(lambda image, path, name: image.resize((SIDE + 4 * (name == "cat"), SIDE)).save(path))
    found = audited(root, size=SIDE)
    assert found.find("label-from-image-size").gravity == "red"
    assert "20x24 60" in found.find("mixed-sizes").title


def test_names_that_tell_the_label_are_a_fact(folder):
    root = folder(lambda image, path, name: image.save(path.with_name(f"{name}{path.name}")))
    found = audited(root).find("label-from-file-name")
    assert found.gravity == "info"


def test_damaged_files_are_listed_and_left_out(folder):
    root = folder(plain)
    (root / "cat" / "000.png").write_bytes((root / "cat" / "000.png").read_bytes()[:200])
    (root / "dog" / "001.png").write_bytes(b"")
    found = audited(root, skip_bad=True)
    assert found.images == 118
    assert set(found.find("damaged-files").files) == {"cat/000.png", "dog/001.png"}


def test_examples_are_named_by_their_files(folder):
    root = folder(plain)
    (root / "dog" / "copy.png").write_bytes((root / "cat" / "000.png").read_bytes())
    found = audited(root).find("conflicting-labels")
    assert {place.file for place in found.groups[0]} == {"cat/000.png", "dog/copy.png"}


def test_folders_that_are_not_in_the_set_are_compared_with_those_that_are(tmp_path):
    """Altered prints are not read by default, but their files are of another kind: mixing them would tell."""
    rng = np.random.default_rng(0)
    for subject in range(1, 31):
        for hand in ("Left", "Right"):
            image = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE), np.uint8))
            for part, mode, change in (("Real", "RGB", ""), ("Altered/Altered-Easy", "L", "_CR")):
                (tmp_path / part).mkdir(parents=True, exist_ok=True)
                image.convert(mode).save(tmp_path / part / f"{subject}__M_{hand}_index_finger{change}.BMP")
    images = load_data(tmp_path, target="hand")
    found = audit(images, split(images), root=tmp_path)
    assert found.images == 60
    origin = found.find("origin-from-file")
    assert origin is not None
    assert "Altered, Real" in origin.title
    assert "Bit depth and colour mode (1.00)" in origin.title


def test_headers_are_read_once(folder, tmp_path, monkeypatch):
    root = folder(plain, count=2)
    files = ["cat/000.png", "dog/001.png"]
    first = read_facts(root, files, tmp_path)
    assert [(one.format, one.mode, one.bits, one.width) for one in first] == [("PNG", "L", 8, SIDE)] * 2
    monkeypatch.setattr(Image, "open", None)
    assert read_facts(root, files, tmp_path) == first


def test_a_changed_file_is_read_again(folder, tmp_path):
    root = folder(plain, count=1)
    read_facts(root, ["cat/000.png"], tmp_path)
    Image.new("RGB", (5, 5)).save(root / "cat" / "000.png")
    assert read_facts(root, ["cat/000.png"], tmp_path)[0].mode == "RGB"


def test_the_folder_of_a_set_is_known_where_there_is_one(folder):
    root = folder(plain, count=1)
    assert folder_of(DataConfig(source=str(root))) == root
    assert folder_of(DataConfig(source="digits")) is None
