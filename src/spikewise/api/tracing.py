"""`trace`: what a trained spiking network does with one image, step by step, as pictures."""

from os import PathLike
from pathlib import Path

import numpy as np

from spikewise import viz
from spikewise.api.sections import study
from spikewise.api.trained import Images, load
from spikewise.data import Progress
from spikewise.errors import ConfigError
from spikewise.evaluation import Results
from spikewise.experiments import RunFolder
from spikewise.experiments.collect import trace_pixels
from spikewise.files import make_folder, write_bytes
from spikewise.network import Network
from spikewise.report import Traces
from spikewise.report.samples import sample

__all__ = ["may_show", "save_trace", "trace"]

_MOST_STEPS = 10_000


def trace(  # noqa: PLR0913  # one argument per thing a person may ask for
    run: str | PathLike[str],
    image: Images | None = None,
    *,
    at: int = 0,
    network: str = "snn",
    seed: int | None = None,
    steps: int | None = None,
    data_dir: Path | None = None,
    decoding: Progress | None = None,
) -> tuple[Traces, tuple[str, ...]]:
    """The course of one image through a trained spiking network, and the names of the classes.

    Args:
        image: a file or a picture; None is a test image of the run.
        at: which of the run's test images, where no image is given.
        steps: run for as many time steps; None is as trained. More steps give longer pictures of the same weights.
    Raises:
        ConfigError: the network has no spikes, or there is no such step count or test image.
        RunError: no finished run, or its images have changed since.
    """
    model = load(run, network, seed)
    if not model.network.graph.spiking_layers:
        raise ConfigError(
            f"'{network}' sends no spikes: there is nothing to trace. Choose a spiking network of the run."
        )
    longer = model.network if steps is None else _with_steps(model.network, steps)
    if image is not None:
        pixels, labels, index = model.pixels(image)[:1], None, np.zeros(1, dtype=np.int64)
    else:
        pixels, labels, index = _test_image(run, at, data_dir, decoding)
    return trace_pixels(pixels, labels, index, (model.name, longer.to(model.network.device), model.seed)), model.classes


def may_show(run: str | PathLike[str]) -> bool:
    """Whether images of the run's set may be shown."""
    return Results.load(RunFolder.open(Path(run)).results).data.publishable


def save_trace(traces: Traces, classes: tuple[str, ...], folder: Path, *, publishable: bool = True) -> list[Path]:
    """Draw the first image of `traces`: rasters, membranes and evidence as .svg and .png, spike counts as .gif.

    Args:
        publishable: False leaves out what shows the image itself.
    Raises:
        StorageError: the folder cannot be written.
    """
    make_folder(folder)
    drawn, written = sample(traces, 0, classes), []
    for name, panel in (("raster", drawn.raster), ("output-neurons", drawn.membrane), ("evidence", drawn.evidence)):
        if panel is not None:
            for suffix in (".svg", ".png"):
                viz.save_figure(panel.figure, folder / f"{name}{suffix}")
                written.append(folder / f"{name}{suffix}")
    if traces.spikes is not None:
        write_bytes(folder / "output-counts.gif", viz.count_animation(traces.spikes[0], classes))
        written.append(folder / "output-counts.gif")
    if publishable and viz.is_spikes(traces.encoded[0]):
        scale = max(1, 320 // max(traces.encoded.shape[-2:]))
        write_bytes(
            folder / "encoded.gif",
            viz.encoding_animation(traces.images[0], traces.encoded[0], scale=max(1, scale // 2)),
        )
        written.append(folder / "encoded.gif")
    return written


def _with_steps(network: Network, steps: int) -> Network:
    if not 1 <= steps <= _MOST_STEPS:
        raise ConfigError(f"The number of time steps is 1 to {_MOST_STEPS:,}; got {steps}.")
    graph = network.graph
    longer = Network(graph.replace(encoder=graph.encoder.replace(steps=steps)), engine_name=network.engine_name)
    longer.load_state_dict(network.state_dict())
    return longer.eval()


def _test_image(
    run: str | PathLike[str], at: int, data_dir: Path | None, decoding: Progress | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    setting = study(RunFolder.open(Path(run)), data_dir=data_dir, decoding=decoding).setting
    test = setting.split.test
    if not 0 <= at < len(test):
        raise ConfigError(f"The run has test images 0 to {len(test) - 1:,}; got {at}.")
    index = test[at : at + 1]
    return setting.images.images[index], setting.images.labels[index], index
