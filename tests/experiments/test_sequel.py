"""The answer comes first; sections follow within a budget, each kept as it is made, and say what they used."""

import os
import shutil
import signal

import pytest
from typer.testing import CliRunner

from spikewise.api.sections import study
from spikewise.cli.main import app
from spikewise.evaluation import Results
from spikewise.evaluation.sections import SECTION_NAMES
from spikewise.experiments import Experiment, RunFolder, run_experiment
from spikewise.experiments.sections import automatic, keep_section
from spikewise.experiments.sections.automatic import Sequel
from spikewise.experiments.sections.budget import LEAST, SHARE, Budget
from spikewise.training import Silent

BOTH = ("calibration", "yardsticks")


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Watch(Silent):
    """Remembers what was said, and what stood in the run folder when a stage began."""

    def __init__(self, runs):
        self.runs, self.words, self.stages = runs, [], []

    def said(self, text):
        self.words.append(text)

    def stage(self, what, seconds=None, *, after=0.0):
        files = {path.name for path in self.runs.glob("*/*")}
        self.stages.append((what, seconds, after, files))


def sections_of(folder):
    return Results.load(folder / "results.json").sections


class NamedSections:
    """A report that is written at once, and names the sections that it shows; drawing the real one takes seconds."""

    def __init__(self, folder):
        self.folder = folder

    def write(self):
        there = sections_of(self.folder)
        shown = [name for name in SECTION_NAMES if getattr(there, name) is not None]
        (self.folder / "report.html").write_text(" ".join(shown))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, set_writer):
    """A run folder with an answer and no section yet, and what its listener saw."""
    root = tmp_path_factory.mktemp("trained")
    experiment = Experiment(
        data={"source": str(set_writer(root / "columns.npz"))},
        encoder={"kind": "direct", "steps": 2},
        model={"kind": "mlp", "hidden": [8]},
        train={"epochs": 15, "batch_size": 16, "learning_rate": 0.03},
        seeds=(0, 1),
        sides=("snn", "twin"),
        sections=(),
        device="cpu",
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("spikewise.report.Report", NamedSections)
        watch = Watch(root)
        return run_experiment(experiment, out=root, listener=watch).folder, watch


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("spikewise.report.Report", NamedSections)
    return shutil.copytree(trained[0], tmp_path / trained[0].name)


@pytest.fixture
def sequel(folder):
    """Makes what follows the answer."""

    def make(*names, watch=None, **options):
        Sequel(study(RunFolder.open(folder)), watch or Silent(), **options).make(names)
        return sections_of(folder)

    return make


def test_a_budget_is_a_quarter_of_the_training_and_something_for_short_ones():
    clock = Clock()
    budget = Budget(400.0, spent=20.0, clock=clock)
    assert budget.left == SHARE * 400 - 20
    assert budget.share(30.0, last=False) == 1  # less than half of what is left
    assert budget.share(70.0, last=False) == 0.5
    assert budget.share(70.0, last=True) == 1
    clock.now = 60.0
    assert budget.left == 20
    assert budget.share(70.0, last=False) == 0.125
    assert budget.share(1000.0, last=True) is None
    budget.pause(15.0)  # of them were the report's
    assert budget.left == 35
    clock.now = 1000.0
    assert (budget.left, budget.share(0.1, last=True)) == (0.0, None)
    assert Budget(1.0, clock=clock).left == LEAST
    assert Budget(1.0, unlimited=True, clock=clock).share(1e9, last=False) == 1


def test_the_answer_is_said_before_sections_follow(tmp_path, set_writer):
    experiment = Experiment(
        data={"source": str(set_writer(tmp_path / "columns.npz"))},
        encoder={"kind": "direct", "steps": 2},
        model={"kind": "mlp", "hidden": [4]},
        train={"epochs": 1, "learning_rate": 0.03},
        seeds=(0,),
        sides=("snn",),
        sections=("yardsticks",),
        device="cpu",
    )
    watch = Watch(tmp_path / "runs")
    done = run_experiment(experiment, out=tmp_path / "runs", listener=watch)
    assert done.results.sections.yardsticks is not None
    said = next(word for word in watch.words if word.startswith("So far: "))
    assert watch.words.index(said) < next(at for at, word in enumerate(watch.words) if word.startswith("Sections foll"))


def test_without_sections_the_answer_is_left_to_whoever_asked(trained):
    folder, watch = trained
    assert not any(Results.load(folder / "results.json").verdict.headline in word for word in watch.words)
    assert (folder / "report.html").exists()
    assert [one[0] for one in watch.stages] == ["Testing and comparing", "Writing the report"]


def test_report_and_answer_are_there_before_the_first_section_and_show_the_last(folder, sequel):
    watch = Watch(folder.parent)
    made = sequel(*BOTH, watch=watch, clock=Clock())
    (first, seconds, after, files), (second, *_) = watch.stages
    assert (first, second) == ("yardsticks", "calibration")  # what may change the answer first
    assert {"report.html", "results.json"} <= files
    assert seconds > 0
    assert after > 0  # another one follows
    assert (folder / "report.html").read_text() == "yardsticks calibration"
    assert set(made.seconds) == set(BOTH)
    assert "Ctrl-C keeps what is there" in watch.words[0]


def test_ctrl_c_in_a_section_keeps_the_answer_and_says_what_is_missing(folder, sequel, monkeypatch, request):
    def interrupted(*args, **options):
        if args[1] == "calibration":
            os.kill(os.getpid(), signal.SIGINT)
        return keep_section(*args, **options)

    monkeypatch.setattr(automatic, "keep_section", interrupted)
    before_tests = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before_tests))
    with pytest.raises(KeyboardInterrupt, match=r"section calibration\..*report\.html") as stopped:
        sequel(*BOTH)
    assert "goes on where this one stopped" in str(stopped.value)
    before = sections_of(folder)
    assert before.calibration is None
    assert (folder / "report.html").read_text() == "yardsticks"
    monkeypatch.setattr(automatic, "keep_section", keep_section)
    after = sequel(*BOTH)
    assert after.yardsticks == before.yardsticks
    assert after.calibration is not None
    assert (folder / "report.html").read_text() == "yardsticks calibration"


def test_the_command_line_passes_on_what_an_interrupted_run_says(monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt("The answer stands.")

    monkeypatch.setattr("spikewise.api.share", stop)
    result = CliRunner().invoke(app, ["compare", "digits"])
    assert result.exit_code == 130
    assert "The answer stands." in result.output


def test_what_the_budget_does_not_allow_is_left_out_with_the_command_that_makes_it(folder, sequel, monkeypatch):
    usual, watch = automatic.section_seconds, Watch(folder.parent)
    monkeypatch.setattr(automatic, "section_seconds", lambda *_: 1e6)
    sections = sequel(*BOTH, watch=watch)
    assert sections.calibration is None
    assert "`spikewise calibrate RUN` makes it" in sections.skipped["calibration"]
    assert any(word.startswith("Calibration: left out") for word in watch.words)
    monkeypatch.setattr(automatic, "section_seconds", usual)
    assert sequel(*BOTH).calibration is None  # it does not try again by itself
    thorough = sequel(*BOTH, thorough=True)
    assert thorough.calibration is not None
    assert thorough.skipped == {}


def test_a_section_that_does_less_says_what_it_used_and_is_made_whole_when_asked(sequel, monkeypatch):
    usual = Budget.share
    monkeypatch.setattr(Budget, "share", lambda *_, **__: 0.5)
    less = sequel(*BOTH)
    assert less.less["calibration"] == "1 of 2 seeds"
    assert "training images" in less.less["yardsticks"]
    assert less.yardsticks.train_images < less.yardsticks.of_train_images
    monkeypatch.setattr(Budget, "share", usual)
    assert sequel(*BOTH) == less
    whole = sequel(*BOTH, thorough=True)
    assert whole.less == {}
    assert whole.yardsticks.train_images == less.yardsticks.of_train_images


def test_robustness_fits_into_the_time_that_is_left(sequel, monkeypatch):
    monkeypatch.setattr(Budget, "left", property(lambda _: 1e-9))
    sections = sequel("robustness")
    assert sections.robustness is None
    assert "`spikewise robustness RUN`" in sections.skipped["robustness"]


def test_sections_say_nothing_of_networks_that_guess(sequel, monkeypatch):
    monkeypatch.setattr(automatic, "at_chance", lambda network: network.name == "twin")
    one = sequel("calibration")
    assert [network.network for network in one.calibration.networks] == ["snn"]
    assert one.less["calibration"] == "without twin, not better than guessing"
    monkeypatch.setattr(automatic, "at_chance", lambda _: True)
    none = sequel("anytime", "yardsticks")
    assert none.anytime is None
    assert "snn and twin are not better than guessing" in none.skipped["anytime"]
    assert none.yardsticks is not None  # which is about the images, too


def test_a_report_that_is_older_than_the_results_is_renewed(folder, sequel):
    page = folder / "report.html"
    sequel()
    page.write_text("old")
    sequel()
    assert page.read_text() == "old"
    later = page.stat().st_mtime_ns + 10**9
    os.utime(folder / "results.json", ns=(later, later))
    sequel()
    assert page.read_text() == ""
