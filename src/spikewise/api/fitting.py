"""`fits`: does the network of a run or preset fit a device, and which layer does not?"""

from pathlib import Path
from typing import Final

from spikewise.api.runs import Run
from spikewise.api.trained import load
from spikewise.data import CATALOG
from spikewise.errors import ConfigError
from spikewise.experiments import load_preset, preset_names
from spikewise.experiments.request import resolve
from spikewise.graph import Graph
from spikewise.interop.fits import Fit, fit, read_target
from spikewise.models import build

__all__ = ["fits"]

_FINGERPRINT_CLASSES: Final = {"finger": 10, "hand": 2, "gender": 2, "altered": 2}
"""By what the label of a print is (`data.target`)."""


def fits(source: str | Path | Run | Graph, target: str, *, network: str = "snn") -> Fit:
    """Whether a network fits a device or tool, and which layer does not; nothing is trained for it.

    Args:
        source: A run, the name of a preset, or a graph.
        target: One of `spikewise.interop.fits.target_names()`, with flash and RAM for a microcontroller
            ("cortex-m4:512k/160k"), or a TOML file of such limits.
        network: Which network of a run.
    Raises:
        ConfigError: there is no such preset, network or target.
        RunError: the run has not finished.
    """
    limits = read_target(str(target))
    if isinstance(source, Graph):
        graph = source
    elif isinstance(source, str) and source in preset_names() and not Path(source).is_dir():
        graph = _of_preset(source)
    else:
        graph = load(source.folder if isinstance(source, Run) else Path(source), network, device="cpu").network.graph
    return fit(graph, limits, str(target))


def _of_preset(name: str) -> Graph:
    """The spiking network of a preset, for images as its set has them."""
    experiment = resolve(preset=name)
    source = load_preset(name)["data"]["source"]
    if source not in CATALOG:
        raise ConfigError(f"The preset {name} is for {source}, whose images are not known; give a run.")
    known = CATALOG[source]
    found = [int(part) for part in known.shape.split("x") if part.isdecimal()]  # none where images come in any size
    size = experiment.data.given_size or known.size or tuple(found[1:])
    if len(size) != 2:
        raise ConfigError(f"The preset {name} does not say how large its images are; give a run.")
    grey = experiment.data.grey or not found or found[0] == 1  # sets of any size are grey prints and X-rays
    shape = (1 if grey else found[0], *size)
    classes = len(known.classes) or _FINGERPRINT_CLASSES[experiment.data.target or "finger"]
    chosen = experiment.network(shape)
    return build(*chosen, experiment.readout, image_shape=shape, classes=classes)
