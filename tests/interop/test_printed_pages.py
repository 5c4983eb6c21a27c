"""Pages of a sweep and of several runs on paper and on a phone: no column is cut off, and letters can be read."""

from types import SimpleNamespace

import pytest
from browsing import SIZES, launched, shown
from tests.written_runs import WrittenRun

from spikewise.collection import runs
from spikewise.experiments.sweep_effects import choose, differences
from spikewise.experiments.sweep_figures import FigureScope, draw
from spikewise.experiments.sweep_page import SweepFindings, _render

PAPER = {"width": 673, "height": 900}  # A4 within the page's margins, in CSS pixels
LONG = ("leaky integrate-and-fire with a decay of 0.95 a step, as the paper's appendix gives it", "unbroken_" * 11)
RIGHT = "Math.max(...[...document.querySelectorAll('td')].map(cell => cell.getBoundingClientRect().right))"


@pytest.fixture(scope="module")
def browser():
    with launched() as opened:
        yield opened


@pytest.fixture
def swept(tmp_path):
    rows = [
        {"network": "snn", "run": f"compare-chest-xray-{LONG.index(cell)}{len(none)}aaaa{at}", "seed": 0, "error": "",
         "status": "done", "cell": cell, "regularisation": none, "encoder.steps": steps, "parameters": 12_345,
         "train_seconds": 0.25, "spike_rate": 0.1, "validation_accuracy": 0.9, "test_accuracy": 0.8 + at / 100}
        for cell in LONG for none in ("none", "weight decay") for at, steps in enumerate(("4", "8", "12"))
    ]  # fmt: skip
    labels = {"cell": LONG, "regularisation": ("none", "weight decay"), "encoder.steps": ("4", "8", "12")}
    choices, effects = choose(rows, tuple(labels), "accuracy"), differences(rows, labels, "accuracy")
    sweep = SimpleNamespace(title="grid", about="", preset="", metric="accuracy")
    drawn = draw(FigureScope("accuracy", "level", labels), rows, choices, effects)
    page = tmp_path / "sweep.html"
    runs_of = [SimpleNamespace(run=tmp_path / name) for name in {str(row["run"]) for row in rows}]
    (runs_of[0].run).mkdir()
    (runs_of[0].run / "report.html").touch()
    folder = SimpleNamespace(sweep=sweep, cells=runs_of, path=tmp_path / "sweep-grid")
    page.write_text(_render(folder, SweepFindings(rows, choices, effects, [], labels), drawn))
    return page


@pytest.fixture
def listed(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "cache"))
    WrittenRun(tmp_path / "runs" / "compare-a-set-with-a-rather-long-name-1a2b3c4d").finish()
    return runs(tmp_path / "runs").export("html")


@pytest.mark.parametrize("which", ["swept", "listed"])
def test_no_column_is_cut_off_on_paper(browser, which, request):
    with shown(browser, request.getfixturevalue(which).as_uri()) as page:
        page.set_viewport_size(PAPER)
        page.emulate_media(media="print")
        assert page.evaluate(RIGHT) <= PAPER["width"]
        kept = "[...document.querySelectorAll('.cells td:not(.text)')].map(cell => getComputedStyle(cell).whiteSpace)"
        assert set(page.evaluate(kept)) <= {"nowrap"}  # a figure and its unit


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_letters_of_all_figures_have_about_one_size(browser, swept, size):
    """The narrow ones had letters of three times the size of the wide ones, which a phone made too small to read."""
    with shown(browser, swept.as_uri(), size) as page:
        heights = page.evaluate(
            "[...document.querySelectorAll('svg.figure')]"
            ".map(one => one.querySelector('text').getBoundingClientRect().height)"
        )
        assert len(heights) == 4
        assert max(heights) < 1.5 * min(heights)
        assert min(heights) > 7
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]


def test_configurations_with_long_names_are_told_apart(swept):
    page = swept.read_text()
    assert page.count("…, weight decay, steps 12") == page.count("…, none, steps 12") == 2
    assert "All trainings have one seed" in page
