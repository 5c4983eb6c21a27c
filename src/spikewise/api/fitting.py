"""`fits`: does the network of a run, a preset or a set of images fit a device, and which layer does not?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from spikewise.api.runs import Run
from spikewise.api.trained import load
from spikewise.data import CATALOG, load_data
from spikewise.errors import ConfigError, MissingDataError, unknown_choice
from spikewise.evaluation.conversion import FILE as CONVERSION
from spikewise.experiments import Experiment
from spikewise.experiments.candidates import candidates_for
from spikewise.experiments.request import resolve
from spikewise.experiments.settings import changes_of, parse_change
from spikewise.experiments.standard import Standard
from spikewise.graph import Graph
from spikewise.interop.fits import Fit, fit, read_target

__all__ = ["fits"]

_FINGERPRINT_CLASSES: Final = {"finger": 10, "hand": 2, "gender": 2, "altered": 2}
"""By what the label of a print is (`data.target`)."""


def fits(  # one argument per thing a person may ask for
    source: str | Path | Run | Graph | Experiment,
    target: str,
    *,
    network: str = "snn",
    settings: Sequence[str] = (),
    data_dir: Path | None = None,
    **named: object,
) -> Fit:
    """Whether a network fits a device or tool, and which layer does not; nothing is trained for it.

    Args:
        source: A run; or what `compare` takes: a preset, a known set, a path of images, an experiment; or a graph.
        target: One of `spikewise.interop.fits.target_names()`, with flash and RAM for a microcontroller
            ("cortex-m4:512k/160k"), or a TOML file of such limits.
        network: Which network of a run or comparison.
        settings: Changes to what would be trained, as "key=value".
        named: The same by name, such as `**{"data.size": 64}`.
        data_dir: Where known sets are looked for first.
    Raises:
        ConfigError: there is no such preset, network or target; or settings are given for what is trained already.
        DataError: the images cannot be read.
        RunError: the run has not finished.
    """
    limits = read_target(str(target))
    changes = [*map(parse_change, settings), *changes_of(named)]
    if isinstance(source, Experiment):
        return fit(_untrained(source, network, data_dir), limits, str(target))
    if isinstance(source, Run):
        source = source.folder
    made = isinstance(source, Graph) or _is_run(Path(source))
    if made and changes:
        raise ConfigError(
            f"Settings ({', '.join(map(str, changes))}) change what is trained, and this network is made already. "
            "Give the preset, the set or the folder of images that it is for, or leave the settings out."
        )
    if isinstance(source, Graph):
        graph = source
    elif made:
        graph = load(source, network, device="cpu").network.graph
    else:
        graph = _untrained(resolve(str(source), overrides=changes), network, data_dir)
    return fit(graph, limits, str(target))


def _is_run(path: Path) -> bool:
    return (path / "run.json").is_file() or (path / CONVERSION).is_file()


def _untrained(experiment: Experiment, network: str, data_dir: Path | None) -> Graph:
    """The graph that a network of an experiment would have; images are read only where their shape is not known."""
    shape, classes = _known(experiment) or _seen(experiment, data_dir)
    if experiment.standardise is True:  # of what training images are is not known yet; sizes do not depend on it
        standing = Standard(mean=(0.5,) * shape[0], deviation=(0.25,) * shape[0])
        experiment = experiment.replace(standardise=standing)
    candidates = candidates_for(experiment, shape, classes)
    found = next((one for one in candidates if network in (one.name, one.kind)), None)  # "snn" without spikes is "ann"
    if found is None:
        raise unknown_choice("network", network, [one.name for one in candidates])
    return found.graph


def _known(experiment: Experiment) -> tuple[tuple[int, int, int], int] | None:
    """Shape and number of classes that the images of a set by name have, where they have one."""
    known = CATALOG.get(experiment.data.source)
    if known is None:
        return None
    found = [int(part) for part in known.shape.split("x") if part.isdecimal()]  # none where images come in any size
    size = experiment.data.given_size or known.size or tuple(found[1:])
    if len(size) != 2:
        return None
    grey = experiment.data.grey or not found or found[0] == 1  # sets of any size are grey prints and X-rays
    classes = len(known.classes) or _FINGERPRINT_CLASSES[experiment.data.target or "finger"]
    return (1 if grey else found[0], *size), classes


def _seen(experiment: Experiment, data_dir: Path | None) -> tuple[tuple[int, int, int], int]:
    try:
        images = load_data(experiment.data, data_dir=data_dir)
    except MissingDataError as error:
        raise ConfigError(
            f"How large the images of {experiment.data.source} are is not known before they are there: give "
            f"--set data.size=64. {error}"
        ) from error
    return images.image_shape, len(images.classes)
