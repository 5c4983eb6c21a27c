"""Pictures inside the page: figures as SVG elements, images and animations as data addresses."""

import base64
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from markupsafe import Markup
from matplotlib.figure import Figure

from spikewise import viz
from spikewise.evaluation import EpochRecord, NetworkResult, Results
from spikewise.viz import LIGHT

__all__ = ["PicturePanel", "confusions", "costs", "curves", "data_address", "image_address", "rates"]

_OPERATIONS, _TRAFFIC = "additions for spikes and multiply-accumulates, per image", "memory traffic, per image"
_SAME = 1e-4
"""Relative difference below which objective and cross-entropy are one figure."""


class PicturePanel(NamedTuple):
    """A figure on the page and the words under it."""

    key: str
    figure: Figure
    caption: str
    beside: tuple[tuple[str, str], ...] = ()
    """Names and colours of what is drawn, where the page says it beside many figures and not in each."""

    @property
    def svg(self) -> Markup:
        """The figure as part of the page."""
        return Markup(viz.inline_svg(self.figure, key=self.key, title=self.caption))  # built by ElementTree

    @property
    def standalone(self) -> Figure:
        """The figure as a file of its own shows it: with its legend."""
        return viz.with_legend(self.figure, self.beside) if self.beside else self.figure


def data_address(content: bytes, kind: str) -> str:
    """Bytes as a `data:` address; `kind` is "png" or "gif"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def image_address(image: UInt8[np.ndarray, "C H W"]) -> str:
    """An image as a `data:` address."""
    return data_address(viz.png_bytes(viz.picture(image)), "png")


def colours(networks: Sequence[NetworkResult]) -> dict[str, str]:
    """The colour each network has in every figure."""
    return {network.name: LIGHT.colour(position) for position, network in enumerate(networks)}


def curves(results: Results) -> list[PicturePanel]:
    """Learning curves of what was recorded after each epoch."""
    out = []
    drawn_as = [
        ("validation_accuracy", "validation accuracy, %", True),
        ("validation_loss", "validation cross-entropy", False),
        ("train_cross_entropy", "training cross-entropy", False),
    ]
    if _has_other_objective(results):
        drawn_as.append(("train_loss", "training objective (what was minimised)", False))
    for field, ylabel, percent in drawn_as:
        trained = [network for network in results.networks if network.trained_here]
        runs = {network.name: [_values(run.history, field) for run in network.runs] for network in trained}
        runs = {name: seeds for name, seeds in runs.items() if any(x is not None for seed in seeds for x in seed)}
        if runs:
            drawn = viz.learning_curves(runs, ylabel=ylabel, percent=percent, colours=colours(results.networks))
            caption = f"{ylabel.capitalize()} after each epoch: mean over seeds, band from the lowest to the highest."
            out.append(PicturePanel(f"curve-{field}", drawn, caption))
    return out


def _has_other_objective(results: Results) -> bool:
    """Whether what was minimised is another figure than the cross-entropy beside it (older runs have no other)."""
    epochs = [epoch for network in results.networks for run in network.runs for epoch in run.history]
    pairs = [(epoch.train_loss, epoch.train_cross_entropy) for epoch in epochs if epoch.train_loss is not None]
    return any(plain is None or abs(plain - objective) > _SAME * abs(plain) for objective, plain in pairs)


def confusions(results: Results) -> list[PicturePanel]:
    """The confusion matrix of each network, summed over its seeds."""
    out = []
    for position, network in enumerate(results.networks):
        counts = np.array([run.confusion for run in network.runs], dtype=np.int64).sum(0)
        drawn = viz.confusion_matrix(counts, results.data.classes, colour=LIGHT.colour(position))
        hits, total = int(np.trace(counts)), max(int(counts.sum()), 1)
        caption = f"{network.name}: {hits:,} of {total:,} answers right{_seeds(len(network.runs))}."
        out.append(PicturePanel(f"confusion-{network.name}", drawn, caption))
    return out


def rates(results: Results) -> PicturePanel | None:
    """Spike rates of every spiking layer, on the test part."""
    found: dict[str, dict[str, list[float]]] = {}
    for network in results.networks:
        for run in network.runs:
            for layer, rate in run.spike_rates.items():
                found.setdefault(network.name, {}).setdefault(layer, []).append(rate)
    if not found:
        return None
    drawn = viz.spike_rates(found, colours=colours(results.networks))
    return PicturePanel(
        "rates", drawn, "Spikes per neuron and time step on the test images: bar for the mean, dot for each seed."
    )


def costs(results: Results) -> PicturePanel | None:
    """Energy, operations, memory traffic and times side by side; what only one of several networks has is left out."""
    quantities: dict[str, dict[str, float]] = {}
    for network in results.networks:
        cost = network.cost
        values: Mapping[str, float | None] = {
            **{f"energy ({model}), per image": _base(value, 1e-9) for model, value in cost.energy_nanojoule.items()},
            _OPERATIONS: cost.macs + (cost.synaptic_operations or 0),
            _TRAFFIC: cost.memory_traffic_bytes,
            "training, per epoch": cost.train_seconds_per_epoch.mean if cost.train_seconds_per_epoch else None,
            "latency, one image": _base(cost.latency_ms, 1e-3),
        }
        for quantity, value in values.items():
            if value is not None:
                quantities.setdefault(quantity, {})[network.name] = value
    shared = {what: values for what, values in quantities.items() if len(values) > 1 or len(results.networks) == 1}
    return PicturePanel(
        "costs",
        viz.cost_bars(shared, units={what: _unit(what) for what in shared}, colours=colours(results.networks)),
        "Energy and memory traffic are computed; times are measured.",
    )


def _base(value: float | None, factor: float) -> float | None:
    """A value in the unit without a prefix."""
    return None if value is None else value * factor


def _unit(quantity: str) -> str:
    if quantity.startswith("energy"):
        return "J"
    return {_OPERATIONS: "", _TRAFFIC: "B"}.get(quantity, "s")


def _values(history: Sequence[EpochRecord], field: str) -> list[float | None]:
    return [getattr(epoch, field) for epoch in history]


def _seeds(number: int) -> str:
    return "" if number == 1 else f", {number} seeds added up"
