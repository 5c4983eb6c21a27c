"""What a paper takes from a run: the table in three formats, the methods, BibTeX, and figures of a given width."""

import csv
import io
import re
import tomllib
from pathlib import Path

import pytest
from fake import artifacts, made, results
from PIL import Image

from spikewise import __version__
from spikewise.api.paper import figures, millimetres, table
from spikewise.errors import ConfigError
from spikewise.evaluation import Estimate
from spikewise.report.methods import methods
from spikewise.report.paper import bibtex, paper_table
from spikewise.report.shown import drawn

ROOT = Path(__file__).parents[2]


def estimate(mean, low=None, high=None):
    return Estimate(mean=mean, low=low, high=high, method="by hand")


@pytest.fixture(scope="module")
def known():
    """A run with figures that are known: the spiking network, its twin and a CNN that is surely better."""
    run = made()
    accuracies = (estimate(0.9806, 0.957, 0.992), estimate(0.9833, 0.9553, 1.0), estimate(0.9910))
    networks = tuple(
        one.model_copy(update={"metrics": {"accuracy": accuracy}, "name": name})
        for one, accuracy, name in zip(run.networks, accuracies, ("snn", "twin", "c&n_n"), strict=True)
    )
    first, second = run.comparisons
    pairs = (
        first.model_copy(update={"difference": estimate(-0.0027, -0.0189, 0.0125), "p_adjusted": 0.664}),
        second.model_copy(
            update={"b": "c&n_n", "difference": estimate(-0.0104, -0.02, -0.001), "p_adjusted": 0.0004,
                    "significant": True}
        ),
    )  # fmt: skip
    return run.model_copy(update={"networks": networks, "comparisons": pairs})


def test_a_table_in_latex(known):
    assert paper_table([known, known], "latex").splitlines()[:9] == [
        r"% \usepackage{booktabs}",
        r"\begin{tabular}{llrrrrrrrr}",
        r"\toprule",
        r"Images & Network & Seeds & Accuracy, \% & Interval & Difference & p & Energy & Latency & Training, s \\",
        r"\midrule",
        r"fake-digits & snn & 3 & 98.06 & 95.70 to 99.20 & -- & -- & 2.62 $\mu$J & 420 $\mu$s & 49.2 \\",
        r" & twin & 3 & 98.33 & 95.53 to 100.00 & +0.27 & 0.664 & 5.50 $\mu$J & 51.0 $\mu$s & 49.2 \\",
        r" & c\&n\_n & 3 & 99.10 & -- & +1.04$^{*}$ & $<$ 0.001 & 19.5 $\mu$J & 51.0 $\mu$s & 49.2 \\",
        r"\midrule",
    ]


def test_runs_on_the_same_images_are_told_apart_by_their_names(known):
    other = known.model_copy(update={"data": known.data.model_copy(update={"name": "letters"})})
    lines = paper_table([known, other, known], "md", ["compare-a", "compare-b", "compare-c"]).splitlines()
    assert {line.split("|")[1].strip() for line in lines[2:11]} == {
        "fake-digits (compare-a)",
        "letters",
        "fake-digits (compare-c)",
    }


def test_a_table_in_markdown(known):
    lines = paper_table([known], "md").splitlines()
    assert lines[2] == "| fake-digits | snn | 3 | 98.06 | 95.70 to 99.20 | – | – | 2.62 µJ | 420 µs | 49.2 |"
    assert lines[4] == "| fake-digits | c&n_n | 3 | 99.10 | – | +1.04\\* | < 0.001 | 19.5 µJ | 51.0 µs | 49.2 |"
    assert "95 % intervals" in lines[-1]
    assert "computed by arithmetic" in lines[-1]


def test_a_table_in_csv(known):
    rows = list(csv.DictReader(io.StringIO(paper_table([known], "csv"))))
    assert [row["network"] for row in rows] == ["snn", "twin", "c&n_n"]
    twin = rows[1]
    asked = ("accuracy_percent", "accuracy_low", "accuracy_high", "difference_points", "difference_low", "p")
    assert [float(twin[name]) for name in asked] == pytest.approx([98.33, 95.53, 100, 0.27, -1.25, 0.664])
    assert [row["significant"] for row in rows] == ["", "false", "true"]
    assert float(twin["energy_nj"]) == pytest.approx(1_195_008 * 4.6e-3)
    assert (twin["energy_model"], twin["latency_ms"], twin["spikewise"]) == ("arithmetic", "0.051", "0.1.0")


def test_another_format_is_an_error_that_names_those_there_are(known):
    with pytest.raises(ConfigError, match="csv, latex, md"):
        paper_table([known], "docx")
    with pytest.raises(ConfigError, match="at least one run"):
        table()


def test_the_methods_say_what_the_run_was():
    experiment = {
        "split": {"seed": 4},
        "encoder": {"kind": "rate", "steps": 25},
        "model": {"cell": {"kind": "lif", "beta": 0.9, "threshold": 1.0, "reset": "subtract",
                           "surrogate": {"kind": "atan", "alpha": 2.0}}},
        "train": {"learning_rate": 0.001, "optimizer": {"kind": "adam"}, "schedule": {"kind": "cosine"}},
        "loss": {"kind": "cross_entropy"},
    }  # fmt: skip
    text = methods(made(), experiment)
    for words in (
        "fake-digits (10 classes, grey images of 28 by 28 pixels): 54,000 images for training, 6,000 for validation "
        "and 400 for testing (stratified by class, split seed 4;",
        "rate coding over 25 steps",
        "leaky integrate-and-fire, membrane decay 0.9 per step, threshold 1, reset by subtraction",
        "the atan surrogate (alpha 2)",
        "at most 12 epochs, Adam at a learning rate of 0.001, a cosine schedule, batches of 128",
        "3 seeds (0, 1, 2)",
        "predicted 9 times for 9 trained networks",
        "exact sign-flip test",
        "computed from operations counted on the test images, by arithmetic",
        f"Spikewise {__version__}",
    ):
        assert words in text, words
    assert "None" not in text
    assert "rate coding" not in methods(made())  # nobody said so


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (
            {"beta": 0.9, "learn": ["beta"], "per": "channel"},
            "decay 0.9 per step at the start, learned for each channel.",
        ),
        ({"threshold": 1.0, "learn": ["threshold"]}, "threshold 1 at the start, learned for each layer."),
        ({"beta": 0.9, "per": "channel", "spread": 0.2}, "decay 0.9 per step on average (relative deviation 0.2)."),
    ],
    ids=["decay", "threshold", "spread"],
)
def test_the_methods_tell_what_neurons_learn_from_what_they_are_given(cell, words):
    assert words in methods(made(), {"model": {"cell": {"kind": "lif", **cell}}})


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({"published": True}, "(published parts as they are, what is divided here stratified by class, split seed 4;"),
        ({"published": False}, "(stratified by class, split seed 4;"),
        ({"published": True, "file": "clean.json"}, "(parts as a file says; SHA-256"),
    ],
    ids=["published", "divided", "file"],
)
def test_the_methods_do_not_say_that_we_divided_what_was_published(split, words):
    assert words in methods(made(), {"split": {"seed": 4, **split}})


def test_a_citation_names_the_version_that_ran(known):
    assert f"version = {{{known.spikewise_version}}}" in bibtex(known)
    stated = dict(re.findall(r"^(version|license|title): \"?(.*?)\"?$", (ROOT / "CITATION.cff").read_text(), re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert stated["version"] == project["version"] == __version__
    assert stated["license"] == project["license"]
    assert stated["title"] in bibtex(known)


@pytest.fixture
def folder(tmp_path):
    shape = {"image_shape": (1, 8, 8)}
    results(classes=("cat", "dog"), epochs=2, seeds=(0, 1), steps=5, data=shape).save(tmp_path / "results.json")
    artifacts(("cat", "dog"), size=8, steps=5).save(tmp_path / "artifacts.npz")
    (tmp_path / "run.json").write_text('{"format": 1, "kind": "compare", "identity": "x", "fingerprint": "y", '
                                       '"experiment": {"encoder": {"kind": "rate", "steps": 5}}}')  # fmt: skip
    return tmp_path


def test_every_figure_is_a_file_of_the_asked_width_that_the_page_links_to(folder):
    written = figures(folder, formats=("pdf", "png"), width="85mm")
    assert {path.stem for path in written} >= {"answer", "confusion-snn", "rates", "costs", "raster-0"}
    for path in written:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.width == pytest.approx(85 / 25.4 * 200, abs=1)
        else:
            box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ", path.read_bytes())
            assert float(box[1]) == pytest.approx(85 / 25.4 * 72, abs=0.1)
    page = (folder / "report.html").read_text(encoding="utf-8")
    for path in written:
        assert f'href="figures/{path.name}"' in page
    assert "by rate coding over 5 steps" in page


def test_a_figure_drawn_small_is_drawn_as_before_afterwards(known):
    panel = next(one for one in drawn(known, None).panels if one.key == "confusion-snn")
    sizes = [text.get_fontsize() for text in panel.figure.findobj(lambda one: hasattr(one, "get_fontsize"))]
    from spikewise.viz import figure_bytes

    figure_bytes(panel.figure, "pdf", width_mm=40)
    after = [text.get_fontsize() for text in panel.figure.findobj(lambda one: hasattr(one, "get_fontsize"))]
    assert sorted(after) == pytest.approx(sorted(sizes))


@pytest.mark.parametrize("width", ["85", "mm", "85em", "-3mm", "5mm", "9e9mm", "2m", "1e400mm"])
def test_a_width_that_is_none_is_an_error(width):
    with pytest.raises(ConfigError, match="mm"):
        millimetres(width)


def test_lengths_of_other_units():
    assert [millimetres(one) for one in ("8.5cm", " 3.3in ", "240pt")] == pytest.approx([85, 83.82, 84.35], abs=0.01)


def test_a_row_in_csv_says_which_run_it_is_of(known):
    rows = list(csv.DictReader(io.StringIO(paper_table([known, known], "csv", ["first", "second"]))))
    count = len(known.networks)
    assert [row["run"] for row in rows] == ["first"] * count + ["second"] * count
