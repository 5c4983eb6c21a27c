"""What becomes of work, with an executor that does as it is told: nothing is lost, nothing is done twice."""

import json
import os
import socket
import time

import pytest
from filelock import FileLock

from spikewise.executors import RetryRules, Spoken, Tally, Work, run_all
from spikewise.executors.work import BUSY, Beat, Ended, Known, Waits, Word


class Watched:
    """Remembers what it was told."""

    def __init__(self):
        self.lines, self.over = [], []

    def said(self, text):
        self.lines.append(text)

    def more(self, count):
        pass

    def queued(self, name, label):
        pass

    def beat(self, name, label, node, said):
        pass

    def waits(self, name):
        pass

    def ended(self, name, label, seconds, error):
        self.over.append((name, error))


class Scripted:
    """Each attempt ends as the script says: True leaves the result, an `Ended` does not."""

    def __init__(self, script, places=2, adopts=()):
        self.script, self.places, self.adopts = {name: list(ends) for name, ends in script.items()}, places, adopts
        self.stays = None
        self.started, self.ready, self.cancelled, self.most, self.closed = [], [], [], 0, False
        self.told = []

    def start(self, attempts):
        for attempt in attempts:
            self.started.append((attempt.work.name, attempt.avoid))
            attempt.work.order()
            self.ready.append(attempt.work)
            self.told.append(Known(attempt.work.name, f"job of {attempt.work.name}"))
        self.most = max(self.most, len(self.ready))

    def events(self, wait=0.0):
        told, self.told = self.told, []
        return told or self.step()

    def step(self):
        work = self.ready.pop(0) if self.ready else None
        if work is None:
            return []
        end = self.script.get(work.name, [True])
        step = end.pop(0) if len(end) > 1 else end[0]
        if step == "silent":
            self.ready += [work] * (len(end) > 1 and isinstance(end[0], Waits))
            return [Beat(work.name, "n1", {})]
        if step == "later":
            time.sleep(0.5)
            self.ready.append(work)
            return []
        if isinstance(step, KeyboardInterrupt):
            raise step
        if isinstance(step, Word | Waits):
            self.ready.append(work)
            return [step]
        if step is True:
            (work.folder / work.done).write_text("{}")
            return [Ended(work.name, 0)]
        return [step]

    def cancel(self, name):
        self.cancelled.append(name)

    def adopt(self, attempt, handle):
        if attempt.work.name in self.adopts:
            self.ready.append(attempt.work)
            return True
        return False

    def close(self):
        self.closed = True
        return self.stays


@pytest.fixture
def work_of(tmp_path):
    def make(name, arguments=dict):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return Work(name, name.upper(), "none:none", folder, "done.json", ".lock", tmp_path / "logs" / name, arguments)

    return make


@pytest.fixture
def drive(tmp_path):
    def run(works, executor, **options):
        watched, outcomes = Watched(), []
        run_all(works, executor, watched, claims=tmp_path / "claims", ended=outcomes.append, **options)
        assert executor.closed
        assert not list((tmp_path / "claims").glob("*"))
        return {outcome.work.name: outcome for outcome in outcomes}, watched

    return run


def dead(name, node="n1"):
    return Ended(name, -9, "", node, again=True)


def test_all_work_is_done_and_only_so_much_at_once(work_of, drive):
    made = []
    works = [work_of(f"w{i}", lambda i=i: made.append(i) or {}) for i in range(9)]
    executor = Scripted({})
    found, _ = drive(iter(works), executor)
    assert all(outcome.error is None for outcome in found.values())
    assert len(found) == 9
    assert executor.most == 2
    assert sorted(made) == list(range(9))


def test_finished_work_is_left_alone(work_of, drive):
    work = work_of("a")
    (work.folder / "done.json").write_text("{}")
    executor = Scripted({})
    found, _ = drive([work], executor)
    assert (executor.started, found["a"].error) == ([], None)


def test_a_machine_that_died_is_avoided_and_the_work_begun_again(work_of, drive):
    executor = Scripted({"a": [dead("a"), dead("a", "n2"), True]})
    found, watched = drive([work_of("a")], executor, rules=RetryRules(retries=2))
    assert executor.started == [("a", ()), ("a", ("n1",)), ("a", ("n1", "n2"))]
    assert found["a"].error is None
    assert [("n1" in line, "n2" in line) for line in watched.lines] == [(True, False), (False, True)]


def test_retries_end_and_the_failure_is_told_once(work_of, drive):
    executor = Scripted({"a": [dead("a")], "b": [True]})
    found, watched = drive([work_of("a"), work_of("b")], executor, rules=RetryRules(retries=2))
    assert [name for name, _ in executor.started].count("a") == 3
    assert "signal 9" in found["a"].error
    assert (found["a"].code, found["b"].error) == (-9, None)
    assert sorted(name for name, _ in watched.over) == ["a", "b"]


def test_a_mistake_in_the_settings_is_the_same_on_every_machine(work_of, drive):
    executor = Scripted({"a": [Ended("a", 2, "no such layer", "n1", again=False)]})
    found, _ = drive([work_of("a")], executor, rules=RetryRules(retries=5))
    assert (len(executor.started), found["a"].error) == (1, "no such layer")


def test_work_that_another_process_has_is_waited_for(work_of, drive, monkeypatch):
    monkeypatch.setattr("spikewise.executors.drive._LATER", 0.05)
    work = work_of("a")
    lock = FileLock(work.folder / ".lock")
    lock.acquire()

    def free():
        lock.release()
        return {}

    executor = Scripted({"a": [Ended("a", BUSY, "", again=True), True]})
    found, _ = drive([work, work_of("b", free)], executor)
    assert [name for name, _ in executor.started] == ["b", "a", "a"]
    assert found["a"].error is None


def test_a_silent_machine_is_given_up(work_of, drive):
    executor = Scripted({"a": ["silent", True]})
    found, watched = drive([work_of("a")], executor, rules=RetryRules(retries=1, patience=0.2))
    assert executor.cancelled == ["a"]
    assert executor.started == [("a", ()), ("a", ("n1",))]
    assert found["a"].error is None
    assert "no sign of life" in watched.lines[0]


def test_work_that_waits_in_a_queue_again_is_not_given_up(work_of, drive):
    """A job whose time was up, or that was preempted, may wait for hours until it goes on."""
    executor = Scripted({"a": ["silent", Waits("a"), "later", True]})
    found, watched = drive([work_of("a")], executor, rules=RetryRules(retries=0, patience=0.2))
    assert executor.cancelled == []
    assert found["a"].error is None
    assert watched.lines == []


def left_by_a_dead_process(tmp_path, name):
    (tmp_path / "claims").mkdir()
    claim = {"host": socket.gethostname(), "pid": os.getpid(), "begun": "0", "token": "t", "handle": f"job of {name}"}
    (tmp_path / "claims" / f"{name}.json").write_text(json.dumps(claim))


def test_what_a_dead_process_left_in_a_queue_is_taken_over_not_begun_again(work_of, drive, tmp_path):
    left_by_a_dead_process(tmp_path, "a")
    executor = Scripted({}, adopts=("a",))
    found, _ = drive([work_of("a"), work_of("b")], executor)
    assert executor.started == [("b", ())]
    assert found["a"].error is None


def test_what_is_gone_from_the_queue_is_begun_again(work_of, drive, tmp_path):
    left_by_a_dead_process(tmp_path, "a")
    executor = Scripted({})
    drive([work_of("a")], executor)
    assert executor.started == [("a", ())]


def test_an_end_may_bring_more_work(work_of, tmp_path):
    names = []

    def then(outcome):
        names.append(outcome.work.name)
        return [work_of("b")] if outcome.work.name == "a" else []

    run_all([work_of("a")], Scripted({}), Watched(), claims=tmp_path / "claims", ended=then)
    assert names == ["a", "b"]


def test_what_an_executor_has_to_say_is_told_and_so_is_what_stays_behind(work_of, drive):
    executor = Scripted({"a": [Word("The queue is long."), True]})
    executor.stays = "One job stays."
    found, watched = drive([work_of("a")], executor)
    assert found["a"].error is None
    assert watched.lines == ["The queue is long.", "One job stays."]


def test_work_that_could_not_be_taken_back_is_taken_over_by_the_next(work_of, tmp_path):
    """Ctrl-C while the controller of a queue is away."""
    first = Scripted({"a": [KeyboardInterrupt()]})
    first.stays = "One job stays."
    with pytest.raises(KeyboardInterrupt):
        run_all([work_of("a")], first, Watched(), claims=tmp_path / "claims", ended=lambda outcome: None)
    claim = json.loads((tmp_path / "claims" / "a.json").read_text())
    assert claim["handle"] == "job of a"
    (tmp_path / "claims" / "a.json").write_text(json.dumps({**claim, "begun": "0"}))  # of a process that is gone
    second = Scripted({}, adopts=("a",))
    run_all([work_of("a")], second, Watched(), claims=tmp_path / "claims", ended=lambda outcome: None)
    assert second.started == []


def test_what_another_process_finished_is_said_to_be(work_of, tmp_path):
    work, lines = work_of("a"), []
    (work.folder / work.done).write_text("{}")
    spoken = Spoken(Tally(1, 0, 1), lines.append)
    run_all([work], Scripted({}), spoken, claims=tmp_path / "claims", ended=lambda outcome: None)
    assert lines[1:] == ["[1/1] A: done by another process; all done"]
