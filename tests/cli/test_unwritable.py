"""A place that cannot be written is refused before the work whose outcome belongs there."""

import errno
import os
import tempfile

import pytest

from spikewise import api
from spikewise.api import sections
from spikewise.errors import StorageError
from spikewise.report import rendering

WORDS = "A file stands where a folder is needed: choose another with --out."


@pytest.mark.parametrize(
    ("arguments", "work"),
    [
        (("predict", "RUN", "IMAGE", "--out", "file/answers.csv"), "Answered by"),
        (("export", "RUN", "--to", "html", "--out", "file/page"), "checking"),
        (("explain", "RUN", "IMAGE", "--out", "file/maps"), None),
        (("trace", "RUN", "--out", "file/trace"), None),
        (("figures", "RUN", "--out", "file/figures"), None),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_place_that_cannot_be_is_refused_before_the_work(run, image, command, tmp_path, arguments, work):
    (tmp_path / "file").write_text("no folder")
    given = [{"RUN": run.folder, "IMAGE": image}.get(one, one) for one in arguments]
    done = command(*given)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: Cannot write file")
    assert done.stderr.endswith(f"{WORDS}\n")
    assert work is None or work not in done.stderr


@pytest.mark.parametrize("look", [api.calibrate, api.anytime, api.diagnose])
def test_a_run_that_cannot_be_written_is_refused_before_it_is_looked_into(run, monkeypatch, look):
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def work(*_: object, **__: object) -> None:
        raise AssertionError("worked for nothing")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(sections, "study", work)
    with pytest.raises(StorageError, match="The folder is not writable: make it so, or take a copy that is"):
        look(run.folder, again=True)


def test_a_page_that_cannot_be_written_is_refused_before_it_is_drawn(call, run, monkeypatch):
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def draw(*_: object, **__: object) -> None:
        raise AssertionError("drew for nothing")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(rendering, "drawn", draw)
    code, _, said = call("report", run.folder)
    assert code == 2
    assert said.endswith("The folder is not writable: make it so, or take a copy that is.\n")


def test_a_folder_that_the_command_is_about_is_not_moved_by_another_out(call, tmp_path, monkeypatch):
    plan = '[base]\ndata = { source = "digits" }\nsplit = { limit = 100 }\n[set]\ntrain.epochs = 1\n'
    (tmp_path / "plan.toml").write_text(f"{plan}[grid]\nmodel.hidden = [[4], [8]]\n")
    code, _, said = call("sweep", "plan.toml", "--table-only", "--quiet")
    assert (code, said) == (0, "")
    (folder,) = (tmp_path / "runs").glob("sweep-*")

    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    code, _, said = call("sweep", folder, "--table-only")
    assert code == 2
    assert said.endswith("The folder is not writable: make it so, or take a copy that is.\n")
    code, _, said = call("sweep", "plan.toml", "--table-only")
    assert code == 2
    assert "choose another with --out" in said


def test_what_is_written_below_a_run_can_go_elsewhere_by_out(call, run, monkeypatch):
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    code, _, said = call("export", run.folder, "--to", "html")
    assert code == 2
    assert "choose another with --out" in said
