"""Figures, pictures and animations: pure functions from arrays; light and dark, for files and for pages."""

from spikewise.viz.animation import (
    accumulated,
    condensed,
    count_animation,
    count_frames,
    encoded_animation,
    encoded_frames,
    encoding_animation,
    gif_bytes,
    still,
)
from spikewise.viz.answer import PricedNetwork, accuracy_against_energy
from spikewise.viz.anytime import CostCourse, StepCourse, accuracy_over_cost, accuracy_over_steps
from spikewise.viz.calibration import reliability_diagram
from spikewise.viz.canvas import figure_bytes, label, save_figure, with_legend
from spikewise.viz.conversion import accuracy_after_conversion
from spikewise.viz.curves import confusion_matrix, cost_bars, learning_curves
from spikewise.viz.diagnosis import gradients_over_time
from spikewise.viz.explanations import (
    attribution_picture,
    attributions,
    certainty_over_time,
    class_rates,
    deletion_curves,
)
from spikewise.viz.images import picture, png_bytes, sample_grid
from spikewise.viz.robustness import robustness_curve
from spikewise.viz.several import Gain, gain_against_cost
from spikewise.viz.spikes import OutputTrace, evidence_over_time, is_spikes, membrane_traces, raster, spike_rates
from spikewise.viz.svg import inline_svg
from spikewise.viz.theme import DARK, LIGHT, Theme, css_variables, theme_css

__all__ = [
    "DARK",
    "LIGHT",
    "CostCourse",
    "Gain",
    "OutputTrace",
    "PricedNetwork",
    "StepCourse",
    "Theme",
    "accumulated",
    "accuracy_after_conversion",
    "accuracy_against_energy",
    "accuracy_over_cost",
    "accuracy_over_steps",
    "attribution_picture",
    "attributions",
    "certainty_over_time",
    "class_rates",
    "condensed",
    "confusion_matrix",
    "cost_bars",
    "count_animation",
    "count_frames",
    "css_variables",
    "deletion_curves",
    "encoded_animation",
    "encoded_frames",
    "encoding_animation",
    "evidence_over_time",
    "figure_bytes",
    "gain_against_cost",
    "gif_bytes",
    "gradients_over_time",
    "inline_svg",
    "is_spikes",
    "label",
    "learning_curves",
    "membrane_traces",
    "picture",
    "png_bytes",
    "raster",
    "reliability_diagram",
    "robustness_curve",
    "sample_grid",
    "save_figure",
    "spike_rates",
    "still",
    "theme_css",
    "with_legend",
]
