"""Image sets: read, split, audit, augment, download."""

from spikewise.data.augmentation import AugmentConfig, Augmented, Changes, augment, draw_changes, make_changes
from spikewise.data.batching import batches, sample_positions
from spikewise.data.cache import Progress
from spikewise.data.catalog import CATALOG, KnownFile, KnownSet
from spikewise.data.config import DataConfig, Layout
from spikewise.data.decode import decode_image
from spikewise.data.downloads import FileState, FileVerdict, download, verify
from spikewise.data.duplicates import PartOverlap, part_overlap
from spikewise.data.image_set import Aspect, ImageSet, Role, Split
from spikewise.data.incoming import Reading
from spikewise.data.load import load_data
from spikewise.data.splits import SplitConfig, class_weights, split

__all__ = [
    "CATALOG",
    "Aspect",
    "AugmentConfig",
    "Augmented",
    "Changes",
    "DataConfig",
    "FileState",
    "FileVerdict",
    "ImageSet",
    "KnownFile",
    "KnownSet",
    "Layout",
    "PartOverlap",
    "Progress",
    "Reading",
    "Role",
    "Split",
    "SplitConfig",
    "augment",
    "batches",
    "class_weights",
    "decode_image",
    "download",
    "draw_changes",
    "load_data",
    "make_changes",
    "part_overlap",
    "sample_positions",
    "split",
    "verify",
]
