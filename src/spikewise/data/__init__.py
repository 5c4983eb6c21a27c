"""Image sets: read, split, audit, augment, download."""

from typing import TYPE_CHECKING

from spikewise.lazy import lazy_exports

if TYPE_CHECKING:
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

# A process that only decodes files starts in a sixth of the time without the rest.
__getattr__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(
            ("AugmentConfig", "Augmented", "Changes", "augment", "draw_changes", "make_changes"),
            "spikewise.data.augmentation",
        ),
        **dict.fromkeys(("batches", "sample_positions"), "spikewise.data.batching"),
        "Progress": "spikewise.data.cache",
        **dict.fromkeys(("CATALOG", "KnownFile", "KnownSet"), "spikewise.data.catalog"),
        **dict.fromkeys(("DataConfig", "Layout"), "spikewise.data.config"),
        "decode_image": "spikewise.data.decode",
        **dict.fromkeys(("FileState", "FileVerdict", "download", "verify"), "spikewise.data.downloads"),
        **dict.fromkeys(("PartOverlap", "part_overlap"), "spikewise.data.duplicates"),
        **dict.fromkeys(("Aspect", "ImageSet", "Role", "Split"), "spikewise.data.image_set"),
        "Reading": "spikewise.data.incoming",
        "load_data": "spikewise.data.load",
        **dict.fromkeys(("SplitConfig", "class_weights", "split"), "spikewise.data.splits"),
    },
)
