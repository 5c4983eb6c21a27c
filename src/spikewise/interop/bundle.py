"""The folder of an export: the files, the network that they were made of, the images of the check, and the check.

FOLDER/network.nir (or what the format writes), check.json, check.html, check.npz (images and labels),
reference.safetensors (the network as it was trained, with its graph).
"""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from spikewise import __version__
from spikewise.config import parse
from spikewise.errors import ConfigError, RunError, quoted
from spikewise.evaluation.prediction import fitting_batch
from spikewise.evaluation.stored import check_array, read_arrays
from spikewise.files import (
    make_folder,
    must_take_files,
    storage_errors,
    temporary_folder,
    write_json,
    write_npz,
    write_text,
)
from spikewise.graph import Graph
from spikewise.interop.check import ExportCheck, File, Progress, Source, accuracy_of, judge, paired
from spikewise.interop.deployed import Deployed, deploy
from spikewise.interop.formats import format_named
from spikewise.interop.page import check_page
from spikewise.interop.runtime import Exported, Format, Here, Wish, Written
from spikewise.interop.verdict import StandsFor, verdict_of
from spikewise.network import Network
from spikewise.reading import damaged, read_record
from spikewise.training.checkpoint import damage_told, load_weights, save_weights

__all__ = ["CheckImages", "Verified", "export_network", "verify_bundle"]

_CHECK, _PAGE, _IMAGES, _NETWORK = "check.json", "check.html", "check.npz", "reference.safetensors"
_MOST_BATCH: Final = 64
"""Images at a time: foreign runtimes keep every spike of every layer."""
_SAMPLES: Final = 16
"""Images that a format may write into its files."""
_REMEDY: Final = "Export the run again."


class CheckImages(NamedTuple):
    """Images that an export is checked on."""

    pixels: UInt8[np.ndarray, "N C H W"]
    labels: Int64[np.ndarray, " N"]
    kept: bool = True
    """Whether they may be passed on: they stand in the folder then, and the check can be repeated anywhere."""


def export_network(  # noqa: PLR0913  # what, how, from where, whereto
    network: Network,
    to: str,
    images: CheckImages,
    source: Source,
    out: Path,
    *,
    wish: Wish | None = None,
    checked: bool = True,
    progress: Progress | None = None,
) -> tuple[Exported, ExportCheck | None]:
    """Write a network in a format, and check the files by a foreign runtime. The folder is whole or absent.

    Args:
        to: name of the format, of `FORMATS`.
        images: run through both.
        source: where the network comes from, for the record.
        out: the folder; an earlier export in it is replaced.
        checked: without the check the folder holds nothing but the files and the network.
    Raises:
        ConfigError: the format cannot say a layer, or `out` holds something else.
        DependencyError: a package of the format is not installed.
        StorageError: the folder cannot be written.
    """
    wish = Wish() if wish is None else wish
    chosen = format_named(to)
    if not len(images.pixels):
        raise ConfigError("An export is checked on at least 1 image; got 0.")
    _check_name(wish.name)
    _check_free(out)
    must_take_files(out.parent)
    deployed = deploy(network)
    with temporary_folder() as folder:
        written = chosen.write(deployed, folder, wish._replace(samples=images.pixels[: _SAMPLES if images.kept else 0]))
        save_weights(folder / _NETWORK, network, {})
        if not checked:
            _put(folder, out)
            return Exported(out, out / written.main), None
        if images.kept:
            write_npz(folder / _IMAGES, images=images.pixels, labels=images.labels)
        check = _checked(chosen, deployed, folder, written, images, wish, source, network, progress)
        _write_check(folder, check)
        _put(folder, out)
    return Exported(out, out / written.main), check


class Verified(NamedTuple):
    """A check that was made again."""

    check: ExportCheck
    """As the files are now."""
    changed: tuple[str, ...]
    """Files that are not those that the export wrote."""


Given = Callable[[int], CheckImages]
"""So many of the images that a check was made with, from elsewhere than its folder."""


def verify_bundle(path: Path, *, given: Given | None = None, progress: Progress | None = None) -> Verified:
    """Repeat the check of an export: its files, as they are now, are read and run again.

    Args:
        path: the folder of the export, or a file in it.
        given: images, where the folder keeps none.
    Raises:
        RunError: no check stands beside the file, or a file is missing or damaged.
        DependencyError: what runs the file is not installed.
    """
    folder = path if path.is_dir() else path.parent
    before = _read_check(folder, path)
    network, images = _read_network(folder, before), _images(folder, before, given)
    _check_files(folder, before)
    chosen = format_named(before.format)
    source = before.source
    wish = Wish(before.name, before.tool, before.numbers, source.classes, source.seed, source.data, foreign=True)
    wish = wish._replace(max_size=before.max_size)
    files = tuple(one.name for one in before.files)
    written = Written(before.main, files, before.warnings, before.facts, levels=before.levels)
    check = _checked(chosen, deploy(network), folder, written, images, wish, source, network, progress)
    return Verified(check, changed_files(check, before))


def _checked(  # noqa: PLR0913, PLR0917  # everything that a check knows of
    chosen: Format, deployed: Deployed, folder: Path, written: Written, images: CheckImages, wish: Wish,
    source: Source, network: Network, progress: Progress | None,
) -> ExportCheck:  # fmt: skip
    opened = written.opened or chosen.open(deployed, folder, written.main, wish._replace(levels=written.levels))
    here = Here(network, seed=wish.seed)
    batch = min(_MOST_BATCH, fitting_batch(network.graph, record=network.graph.spiking_layers))
    found = judge(here, opened, images.pixels, images.labels, batch=batch, progress=progress)
    simulated = opened.reference is not None
    exact = chosen.exact or opened.integers
    stands_for: StandsFor | None = None if not simulated else "integers" if opened.integers else "rounded weights"
    passed, verdict = verdict_of(found, exact=exact, tool=f"{chosen.title} file", stands_for=stands_for)
    only_here, only_there, p = paired(found)
    return ExportCheck(
        format=chosen.name,
        tool=wish.tool,
        numbers=wish.numbers,
        max_size=wish.max_size,
        levels=written.levels,
        name=wish.name,
        spikewise=__version__,
        source=source,
        main=written.main,
        files=tuple(_file(folder / name) for name in written.files),
        images=len(images.labels),
        steps=deployed.graph.steps,
        judged=found.judged,
        agreeing=found.agreeing if simulated else None,
        exact=exact,
        accuracy_here=accuracy_of(found.correct_here),
        accuracy_there=accuracy_of(found.correct_there),
        only_here=only_here,
        only_there=only_there,
        p_value=p,
        milliseconds_here=found.milliseconds_here,
        milliseconds_there=found.milliseconds_there,
        readers=found.readers,
        warnings=written.warnings,
        facts=dict(written.facts),
        passed=passed,
        verdict=verdict,
    )


def _file(path: Path) -> File:
    content = path.read_bytes()
    return File(name=path.name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _write_check(folder: Path, check: ExportCheck) -> None:
    write_json(folder / _CHECK, check.model_dump(mode="json"))
    write_text(folder / _PAGE, check_page(check))


def _check_name(name: str) -> None:
    """It becomes that of files, and stands in them.

    Raises:
        ConfigError: it holds more than letters, digits, "_", "-" and ".".
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", name):
        raise ConfigError(f"The name {quoted(name)} is no name of files: give up to 64 letters, digits, _ , - and .")


def _check_free(out: Path) -> None:
    """An earlier export may be replaced, nothing else.

    Raises:
        ConfigError: something else stands there.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"{out} is a file; an export is a folder: give another with --out.")
    if any(out.iterdir()) and not ((out / _CHECK).is_file() or (out / _NETWORK).is_file()):
        raise ConfigError(f"{out} holds files that are no export; give an empty or new folder with --out.")


def _put(made: Path, out: Path) -> None:
    """Bring a finished folder to its place; what stood there stays until the new one is whole.

    Raises:
        StorageError: it cannot be written there; nothing is left of it.
    """
    make_folder(out.parent)
    beside = out.parent / f".{out.name}.part"
    try:
        with storage_errors(out):
            if beside.exists():
                shutil.rmtree(beside)
            beside.mkdir()  # not a copy of the temporary folder, which only its owner may enter
            for path in made.iterdir():
                shutil.copy(path, beside)
            if out.exists():
                shutil.rmtree(out)
            beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _read_check(folder: Path, asked: Path) -> ExportCheck:
    if not asked.exists():
        raise RunError(f"There is no {asked}; give the folder of an export, or the exported file in it.")
    if not (folder / _CHECK).is_file():
        raise RunError(
            f"No {_CHECK} stands beside {asked}: it was not exported by spikewise, or moved without it. "
            "`spikewise import` takes networks of other tools."
        )
    return read_record(folder / _CHECK, ExportCheck, _REMEDY)


def _read_network(folder: Path, check: ExportCheck) -> Network:
    path = folder / _NETWORK
    weights, notes = load_weights(path)
    try:
        graph = parse(Graph, notes.get("graph", {}))
    except ConfigError as error:
        raise damaged(path, error, _REMEDY) from None
    network = Network(graph)
    with damage_told(path):
        network.load_state_dict(weights)
    if graph.classes != len(check.source.classes):
        raise damaged(path, f"it has {graph.classes} outputs for {len(check.source.classes)} classes", _REMEDY)
    return network


def _images(folder: Path, check: ExportCheck, given: Given | None) -> CheckImages:
    path = folder / _IMAGES
    if path.exists():
        return _read_images(path, check)
    if given is None:
        raise RunError(f"{folder} keeps no images of its check (run {check.source.run}): give that run with --run.")
    images = given(check.images)
    if len(images.labels) != check.images:
        raise RunError(f"The check of {folder} had {check.images} images, and the run that was given has other ones.")
    return images


def _read_images(path: Path, check: ExportCheck) -> CheckImages:
    arrays = read_arrays(path, _REMEDY)
    pixels = check_array(path, arrays, "images", "u", 4, _REMEDY)
    labels = check_array(path, arrays, "labels", "iu", 1, _REMEDY)
    if not len(pixels) == len(labels) == check.images or pixels.dtype != np.uint8:
        raise damaged(path, f"{len(pixels)} images and {len(labels)} labels; the check had {check.images}", _REMEDY)
    return CheckImages(pixels, labels.astype(np.int64))


def _check_files(folder: Path, check: ExportCheck) -> None:
    if check.main not in [one.name for one in check.files]:
        raise damaged(folder / _CHECK, f"{quoted(check.main)} is none of its files", _REMEDY)
    for one in check.files:
        path = folder / one.name
        if path.parent != folder or not path.is_file():
            raise RunError(f"{path} is missing. Bring all files of the export together, or export the run again.")


def changed_files(now: ExportCheck, before: ExportCheck) -> tuple[str, ...]:
    """Names of the files that are not those that were checked before."""
    kept = {one.name: one.sha256 for one in before.files}
    return tuple(one.name for one in now.files if kept[one.name] != one.sha256)
