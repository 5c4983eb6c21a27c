"""`spikewise anytime` shows the run's section, and makes nothing anew."""

import json
import shutil

from spikewise.evaluation import Results
from spikewise.report import render


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


def test_figures_of_fewer_seeds_or_networks_say_so_on_the_terminal_and_the_page(command, run, tmp_path):
    copy = shutil.copytree(run.folder, tmp_path / "copy")
    results = Results.load(copy / "results.json")
    less = {"calibration": "1 of 2 seeds; without twin, not better than guessing", "anytime": "1 of 2 seeds"}
    short = results.model_copy(update={"sections": results.sections.model_copy(update={"less": less})})
    short.save(copy / "results.json")
    page, whole = render(short), render(results)
    for name, words in (("calibrate", less["calibration"]), ("anytime", less["anytime"])):
        told = f"Less than usual: {words}."
        assert f"{told} --again makes it whole." in " ".join(command(name, copy).stdout.split())
        assert told in page
        assert "Less than usual" not in command(name, run.folder).stdout
    assert "Less than usual" not in whole


def test_an_answer_that_the_section_changes_is_said(command, run, tmp_path):
    copy = shutil.copytree(run.folder, tmp_path / "copy")
    results = Results.load(copy / "results.json")
    verdict = results.verdict.model_copy(update={"headline": "No: an answer without these figures."})
    results.model_copy(update={"verdict": verdict}).save(copy / "results.json")
    for more in ((), ("--again",)):
        done = command("anytime", copy, *more)
        assert done.returncode == 0, done.stderr
        told = " ".join(done.stdout.split())
        now = Results.load(copy / "results.json").verdict.headline
        assert (f"the answer of the run is: {now} It was: {verdict.headline}" in told) == bool(more)
    assert "It was:" not in command("anytime", copy, "--again").stdout
