"""NIR files: checked before anything in them is read, for HDF5 can hold a terabyte of zeros in a kilobyte.

The HDF5 library itself loops for ever, or ends its process, on some damaged files. So a file from elsewhere is read
once by a process of its own, which runs this module as a program; only then is it read here.
"""

import contextlib
import hashlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from spikewise.errors import DataError, DependencyError, MissingDataError, quoted
from spikewise.files import write_with

if TYPE_CHECKING:
    from nir import NIRGraph

__all__ = ["load_graph", "nir_package", "read_graph", "save_graph"]

_MOST_BYTES: Final = 2**29
"""Of all arrays of a file together."""
_MOST_ITEMS, _DEEPEST = 20_000, 12
_NODES: Final = (
    "Input", "Output", "Affine", "Linear", "Scale", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten", "Delay",
    "Threshold", "I", "IF", "LI", "LIF", "CubaLI", "CubaLIF", "NIRGraph",
)  # fmt: skip
_REMEDY: Final = "Write the file again with the tool that made it."
_SECONDS: Final = 20
"""Processor time that reading any file may take."""
_BYTES_A_SECOND: Final = 2**22
"""And what it may take more for each byte."""
_PATIENCE: Final = 10
"""The same in time of the clock, on a machine that does much else, as a multiple."""
_NO_MEMORY: Final = 3
"""Exit code of the process that tries a file."""
_sound: set[str] = set()
"""SHA-256 of the files that a process could read to the end, or that were written here."""


def nir_package() -> ModuleType:
    """The package `nir`.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        import h5py  # noqa: F401, PLC0415  # an extra, that nir stores with
        import nir  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise DependencyError(f"NIR needs the packages nir and h5py ({error}): pip install 'spikewise[nir]'") from error
    module: ModuleType = nir
    return module


def load_graph(source: "str | Path | NIRGraph") -> "NIRGraph":
    """A graph that is in memory already, or the one in a file."""
    nir = nir_package()
    if isinstance(source, nir.NIRGraph):
        return source
    if not isinstance(source, str | Path):
        raise DataError(f"A NIR graph, or the path of a file with one, is needed; got {type(source).__name__}.")
    return read_graph(Path(source))


def read_graph(path: Path) -> "NIRGraph":
    """The graph of a file; its types are not checked, as files of older versions of `nir` would fail.

    Raises:
        MissingDataError: there is no such file.
        DataError: it is no NIR file, damaged, or larger than it may be.
        DependencyError: `nir` is not installed.
    """
    nir = nir_package()
    import h5py  # noqa: PLC0415  # as above

    try:
        if not path.is_file():
            raise MissingDataError(f"There is no file {path}; give the path of a NIR file (.nir).")
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes; a NIR file may have {_MOST_BYTES:,}.")
        _try_apart(path)
        with h5py.File(path, "r") as file:
            content = _Content(path).table(file, 0)
    except (MissingDataError, DataError):
        raise
    except MemoryError as error:
        raise DataError(f"There is no memory left to read {path}. Use a machine with more.") from error
    except Exception as error:  # h5py raises whatever the HDF5 library finds
        raise DataError(f"{path} cannot be read as HDF5 ({_first_line(error)}). Is it a NIR file? {_REMEDY}") from error
    node = content.get("node")
    if not isinstance(node, dict) or _type(node) != "NIRGraph":
        raise DataError(f"{path} holds no NIR graph. Give a file that nir.write made.")
    return _made(nir, node, path)


def save_graph(graph: "NIRGraph", path: Path) -> None:
    """Write a whole file or none.

    Raises:
        StorageError: it cannot be written.
    """
    nir = nir_package()
    write_with(path, lambda temporary: nir.write(temporary, graph))
    _sound.add(_digest(path))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _try_apart(path: Path) -> None:
    """Let another process read the file; what is wrong with it in Python's eyes is found again here, and told.

    Raises:
        DataError: the process was ended, or came to no end.
    """
    digest = _digest(path)
    if digest in _sound:
        return
    seconds = _SECONDS + path.stat().st_size // _BYTES_A_SECOND
    command = [sys.executable, "-P", __file__, str(path), str(seconds)]
    try:
        code = subprocess.run(command, capture_output=True, timeout=_PATIENCE * seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        code = -1
    if code < 0:
        raise DataError(f"{path} is damaged: the HDF5 library cannot read it to the end. {_REMEDY}")
    if code == _NO_MEMORY:
        raise DataError(f"{path} is damaged: reading it takes more memory than any NIR file needs. {_REMEDY}")
    _sound.add(digest)


def _main(path: Path, seconds: int) -> None:
    """Read a file to the end, within limits where the system has some."""
    import h5py  # noqa: PLC0415  # an extra

    with contextlib.suppress(ImportError):  # Windows has none, and waits by the clock
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (4 * _MOST_BYTES, 4 * _MOST_BYTES))
    try:
        with h5py.File(path, "r") as file:
            _Content(path).table(file, 0)
    except MemoryError:
        sys.exit(_NO_MEMORY)


def _made(nir: ModuleType, node: dict[str, Any], path: Path) -> "NIRGraph":
    """The graph that a table describes; whatever is wrong with it is said in words."""
    try:
        _unchecked(node)
        graph = nir.dict2NIRNode(node)
    except MemoryError as error:
        raise DataError(f"There is no memory left to read {path}. Use a machine with more.") from error
    except Exception as error:  # nir asserts, indexes and converts what it gets
        raise DataError(f"{path} holds no whole NIR graph ({_first_line(error)}). {_REMEDY}") from error
    return cast("NIRGraph", graph)


def _unchecked(node: dict[str, Any]) -> None:
    """No graph, nested ones included, checks its types when it is made; no node is of a type that NIR has not."""
    if _type(node) not in _NODES:
        raise ValueError(f"a node of type {quoted(node.get('type'))}")
    if _type(node) != "NIRGraph":
        return
    node["type_check"] = False
    nodes = node.get("nodes")
    for one in nodes.values() if isinstance(nodes, dict) else ():
        if isinstance(one, dict):
            _unchecked(one)


def _type(node: dict[str, Any]) -> str | None:
    """What a node says it is, if it says so in a word."""
    found = node.get("type")
    return found if isinstance(found, str) else None


class _Content:
    """Reads the groups and arrays of one HDF5 file, within limits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = 0
        self._items = 0

    def table(self, group: Any, depth: int) -> dict[str, Any]:
        """A group as a dictionary."""
        import h5py  # noqa: PLC0415  # an extra

        if depth > _DEEPEST:
            raise DataError(f"{self._path} nests groups more than {_DEEPEST} deep; no network does.")
        out: dict[str, Any] = {}
        for name in group:
            self._items += 1
            if self._items > _MOST_ITEMS:
                raise DataError(f"{self._path} holds more than {_MOST_ITEMS:,} arrays and groups; no network does.")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise DataError(f"{self._path} links {quoted(name)} to another place, which no NIR file does.")
            item = group[name]
            if isinstance(item, h5py.Group):
                out[name] = self.table(item, depth + 1)
            elif isinstance(item, h5py.Dataset):
                out[name] = self._value(name, item)
        return out

    def _value(self, name: str, item: Any) -> Any:
        if item.is_virtual or item.external:
            raise DataError(f"{self._path} keeps {quoted(name)} in other files, which no NIR file does.")
        if item.dtype.kind not in "fiubOS":
            raise DataError(f"{self._path}: {quoted(name)} is of type {item.dtype}, where numbers or text belong.")
        self._bytes += int(item.size or 0) * item.dtype.itemsize
        if self._bytes > _MOST_BYTES:
            raise DataError(
                f"{self._path} unpacks to more than {_MOST_BYTES / 2**20:,.0f} MiB; no NIR file that is read here may."
            )
        value = item[()] if item.dtype.kind != "O" or not item.shape else self._texts(name, item)
        return value.decode("utf-8") if isinstance(value, bytes) else value

    def _texts(self, name: str, item: Any) -> Any:
        """An array of texts, row by row: they may all be one long text, which a file holds once."""
        rows = []
        for row in range(item.shape[0]):
            rows.append(item[row])
            self._bytes += sum(len(text) if isinstance(text, bytes) else 8 for text in np.ravel(rows[-1]))
            if self._bytes > _MOST_BYTES or row > _MOST_ITEMS:
                raise DataError(f"{self._path}: {quoted(name)} holds more text than any NIR file.")
        return np.array(rows, dtype=object)


def _first_line(error: BaseException) -> str:
    """What a library raises, in one line; classes by their names, which is all that says something to people."""
    if not str(error).strip():
        return repr(error)
    said = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", str(error).strip().splitlines()[0])
    return f"{type(error).__name__}: {said[:200]}"


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]))
