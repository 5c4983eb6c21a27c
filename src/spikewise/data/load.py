"""`load_data`: one `ImageSet` from a known name or from a path, whatever its format."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from spikewise.config import parse
from spikewise.data.arrays import Labelled, assemble, check_complete
from spikewise.data.cache import Progress
from spikewise.data.catalog import CATALOG, EMNIST_VARIANTS, KnownSet
from spikewise.data.classes import alike
from spikewise.data.config import DataConfig
from spikewise.data.folder import is_fingerprints, list_folder
from spikewise.data.image_set import ImageSet, Role
from spikewise.data.label_file import SUFFIXES as TABLES
from spikewise.data.layouts import LAYOUT_OPTIONS
from spikewise.data.load_files import load_fingerprints, load_tree
from spikewise.data.load_idx import idx_pairs, read_pair
from spikewise.data.load_npz import read_npz
from spikewise.data.locate import cache_folder, candidates, find_files, find_folder, find_npz
from spikewise.data.names import as_path, listed, shown
from spikewise.data.positive import positive_class
from spikewise.data.published import class_names, published_idx, published_npz
from spikewise.errors import ConfigError, DataError, MissingDataError, nearest, unknown_choice
from spikewise.shell import word

__all__ = ["load_data"]

_MOST_LABELS = 2**16
"""Of a set that is only to be evaluated: its few images may be of any class."""
_RAW = "raw"
_FILE_OPTIONS = (
    "target", "part", "subjects", *LAYOUT_OPTIONS, "group_pattern", "read_subjects", "roles", "background"
)  # fmt: skip


def load_data(
    source: str | Path | DataConfig,
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    expected: Sequence[str] | None = None,
    **options: object,
) -> ImageSet:
    """Read an image set.

    Args:
        source: A known name (`digits`, `mnist`, `pneumoniamnist`, ...), a path (.npz, IDX file, folder of IDX files,
            folder of class folders or of images with a table of labels, folder of SOCOFing files), or a whole
            `DataConfig`.
        data_dir: Where known sets are looked for first; then $SPIKEWISE_DATA, then the user's cache folder.
        cache_dir: Where decoded image files are kept; default $SPIKEWISE_CACHE, then the user's cache folder.
        progress: Called while image files are decoded.
        expected: Names of the classes that a network knows, where images are only to be evaluated; None: there must be
            two classes or more, each with images.
        options: Fields of `DataConfig`, such as `size=28`, or `**{"data.size": 28}` as messages name them.
    Returns:
        The images as uint8 [N, C, H, W], with labels, published roles and subjects where known.
    Raises:
        ConfigError: unknown name, or an option that the set has no use for.
        MissingDataError: the set is not on this machine; the message says how to get it.
        DataError: a file is damaged or not what it should be.
    """
    if isinstance(source, DataConfig):
        config = source.replace(**_nested(options)) if options else source
    else:
        config = parse(DataConfig, {"source": str(source), **_nested(options)})
    cache = cache_folder(cache_dir)
    known = None if isinstance(source, Path) else CATALOG.get(config.source)
    if known is None:
        found, known = _load_path(_existing(config.source), config, cache, progress, expected)
        found = replace(found, from_names=(*found.from_names, *alike(found.classes)))
    else:
        found = _load_known(known, config, data_dir, cache, progress)
        found = replace(found, from_names=(*found.from_names, *_namesakes(known, data_dir)))
    if expected is None:
        check_complete(found.name, found.labels, found.classes)
    positive, why = positive_class(found.classes, config.positive, known.positive if known else None)
    return replace(found, positive=positive, positive_why=why)


def _nested(options: Mapping[str, object]) -> dict[str, object]:
    """Options by the names of their fields; `data.columns.class` is one of the table `columns`."""
    out: dict[str, Any] = {}
    for key, value in options.items():
        name, dot, inner = key.removeprefix("data.").partition(".")
        if dot:
            out[name] = {**out.get(name, {}), inner: value}
        else:
            out[name] = value
    return out


def _namesakes(known: KnownSet, data_dir: Path | None) -> Iterator[str]:
    """A file or folder that has the name of a known set, and is not where the set was looked for."""
    here = Path(known.name)
    looked = {place.resolve() for place in candidates(known, data_dir)}
    if here.exists() and here.resolve() not in looked:
        yield f"'{known.name}' is the known set; what is called so here was not read. To read that: ./{known.name}"


def _load_known(
    known: KnownSet, config: DataConfig, data_dir: Path | None, cache: Path, progress: Progress | None
) -> ImageSet:
    if known.multi_label:
        raise DataError(
            f"{known.title} gives an image several labels (multi-label); Spikewise classifies into one class. "
            f"Single-label sets of the same kind: {', '.join(_single_label())}."
        )
    if known.kind in ("folder", "fingerprints"):
        _refuse_layout(config, f"{known.title} lies as it was published")
    if known.kind == "folder":
        return load_tree(list_folder(find_folder(known, data_dir)), config, cache, progress, known=known)
    if known.kind == "fingerprints":
        return load_fingerprints(list_folder(find_folder(known, data_dir)), config, cache, progress, name=known.name)
    _refuse_file_options(config)
    parts, notes = _read_known(known, data_dir)
    return assemble(known.name, parts, config, classes=known.classes, notes=(*known.notes, *notes))


def _read_known(known: KnownSet, data_dir: Path | None) -> tuple[list[Labelled], list[str]]:
    match known.kind:
        case "embedded":
            return [_digits()], []
        case "npz":
            path, official = find_npz(known, data_dir)
            note = f"Read from {path.name}, which is not the published file {known.files[0].name}: not verified."
            return read_npz(path).parts, [] if official else [note]
        case "emnist":
            variant = known.name.removeprefix("emnist-")
            names = tuple(Path(member).name for member in known.files[0].members)  # type: ignore[attr-defined]
            paths = find_files(known, names, data_dir)
            return _pairs(paths, transposed=True, first_label=EMNIST_VARIANTS[variant][2]), []
        case _:
            return _pairs(find_files(known, tuple(file.name for file in known.files), data_dir)), []


def _pairs(paths: list[Path], *, transposed: bool = False, first_label: int = 0) -> list[Labelled]:
    train, test = paths[:2], paths[2:]
    return [
        read_pair(train[0], train[1], Role.TRAIN, transposed=transposed, first_label=first_label),
        read_pair(test[0], test[1], Role.TEST, transposed=transposed, first_label=first_label),
    ]


def _digits() -> Labelled:
    rows = _digits_table()
    images = np.rint(rows[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return Labelled.pair(images, rows[:, -1].astype(np.int64), Role.UNASSIGNED, "digits")


def _digits_table() -> Float[np.ndarray, "N 65"]:
    """The pixels, 0 to 16, and the label of each digit that comes with scikit-learn."""
    found = find_spec("sklearn")  # to load scikit-learn itself takes longer than a first look at what is in it
    file = Path((found and found.origin) or "").parent / "datasets/data/digits.csv.gz"
    if file.exists():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits  # noqa: PLC0415  (slow import, needed for this set alone)

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])


def _load_path(
    path: Path, config: DataConfig, cache: Path, progress: Progress | None, expected: Sequence[str] | None
) -> tuple[ImageSet, KnownSet | None]:
    """The set at a path, and the published set that it is where that is told by its files."""
    most = None if expected is None else _MOST_LABELS
    if path.is_file():
        if path.suffix.lower() in TABLES:
            raise DataError(
                f"{path} is a table. Give the folder of the images, and the table beside it: "
                f"{word(path.parent)} --set {word(f'data.labels={path.name}')}."
            )
        _refuse_file_options(config)
        if path.suffix.lower() == ".npz":
            return _load_npz(path, config, most)
        return _load_idx([path], path, config, most)
    files = _arrays_in(path)
    if not files and (path / _RAW).is_dir() and (below := _arrays_in(path / _RAW)):  # as torchvision stores them
        return _load_idx(below, path, config, most)
    if files:
        return _load_idx(files, path, config, most)
    files = [child for child in _children(path) if child.is_file()]
    archives = sorted(file.name for file in files if file.suffix == ".npz")
    if archives and len(archives) == len(files):
        raise DataError(f"{path} holds {listed(archives)}: give the path of the one you mean.")
    listing = list_folder(path)
    if is_fingerprints(listing):
        _refuse_layout(config, "files that are named as SOCOFing names its files say it all")
        return load_fingerprints(listing, config, cache, progress, name=_name(path)), None
    return load_tree(listing, config, cache, progress, expected=expected), None


def _load_npz(path: Path, config: DataConfig, most: int | None) -> tuple[ImageSet, KnownSet | None]:
    archive = read_npz(path)
    known = published_npz(path, archive.parts) if archive.classes is None else None
    named = class_names(known, archive.parts) if known is not None else None
    classes, notes = (archive.classes, ()) if named is None else (named[0], named[1:])
    found = assemble(_name(path), archive.parts, config, classes=classes, notes=notes, most_labels=most)
    return replace(found, from_names=archive.cautions), known


def _load_idx(
    files: Sequence[Path], path: Path, config: DataConfig, most: int | None
) -> tuple[ImageSet, KnownSet | None]:
    _refuse_file_options(config)
    parts = [read_pair(*pair) for pair in idx_pairs(files, path)]
    known = published_idx(files[0], parts)
    named = class_names(known, parts) if known is not None else None
    classes, notes = (None, ()) if named is None else (named[0], named[1:])
    found = assemble(_name(path), parts, config, classes=classes, notes=notes, most_labels=most)
    return found, known


def _name(path: Path) -> str:
    return shown(path.resolve().name)


def _arrays_in(folder: Path) -> list[Path]:
    """The files of a folder, sorted, if IDX files are among them; else none."""
    files = sorted(child for child in _children(folder) if child.is_file())
    return files if any("idx" in (name := file.name.lower()) and "ubyte" in name for file in files) else []


def _existing(source: str) -> Path:
    path = as_path(source)
    try:
        if path.exists():
            return path
    except OSError as failure:  # a name too long for any file, a folder that may not be entered
        raise DataError(f"{_brief(source)} cannot be read: {failure.strerror}. Check the path.") from failure
    if path.is_symlink():
        raise MissingDataError(f"{path} is a link that leads nowhere. Check where it points.")
    if path.name != source or path.suffix:
        close = nearest(path.name, (child.name for child in path.parent.iterdir())) if path.parent.is_dir() else None
        hint = f" Did you mean {path.parent / close}?" if close else ""
        raise MissingDataError(f"{path} does not exist.{hint}")
    error = unknown_choice("image set", source, CATALOG)
    raise ConfigError(f"{error} Or give the path of an .npz, an IDX file or a folder; no such file is here.")


def _brief(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text):,} characters)"


def _children(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error


def _refuse_file_options(config: DataConfig) -> None:
    """Options that mean something for image files alone are an error elsewhere, not silently ignored."""
    defaults = DataConfig(source=config.source)
    unused = [key for key in _FILE_OPTIONS if getattr(config, key) != getattr(defaults, key)]
    if unused:
        raise ConfigError(
            f"{', '.join(unused)} cannot be used with '{config.source}': "
            "its images have neither file names nor folders nor subjects."
        )


def _refuse_layout(config: DataConfig, why: str) -> None:
    """How a folder is laid out is said of folders of one's own."""
    unused = [f"data.{key}" for key in LAYOUT_OPTIONS if getattr(config, key)]
    if unused:
        raise ConfigError(f"{', '.join(unused)} cannot be used with '{config.source}': {why}. Leave it out.")


def _single_label() -> list[str]:
    return [known.name for known in CATALOG.values() if known.kind == "npz" and not known.multi_label]
