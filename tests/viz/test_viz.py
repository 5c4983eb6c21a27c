"""Figures draw exactly what they are given."""

import io
import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from spikewise import viz
from spikewise.errors import ShapeError
from spikewise.viz.curves import mean_and_range
from spikewise.viz.theme import DARK, LIGHT

RNG = np.random.default_rng(0)


def artist(figure, gid):
    return [found for ax in figure.axes for found in ax.get_children() if found.get_gid() == gid]


def dashes(figure, gid="spikes"):
    """(step, row) of each dash, for each panel; steps count from 1."""
    return [{(int(x), int(np.floor(y))) for x, y in patch.get_path().vertices[::2]} for patch in artist(figure, gid)]


@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_a_raster_draws_exactly_the_spikes_given(density):
    spikes = {"in": RNG.random((25, 60)) < density, "out": RNG.random((25, 7)) < density}
    drawn = dashes(viz.raster({name: x.astype(np.uint8) for name, x in spikes.items()}))
    assert drawn == [{(t + 1, row) for t, row in np.argwhere(x)} for x in spikes.values()]


def test_a_raster_of_too_many_neurons_draws_an_even_sample_and_says_so():
    spikes = np.zeros((4, 1000), np.uint8)
    spikes[2, [0, 999]] = 1
    figure = viz.raster({"in": spikes}, limit=100)
    assert dashes(figure) == [{(3, 0), (3, 99)}]
    assert "100 of 1000 neurons" in {
        text.get_text() for text in figure.axes[0].get_children() if hasattr(text, "get_text")
    }
    figure = viz.raster({"in": spikes[:, :50]}, counts={"in": 1000})
    assert "50 of 1000 neurons" in {text.get_text() for text in figure.findobj(Text)}


def test_negative_events_are_drawn_apart():
    events = np.array([[1, -1, 0]], np.int8)
    figure = viz.raster({"in": events})
    assert dashes(figure) == [{(1, 0)}]
    assert dashes(figure, "negative") == [{(1, 1)}]


def test_a_membrane_trace_holds_the_values_the_threshold_and_the_spikes():
    v, z = RNG.random(20), (RNG.random(20) < 0.3).astype(np.uint8)
    figure = viz.membrane_traces(None, [viz.OutputTrace("a", v, z, "answer")], threshold=0.8)
    np.testing.assert_array_equal(artist(figure, "membrane")[0].get_ydata(), v)
    np.testing.assert_array_equal(artist(figure, "membrane")[0].get_xdata(), np.arange(1, 21))
    np.testing.assert_array_equal(artist(figure, "output")[0].get_xdata(), np.nonzero(z)[0] + 1)
    assert set(artist(figure, "threshold")[0].get_ydata()) == {0.8}


def test_evidence_of_the_chosen_classes_is_drawn():
    evidence = RNG.random((12, 5)).cumsum(0)
    figure = viz.evidence_over_time(evidence, list("abcde"), [3, 1])
    np.testing.assert_array_equal(artist(figure, "evidence-3")[0].get_ydata(), evidence[:, 3])
    assert {text.get_text() for text in figure.axes[0].texts} == {"d", "b"}


def test_learning_curves_are_the_mean_and_the_range_of_the_seeds_that_got_so_far():
    mean, low, high = mean_and_range([[1.0, 3.0, None], [3.0]])
    np.testing.assert_array_equal(mean, [2.0, 3.0, np.nan])
    np.testing.assert_array_equal(low, [1.0, 3.0, np.nan])
    np.testing.assert_array_equal(high, [3.0, 3.0, np.nan])
    figure = viz.learning_curves({"snn": [[0.5, 0.7], [0.7, 0.9]]}, ylabel="accuracy, %", percent=True)
    np.testing.assert_allclose(artist(figure, "mean-0")[0].get_ydata(), [60, 80])


def test_a_confusion_matrix_shows_every_count_and_refuses_another_size():
    counts = np.array([[5, 0], [2, 7]])
    figure = viz.confusion_matrix(counts, ["a", "b"])
    assert {text.get_text() for text in figure.axes[0].texts} == {"5", "2", "7"}
    with pytest.raises(ShapeError, match=r"\[3, 3\]"):
        viz.confusion_matrix(counts, ["a", "b", "c"])


def test_an_animation_has_one_frame_a_step_and_shows_the_spikes():
    encoded = (RNG.random((6, 1, 5, 4)) < 0.4).astype(np.uint8)
    file = Image.open(io.BytesIO(viz.encoded_animation(encoded, scale=3)))
    assert file.size == (12, 15)
    assert file.n_frames == 6
    for step in range(6):
        file.seek(step)
        shown = np.asarray(file.convert("L"))[::3, ::3]
        np.testing.assert_array_equal(shown, 255 * encoded[step, 0])


def test_an_animation_shows_the_image_the_spikes_and_their_mean_side_by_side():
    image = RNG.integers(0, 256, (1, 5, 4)).astype(np.uint8)
    encoded = (RNG.random((6, 1, 5, 4)) < 0.4).astype(np.uint8)
    file = Image.open(io.BytesIO(viz.encoding_animation(image, encoded, scale=40)))
    assert file.n_frames == 6
    for step in range(6):
        file.seek(step)
        shown = np.asarray(file.convert("L")).astype(int)[30:230:40]  # below the caption, one row of each pixel
        parts = [shown[:, left : left + 160 : 40] for left in (10, 180, 350)]
        assert np.abs(parts[0] - image[0]).max() <= 12  # of 64 tones
        assert np.abs(parts[1] - 255 * encoded[step, 0].astype(int)).max() <= 4
        assert np.abs(parts[2] - 255 * encoded[: step + 1, 0].mean(0)).max() <= 16


def test_events_up_and_down_have_two_colours():
    pair = np.zeros((1, 2, 1, 2), np.uint8)
    pair[0, 0, 0, 0] = pair[0, 1, 0, 1] = 1
    shown = np.asarray(viz.encoded_frames(pair)[0])
    assert not np.array_equal(shown[0, 0], shown[0, 1])
    signed = np.array([[[[1, -1]]]], np.int8)
    np.testing.assert_array_equal(np.asarray(viz.encoded_frames(signed)[0]), shown)


def test_counted_spikes_end_at_their_sum():
    spikes = np.ones((4, 2), np.uint8)
    frames = viz.count_frames(spikes, ["a", "b"])
    assert len(frames) == 4
    assert viz.count_frames(spikes, ["a", "b"], every=3) == [frames[0], frames[3]]
    file = Image.open(io.BytesIO(viz.count_animation(spikes, ["a", "b"], theme=DARK)))
    assert file.n_frames == 4
    assert file.convert("RGB").getpixel((0, 0)) == tuple(bytes.fromhex(DARK.surface[1:]))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_pictures_keep_their_pixels_and_large_ones_shrink(channels):
    image = RNG.integers(0, 256, (channels, 6, 9), dtype=np.uint8)
    assert viz.picture(image).size == (9, 6)
    if channels == 3:
        np.testing.assert_array_equal(np.asarray(viz.picture(image)), image.transpose(1, 2, 0))
    assert max(viz.picture(np.zeros((channels, 300, 200), np.uint8)).size) == 96


def test_a_sample_grid_shows_the_images_of_the_classes_that_occur(tmp_path):
    images = RNG.integers(0, 256, (3, 1, 4, 4), dtype=np.uint8)
    figure = viz.sample_grid(images, np.array([0, 2, 2]), ["a", "b", "c"])
    assert [text.get_text() for text in figure.texts] == ["a", "c"]
    shown = [found.get_array() for ax in figure.axes for found in ax.images]
    np.testing.assert_array_equal(shown[0], images[0, 0])
    assert len(shown) == 3
    for suffix in (".png", ".svg", ".pdf"):
        viz.save_figure(figure, tmp_path / f"grid{suffix}")
        assert (tmp_path / f"grid{suffix}").stat().st_size > 500


def test_an_inline_figure_follows_the_theme_and_keeps_its_ids_apart():
    figure = viz.cost_bars({"energy, nJ": {"<b>$x$": 2.0, "twin\u0001": 3.0}})
    one, two = (viz.inline_svg(figure, key=key, title='"<cost>"') for key in ("k1", "k2"))
    root = ET.fromstring(one)
    assert root.attrib["aria-label"] == '"<cost>"'
    assert "var(--series-1)" in one
    assert LIGHT.series[0] not in one
    assert "<b>" not in one
    assert "http" not in one
    ids = [set(re.findall(r'\bid="([^"]*)"', text)) for text in (one, two)]
    assert ids[0].isdisjoint(ids[1])


def test_drawing_changes_no_setting_of_matplotlib():
    before = dict(mpl.rcParams)
    viz.inline_svg(viz.spike_rates({"snn": {"lif1": [0.1, 0.2]}}), key="k", title="t")
    assert dict(mpl.rcParams) == before


def test_colours_can_be_told_apart_and_read():
    for theme in (LIGHT, DARK):
        colours = list(viz.css_variables(theme).values())
        assert len(set(colours)) == len(colours)
        for colour in (theme.ink, theme.muted, theme.bad, theme.good, *theme.series):
            assert contrast(colour, theme.surface) >= 4.5, colour


def contrast(a, b):
    """Source: WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(colour):
        c = np.array(list(bytes.fromhex(colour[1:]))) / 255
        return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_a_label_is_one_short_line():
    assert viz.label("a\nb\u0000\tc", 24) == "a b c"
    assert viz.label("x" * 99, 10) == "x" * 9 + "…"
    assert viz.label("\u0000") == "?"


def test_condensing_takes_means_and_leaves_small_input_alone():
    encoded = RNG.random((90, 1, 50, 4))
    small = viz.condensed(encoded, steps=40, side=48)
    assert small.shape == (30, 1, 25, 4)
    np.testing.assert_allclose(small[1, 0, 2], encoded[3:6, 0, 4:6].mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(viz.condensed(np.ones((33, 1, 3, 3))), np.ones((17, 1, 3, 3)))
    assert viz.condensed(encoded, steps=90, side=50) is encoded
