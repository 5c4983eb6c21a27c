"""`audit`: what would flatter a result on a set, before anything is trained; and a split without it."""

from pathlib import Path
from typing import NamedTuple

from spikewise.api.given import Data, as_source
from spikewise.data import ImageSet, Progress, Split, load_data, split
from spikewise.data.audit import Audit, clean_split, file_facts, folder_of, look_at
from spikewise.data.audit import audit as audit_images
from spikewise.data.locate import cache_folder
from spikewise.data.split_file import SplitFile
from spikewise.experiments import Experiment, resolve
from spikewise.experiments.settings import changes_of
from spikewise.training.progress import display

__all__ = ["Audited", "audit", "open_audit"]


class Audited(NamedTuple):
    """A set that is ready to be audited, with the split that an experiment would use."""

    experiment: Experiment
    images: ImageSet
    split: Split
    folder: Path | None
    """Of its image files, if it has some."""

    def audit(self, progress: Progress | None = None) -> Audit:
        """Look for leaks, shortcuts and damage; an audit of the same images and split is read back."""
        return audit_images(self.images, self.split, root=self.folder, progress=progress)

    def clean_split(self) -> SplitFile:
        """A split without the leaks."""
        cache = cache_folder(None)
        look = look_at(self.images, self.split, file_facts(self.images, self.folder, cache), cache=cache)
        return clean_split(look, self.experiment.split)


def open_audit(experiment: Experiment, *, data_dir: Path | None = None, progress: Progress | None = None) -> Audited:
    """Read the images of an experiment, those that cannot be decoded left out, and divide them as it would.

    Raises:
        SpikewiseError: the images cannot be read, or not divided.
    """
    config = experiment.data.replace(skip_bad=True) if _has_files(experiment, data_dir) else experiment.data
    images = load_data(config, data_dir=data_dir, progress=progress)
    return Audited(experiment, images, split(images, experiment.split), folder_of(config, data_dir))


def audit(
    data: Data,
    /,
    *,
    fix: str | Path | None = None,
    out: str | Path = "runs",
    data_dir: str | Path | None = None,
    progress: bool = False,
    **settings: object,
) -> Audit:
    """Look for everything that would flatter a result on a set and its split; nothing is trained.

    Args:
        data: Name of a known set, path of an .npz, an IDX file or a folder of class folders, or images in memory; as
            for `compare`.
        out: Where images in memory are kept, as `compare` keeps them.
        fix: Write a split without the leaks to this file; `split={"file": fix}` uses it.
        settings: Settings of the data and the split, nested (`split={"grouped": False}`) or dotted.
    Raises:
        SpikewiseError: with one clear message.
    """
    experiment = resolve(as_source(data, None, None, Path(out)), overrides=changes_of(settings))
    where = None if data_dir is None else Path(data_dir)
    if progress:
        with display() as shown:
            opened = open_audit(experiment, data_dir=where, progress=shown.work)
            found = opened.audit(shown.work)
    else:
        opened = open_audit(experiment, data_dir=where)
        found = opened.audit()
    if fix is not None:
        opened.clean_split().save(Path(fix))
    return found


def _has_files(experiment: Experiment, data_dir: Path | None) -> bool:
    return folder_of(experiment.data, data_dir) is not None
