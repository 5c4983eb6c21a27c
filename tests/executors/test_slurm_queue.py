"""What Slurm is asked and says: it is told before any work, while jobs wait, and when they end without a word."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import spikewise
from spikewise.errors import ConfigError, ExecutorError
from spikewise.executors import SlurmExecutor, Work, open_executor
from spikewise.executors import slurm as jobs_module
from spikewise.executors import slurm_queue as queue_module
from spikewise.executors import slurm_submit as submit_module
from spikewise.executors.executor import Attempt
from spikewise.executors.slurm_request import must_take
from spikewise.executors.work import BUSY, Beat, Ended, Known, Waits, Word
from waiting import in_time, wait_until

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'spikewise[slurm]'")

SBATCH = """import os, sys, re, pathlib, time
here = pathlib.Path(__file__).parent
if "--test-only" in sys.argv:
    said = (here / "refuses").read_text()
    sys.stderr.write(said)
    sys.exit(1 if said else 0)
if (here / "away").exists():
    sys.exit("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)")
(here / "pid").write_text(str(os.getpid()))
while (here / "waits").exists():
    time.sleep(0.02)
assert sys.stdin.read() == ""
text = pathlib.Path(sys.argv[1]).read_text()
most, taken = int((here / "most").read_text()), (here / "taken").read_text().split()
count = int(found[1]) + 1 if (found := re.search(r"--array=0-(\\d+)", text)) else 1
if (here / "nodes").exists():
    found = re.search("--exclude=.*", text)
    with (here / "excluded").open("a") as file:
        file.write((found[0] if found else "") + "\\n")
elif "--exclude" in text:
    sys.exit("sbatch: error: Batch job submission failed: Requested node configuration is not available")
if sum(map(int, taken)) + count > most:
    time.sleep(float((here / "refuses_after").read_text()))
    sys.exit("sbatch: error: QOSMaxSubmitJobPerUserLimit\\n"
             "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, ...)")
(here / "taken.new").write_text(" ".join([*taken, str(count)]))
(here / "taken.new").replace(here / "taken")
print(f"Submitted batch job {len(taken) + 1}")
"""
SAYS = """import sys, pathlib, time
here, name = pathlib.Path(__file__).parent, pathlib.Path(__file__).name
with (here / "asked").open("a") as file:
    file.write(" ".join([name, *sys.argv[1:]]) + "\\n")
if (here / "away").exists():
    time.sleep(float((here / "away").read_text() or 0))
    sys.exit(f"{name}: error: Unable to contact slurm controller (connect failure)")
said = here / f"{name}.says"
if said.exists():
    print(said.read_text(), end="")
elif name == "squeue":  # what was submitted runs
    for job, count in enumerate(map(int, (here / "taken").read_text().split()), 1):
        for number in [f"{job}_{i}" for i in range(count)] if count > 1 else [f"{job}"]:
            print(f"{number}|RUNNING|None|n1")
"""
AWAY = "Unable to contact slurm controller (connect failure)"
NODES = "main*|8|64000|gpu:a100:4|2:00:00\nlong|4|32000+|(null)|7-00:00:00\n"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """The commands of a Slurm; what they say and take stands in files beside them."""
    place = tmp_path / "bin"
    place.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SAYS, "squeue": SAYS, "scancel": SAYS, "sinfo": SAYS}.items():
        (place / name).write_text(f"#!{sys.executable}\n{text}")
        (place / name).chmod(0o755)
    for name, text in {"refuses": "", "most": "1000", "taken": "", "refuses_after": "0", "sinfo.says": NODES}.items():
        (place / name).write_text(text)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    for module, name, seconds in ((jobs_module, "_LATE", 0), (jobs_module, "_LOOK", 0), (queue_module, "_APART", 0)):
        monkeypatch.setattr(module, name, seconds)
    return place


@pytest.fixture
def attempts(tmp_path):
    def make(count, avoid=()):
        log = tmp_path / "logs" / "log.txt"
        works = [Work(f"w{i}", f"W{i}", "no:ne", tmp_path, f"{i}.json", ".lock", log, dict) for i in range(count)]
        return [Attempt(work, avoid, "token") for work in works]

    return make


@pytest.fixture
def opened(slurm, tmp_path):
    made = []

    def make(**settings):
        made.append(open_executor(SlurmExecutor(**settings), tmp_path / "place", tmp_path / "claims").executor)
        return made[-1]

    yield make
    for executor in made:
        executor.close()


def begun(executor, attempts):
    """Numbers of the jobs that they became; nothing else happens until all are in the queue."""
    executor.start(attempts)
    found = heard(executor, lambda found: len(found) == len(attempts))
    assert all(isinstance(event, Known) for event in found), found
    return [json.loads(event.handle)[0] for event in found]


def heard(executor, enough):
    """What happens until there is enough of it."""
    found = []

    def met():
        found.extend(executor.events())
        return enough(found)

    wait_until(met, lambda: found, pause=0.01)
    return found


REFUSED = "sbatch: error: invalid partition specified: gqu\nallocation failure: Invalid partition name specified\n"


@pytest.mark.parametrize("command", ["compare", "train", "tune", "sweep"])
@pytest.mark.parametrize("missing", [False, True])
def test_what_slurm_can_not_give_is_said_before_any_image_is_read(slurm, tmp_path, monkeypatch, command, missing):
    """Images of a large folder take minutes to read, and the cells of a large sweep to plan."""
    (slurm / "refuses").write_text(REFUSED)
    if missing:
        monkeypatch.setenv("PATH", str(tmp_path))
    for module in ("run", "tune", "sweep_folder"):
        monkeypatch.setattr(
            f"spikewise.experiments.{module}.load_data", lambda *a, **k: pytest.fail("images were read")
        )
    plan = tmp_path / "plan.toml"
    plan.write_text('[base]\ndata = { source = "digits" }\n[grid]\nmodel.recurrent = [false, true]\n')
    source = plan if command == "sweep" else "digits"
    with pytest.raises(ConfigError, match="login node" if missing else "invalid partition specified: gqu.*main.*long"):
        getattr(spikewise, command)(source, executor="slurm:gqu", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("settings", "refuses", "said"),
    [
        ({}, "", r"240 minutes.*120 at most.*minutes=120"),
        ({"partition": "long", "minutes": 20000}, "", "10080 at most"),
        ({"partition": "main,long"}, "", None),
        ({"minutes": 60}, "", None),
        ({"minutes": 60, "gpus": 8}, "Requested node configuration is not available", "4 GPUs"),
        ({"minutes": 60, "gpus": 4}, "Requested node configuration is not available", None),  # of nodes that are down
        ({"minutes": 60}, "Job violates accounting/QOS policy (job submit limit, ...)", None),  # it may wait
        ({"minutes": 60, "account": "lab"}, "Invalid account or account/partition combination", "--account=lab"),
        ({"minutes": 60, "options": {"foo": 1}}, "unrecognized option '--foo=1'", "--foo=1"),
    ],
)
def test_what_slurm_refuses_is_told_with_what_there_is(slurm, settings, refuses, said):
    (slurm / "refuses").write_text(refuses and f"allocation failure: {refuses}")
    if said is None:
        must_take(SlurmExecutor(**settings))
        return
    with pytest.raises(ConfigError, match=said):
        must_take(SlurmExecutor(**settings))


def test_a_controller_that_is_away_is_told(slurm):
    (slurm / "refuses").write_text(f"allocation failure: {AWAY}")
    with pytest.raises(ExecutorError, match=r"Slurm does not answer: Unable to contact.*scontrol ping"):
        must_take(SlurmExecutor())


def test_a_job_that_ended_without_a_word_is_found_by_squeue_alone(slurm, opened, attempts):
    """Many clusters have no accounting, and there `sacct` says nothing, ever."""
    executor = opened()
    begun(executor, attempts(3))
    (slurm / "squeue.says").write_text("1_0|RUNNING|None|n1\n1_1|NODE_FAIL|None|n2\n")
    ends = heard(executor, lambda found: len(found) == 2)
    assert {(end.name, end.again, end.node) for end in ends} == {("w1", True, "n2"), ("w2", True, "")}
    assert "NODE_FAIL" in {end.name: end.message for end in ends}["w1"]
    assert executor.places == 100


def test_jobs_that_will_never_run_end_the_command(slurm, opened, attempts):
    executor = opened()
    begun(executor, attempts(2))
    (slurm / "squeue.says").write_text("1_0|PENDING|PartitionTimeLimit|\n1_1|PENDING|PartitionTimeLimit|\n")
    with pytest.raises(ConfigError, match="never run them: PartitionTimeLimit"):
        heard(executor, bool)
    executor.close()
    assert f"scancel --name={executor._name}" in (slurm / "asked").read_text()


def test_why_jobs_wait_is_told_once(slurm, opened, attempts):
    executor = opened()
    begun(executor, attempts(3))
    rows = "1_0|RUNNING|None|n1\n1_1|PENDING|QOSMaxJobsPerUserLimit|\n1_2|PENDING|QOSMaxJobsPerUserLimit|\n"
    (slurm / "squeue.says").write_text(rows)
    (word,) = heard(executor, bool)
    assert word == Word("2 jobs wait in the queue of Slurm: QOSMaxJobsPerUserLimit.")
    asked = (slurm / "asked").read_text().count("squeue")
    while (slurm / "asked").read_text().count("squeue") < asked + 3:
        assert executor.events(0.01) == []


def test_a_job_that_went_back_into_the_queue_waits(slurm, opened, attempts):
    """Its time was up, or another came first: nothing is heard of it until it is its turn again."""
    executor = opened()
    begun(executor, attempts(1))
    lines = executor._jobs["w0"].lines
    lines.write_text('{"beat": {}, "node": "n1"}\n')
    (slurm / "squeue.says").write_text("1|PENDING|BeginTime|\n")
    found = heard(executor, lambda found: len(found) == 2)
    assert found == [Beat("w0", "n1", {}), Waits("w0")]
    asked = (slurm / "asked").read_text().count("squeue")
    while (slurm / "asked").read_text().count("squeue") < asked + 2:
        assert executor.events(0.01) == []


@pytest.mark.parametrize(("minutes", "seconds"), [(1, 15), (2, 30), (6, 90), (240, 90)])
def test_a_short_job_is_not_told_of_its_end_as_it_begins(slurm, opened, attempts, minutes, seconds):
    executor = opened(minutes=minutes)
    begun(executor, attempts(1))
    (script,) = executor._place.glob("*_submission.sh")
    assert f"@{seconds}\n" in script.read_text()


def test_a_controller_that_is_away_for_a_while_ends_nothing(slurm, opened, attempts):
    executor = opened()
    begun(executor, attempts(2))
    (slurm / "away").touch()
    (word,) = heard(executor, bool)
    assert AWAY in word.text
    (slurm / "squeue.says").write_text("1_0|RUNNING|None|n1\n1_1|RUNNING|None|n2\n")
    (slurm / "away").unlink()
    assert heard(executor, bool) == [Word("Slurm answers again.")]


def test_of_a_full_queue_as_much_is_used_as_there_is(slurm, opened, attempts):
    (slurm / "most").write_text("3")
    (slurm / "squeue.says").write_text("1_0|RUNNING|None|n1\n1_1|RUNNING|None|n1\n2|RUNNING|None|n1\n")
    executor = opened()
    executor.start(attempts(8))
    found = heard(executor, lambda found: len(found) == 9)
    ends = [event for event in found if isinstance(event, Ended)]
    assert [(end.name, end.code) for end in ends] == [(f"w{i}", BUSY) for i in range(3, 8)]
    (word,) = (event for event in found if isinstance(event, Word))
    assert "QOSMaxSubmitJobPerUserLimit" in word.text
    assert "3 are in the queue" in word.text
    assert executor.places == 3
    assert [event.name for event in found if isinstance(event, Known)] == ["w0", "w1", "w2"]


@pytest.mark.parametrize(("places", "taken"), [(0, ""), (3, "1 2"), (4, "1 2 1")])
def test_where_sbatch_waits_in_vain_it_is_said_and_the_first_places_are_taken_at_once(
    slurm, opened, attempts, monkeypatch, places, taken
):
    """It waits for two minutes each time: by halves of a hundred jobs one place is found after a quarter of an hour."""
    monkeypatch.setattr(submit_module, "_SLOW", 0.2)
    in_queue = ["1", "2_0", "2_1", "3"]
    (slurm / "squeue.says").write_text("".join(f"{number}|RUNNING|None|n1\n" for number in in_queue))
    (slurm / "most").write_text(str(places))
    (slurm / "refuses_after").write_text("0.4")
    executor = opened()
    executor.start(attempts(20))
    found = heard(executor, lambda found: sum(isinstance(event, Ended) for event in found) == 20 - places)
    first, *_ = found
    assert isinstance(first, Word)
    assert first.text.startswith("Slurm has not taken 20 jobs yet; sbatch tries again by itself")
    assert (slurm / "taken").read_text().split() == taken.split()
    assert [event.name for event in found if isinstance(event, Known)] == [f"w{i}" for i in range(places)]


def test_the_next_jobs_are_not_tried_as_a_whole_where_sbatch_has_waited_in_vain(slurm, opened, attempts, monkeypatch):
    monkeypatch.setattr(submit_module, "_SLOW", 0.2)
    monkeypatch.setattr(jobs_module, "_FULL", 0)
    in_queue = ["1", "2_0", "2_1", "3_0", "3_1", "3_2"]
    (slurm / "squeue.says").write_text("".join(f"{number}|RUNNING|None|n1\n" for number in in_queue))
    (slurm / "most").write_text("0")
    (slurm / "refuses_after").write_text("0.4")
    executor = opened()
    executor.start(attempts(6))
    heard(executor, lambda found: sum(isinstance(event, Ended) for event in found) == 6)
    (slurm / "most").write_text("6")
    begun(executor, attempts(6))
    assert (slurm / "taken").read_text() == "1 2 3"


def test_a_machine_that_is_to_be_avoided_is_taken_where_there_is_no_other(slurm, opened, attempts):
    executor = opened()
    assert begun(executor, attempts(1, avoid=("n1",))) == ["1"]
    assert (slurm / "taken").read_text() == "1"


def test_a_machine_that_failed_one_job_gets_others(slurm, opened, attempts):
    (slurm / "nodes").write_text("2")
    executor = opened()
    begun(executor, attempts(2, avoid=("n1",)))
    begun(executor, attempts(3))
    assert (slurm / "excluded").read_text().split("\n") == ["--exclude=n1", "", ""]


def test_jobs_are_listened_to_while_sbatch_waits(slurm, opened, attempts):
    """Where a cluster has as many jobs as it takes, `sbatch` tries again for two minutes before it says so."""
    executor = opened()
    first, *others = attempts(3)
    (slurm / "squeue.says").write_text("1|RUNNING|None|n1\n")
    begun(executor, [first])
    (slurm / "waits").touch()
    (slurm / "pid").unlink()
    executor.start(others)
    wait_until((slurm / "pid").exists)
    executor._jobs["w0"].lines.write_text('{"beat": {}, "node": "n1"}\n')
    assert heard(executor, bool) == [Beat("w0", "n1", {})]
    (slurm / "waits").unlink()
    (slurm / "squeue.says").write_text("1|RUNNING|None|n1\n2_0|RUNNING|None|n1\n2_1|RUNNING|None|n1\n")
    assert [event.name for event in heard(executor, lambda found: len(found) == 2)] == ["w1", "w2"]


def test_a_command_that_ends_takes_sbatch_with_it(slurm, opened, attempts):
    (slurm / "waits").touch()
    executor = opened()
    executor.start(attempts(2))
    wait_until(lambda: (slurm / "pid").exists() and (slurm / "pid").read_text())
    assert in_time(executor.close) == ""  # it would wait for ever
    assert f"scancel --name={executor._name}" in (slurm / "asked").read_text()
    wait_until(lambda: not is_alive(int((slurm / "pid").read_text())))
    assert (slurm / "taken").read_text() == ""


def test_a_submitting_process_that_dies_ends_the_command_in_words(slurm, opened, attempts):
    (slurm / "waits").touch()
    executor = opened()
    executor.start(attempts(2))
    wait_until((slurm / "pid").exists)
    os.kill(executor._submitter._process.pid, signal.SIGKILL)
    with pytest.raises(ExecutorError, match=r"ended with code -9.*the same command goes on"):
        heard(executor, bool)
    (slurm / "waits").unlink()


def test_jobs_of_a_command_that_died_before_it_knew_of_them_are_taken_back(slurm, opened, attempts):
    (slurm / "waits").touch()
    executor = opened()
    executor.start(attempts(2))
    wait_until((slurm / "pid").exists)
    executor._submitter._process._answers.close()  # as it is when the process that reads them is gone
    (slurm / "waits").unlink()
    wait_until(lambda: (slurm / "asked").exists() and "scancel 1_0 1_1" in (slurm / "asked").read_text())


def is_alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_what_may_stay_in_the_queue_is_told(slurm, opened, attempts):
    executor = opened()
    assert executor.close() == ""
    begun(executor, attempts(2))
    (slurm / "away").touch()
    stays = executor.close()
    assert stays.startswith(f"2 jobs may stay in the queue of Slurm: {AWAY}")
    assert f"`scancel --name={executor._name}`" in stays


def test_a_controller_that_is_away_does_not_keep_a_command_that_has_nothing_there(slurm, opened, attempts):
    """Each command of Slurm tries for ten seconds and more to reach it."""
    (slurm / "away").write_text("3600")
    executor = opened()
    executor.start(attempts(2))
    heard(executor, lambda found: sum(isinstance(event, Ended) for event in found) == 2)
    assert in_time(executor.close) == ""  # it would wait for an hour


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("sbatch") is None or subprocess.run(["sinfo"], capture_output=True, check=False).returncode != 0,
    reason="there is no Slurm here: sbatch is missing, or its controller does not answer",
)
def test_a_real_slurm_gives_what_this_machine_gives(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[base]\ndata = { source = "digits" }\nsplit = { limit = 100 }\nencoder = { kind = "direct", steps = 2 }\n'
        "[set]\ntrain.epochs = 2\ntrain.learning_rate = 0.001\nmodel.hidden = [8]\nseeds = 1\n"
        "[grid]\nmodel.recurrent = [false, true]\n"
    )
    there = spikewise.sweep(plan, executor={"kind": "slurm", "minutes": 10}, out=tmp_path / "there")
    here = spikewise.sweep(plan, jobs=1, out=tmp_path / "here")
    for rows in (there.rows, here.rows):
        assert [row["status"] for row in rows] == ["done", "done"]
    same = [{key: value for key, value in row.items() if "seconds" not in key} for row in there.rows]
    assert same == [{key: value for key, value in row.items() if "seconds" not in key} for row in here.rows]
