"""What a figure holds has room in it, and panels under one another stand where their values are."""

from itertools import pairwise

import numpy as np
import pytest

from spikewise import viz
from spikewise.viz.canvas import Margins, new_figure
from spikewise.viz.stack import stacked

RNG = np.random.default_rng(0)
COURSE = viz.StepCourse([0.5, 0.9], [0.4, 0.8], [0.6, 0.95], [[0.5, 0.9]], [(1.4, 0.8)])
PRICED = viz.PricedNetwork(3e-7, 0.9, 0.8, 0.95, 1e-7, [(1e-7, 0.6)], [(2e-7, 0.85, 0.8, 0.9)])
LONG = ["a class with a very long name", "b", "another of them, longer still"]
COLOURS = {"snn": "#0067a5", "twin": "#b84a00"}
FIGURES = {
    "answer": lambda: viz.accuracy_against_energy({"snn": PRICED}, [(1e-7, 0.6)], simple=("SVM", 0.7), colours=COLOURS),
    "steps": lambda: viz.accuracy_over_steps({"snn": COURSE}, {"twin": 0.9}, colours=COLOURS),
    "cost": lambda: viz.accuracy_over_cost(
        {"snn": viz.CostCourse([(1e-7, 0.6), (2e-7, 0.9)])}, {"twin": (1e-6, 0.9)}, [], what="x", colours=COLOURS
    ),
    "confusion": lambda: viz.confusion_matrix(RNG.integers(0, 9, (3, 3)), LONG),
    "costs": lambda: viz.cost_bars({what: {"snn": 12345678.0, "a longer name": 2.0} for what in "abcd"}),
    "curves": lambda: viz.learning_curves({"snn": [[1e5, 2e5, 1e4]]}, ylabel="loss"),
    "rates": lambda: viz.spike_rates({"snn": {"a layer with a long name": [0.1]}, "two": {"lif1": [0.2]}}),
    "reliability": lambda: viz.reliability_diagram({"snn": [(0.5, 0.4, 0.3, 0.5)]}, title="known"),
    "gradients": lambda: viz.gradients_over_time({"lif1": [1e-9, 1e-3, 1.0]}),
    "evidence": lambda: viz.evidence_over_time(RNG.random((9, 3)), LONG, [0, 2]),
    "certainty": lambda: viz.certainty_over_time(LONG + LONG[:1], RNG.random((4, 5)), RNG.random((4, 5))),
}


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off_and_nothing_lies_over_a_legend(name):
    figure = FIGURES[name]()
    renderer = figure.canvas.get_renderer()
    width, height = figure.get_size_inches()
    boxes = [ax.get_tightbbox(renderer) for ax in figure.axes if ax.axison]
    for box in boxes:
        assert min(box.x0, box.y0) >= -1
        assert box.x1 <= width * figure.dpi + 1
        assert box.y1 <= height * figure.dpi + 1
    for legend in figure.legends:
        assert legend.get_window_extent(renderer).y1 <= min(box.y0 for box in boxes) + 1
    inside = [ax.get_window_extent(renderer) for ax in figure.axes]
    assert sum(box.width * box.height for box in inside) > 0.3 * width * height * figure.dpi**2


@pytest.mark.parametrize(("accuracy", "drawn"), [(0.78, True), (0.3, False)], ids=["below", "far below"])
def test_the_legend_names_a_simple_classifier_only_where_its_line_is_seen(accuracy, drawn):
    figure = viz.accuracy_against_energy({"snn": PRICED}, [], simple=("SVM", accuracy), colours=COLOURS)
    low, high = figure.axes[0].get_ylim()
    assert bool(low < 100 * accuracy < high) is drawn
    assert ("SVM" in [text.get_text() for text in figure.legends[0].get_texts()]) is drawn


@pytest.mark.parametrize("classes", [LONG, ["Gesund (normal)", "Lungenentz\u00fcndung"], list("abcdefgh")], ids=len)
def test_names_of_classes_lie_over_no_other(classes):
    figure = viz.confusion_matrix(RNG.integers(1, 9, (len(classes), len(classes))), classes)
    renderer = figure.canvas.get_renderer()
    named = [text.get_window_extent(renderer) for text in figure.axes[0].get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(named))
    if len(classes) == 2:
        assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == classes


def test_titles_of_panels_lie_over_no_panel():
    figure = FIGURES["costs"]()
    panels = [ax.get_window_extent() for ax in figure.axes]
    renderer = figure.canvas.get_renderer()
    for ax, above in zip(figure.axes[1:], panels, strict=False):
        assert ax.get_tightbbox(renderer).y1 <= above.y0


@pytest.mark.parametrize("ends", [(-1.0, 1.0), (0.0, 0.3), (990.0, 1010.0), (-1e-7, 1e-7)], ids=str)
def test_a_mark_stands_where_its_value_would_be_drawn(ends):
    figure = new_figure(3, margins=Margins(1, 0.1))
    panels = stacked(figure, [1, 2, 1])
    assert [round(panel.height / panels[0].height, 6) for panel in panels] == [1, 2, 1]
    assert all(above.low > below.top for above, below in pairwise(panels))
    panels[1].marks(*ends)
    texts = panels[1].ax.texts
    assert 2 <= len(texts) <= 5
    for text in texts:
        value = float(text.get_text().replace("\N{MINUS SIGN}", "-"))
        drawn = panels[1].scale(*ends).transform((0, value))[1]
        assert drawn == pytest.approx(text.get_transform().transform(text.get_position())[1], abs=0.5)


def test_networks_of_the_same_energy_do_not_hide_each_other():
    """As twin and CNN where both have the same layers: one bar would cover the other."""
    apart = PRICED._replace(joules=3 * PRICED.joules)
    figure = viz.accuracy_against_energy({"snn": apart, "twin": PRICED, "cnn": PRICED._replace(accuracy=0.7)}, [],
                                         colours=dict.fromkeys(("snn", "twin", "cnn"), "#000000"))  # fmt: skip
    figure.canvas.draw()
    bars = [one.lines[0] for one in figure.axes[0].containers if one.get_label() in {"snn", "twin", "cnn"}]
    places = [line.get_transform().transform(line.get_xydata())[0, 0] * 72 / figure.dpi for line in bars]
    expected = [figure.axes[0].transData.transform(line.get_xydata())[0, 0] * 72 / figure.dpi for line in bars]
    moved = [round(place - at, 3) for place, at in zip(places, expected, strict=True)]
    assert moved == [0, -2.5, 2.5]
