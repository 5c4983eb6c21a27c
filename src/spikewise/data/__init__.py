"""Image sets: read, split, audit, augment, download."""

from spikewise.data.cache import Progress
from spikewise.data.config import DataConfig
from spikewise.data.decode import decode_image
from spikewise.data.duplicates import Straddling, straddling
from spikewise.data.image_set import ImageSet, Role, Split
from spikewise.data.load import load_data
from spikewise.data.splits import SplitConfig, class_weights, split

__all__ = [
    "DataConfig",
    "ImageSet",
    "Progress",
    "Role",
    "Split",
    "SplitConfig",
    "Straddling",
    "class_weights",
    "decode_image",
    "load_data",
    "split",
    "straddling",
]
