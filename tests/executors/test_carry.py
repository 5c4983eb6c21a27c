"""Parts of a folder travel as they were at one moment, and arrive in the order in which they were written."""

import io
import os
import tarfile

import pytest

from spikewise.errors import RunError
from spikewise.executors.carry import pack, state_of, unpack


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path):
    root = tmp_path / "here" / "run"
    for name in ("a/weights", "a/fit.json", "b/weights", "run.json", "a/.lock", "a/.weights.1.part"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def test_parts_arrive_without_what_is_hidden_and_nothing_else_is_touched(run, tmp_path):
    there = tmp_path / "there"
    (there / "b").mkdir(parents=True)
    (there / "b" / "weights").write_text("mine")
    unpack(pack(run, ["a", "run.json"]), there, ["a", "run.json"])
    assert files(there) == {"a/weights": b"a/weights", "a/fit.json": b"a/fit.json", "run.json": b"run.json",
                            "b/weights": b"mine"}  # fmt: skip


def test_what_was_removed_is_removed_there_too(run, tmp_path):
    there = tmp_path / "there"
    unpack(pack(run, ["."]), there, ["."])
    (run / "a" / "weights").unlink()
    (run / "a" / "fit.json").unlink()
    unpack(pack(run, ["."]), there, ["."])
    assert files(there).keys() == {"b/weights", "run.json"}
    assert not (there / "a").exists()


def test_files_arrive_in_the_order_in_which_they_were_written(run, tmp_path, monkeypatch):
    """Whoever dies in between leaves what the process that wrote them could have left."""
    for at, name in enumerate(("b/weights", "run.json", "a/weights", "a/fit.json")):
        os.utime(run / name, (1000 + at, 1000 + at))
    placed, real = [], os.replace
    monkeypatch.setattr(os, "replace", lambda source, target: (placed.append(target), real(source, target)))
    unpack(pack(run, ["."]), tmp_path / "there", ["."])
    assert [path.relative_to(tmp_path / "there").as_posix() for path in placed] == [
        "b/weights", "run.json", "a/weights", "a/fit.json"
    ]  # fmt: skip


def test_packing_waits_for_files_that_belong_together(run, monkeypatch):
    """A second file that is written while the first is read would be of another moment."""
    import tarfile as module

    real, changed = module.TarFile.add, []

    def add(self, name, arcname=None, **options):
        real(self, name, arcname, **options)
        if not changed:
            changed.append(True)
            (run / "a" / "weights").write_text("of the next epoch")

    monkeypatch.setattr(module.TarFile, "add", add)
    with tarfile.open(fileobj=io.BytesIO(pack(run, ["a"]))) as tar:
        assert tar.extractfile("a/weights").read() == b"of the next epoch"


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "b/weights"])
def test_what_is_none_of_its_files_is_refused(name, tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(RunError, match="none of its files"):
        unpack(out.getvalue(), tmp_path / "run", ["a"])
    assert files(tmp_path) == {}


def test_damaged_bytes_are_told(tmp_path):
    with pytest.raises(RunError, match="damaged"):
        unpack(b"x" * 600, tmp_path / "run", ["a"])


def test_nothing_there_is_nothing(tmp_path):
    assert state_of(tmp_path / "none", [".", "a"]) == {}
    unpack(pack(tmp_path / "none", ["."]), tmp_path / "there", ["."])
    assert files(tmp_path / "there") == {}
