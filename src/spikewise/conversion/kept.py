"""Converted networks on disk: FOLDER/convert.json, and FOLDER/seed-N/ with one file for each way to run them."""

from collections.abc import Mapping
from pathlib import Path

from spikewise.config import parse
from spikewise.conversion.examination import MOST_STEPS, Form
from spikewise.conversion.networks import ConvertedNetwork
from spikewise.errors import ConfigError
from spikewise.evaluation.conversion import FILE, Conversion
from spikewise.files import make_folder, storage_errors
from spikewise.graph import Graph
from spikewise.network import Network
from spikewise.reading import damaged
from spikewise.training.checkpoint import damage_told, load_weights, save_weights

__all__ = ["keep_networks", "kept_network"]


def keep_networks(place: Path, converted: Mapping[Form, Mapping[int, ConvertedNetwork]]) -> None:
    """Write networks in place of those of an earlier conversion, whose record goes first: it spoke of them."""
    with storage_errors(place):
        (place / FILE).unlink(missing_ok=True)
        for stale in place.glob("seed-*/*.safetensors"):
            stale.unlink()
    for form, by_seed in converted.items():
        for seed, one in by_seed.items():
            path = _file(make_folder(place / f"seed-{seed}"), form)
            save_weights(path, one.network(), {"steps": form.steps, "waits": form.waits})


def kept_network(place: Path, seed: int, steps: int | None = None, *, waits: bool = False) -> Network:
    """A converted network.

    Args:
        steps: in which a layer's spikes say its activations; None is the most that were tested.
    Raises:
        RunError: a file is missing or damaged.
        ConfigError: there is no such seed, or a waiting network was not tested in so many steps.
    """
    found = Conversion.load(place / FILE)
    if seed not in found.seeds:
        raise ConfigError(f"{place} has no seed {seed}; it has {', '.join(map(str, found.seeds))}.")
    tested = [row.steps for row in found.rows if row.waits == waits]
    if waits and (not tested or steps not in (None, *tested)):
        there = f"in {', '.join(map(str, tested))} steps" if tested else "not at all"
        raise ConfigError(
            f"{place} holds the waiting network {there}, not in {steps} steps; convert with that number and waits."
        )
    if steps is not None and not 1 <= steps <= MOST_STEPS:
        raise ConfigError(f"Steps are a whole number from 1 to {MOST_STEPS:,}; got {steps}.")
    path = _file(place / f"seed-{seed}", Form(steps or max(tested, default=1), waits))
    weights, notes = load_weights(path)
    try:
        graph = parse(Graph, notes.get("graph", {}))
    except ConfigError as error:
        raise damaged(path, error) from None
    if not waits and steps is not None:
        graph = graph.replace(encoder=graph.encoder.replace(steps=steps))
    network = Network(graph)
    with damage_told(path):
        network.load_state_dict(weights)
    return network.eval()


def _file(folder: Path, form: Form) -> Path:
    return folder / (f"waiting-{form.steps}.safetensors" if form.waits else "weights.safetensors")
