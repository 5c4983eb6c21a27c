"""Processes decode very many files as threads do: the same images, words and order, cut off or not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.data import runs, unfinished, workers
from spikewise.data.cache import Decoding, decode_files
from spikewise.data.config import DataConfig
from spikewise.errors import ProcessesError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere threads decode, however many files there are")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Files of several kinds below tmp_path/"files"; of two nothing can be read, and one of these has a header."""
    root, rng = tmp_path / "files", np.random.default_rng(0)
    root.mkdir()
    for number in range(40):
        Image.fromarray(rng.integers(0, 256, (6, 5, 3), np.uint8)).save(root / f"{number:02}.png")
    Image.fromarray(rng.integers(0, 256, (9, 7), np.uint8)).save(root / "photo.jpg")
    frames = [Image.fromarray(rng.integers(0, 256, (6, 5), np.uint8)) for _ in range(2)]
    frames[0].save(root / "moves.gif", save_all=True, append_images=frames[1:])
    drawing = np.zeros((6, 5, 4), np.uint8)
    drawing[2, 2, 3] = 255
    Image.fromarray(drawing).save(root / "hidden.png")
    Image.fromarray(rng.integers(0, 256, (6, 5), np.uint8)).save(os.fsencode(root) + b"/caf\xe9.png", "PNG")
    (root / "empty.png").touch()
    cut = root / "07.png"
    cut.write_bytes(cut.read_bytes()[:-30])
    return sorted(file.name for file in root.iterdir())


@pytest.fixture
def by_two(monkeypatch):
    """Two processes, whatever there is to decode; few files a run."""
    monkeypatch.setattr(workers, "_cores", lambda: 2)
    monkeypatch.setattr(workers, "_WORTHWHILE", 2)
    monkeypatch.setattr(workers, "RUN", 3)
    monkeypatch.setattr(unfinished, "_TOGETHER", 1)


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen]:
    """The processes that are started."""
    found = []
    start = subprocess.Popen

    def noted(*arguments, **options):
        found.append(start(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(workers.subprocess, "Popen", noted)
    return found


def decoded(files, where, progress=None, **settings):
    root = where.parent / "files"
    return decode_files(root, files, Decoding.of(DataConfig(source=str(root), **settings)), where, progress)


def same(one, other) -> bool:
    return np.array_equal(one.images, other.images) and one._replace(images=0) == other._replace(images=0)


@pytest.mark.parametrize("deep", [False, True], ids=["bytes", "16 bits"])
def test_processes_make_of_files_what_threads_make_of_them(files, tmp_path, started, request, deep):
    if deep:  # what is white is looked for then
        values = np.random.default_rng(1).integers(0, 65536, (6, 5), np.uint16)
        Image.fromarray(values).save(tmp_path / "files" / "deep.png")
        files = [*files, "deep.png"]
    expected = decoded(files, tmp_path / "by-threads", size=(6, 5))
    assert not started
    request.getfixturevalue("by_two")
    found = decoded(files, tmp_path / "by-processes", size=(6, 5))
    assert same(found, expected)
    assert set(found.bad) == {"07.png", "empty.png"}
    assert found.animated == ["moves.gif"]
    assert any("hidden.png" in one for one in found.cautions)
    assert len(started) == 2
    assert all(one.returncode is not None for one in started)


def test_what_was_cut_off_goes_on(files, tmp_path, by_two, started):
    expected = decoded(files, tmp_path / "undisturbed", size=4)
    where = tmp_path / "cut"

    def stop(what: str, done: int, of: int) -> None:
        if what == "decoding images" and done > of / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decoded(files, where, stop, size=4)
    assert all(one.returncode is not None for one in started)
    steps = []
    assert same(decoded(files, where, lambda what, done, of: steps.append((what, done)), size=4), expected)
    assert steps[0][0] == "decoding images"
    assert steps[0][1] > len(files) / 2


def test_a_process_that_is_killed_is_told_of_and_what_the_other_had_done_stays(
    files, tmp_path, by_two, started, monkeypatch
):
    where = tmp_path / "killed"
    take = workers._Process.take

    def hold(process: workers._Process, work: runs.Work) -> None:
        if isinstance(work, runs.FillPixels) and process._process is started[0]:
            started[0].send_signal(signal.SIGSTOP)  # else it may have answered everything before it is killed
        take(process, work)

    def kill(what: str, done: int, of: int) -> None:
        if what == "decoding images":
            started[0].kill()
            started[0].wait()

    monkeypatch.setattr(workers._Process, "take", hold)
    with pytest.raises(ProcessesError, match=r"ended by itself \(signal 9, at .* goes on where it stopped"):
        decoded(files, where, kill, size=4)
    assert list(where.glob("*.part"))
    assert same(decoded(files, where, size=4), decoded(files, tmp_path / "undisturbed", size=4))


def test_a_process_ends_when_nobody_is_there_to_hear_it(tmp_path):
    process = workers._Process()
    process._orders.close()
    assert process._process.wait(30) == 0
    process.answers.close()


def test_what_a_program_has_told_pillow_holds_there_too(files, tmp_path, by_two, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # twice that are a bomb
    big = decoded(files, tmp_path / "bombs", size=4).bad
    assert "decompression bomb" in big["photo.jpg"]
    assert "hidden.png" not in big


def test_where_no_process_can_be_started_threads_do_the_same(files, tmp_path, by_two, monkeypatch, started):
    expected = decoded(files, tmp_path / "by-processes", size=4)
    assert len(started) == 2
    with monkeypatch.context() as patch:
        patch.setattr(workers.sys, "executable", "/bin/false")  # Python within another program
        assert same(decoded(files, tmp_path / "by-threads", size=4), expected)
    assert [one.returncode == 0 for one in started[2:]] == [False, False]

    def full(*arguments, **options):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(workers.subprocess, "Popen", full)
    assert same(decoded(files, tmp_path / "again-by-threads", size=4), expected)


def test_work_is_the_same_behind_its_json(tmp_path):
    out = np.lib.format.open_memmap(tmp_path / "out.npy", mode="w+", dtype=np.uint8, shape=(2, 1, 3, 4))
    for work in (
        runs.ReadHeaders("a", 5),
        runs.FindRanges("a", 5, "white"),
        runs.FillPixels("a", 5, "black", "keep", None, {"uint8": 255.0}, out),
    ):
        again = runs.work_from_json(*runs.work_as_json(work))
        assert type(again) is type(work)
        assert again[:6] == work[:6]


def test_a_process_loads_what_it_needs_alone():
    said = "import sys, spikewise.data.workers; print('torch' in sys.modules, 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", said], capture_output=True, check=True).stdout == b"False True\n"


def test_ctrl_c_is_for_the_first_process_alone():
    process = workers._Process()
    assert os.getpgid(process._process.pid) != os.getpgid(0)
    process.end()
    assert process._process.returncode == -signal.SIGKILL
