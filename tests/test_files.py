"""A file is whole or absent, and a failure says what to do."""

import errno
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pytest

from spikewise.errors import StorageError
from spikewise.files import (
    make_folder,
    remove_if_left,
    replace_file,
    temporary_folder,
    write_bytes,
    write_json,
    write_npz,
    write_text,
)


def umask():
    found = os.umask(0o077)
    os.umask(found)
    return found


@pytest.mark.skipif(os.name != "posix", reason="Windows has no umask")
@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)], ids=oct)
def test_who_may_read_a_file_is_as_the_user_has_said(tmp_path, mask, mode):
    words = "import pathlib, sys; from spikewise.files import write_text; write_text(pathlib.Path(sys.argv[1]), '')"
    line = f'umask {mask:o}; exec "$@"'
    subprocess.run(["sh", "-c", line, "sh", sys.executable, "-c", words, str(tmp_path / "a")], check=True)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_a_file_appears_whole_and_readable_as_others_are(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, {"accuracy": 0.5, "name": "µ"})
    assert json.loads(path.read_text()) == {"accuracy": 0.5, "name": "µ"}
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()
    write_text(path, "now text\n")
    assert path.read_text() == "now text\n"
    assert list(tmp_path.iterdir()) == [path]


def test_arrays_come_back_without_pickles(tmp_path):
    write_npz(tmp_path / "a.npz", x=np.arange(5), y=np.eye(2))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as stored:
        assert np.array_equal(stored["x"], np.arange(5))
    with pytest.raises(ValueError, match="Object arrays"):
        write_npz(tmp_path / "b.npz", x=np.array([object()]))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "weights"
    write_bytes(path, b"old")

    def interrupted():
        with replace_file(path) as temporary:
            temporary.write_bytes(b"half of the ne")
            raise failure

    with pytest.raises(failure):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "weights"
    write_bytes(path, b"old")
    with replace_file(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == path.parent  # a rename across file systems would be a copy
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("content", [{"loss": float("nan")}, [float("inf")]])
def test_json_without_a_standard_form_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EROFS, "not writable"),
        (errno.EIO, "Check the disk"),
        (errno.EFBIG, "ulimit -f"),
    ],
)
def test_what_the_disk_refuses_is_said_in_words(tmp_path, monkeypatch, code, advice):
    def refuse(_):
        raise OSError(code, os.strerror(code))

    path = tmp_path / "x"
    write_bytes(path, b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=advice) as caught:
        write_bytes(path, b"new")
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_advice_names_the_setting_that_decides_where_the_file_lies_if_one_does(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("spikewise.shell._naming", lambda path: None)
    with pytest.raises(StorageError, match=r"A file stands where a folder is needed: choose another\."):
        write_bytes(tmp_path / "file" / "x", b"new")
    monkeypatch.setattr("spikewise.shell._naming", lambda path: "--html")
    with pytest.raises(StorageError, match=r"choose another with --html\."):
        write_bytes(tmp_path / "file" / "x", b"new")


def test_a_full_disk_leaves_the_old_file(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    try:
        write_bytes(tmp_path / "x", b"old")
        with pytest.raises(StorageError, match="disk is full"):
            write_bytes(tmp_path / "x", bytes(200_000))
        assert (tmp_path / "x").read_bytes() == b"old"
        assert [path.name for path in tmp_path.iterdir()] == ["x"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_file_size_limit_of_the_kernel_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    write_bytes(path, b"old")
    script = (
        "import sys, pathlib; from spikewise.files import write_bytes; from spikewise.errors import StorageError\n"
        "try: write_bytes(pathlib.Path(sys.argv[1]), bytes(200_000))\n"
        "except StorageError as error: print(error)"
    )
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # noqa: E731
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"Cannot write {path}: File too large")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_where_a_folder_is_needed_is_said(tmp_path):
    write_text(tmp_path / "runs", "not a folder")
    for make in (lambda: make_folder(tmp_path / "runs"), lambda: make_folder(tmp_path / "runs" / "one")):
        with pytest.raises(StorageError, match="A file stands where a folder is needed"):
            make()
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_no_room_for_a_temporary_folder_names_its_setting(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("tempfile.mkdtemp", full)
    with (
        pytest.raises(StorageError, match=rf"Cannot write {tmp_path}: .*another folder with .* TMPDIR\."),
        temporary_folder(),
    ):
        pass


def test_no_usable_temporary_folder_names_its_setting(monkeypatch):
    def none(*_, **__):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.mkdtemp", none)
    with pytest.raises(StorageError, match=r"No usable temporary directory found.*TMPDIR"), temporary_folder():
        pass


def test_a_temporary_folder_that_fills_up_names_its_setting_and_goes(monkeypatch):
    with temporary_folder() as folder, monkeypatch.context() as broken:
        broken.setattr("tempfile.mkstemp", full)
        with pytest.raises(StorageError, match=r"The disk of temporary files is full.*TMPDIR"):
            write_text(folder / "checkpoint", "")
    assert not folder.exists()
    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(StorageError, match="The disk is full: free some space and give"):  # a folder of the user's
        write_text(folder.parent / "own", "")


def test_what_is_being_written_is_not_taken_for_what_a_killed_process_left(tmp_path):
    with replace_file(tmp_path / "report.html") as part:
        part.write_text("half")
        remove_if_left(part)
        part.write_text("whole")
    assert (tmp_path / "report.html").read_text() == "whole"


@pytest.mark.skipif(os.name != "posix", reason="nobody can ask on Windows whether a process lives")
def test_what_a_killed_process_of_this_machine_left_is_removed_at_once(tmp_path):
    writes = f"""
import os, pathlib, signal
from spikewise.files import replace_file
with replace_file(pathlib.Path({str(tmp_path / "report.html")!r})) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", writes], check=False)
    (left,) = tmp_path.glob(".*.part")
    remove_if_left(left)
    remove_if_left(left)  # another was quicker
    assert not left.exists()


def test_a_temporary_file_of_another_machine_or_version_is_removed_once_it_is_old(tmp_path):
    for name in (".report.html.00000000-1-abc.part", ".report.html.1234.part"):
        left = tmp_path / name
        left.touch()
        remove_if_left(left)
        assert left.exists()
        os.utime(left, (0, time.time() - 7200))
        remove_if_left(left)
        assert not left.exists()


def test_a_name_as_long_as_a_file_system_takes_is_written(tmp_path):
    place = tmp_path / ("\u00e4" * 120 + "x" * 15)  # of 255 bytes
    write_text(place, "whole")
    assert place.read_text() == "whole"
    assert [one.name for one in tmp_path.iterdir()] == [place.name]
