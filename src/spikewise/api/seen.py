"""What a run has seen of images that are given to it later."""

from pathlib import Path
from typing import Final

import numpy as np

from spikewise.data import Progress, split
from spikewise.data.seen import SeenImages
from spikewise.errors import SpikewiseError
from spikewise.evaluation.stored import check_array, read_arrays
from spikewise.experiments import RunFolder
from spikewise.experiments.run_folder import SEEN

__all__ = ["kept_seen", "seen_images"]

_DIGESTS: Final = "u"


def kept_seen(path: Path) -> SeenImages | None:
    """The digests that a run folder keeps; None in those of versions that kept none.

    Raises:
        RunError: the file is damaged.
    """
    file = path / SEEN
    if not file.exists():
        return None
    arrays = read_arrays(file)
    learned, tested = (check_array(file, arrays, name, _DIGESTS, 1) for name in SeenImages._fields)
    return SeenImages(np.unique(learned.astype(np.uint64)), np.unique(tested.astype(np.uint64)))


def seen_images(folder: RunFolder, data_dir: Path | None = None, decoding: Progress | None = None) -> SeenImages | None:
    """What a run folder keeps of this; else what its images say, if they are where they lay; else None.

    Raises:
        RunError: the file is damaged.
    """
    kept = kept_seen(folder.path)
    if kept is not None:
        return kept
    try:
        images = folder.images(data_dir, decoding)
        return SeenImages.of(images, split(images, folder.experiment().split))
    except SpikewiseError:
        return None
