"""Image files as named on a command line."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

__all__ = ["named_sources"]


def named_sources(names: Sequence[str], stdin: BinaryIO) -> list[tuple[str, Path | bytes]]:
    """Each image with its name: files, every image below a folder, and `-` for the bytes on standard input.

    Those of a folder stand as people count them, 2 before 10: no answer depends on their order.

    Raises:
        ConfigError: a run folder stands among them.
    """
    from spikewise.data.folder import list_folder
    from spikewise.data.names import as_path, shown
    from spikewise.errors import ConfigError

    out: list[tuple[str, Path | bytes]] = []
    for name in names:
        path = as_path(name)
        if name == "-":
            out.append((name, stdin.read()))
        elif os.path.isfile(path / "run.json"):  # noqa: PTH113  # as below
            raise ConfigError(
                f"{shown(name)} is a run folder, and holds no images to answer: a command takes one run, and "
                "runs/NAME-* names several where there are several."
            )
        elif os.path.isdir(path):  # noqa: PTH112  # Path.is_dir raises where a name is too long
            below = sorted(list_folder(path).images, key=_counted)
            out += [(shown(path / one), path / one) for one in below]
        else:
            out.append((shown(name), path))
    return out


def _counted(path: str) -> list[list[str | int]]:
    """Sorts paths by their parts, and numbers in these by what they count."""
    return [
        [int(piece) if at % 2 else piece for at, piece in enumerate(re.split(r"(\d+)", part))]
        for part in path.split("/")
    ]
