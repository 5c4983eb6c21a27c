"""Where a token comes from: never the command line, which every process of a machine can read."""

import os
from pathlib import Path

from spikewise.errors import ConfigError

__all__ = ["token_of"]

_MOST: int = 4096


def token_of(file: Path | None) -> str | None:
    """The token in a file, or in the environment variable SPIKEWISE_TOKEN; None where there is none.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    if file is None:
        return os.environ.get("SPIKEWISE_TOKEN") or None
    try:
        with file.open("rb") as content:
            token = content.read(_MOST).decode().strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"The token file {file} cannot be read ({error}).") from None
    if not token:
        raise ConfigError(f"The token file {file} is empty.")
    return token
