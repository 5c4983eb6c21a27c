"""The run folder: what a run leaves on disk, and how a killed run finds its way back.

run.json                      format, version, identity, resolved experiment, fingerprint of the data and its classes
experiment.toml               the resolved experiment, to run again
networks/NAME/seed-N/         checkpoint.safetensors (to resume), weights.safetensors (the result),
                              events.jsonl (a line for each epoch, as it is over), fit.json (the training when it is),
                              test.npz (index, labels, logits on the test images)
openings.json                 each time the test images were predicted
artifacts.npz results.json report.html figures/
likeness.npz                  what tells other images from the training images, for `predict`
seen.npz                      digests of the images, so that copies are known, for `evaluate` and `predict`
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import tomli_w
from filelock import FileLock, Timeout

from spikewise import __version__
from spikewise.data import CATALOG, ImageSet, Progress, load_data
from spikewise.data.layouts import table_paths
from spikewise.data.names import as_path, shown
from spikewise.errors import BusyError, ConfigError, MissingDataError, RunError, quoted
from spikewise.evaluation import Results
from spikewise.experiments.experiment import Experiment, parse_experiment
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.older import as_recorded
from spikewise.files import make_folder, must_take_files, remove_if_left, storage_errors, write_json, write_text
from spikewise.reading import damaged, read_json

__all__ = ["FORMAT", "LOCK", "SEEN", "RunFolder", "locked"]

FORMAT: Final = 1
"""Version of the folder's layout."""
LOCK: Final = ".lock"
"""Of the process that is at work in a folder."""
_OPENINGS_LOCK: Final = ".openings.lock"
"""Of the process that adds to the openings, beside whichever is at work in the folder."""
_PATIENCE: Final = 60.0
"""Seconds in which others have long added theirs."""
SEEN: Final = "seen.npz"
"""Of the images that a run has had before it."""
_NEEDED: Final = {"kind": str, "identity": str, "fingerprint": str, "experiment": dict}
_OPENING: Final = {"network": str, "seed": int, "why": str}


class RunFolder:
    """Paths and bookkeeping of one run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, experiment: Experiment, kind: str, images: NotedImages) -> "RunFolder":
        """Open the folder of this experiment, making it if it is not there.

        Raises:
            RunError: the folder holds another experiment, other data or another version's layout.
            BusyError: the same run is being begun elsewhere.
            StorageError: it cannot be written.
        """
        folder = cls(path)
        with storage_errors(path):
            known = (path / "run.json").exists()
        if not known:
            make_folder(path)
            with locked(path / LOCK, path):  # else what begins the same run meanwhile clears away what is half written
                folder._begin(experiment, kind, images)
        folder._must_match(experiment, images)
        return folder

    def _begin(self, experiment: Experiment, kind: str, images: NotedImages) -> None:
        """Write down what is run, unless that has been done since it was looked for."""
        if (self.path / "run.json").exists():
            return
        table = experiment.model_dump(mode="json", exclude_none=True)
        write_text(self.path / "experiment.toml", tomli_w.dumps(table))
        facts = {
            "format": FORMAT,
            "kind": kind,
            "spikewise_version": __version__,
            "identity": experiment.identity(),
            "fingerprint": images.fingerprint,
            "images": images.as_json(),
            "experiment": experiment.model_dump(mode="json"),
            "places": _places(experiment),
        }
        write_json(self.path / "run.json", facts)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open an existing run folder.

        Raises:
            RunError: it is not a run folder, is damaged, or was written by another version.
        """
        folder = cls(path)
        folder.facts()
        return folder

    def facts(self) -> dict[str, Any]:
        """The content of run.json."""
        file = self.path / "run.json"
        try:
            there, anything = file.exists(), self.path.exists()
        except (OSError, ValueError) as error:  # a folder that may not be entered, a name that none can have
            raise RunError(
                f"{self.path} cannot be read: {getattr(error, 'strerror', None) or error}. Check the path."
            ) from error
        if not anything:
            raise RunError(f"There is no {self.path}. Check the path; `spikewise runs FOLDER` lists a folder's runs.")
        if not there:
            raise RunError(f"{self.path} is not a run folder (it has no run.json). `spikewise compare` makes one.")
        facts = read_json(file)
        found = facts.get("format") if isinstance(facts, dict) else None
        if found != FORMAT or isinstance(found, bool):
            version = facts.get("spikewise_version", "unknown") if isinstance(facts, dict) else "unknown"
            raise RunError(
                f"{self.path} has run format {quoted(found)}, written by spikewise {quoted(version)[1:-1]}; this is "
                f"spikewise {__version__}, which reads format {FORMAT}. Use that version, or run again with another "
                "--out."
            )
        if lacking := sorted(_NEEDED.keys() - facts.keys()):
            raise damaged(file, f"it lacks {', '.join(lacking)}")
        for key, kind in _NEEDED.items():
            if not isinstance(facts[key], kind):
                raise damaged(file, f"'{key}' is {quoted(facts[key])}")
        return dict(facts)

    def experiment(self) -> Experiment:
        """The resolved experiment; its files are named by where they lay, so that they are found from any folder.

        That of an older folder goes on meaning what was done there.
        """
        facts = self.facts()
        try:
            experiment = parse_experiment(as_recorded(facts["experiment"]))
        except ConfigError as error:
            raise damaged(self.path / "run.json", error) from None
        source, labels, file = (_lies_at(facts, key) for key in ("data.source", "data.labels", "split.file"))
        if source is not None or labels is not None:
            lie = {"source": source, "labels": labels}
            data = experiment.data.replace(**{key: place for key, place in lie.items() if place is not None})
            experiment = experiment.replace(data=data)
        if file is not None:
            experiment = experiment.replace(split=experiment.split.replace(file=file))
        return experiment

    def images(self, data_dir: Path | None = None, decoding: Progress | None = None) -> ImageSet:
        """The images of the run.

        Raises:
            RunError: they have changed since.
            MissingDataError: they are not where they lay; the message says where that was.
        """
        experiment = self.experiment()
        try:
            images = load_data(experiment.data, data_dir=data_dir, progress=decoding)
        except (MissingDataError, ConfigError) as error:
            source = experiment.data.source
            if source in CATALOG or os.path.lexists(as_path(source)):
                raise
            place = _place(self.facts(), "data.source")
            where = place or f"'{source}', seen from the folder in which it was started"
            raise MissingDataError(
                f"The images of {self.path} lay at {where}; they are not there now. Put them back, or go to where that "
                "path leads to them. `spikewise evaluate RUN --data PATH` takes other images."
            ) from error
        changed = self.changed(NotedImages.of(images))
        if changed is not None:
            raise RunError(
                f"The images of '{experiment.data.source}' have changed since {self.path} was made: {changed}."
            )
        return images

    def noted(self) -> dict[str, Any] | None:
        """What was noted of the images beside their fingerprint, their `classes` in any case.

        Versions that noted nothing else named the classes in the results; None where there are none yet.
        """
        if "images" not in (facts := self.facts()):
            return {"classes": Results.load(self.results).data.classes} if self.results.exists() else None
        noted = facts["images"]
        classes = noted.get("classes") if isinstance(noted, dict) else None
        if not isinstance(classes, list) or not all(isinstance(one, str) for one in classes):
            raise damaged(self.path / "run.json", f"'images' is {quoted(noted)}")
        return dict(noted)

    def changed(self, images: NotedImages) -> str | None:
        """What of these images is not as the run has them, in words; None where all is."""
        return images.changes_from(self.facts()["fingerprint"], self.noted())

    def has_images(self, images: NotedImages) -> bool:
        """Whether these are the run's images, so that what it kept for its test can be told among them."""
        return images.are_divided_as(self.facts()["fingerprint"], self.noted())

    def must_hold_networks(self) -> None:
        """Make sure that the networks of the run can be loaded.

        Raises:
            RunError: `judge` made it, of networks that its caller holds.
        """
        if self.facts()["kind"] == "judge":
            raise RunError(
                f"{self.path} judged networks that were made elsewhere; they are not in it, and only what was asked of "
                "them then is known: spikewise.judge(..., sections=[...]) asks for more. spikewise.import_network "
                "brings a spiking network in, layer by layer, and every command works on that run."
            )

    def training(self, name: str, seed: int) -> Path:
        """Folder of one training; made if it is not there."""
        return make_folder(self.path / "networks" / name / f"seed-{seed}")

    @property
    def results(self) -> Path:
        """results.json."""
        return self.path / "results.json"

    def openings(self) -> list[dict[str, Any]]:
        """Each time test images were predicted: when, which network, why."""
        file = self.path / "openings.json"
        found = read_json(file) if file.exists() else []
        if not isinstance(found, list):
            raise damaged(file, f"no list but {quoted(found)}")
        for one in found:
            if not isinstance(one, dict) or not all(isinstance(one.get(key), kind) for key, kind in _OPENING.items()):
                raise damaged(file, f"no opening: {quoted(one)}")
        return found

    def note_opening(self, network: str, seed: int, why: str) -> None:
        """Record that the test images are about to be predicted; several commands may at once."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        opening = {"time": now, "network": network, "seed": seed, "why": why}
        with locked(self.path / _OPENINGS_LOCK, self.path, patience=_PATIENCE):
            write_json(self.path / "openings.json", [*self.openings(), opening])

    def openings_beside(self, fingerprint: str) -> int:
        """How often test images of that image set were predicted in the run folders beside this one."""
        count = 0
        for path in sorted(self.path.resolve().parent.glob("*/run.json")):
            other = RunFolder(path.parent)
            if path.parent == self.path.resolve():
                continue
            with contextlib.suppress(RunError):  # what another folder holds is no reason to fail here
                if other.facts()["fingerprint"] == fingerprint:
                    count += len(other.openings())
        return count

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second process out while this one works here; the system frees the lock when a process dies.

        Raises:
            BusyError: another process is at work in this folder.
            StorageError: it cannot be written, which is said before the work and not after it.
        """
        with locked(self.path / LOCK, self.path):
            must_take_files(self.path)
            self._clear()
            yield

    def _clear(self) -> None:
        """Remove what a killed process had half written, and nothing that a command without this lock is writing."""
        for part in self.path.rglob(".*.part"):
            remove_if_left(part)

    def _must_match(self, experiment: Experiment, images: NotedImages) -> None:
        facts = self.facts()
        if facts["identity"] != experiment.identity():
            raise RunError(f"{self.path} holds another experiment ({facts['identity']}). Choose another --out.")
        changed = self.changed(images)
        if changed is not None:
            raise RunError(
                f"The images of '{experiment.data.source}' have changed since {self.path} was begun: {changed}. "
                "Choose another --out, or remove that folder."
            )


@contextlib.contextmanager
def locked(file: Path, what: Path, *, patience: float = 0.0) -> Iterator[None]:
    """Keep a second process, or thread of this one, out of something while this one works there.

    Args:
        file: the lock; the system frees it when a process dies.
        what: is locked.
        patience: seconds that it is waited for.
    Raises:
        BusyError: another process is at work there.
        StorageError: the file cannot be written.
    """
    lock = FileLock(file)
    with storage_errors(what):
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            raise BusyError(
                f"Another process or thread is at work in {what}. Wait for it, or choose another --out."
            ) from None
    try:
        yield
    finally:
        lock.release()


def _places(experiment: Experiment) -> dict[str, str | list[str]]:
    """Where the files of an experiment lie, whatever folder a later command is given in."""
    named: dict[str, str | None] = {"split.file": experiment.split.file}
    if experiment.data.source not in CATALOG:
        named["data.source"] = experiment.data.source
    places: dict[str, str | list[str]] = {key: _whole(as_path(name)) for key, name in named.items() if name is not None}
    labels = [_whole(path) for path in table_paths(experiment.data)]
    if labels:
        places["data.labels"] = labels if len(labels) > 1 else labels[0]
    return places


def _whole(path: Path) -> str:
    return shown(path.absolute())


def _place(facts: dict[str, Any], key: str) -> str | list[str] | None:
    """Where a file, or several, lay when the run was begun; None where that is not recorded."""
    places = facts.get("places")
    place = places.get(key) if isinstance(places, dict) else None
    if isinstance(place, list) and all(isinstance(one, str) for one in place):
        return place
    return place if isinstance(place, str) else None


def _lies_at(facts: dict[str, Any], key: str) -> str | list[str] | None:
    """The same, if it is there still."""
    place = _place(facts, key)
    those = [place] if isinstance(place, str) else place or []
    return place if those and all(os.path.lexists(as_path(one)) for one in those) else None
