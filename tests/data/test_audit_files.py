"""What image files give away: found from headers and folders alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from spikewise.data import DataConfig, load_data, split
from spikewise.data.audit import audit, folder_of
from spikewise.data.audit.container import container_facts
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
    assert (found.severity, found.probe.score) == ("red", 1.0)


def test_compression_that_tells_the_label_is_grave(folder):
    def save(image, path, name):
        image.save(path.with_suffix(".jpg"), quality=95 if name == "cat" else 60)

    found = audited(folder(save)).find("label-from-file-format-compression")
    assert found is not None
    assert found.severity == "red"


def test_a_size_that_tells_the_label_is_grave_and_mixed_sizes_are_named(folder):
    root = folder(lambda image, path, name: image.resize((SIDE + 4 * (name == "cat"), SIDE)).save(path))
    found = audited(root, size=SIDE)
    assert found.find("label-from-image-size").severity == "red"
    assert "20x24 60" in found.find("mixed-sizes").title


def test_names_that_tell_the_label_are_a_fact(folder):
    root = folder(lambda image, path, name: image.save(path.with_name(f"{name}{path.name}")))
    found = audited(root).find("label-from-file-name")
    assert found.severity == "info"


def test_damaged_files_are_listed_and_left_out(folder):
    root = folder(plain)
    (root / "cat" / "000.png").write_bytes((root / "cat" / "000.png").read_bytes()[:200])
    (root / "dog" / "001.png").write_bytes(b"")
    found = audited(root, skip_bad=True)
    assert found.images == 118
    damaged = found.find("damaged-files")
    assert damaged.title.startswith("2 files cannot be decoded")
    assert set(damaged.files) == {"cat/000.png", "dog/001.png"}
    (root / "dog" / "001.png").unlink()
    assert audited(root, skip_bad=True).find("damaged-files").title.startswith("1 file cannot be decoded")


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


def camera(image, path, name):
    exif = Image.Exif()
    exif[0x0110] = "Model A" if name == "cat" else "Model B"
    image.save(path.with_suffix(".jpg"), exif=exif.tobytes())


def comment(image, path, name):
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "scanned" if name == "cat" else "photographed")
    image.save(path, pnginfo=info)


def resolution(image, path, name):
    image.save(path, dpi=(72, 72) if name == "cat" else (96, 96))


def effort(image, path, name):
    image.save(path, compress_level=1 if name == "cat" else 9)


def progressive(image, path, name):
    image.save(path.with_suffix(".jpg"), progressive=name == "cat")


def tail(image, path, name):
    image.save(path)
    with path.open("ab") as file:
        file.write(b"one" if name == "cat" else b"two")


def hidden(image, path, name):
    pixels = np.asarray(image.convert("RGBA")).copy()
    pixels[:4, :4] = (200 if name == "cat" else 10, 0, 0, 0)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("save", "words"),
    [
        (camera, "EXIF Model (1.00)"),
        (comment, "PNG text Comment (1.00)"),
        (resolution, "PNG pHYs (1.00)"),
        (effort, "PNG compression (1.00)"),
        (progressive, "JPEG coding (1.00)"),
        (tail, "bytes after the end (1.00)"),
        (hidden, "colours under transparency (1.00)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_files_say_besides_their_pixels_is_worth_knowing(folder, save, words):
    found = audited(folder(save, count=30)).find("label-from-metadata")
    assert found is not None
    assert found.severity == "amber"
    assert words in found.title


def numbered(step, offset):
    """Cats have numbers 0, step, 2 step, ...; dogs those and an offset."""
    return lambda image, path, name: image.save(
        path.with_name(f"image_{1000 + step * int(path.stem) + offset * (name == 'dog')}.png")
    )


@pytest.mark.parametrize(
    "number", [numbered(2, 1), numbered(3, 200), numbered(7, 3)], ids=["odd", "range", "remainder"]
)
def test_numbers_in_names_that_tell_the_label_are_a_fact(folder, number):
    found = audited(folder(number, count=50)).find("label-from-number-in-the-file-name")
    assert found is not None
    assert found.severity == "info"


def test_the_parts_of_a_file_are_named(tmp_path):
    image = Image.new("L", (5, 4), 9)
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "somebody")
    image.save(tmp_path / "a.png", pnginfo=info, dpi=(72, 72))
    facts = container_facts(tmp_path / "a.png")
    assert facts["PNG text Author"] == "somebody"
    assert facts["PNG pHYs"] == (2835).to_bytes(4).hex() * 2 + "01"
    image.save(tmp_path / "a.jpg", comment=b"hello")
    assert container_facts(tmp_path / "a.jpg")["JPEG comment"] == "hello"
    image.save(tmp_path / "a.bmp")
    assert container_facts(tmp_path / "a.bmp") == {}


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_file_that_breaks_off_anywhere_or_lies_about_its_parts_is_read_as_far_as_it_goes(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (9, 9), (1, 2, 3)).save(path, dpi=(72, 72))
    whole, known = path.read_bytes(), container_facts(path)
    rng = np.random.default_rng(0)
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        assert container_facts(path).keys() <= known.keys()
    for _ in range(200):
        damaged = bytearray(whole)
        for at in rng.integers(2, len(whole), 3):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        assert all(isinstance(value, str) for value in container_facts(path).values())
