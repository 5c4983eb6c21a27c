"""A decoding that was cut off goes on with what it has, and ends with what an undisturbed one gives."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.data import cache, load_data, runs, unfinished, workers

COUNT = 24


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two classes of small files, of which one cannot be decoded; 2 files a run."""
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        path = tmp_path / "many" / f"class{number % 2}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (5, 4), np.uint8)).save(path)
    cut = tmp_path / "many" / "class0" / "04.png"
    cut.write_bytes(cut.read_bytes()[:-25])
    return tmp_path / "many"


@pytest.fixture(autouse=True)
def _small_runs(monkeypatch):
    monkeypatch.setattr(workers, "RUN", 2)
    monkeypatch.setattr(workers, "_cores", lambda: 1)
    monkeypatch.setattr(unfinished, "_TOGETHER", 1)


class Cut:
    """Lets some files through, and then interrupts."""

    def __init__(self, work, after: int) -> None:
        self.work, self.left, self.files = work, after, []

    def __call__(self, path, **options):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.files.append(path.name)
        return self.work(path, **options)


def loaded(folder: Path, where: Path):
    return load_data(folder, cache_dir=where, skip_bad=True)


@pytest.fixture
def whole(many: Path, tmp_path: Path):
    return loaded(many, tmp_path / "undisturbed")


def interrupted(many: Path, where: Path, monkeypatch, after: int) -> list[str]:
    cut = Cut(runs.decode, after)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "decode", cut)
        with pytest.raises(KeyboardInterrupt):
            loaded(many, where)
    return cut.files


def test_what_was_decoded_is_not_decoded_again(many, whole, tmp_path, monkeypatch):
    where = tmp_path / "cut"
    before = interrupted(many, where, monkeypatch, 9)
    rest = Cut(runs.decode, -1)
    monkeypatch.setattr(runs, "decode", rest)
    monkeypatch.setattr(runs, "read_header", None)  # headers are not read again
    found = loaded(many, where)
    assert found.fingerprint == whole.fingerprint
    assert np.array_equal(found.images, whole.images)
    assert found.damaged == whole.damaged == ("class0/04.png",)
    assert len(rest.files) <= COUNT - len(before) + 2 * 2  # of a run that was not done, and of one not written down
    assert not [file for file in where.iterdir() if file.suffix == ".part"]


def test_a_line_that_was_cut_off_is_no_line(many, whole, tmp_path, monkeypatch):
    where = tmp_path / "cut"
    interrupted(many, where, monkeypatch, 15)
    (journal,) = where.rglob("journal.jsonl")
    journal.write_bytes(journal.read_bytes()[:-6])
    assert loaded(many, where).fingerprint == whole.fingerprint


@pytest.mark.parametrize("name", ["pixels.npy", "journal.jsonl", "headers.npz"])
def test_what_is_damaged_is_made_again(many, whole, tmp_path, monkeypatch, name):
    where = tmp_path / "cut"
    interrupted(many, where, monkeypatch, 15)
    (file,) = where.rglob(name)
    file.write_bytes(b"\xff" * 40)
    assert loaded(many, where).fingerprint == whole.fingerprint


def test_an_array_in_its_last_order_is_not_gone_on_with(many, whole, tmp_path, monkeypatch):
    """Images behind a damaged one have moved: what the journal says of places does not hold any more."""
    where = tmp_path / "cut"

    def stop(images):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache, "hash_images", stop)
        with pytest.raises(KeyboardInterrupt):
            loaded(many, where)
    assert loaded(many, where).fingerprint == whole.fingerprint


def test_other_settings_are_another_decoding(many, tmp_path, monkeypatch):
    where = tmp_path / "cut"
    interrupted(many, where, monkeypatch, 9)
    wanted = load_data(many, cache_dir=tmp_path / "undisturbed", skip_bad=True, size=8)
    assert load_data(many, cache_dir=where, skip_bad=True, size=8).fingerprint == wanted.fingerprint
