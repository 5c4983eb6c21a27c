"""`export` and `verify`: a trained network as a file of another tool, with the proof that it still does the same."""

from functools import partial
from os import PathLike
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np

from spikewise.api.trained import Trained, load, run_of
from spikewise.data import split
from spikewise.encoders import Rate, RegisteredEncoder
from spikewise.errors import ConfigError, unknown_choice
from spikewise.evaluation import Results
from spikewise.evaluation.anytime import TOLERANCE
from spikewise.evaluation.units import parse_bytes
from spikewise.experiments import RunFolder
from spikewise.interop import FORMATS, CheckImages, ExportCheck, Verified, Wish, deploy, export_network, verify_bundle
from spikewise.interop.check import Progress, Source
from spikewise.interop.runtime import Numbers, PageContent
from spikewise.report import write_report

__all__ = ["Export", "export", "verify"]

_IMAGES: Final = 1000


class Export(NamedTuple):
    """A network that was exported and checked."""

    folder: Path
    file: Path
    """What the other tool reads."""
    check: ExportCheck | None
    """None where it was not asked for."""


def export(  # noqa: PLR0913  # one for each option of the command
    run: str | PathLike[str],
    to: str,
    *,
    network: str = "snn",
    seed: int | None = None,
    steps: int | None = None,
    waits: bool = False,
    tool: str | None = None,
    numbers: Numbers = "float32",
    max_size: int | str | None = None,
    name: str = "network",
    images: int | Literal["usual"] | None = "usual",
    keep_images: bool = True,
    checked: bool = True,
    out: str | Path | None = None,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Export:
    """Write a network of a run in a format of other tools, read it back by a foreign runtime, and compare the two.

    Args:
        run: The run, or a folder in its `conversions`.
        to: The format: one of `spikewise.interop.FORMATS`.
        network: Which of the run's networks; of a conversion there is but one.
        seed: Which of the run's seeds; None is the first.
        steps: Of a converted network: in how many a layer's spikes say its activations; None is the most tested.
        waits: Of a converted network: the one whose layers fire only when all of their input has come.
        tool: The tool that is to read it, where the format has dialects.
        numbers: "int8" for integers alone, where the format has them.
        max_size: Bytes that the file may have, or such as "2MB": where it would have more, the network's weights (and
            the twin's) are rounded to the finest multiples for which there is room, and the check says what that
            costs; for html. None keeps all of their bits.
        name: Of the files and of what is named in them.
        images: Test images that the check runs through both, evenly spaced; None is all. Usual are 1,000, and all for
            integers, so that the accuracy printed is that of the device.
        keep_images: Whether they stay in the folder, so that the check can be repeated anywhere; those of a set that
            may not be shown never do.
        checked: Without the check nothing says that the file does the same; nothing can repeat it later.
        out: The folder; None is `exports/NETWORK-SEED-FORMAT` of the run or the conversion.
        progress: Told what is done, with the images so far and all.
    Raises:
        RunError: the run has not finished, or its images have changed since.
        ConfigError: there is no such format, network or seed, or the format cannot say a layer, which is named;
            or the file cannot be made as small as `max_size`.
        DependencyError: a package of the format is not installed; the message says which.
    """
    if to not in FORMATS:
        raise unknown_choice("export format", str(to), list(FORMATS))
    if images == "usual":
        images = None if numbers == "int8" else _IMAGES
    if images is not None and images < 1:
        raise ConfigError(f"An export is checked on at least 1 image; got {images}.")
    most = None if max_size is None else parse_bytes(max_size)
    place = Path(run)
    folder = run_of(place)
    trained = load(place, network, seed, device="cpu", steps=steps, waits=waits)
    results = Results.load(folder.results)
    draws = isinstance(trained.network.graph.encoder, (Rate, RegisteredEncoder))
    source = Source(
        run=folder.path.resolve().name,
        network=trained.name,
        seed=trained.seed,
        classes=trained.classes,
        data=results.data.name,
        draws=draws,
        reported=_reported(results, trained) if draws else None,
    )
    converted = folder.path != place
    form = f"spikes-{steps or 'most'}{'-waiting' if waits else ''}" if converted else trained.name
    chosen = place / "exports" / _folder_name(form, trained.seed, to, tool, numbers, small=most is not None)
    test = _test_images(folder, images, data_dir)._replace(kept=keep_images and results.data.publishable)
    wish = Wish(name, tool, numbers, trained.classes, trained.seed, source.data)
    exported, check = export_network(
        trained.network,
        to,
        test,
        source,
        chosen if out is None else Path(out),
        wish=wish._replace(max_size=most, beside=partial(_beside, folder, results, trained, test)),
        checked=checked,
        progress=progress,
    )
    if exported.file.suffix == ".html" and out is None and not converted and (folder.path / "report.html").exists():
        write_report(folder.path)  # it links to the page
    return Export(exported.folder, exported.file, check)


def _reported(results: Results, trained: Trained) -> float | None:
    """Accuracy of one training in the run's results; None where it is a network that the run did not test."""
    runs = next((network.runs for network in results.networks if network.name == trained.name), ())
    return next((one.test.get("accuracy") for one in runs if one.seed == trained.seed), None)


def _beside(folder: RunFolder, results: Results, trained: Trained, test: CheckImages) -> PageContent:
    """What a page shows beside the network."""
    twins = [network.name for network in results.networks if network.name == "twin"]
    twin = load(folder.path, "twin", trained.seed, device="cpu") if twins and trained.name != "twin" else None
    return PageContent(
        name=trained.name,
        run=folder.path.resolve().name,
        twin=None if twin is None else deploy(twin.network),
        images=test.pixels,
        labels=test.labels,
        shown=test.kept,
        aspect=results.data.aspect,
        background=folder.experiment().data.background or "black",
        exit_at=_exit_at(results, trained),
    )


def _exit_at(results: Results, trained: Trained) -> float | None:
    """The confidence from which the run's report lets a network of this seed answer early."""
    if results.sections.anytime is None:
        return None
    place = results.protocol.seeds.index(trained.seed)
    for one in results.sections.anytime.networks:
        for chosen in one.early_exit:
            if one.network == trained.name and chosen.tolerance == TOLERANCE:
                return chosen.thresholds[place]
    return None


def verify(
    path: str | Path,
    *,
    run: str | PathLike[str] | None = None,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Repeat the check of an export where it lies now: on another machine, with another version of what runs it.

    Args:
        path: The folder of the export, or the exported file in it.
        run: The run that it was made of, for its test images, where the folder keeps none.
    Raises:
        RunError: no check stands beside it, or a file is missing or damaged.
        DependencyError: what runs the file is not installed; the message says how to get it.
    """
    given = None
    if run is not None:
        folder = run_of(Path(run))
        given = partial(_test_images, folder, data_dir=data_dir)
    return verify_bundle(Path(path), given=given, progress=progress)


def _folder_name(network: str, seed: int, to: str, tool: str | None, numbers: Numbers, *, small: bool) -> str:
    more = [part for part in (tool, None if numbers == "float32" else numbers) if part is not None]
    return "-".join([network, str(seed), *(["small"] if small else []), to, *more])


def _test_images(folder: RunFolder, count: int | None, data_dir: Path | None = None) -> CheckImages:
    images = folder.images(data_dir)
    test = split(images, folder.experiment().split).test
    at = test if count is None or count >= len(test) else test[np.linspace(0, len(test) - 1, count).astype(np.int64)]
    return CheckImages(images.images[at], images.labels[at])
