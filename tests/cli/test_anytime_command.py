"""`spikewise anytime` shows the run's section, and makes nothing anew."""

import json

from spikewise.evaluation import Results


def test_the_command_prints_a_table_and_the_early_exit(command, run):
    before = (run.folder / "results.json").read_bytes()
    done = command("anytime", run.folder)
    assert done.returncode == 0, done.stderr
    assert (run.folder / "results.json").read_bytes() == before
    lines = done.stdout.splitlines()
    assert lines[0] == "snn"
    assert [line.split()[0] for line in lines[2:6]] == ["1", "2", "3", "4"]
    assert "Allowed to give up 0.5 points on the validation images, snn" in done.stdout


def test_json_is_what_the_results_hold(command, run):
    done = command("anytime", run.folder, "--json")
    stored = Results.load(run.folder / "results.json").sections.anytime
    assert json.loads(done.stdout) == stored.model_dump(mode="json")


def test_a_folder_that_is_no_run_is_refused(command, tmp_path):
    done = command("anytime", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not a run folder" in done.stderr
