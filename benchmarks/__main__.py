"""`python -m benchmarks [NAME ...] [OPTIONS]`: run benchmarks and print a table each; without names, all of them.

A benchmark is a module of this folder with a function `main()`; `peers` takes options, see its `--help`. Speeds are
compared side by side in one run, as ratios.
"""

import pkgutil
import sys
from importlib import import_module
from pathlib import Path

_APART = {
    "collection",
    "defaults",
    "exports",
    "fuzz",
    "large",
    "pages",
    "photos",
    "serving",
    "shared",
    "tracking",
}  # each has a command of its own


def names() -> list[str]:
    found = {m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if not m.name.startswith("_")}
    return sorted(found - _APART)


def run(arguments: list[str]) -> None:
    first = next((at for at, argument in enumerate(arguments) if argument.startswith("-")), len(arguments))
    asked, options = arguments[:first], arguments[first:]
    if options and asked != ["peers"]:
        sys.exit("Only `peers` takes options: python -m benchmarks peers --help.")
    unknown = set(asked) - set(names())
    if unknown:
        sys.exit(f"Unknown benchmark: {', '.join(sorted(unknown))}. Available: {', '.join(names())}.")
    for name in asked or names():
        module = import_module(f"benchmarks.{name}")
        print(f"\n## {name}: {(module.__doc__ or '').splitlines()[0]}\n")
        module.main(options) if name == "peers" else module.main()


run(sys.argv[1:])
