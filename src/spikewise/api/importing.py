"""`import_network`: a network of another tool beside a twin trained here; `from_nir` and its like: the network."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from spikewise.api.given import Data, as_source
from spikewise.api.runs import Run, asked_experiment
from spikewise.data import load_data
from spikewise.dynamics import Reset
from spikewise.encoders import Encoder
from spikewise.errors import ConfigError
from spikewise.experiments import Experiment
from spikewise.experiments.importing import imported_experiment, run_imported
from spikewise.experiments.sections.budget import SHARE
from spikewise.experiments.settings import changes_of
from spikewise.interop.incoming import Meaning, imported
from spikewise.interop.nir.reading import OWN, Imported
from spikewise.network import Network
from spikewise.readouts import Readout
from spikewise.training.progress import Plan, display

if TYPE_CHECKING:
    import nir

__all__ = ["from_nir", "from_snntorch", "from_spikingjelly", "import_experiment", "import_network"]

_DECIDED: Final = frozenset({"model", "standardise"})
"""Settings that say what stands in the file."""


def from_nir(  # noqa: PLR0913  # what a file may leave open
    source: "str | Path | nir.NIRGraph",
    *,
    dialect: str | None = None,
    dt: float | None = None,
    reset: Reset | None = None,
    reset_delay: bool | None = None,
    image_shape: tuple[int, int, int] | None = None,
    encoder: Encoder | None = None,
    readout: Readout | None = None,
) -> Network:
    """The network of a NIR file or graph, of whatever tool.

    Args:
        source: Path of the file, or the graph.
        dialect: The tool that wrote it: snntorch, spikingjelly, norse, sinabs, spyx, rockpool, or nir for the equations
            as they stand; None is found out from the pattern of its numbers.
        dt: Length of a step, in the unit of its time constants; None is the tool's.
        reset: How neurons reset ("subtract", "zero", "none"), where the file does not tell.
        reset_delay: Whether that belongs to the next step.
        image_shape: Channels, height, width, where the input is flat; None is a square.
        encoder: How images become its input; None is that of the file, or the rate code over 25 steps.
        readout: None is that of the file, or the count of output spikes, or the mean membrane.
    Raises:
        ConfigError: it is not clear what the file means, or a node has no counterpart here, which is named.
        DataError: the file is missing or damaged.
        DependencyError: `nir` is not installed.
    """
    return imported(source, Meaning(dialect, dt, reset, reset_delay, image_shape, encoder, readout)).network


def from_snntorch(
    module: nn.Module,
    *,
    image_shape: tuple[int, int, int] | None = None,
    encoder: Encoder | None = None,
    readout: Readout | None = None,
) -> Network:
    """The network of a module with snnTorch's neurons (Leaky, Synaptic, RLeaky, RSynaptic), by its attributes.

    Args:
        module: Its layers in a `torch.nn.Sequential`, or in a module that is called with an image to see their order.
        image_shape, encoder, readout: As for `from_nir`.
    Raises:
        ConfigError: a layer has no counterpart here, which is named, or the order of layers cannot be seen.
    """
    from spikewise.interop.converting import from_snntorch_module  # noqa: PLC0415  # beside its sibling below

    return from_snntorch_module(module, image_shape=image_shape, encoder=encoder, readout=readout).network


def from_spikingjelly(
    module: nn.Module,
    *,
    image_shape: tuple[int, int, int] | None = None,
    encoder: Encoder | None = None,
    readout: Readout | None = None,
) -> Network:
    """The same for SpikingJelly's IFNode, LIFNode, ParametricLIFNode and CUBALIFNode; see `from_snntorch`."""
    from spikewise.interop.converting import from_spikingjelly_module  # noqa: PLC0415  # as above

    return from_spikingjelly_module(module, image_shape=image_shape, encoder=encoder, readout=readout).network


def import_network(  # noqa: PLR0913  # one argument per thing a person may ask for
    source: Any,
    data: Data | None = None,
    /,
    *,
    images: Any = None,  # as for `compare`
    labels: Any = None,
    dialect: str | None = None,
    dt: float | None = None,
    reset: Reset | None = None,
    reset_delay: bool | None = None,
    trust: bool = False,
    epochs: int | None = None,
    quick: bool = False,
    thorough: bool = False,
    out: str | Path = "runs",
    progress: bool = False,
    data_dir: str | Path | None = None,
    **settings: object,
) -> Run:
    """A spiking network of another tool under the protocol: tested beside a twin that is trained here, as a run folder.

    Every command that takes a run takes this one. The encoder and the readout, which no file of other tools says, are
    settings: `**{"encoder.kind": "direct", "encoder.steps": 25}`.

    Args:
        source: Path of a NIR file; "snntorch:PATH" or "spikingjelly:PATH" of a pickled module; a NIR graph; a module.
        data: As for `compare`. They are brought to the size that the network reads, unless `data.size` is set.
        dialect, dt, reset, reset_delay: As for `from_nir`.
        trust: Open a pickled module, which runs whatever it holds.
        epochs, quick, settings: How the twin is trained, and whatever else `compare` takes.
    Raises:
        SpikewiseError: with one clear message.
    """
    meaning = Meaning(dialect, dt, reset, reset_delay)
    experiment = asked_experiment(
        as_source(data, images, labels, Path(out)), None, None, None, epochs, settings, quick=quick
    )
    named = {change.key.partition(".")[0] for change in changes_of(settings)}
    return import_experiment(
        source,
        experiment,
        meaning,
        named=named,
        trust=trust,
        out=Path(out),
        progress=progress,
        data_dir=None if data_dir is None else Path(data_dir),
        thorough=thorough,
    )


def import_experiment(  # noqa: PLR0913  # as above
    source: Any,
    experiment: Experiment,
    meaning: Meaning,
    *,
    named: "set[str] | Sequence[str] | Mapping[str, object]",
    trust: bool = False,
    out: Path = Path("runs"),
    progress: bool = False,
    data_dir: Path | None = None,
    thorough: bool = False,
) -> Run:
    """The same for an experiment that says which images, and how the twin is trained.

    Args:
        named: its tables and settings that were asked for; the others are the network's affair.
    Raises:
        ConfigError: the network decides one of `named`.
    """
    if decided := sorted(_DECIDED.intersection(named)):
        raise ConfigError(
            f"An imported network has its own layers, and reads pixels as it was taught to: {', '.join(decided)} would "
            "change nothing. Leave it out; the twin has the same layers."
        )
    if "sides" not in named:
        experiment = experiment.replace(sides=("snn", "twin"))
    experiment, found, words = _fitted(source, experiment, meaning, named, trust=trust, data_dir=data_dir)
    experiment = imported_experiment(experiment, found.network)
    how = {"out": out, "data_dir": data_dir, "thorough": thorough}
    if not progress:
        done = run_imported(found.network, experiment, found.tool, **how)  # type: ignore[arg-type]
        return Run(done.results, done.folder)
    plan = Plan(experiment.sides, experiment.seeds, tests=True, after=SHARE if experiment.sections else 0.0)
    with display(plan, f"import on {experiment.data.source}") as shown:
        for text in (*found.said, *words):
            shown.said(text)
        done = run_imported(found.network, experiment, found.tool, listener=shown, decoding=shown.work, **how)  # type: ignore[arg-type]
    return Run(done.results, done.folder)


def _fitted(  # as above
    source: Any, experiment: Experiment, meaning: Meaning, named: Any, *, trust: bool, data_dir: Path | None
) -> tuple[Experiment, Imported, list[str]]:
    """The network for the images, and the images for the network."""
    words: list[str] = []
    found = load_data(experiment.data, data_dir=data_dir).image_shape
    chosen = experiment.network(found)
    if "encoder" in named:
        meaning = meaning._replace(encoder=chosen.encoder)
    if "readout" in named:
        meaning = meaning._replace(readout=experiment.readout)
    network = imported(source, meaning._replace(image_shape=_first_guess(source, found)), trust=trust)
    if "encoder" not in named and network.tool != OWN:
        encoder = network.network.graph.encoder
        words.append(
            f"How images enter stands in no such file: encoder.kind={encoder.kind}, encoder.steps={encoder.steps} are "
            "taken; --set encoder.kind=... decides otherwise."
        )
    wanted = network.network.graph.image_shape
    if wanted == found:
        return experiment, network, words
    if math.prod(wanted) == math.prod(found) and wanted[0] == found[0]:  # a flat input takes any order of pixels
        again = imported(source, meaning._replace(image_shape=found), trust=trust)
        if again.network.graph.image_shape == found:
            return experiment, again, words
    if experiment.data.size == "auto" and wanted[0] in (1, 3, found[0]):  # grey or colour is all that images become
        grey = experiment.data.grey if experiment.data.grey is not None else wanted[0] == 1
        experiment = experiment.replace(data=experiment.data.replace(size=wanted[1:], grey=grey))
        shapes = ("x".join(map(str, shape)) for shape in (found, wanted))
        words.append("Images of {} are brought to {}, which the network reads.".format(*shapes))
    return experiment, network, words


def _first_guess(source: Any, found: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """A module that is no NIR graph is called with an image to see its layers; it has to fit."""
    named = isinstance(source, str) and source.partition(":")[0] in ("snntorch", "spikingjelly")
    return found if named or isinstance(source, nn.Module) else None
