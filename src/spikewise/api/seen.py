"""What a run has seen of images that are given to it later."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt64
from numpy.typing import NDArray

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
    return SeenImages(_in_order(learned), _in_order(tested))


def _in_order(digests: NDArray[np.unsignedinteger[Any]]) -> UInt64[np.ndarray, " n"]:
    """Sorted, each once, as they are written; what is, is not sorted again."""
    digests = digests.astype(np.uint64)
    return digests if (digests[1:] > digests[:-1]).all() else np.unique(digests)


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
