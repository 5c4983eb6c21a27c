"""The event file holds each epoch once, whatever moment a training is killed in."""

import json
import time
from types import SimpleNamespace

import pytest

from spikewise.errors import RunError, StorageError
from spikewise.evaluation import EpochRecord
from spikewise.training import fit
from spikewise.training.checkpoint import Checkpoint
from spikewise.training.event_file import EVENTS, EventFile, dated
from spikewise.training.loop import CHECKPOINT, FIT, Session, result_so_far

CLOCKS = {"seconds", "images_per_second", "time"}


class KilledError(Exception):
    """Stands in for a process that dies."""


def without_clocks(records):
    return [record.model_dump(exclude=CLOCKS) for record in records]


def record(epoch: int) -> EpochRecord:
    return EpochRecord(
        epoch=epoch, train_loss=1.0 / epoch, train_accuracy=0.5, validation_loss=None, validation_accuracy=0.25,
        learning_rate=1e-3, seconds=2.0, images_per_second=9.5, spike_rates={"lif1": 0.1},
    )  # fmt: skip


def test_it_gives_back_what_it_was_given(tmp_path):
    events = dated([record(epoch) for epoch in (1, 2, 3)], 1000.0)
    assert [event.time for event in events] == [996.0, 998.0, 1000.0]
    EventFile(tmp_path).append(events[:2])
    EventFile(tmp_path).append(events)
    assert EventFile(tmp_path).read() == events
    lines = (tmp_path / EVENTS).read_text().splitlines()
    assert [json.loads(line)["train_loss"] for line in lines] == [1.0, 0.5, 1 / 3]


@pytest.mark.parametrize("cut", [1, 40, -1])
def test_a_torn_last_line_is_dropped_and_written_again(cut, tmp_path):
    events = dated([record(1), record(2)], 9.0)
    file, path = EventFile(tmp_path), tmp_path / EVENTS
    file.append(events[:1])
    whole = path.read_bytes()
    file.append(events[1:])
    both = path.read_bytes()
    path.write_bytes(whole + both[len(whole) :][:cut])
    assert EventFile(tmp_path).read() == events[:1]
    EventFile(tmp_path).append(events)
    assert path.read_bytes() == both


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [lines[0].replace(b'"seconds": 2.0', b'"seconds": 3.0'), *lines[1:]], "line 1: its checksum"),
        (lambda lines: [lines[0], b"\0" * 80 + b"\n", lines[2]], "line 2: its checksum"),
        (lambda lines: [b"\xff\xfe\n", *lines[1:]], "line 1"),
        (lambda lines: lines[1:], "line 1 has epoch 2"),
        (lambda lines: [*lines, lines[-1]], "line 4 has epoch 3"),
    ],
)
def test_a_damaged_line_is_named(change, said, tmp_path):
    EventFile(tmp_path).append(dated([record(epoch) for epoch in (1, 2, 3)], 9.0))
    path = tmp_path / EVENTS
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(RunError, match=said):
        EventFile(tmp_path).read()


def test_it_refuses_a_gap(tmp_path):
    with pytest.raises(RunError, match="epoch 1 is not in it"):
        EventFile(tmp_path).append(dated([record(2)], 9.0))


@pytest.mark.parametrize("moment", ["before the checkpoint", "before the line", "in the line", "after the line"])
def test_killed_at_any_moment_of_an_epochs_end_each_epoch_is_there_once(
    moment, make_network, make_task, tmp_path, monkeypatch
):
    task, killed = make_task(epochs=4), tmp_path / "killed"
    whole = fit(make_network(), task, tmp_path / "whole")
    save, append = Checkpoint.save, EventFile.append

    def dying_save(self, path):
        if moment == "before the checkpoint" and self.notes["result"]["history"][-1]["epoch"] == 3:
            raise KilledError
        save(self, path)

    def dying_append(self, events):
        if events[-1].epoch == 3 and moment != "before the line":
            append(self, events)
        if events[-1].epoch == 3 and moment == "in the line":
            self.path.write_bytes(self.path.read_bytes()[:-30])
        if events[-1].epoch == 3:
            raise KilledError
        append(self, events)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", dying_save)
        patch.setattr(EventFile, "append", dying_append)
        with pytest.raises(KilledError):
            fit(make_network(), task, killed)
    written = (killed / EVENTS).read_bytes()
    kept = written[: written.rfind(b"\n") + 1]
    again = fit(make_network(seed=5), task, killed)
    assert without_clocks(again.history) == without_clocks(whole.history)
    assert [event.record for event in EventFile(killed).read()] == again.history
    assert (killed / EVENTS).read_bytes().startswith(kept)  # nothing that was there is written otherwise


def test_a_checkpoint_of_before_goes_on_and_its_epochs_are_written_down(make_network, make_task, tmp_path):
    task = make_task(epochs=4)
    whole = fit(make_network(), task, tmp_path / "whole")
    older = tmp_path / "older"
    fit(make_network(), make_task(epochs=2, schedule={"kind": "constant"}), older)
    session = Session(make_network(), make_task(epochs=4, schedule={"kind": "constant"}), older)
    session.resume()
    notes = {"best": session.best, "result": session.result.notes()}  # all epochs, as they were kept then
    assert len(notes["result"]["history"]) == 2
    Checkpoint.of(session.network, session.learner.average, session.learner.optimizer, notes).save(older / CHECKPOINT)
    (older / EVENTS).unlink()
    again = fit(make_network(seed=5), make_task(epochs=4, schedule={"kind": "constant"}), older)
    assert [event.epoch for event in EventFile(older).read()] == [1, 2, 3, 4]
    assert len(again.history) == len(whole.history)
    assert [event.record for event in EventFile(older).read()] == again.history


def test_what_a_training_left_is_not_taken_for_another(make_network, make_task, tmp_path):
    fit(make_network(), make_task(epochs=3), tmp_path)
    (tmp_path / CHECKPOINT).unlink()
    fit(make_network(), make_task(epochs=2), tmp_path)
    assert [event.epoch for event in EventFile(tmp_path).read()] == [1, 2]


def test_a_checkpoint_without_the_epochs_before_says_so(make_network, make_task, tmp_path):
    fit(make_network(), make_task(epochs=2), tmp_path)
    (tmp_path / EVENTS).unlink()
    assert not (tmp_path / FIT).exists()
    with pytest.raises(RunError, match=r"events\.jsonl is damaged \(it lacks epochs before 2\)"):
        result_so_far(tmp_path)


def test_a_full_disk_is_said_and_the_line_comes_with_the_next_process(make_network, make_task, tmp_path, monkeypatch):
    task = make_task(epochs=3)

    def full(fd):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("spikewise.training.event_file.os", SimpleNamespace(fsync=full))
        with pytest.raises(StorageError, match=r"events\.jsonl: No space left"):
            fit(make_network(), task, tmp_path)
    before = time.time()
    fit(make_network(), task, tmp_path)
    assert [event.epoch for event in EventFile(tmp_path).read()] == [1, 2, 3]
    assert EventFile(tmp_path).read()[0].time <= before
