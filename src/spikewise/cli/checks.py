"""What `doctor` looks at."""

import functools
import os
import platform
import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

import torch

from spikewise import __version__
from spikewise.cli import gpu_checks
from spikewise.data import DataConfig
from spikewise.data.catalog import CATALOG
from spikewise.data.locate import cache_folder, candidates, data_folders
from spikewise.engine import native
from spikewise.evaluation.wording import count_of
from spikewise.experiments import Experiment
from spikewise.experiments.facts import environment
from spikewise.graph import Graph
from spikewise.models import build
from spikewise.network import Network

__all__ = ["Check", "examine"]

_REQUIREMENT = re.compile(r"([\w.-]+)(?:.*extra == ['\"](\w+)['\"])?")
"""Name of a package as metadata give it, and the extra that needs it."""


class Check(NamedTuple):
    """One thing that was looked at."""

    what: str
    found: str
    sound: bool = True
    advice: str = ""
    """What to do about a problem."""


def examine(data_dir: Path | None = None) -> list[Check]:
    """Everything that a run needs, in the order in which it needs it."""
    return [
        Check("spikewise", f"{__version__} with Python {platform.python_version()} and torch {torch.__version__}"),
        *_packages(),
        _processor(),
        *_gpus(),
        Check("device", _device(), advice=_other_devices()),
        Check("native engine", native.status()),
        _network(),
        *_networks_there(),
        *_data(data_dir),
        _writable("cache of decoded images", cache_folder(None)),
        _writable("current folder", Path()),
    ]


def _packages() -> list[Check]:
    extras = _requirements()
    found = {name: _version(name) for name in extras}
    missing = [name for name, extra in extras.items() if not extra and found[name] is None]
    there = [f"{name} {found[name]}" for name in found if found[name]]
    absent = sorted({extra for name, extra in extras.items() if extra and found[name] is None})
    hint = "If you need it: pip install 'spikewise[{}]'"
    return [
        Check("packages", ", ".join(there)),
        *(Check("package", f"{name} is missing", sound=False, advice="Run: pip install spikewise") for name in missing),
        *(Check("optional packages", f"'{extra}' is not complete", advice=hint.format(extra)) for extra in absent),
    ]


def _requirements() -> dict[str, str]:
    """Each package that this one says it needs, with the extra that asks for it; empty where none does."""
    try:
        parts = map(_REQUIREMENT.match, requires("spikewise") or ())
    except PackageNotFoundError:  # run from its sources, without having been installed
        return {}
    return {part[1]: part[2] or "" for part in parts if part is not None}


def _processor() -> Check:
    here = environment(torch.device("cpu"))
    found = f"{here.cpu}, {count_of(here.cores, 'core')} for this process, {count_of(here.threads, 'thread')}"
    crowded = here.threads > here.cores
    advice = f"More threads than cores slow everything down: use --threads {here.cores}, or set OMP_NUM_THREADS."
    return Check("processor", found, sound=not crowded, advice=advice if crowded else "")


def _gpus() -> list[Check]:
    return [Check(what, *found) for what, found in gpu_checks.examine_gpus().items()]


def _device() -> str:
    if not torch.cuda.is_available():
        return "cpu"
    return "auto: a short trial of each network decides between cuda and cpu"


def _other_devices() -> str:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return "".join(f"--device {name} is available. " for name, is_there in there.items() if is_there).strip()


def _graph() -> Graph:
    """A small network of the usual kind."""
    shape = (1, 4, 4)
    default = Experiment(data=DataConfig(source="digits"))
    return build(*default.network(shape), default.readout, image_shape=shape, classes=2)


def _networks_there() -> list[Check]:
    """The same network on every GPU, against the processor."""
    advice = "Until that is mended: --device cpu. See docs/gpu.md."
    devices = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    return [
        _attempt(f"engine on {device}", functools.partial(gpu_checks.same_on, device, _graph()), advice)
        for device in devices
    ]


def _network() -> Check:
    graph = _graph()

    def run() -> str:
        images = torch.full((2, 1, 4, 4), 255, dtype=torch.uint8)
        network = Network(graph)
        first, second = network(images), network(images)
        first.logits.sum().backward()
        if not torch.equal(first.logits, second.logits):
            raise RuntimeError("two runs of one network differ")
        return f"{first.result.engine} (a small network ran forwards and backwards, twice alike)"

    return _attempt("engine", run, "Reinstall: pip install --force-reinstall spikewise")


def _data(data_dir: Path | None) -> list[Check]:
    named = os.environ.get("SPIKEWISE_DATA")
    out = []
    if named and not Path(named).expanduser().is_dir():
        out.append(Check("SPIKEWISE_DATA", f"{named} is no folder", sound=False, advice="Correct it, or unset it."))
    for folder in data_folders(data_dir):
        out.append(Check("data folder", f"{folder} {'' if folder.is_dir() else '(not there yet)'}".strip()))
    there = [known.name for known in CATALOG.values() if known.kind == "embedded" or _is_here(known.name, data_dir)]
    out.append(
        Check("known sets here", ", ".join(there), advice="Others: spikewise data list, spikewise data download")
    )
    return out


def _is_here(name: str, data_dir: Path | None) -> bool:
    known = CATALOG[name]
    wanted = {Path(file.name).suffix for file in known.files}
    own = [
        place for place in candidates(known, data_dir) if place.name.lower() != "." and place.name == known.folders[0]
    ]
    return any(not wanted or any(child.suffix in wanted for child in place.iterdir()) for place in own)


def _writable(what: str, folder: Path) -> Check:
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    sound = os.access(existing, os.W_OK)
    return Check(what, str(folder.absolute()), sound=sound, advice="" if sound else f"{existing} is not writable.")


def _attempt(what: str, work: Callable[[], str], advice: str) -> Check:
    try:
        return Check(what, work())
    except Exception as error:  # a doctor reports whatever is wrong
        return Check(what, f"{type(error).__name__}: {error}", sound=False, advice=advice)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
