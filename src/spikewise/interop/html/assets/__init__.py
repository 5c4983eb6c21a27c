"""What a page is made of: scripts, a style and a template."""

import re
from importlib import resources
from pathlib import Path
from typing import Final

__all__ = ["asset", "asset_path", "engine_script", "script_of"]

_ENGINE: Final = ("numbers.js", "convolution.js", "engine.js")


def asset(name: str) -> str:
    """The text of a file of this folder."""
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def asset_path(name: str) -> Path:
    """Where a file of this folder lies."""
    return Path(__file__).parent / name


def engine_script() -> str:
    """The script that runs networks."""
    return "\n".join(asset(name) for name in _ENGINE)


def script_of(page: str, name: str) -> str | None:
    """The script of a page that has this id."""
    found = re.search(rf'<script [^>]*id="{name}"[^>]*>(.*?)</script>', page, re.DOTALL)
    return found[1] if found else None
