"""Whatever stands where a file of a run should be: it is named, with what to do, and nothing waits for ever."""

import json
import os

import numpy as np
import pytest

from spikewise.errors import RunError
from spikewise.evaluation.record import Count, Record
from spikewise.evaluation.stored import read_answers, read_arrays
from spikewise.experiments import RunFolder
from spikewise.reading import read_json, read_record
from spikewise.report.artifacts import Artifacts
from spikewise.training.checkpoint import load_weights


class Notes(Record):
    epoch: Count


READERS = {
    "json": read_json,
    "arrays": read_arrays,
    "artifacts": Artifacts.load,
    "weights": load_weights,
    "record": lambda path: read_record(path, Notes),
}


def place(path, what):
    match what:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path.name)
        case "empty":
            path.touch()
        case "bytes":
            path.write_bytes(bytes(range(256)))
        case "deep":
            path.write_text('{"a":' * 100_000)
        case "number":
            path.write_text('{"epoch": ' + "9" * 5000 + "}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("what", ["nothing", "folder", "pipe", "device", "loop", "empty", "bytes", "deep", "number"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_sound_file_is_named(tmp_path, reader, what):
    path = tmp_path / "file"
    place(path, what)
    with pytest.raises(RunError, match=str(path)):
        READERS[reader](path)


@pytest.mark.parametrize("content", [[], None, 3, {}, {"epoch": -1}, {"epoch": "1"}, {"epoch": 1, "more": 2}])
def test_a_record_of_another_form_is_named(tmp_path, content):
    (tmp_path / "n.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"n\.json is damaged .* Remove it and run again"):
        read_record(tmp_path / "n.json", Notes)


def sound():
    return {"index": np.arange(3), "labels": np.array([0, 1, 1]), "logits": np.zeros((3, 2), np.float32)}


@pytest.mark.parametrize(
    "change",
    [
        {"labels": None},
        {"labels": np.array([0, 1])},
        {"labels": np.array([0, 1, 2])},
        {"labels": np.array([0, -1, 1])},
        {"labels": np.zeros((3, 1), int)},
        {"labels": np.array(["a", "b", "c"])},
        {"logits": np.full((3, 2), np.nan, np.float32)},
        {"logits": np.zeros((3, 2), int)},
        {"logits": np.zeros((3, 1), np.float32)},
        {"logits": np.zeros((3, 3), np.float32)},
        {"index": np.array([0.0, 1.0, 2.0])},
        {"index": np.array([-1, 0, 1])},
        {"index": np.arange(0), "labels": np.arange(0), "logits": np.zeros((0, 2), np.float32)},
    ],
)
def test_answers_that_cannot_be_those_of_a_network_are_named(tmp_path, change):
    path = tmp_path / "test.npz"
    np.savez(path, **sound())
    assert read_answers(path, 2)[2].shape == (3, 2)
    np.savez(path, **{key: value for key, value in {**sound(), **change}.items() if value is not None})
    with pytest.raises(RunError, match=r"test\.npz is damaged"):
        read_answers(path, 2)


@pytest.mark.parametrize("content", [{}, [1], [{"network": 1, "seed": 0, "why": ""}], "text"])
def test_damaged_openings_are_named(tmp_path, content):
    (tmp_path / "openings.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"openings\.json is damaged"):
        RunFolder(tmp_path).openings()


@pytest.mark.parametrize("change", [{"kind": 3}, {"experiment": "x"}, {"identity": None}, {"fingerprint": []}])
def test_facts_of_another_type_are_named(tmp_path, change):
    facts = {"format": 1, "kind": "train", "identity": "a", "fingerprint": "b", "experiment": {}}
    (tmp_path / "run.json").write_text(json.dumps({**facts, **change}))
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        RunFolder(tmp_path).experiment()


def test_a_file_for_which_no_memory_is_left_is_not_called_damaged(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise RuntimeError("unable to mmap 8 bytes from file <weights>: Cannot allocate memory (12)")

    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"whole")
    monkeypatch.setattr("spikewise.training.checkpoint.safetensors.safe_open", refused)
    with pytest.raises(RunError, match=r"no memory left to read .*weights\.safetensors, which stays as it is"):
        load_weights(path)
