"""The networks that are served: named, loaded, and read again when their run changes."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from spikewise.api import Trained, exit_thresholds, load
from spikewise.errors import ConfigError, SpikewiseError, unknown_choice
from spikewise.serving.limits import Limits

__all__ = ["Model", "Models", "UnknownModelError", "Wanted"]

_TOLERANCE: Final = 0.005
"""Accuracy that `exit=auto` gives away at most on validation images: the one that reports name first."""


class UnknownModelError(ConfigError):
    """A request names a model that is not served."""


class Wanted(NamedTuple):
    """Which networks are to be served."""

    runs: Sequence[Path]
    network: str = "snn"
    seed: int | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Model:
    """A network as it was when its run was last read."""

    name: str
    run: Path
    trained: Trained
    """Frozen, so that the engine keeps what it makes of the weights."""
    exits: dict[float, float | None]
    """By tolerance, the confidence that ends a run early."""
    signature: str
    """Of the files that it was read from."""

    @property
    def version(self) -> str:
        """Eight letters that change with the files."""
        return self.signature[:8]

    @property
    def steps(self) -> int:
        """Time steps of a whole run."""
        return self.trained.network.graph.steps

    def threshold(self, asked: str | float) -> float | None:
        """The confidence that ends a run early: a number, or for "auto" what the run found on its validation images.

        Raises:
            ConfigError: it is no number above 0 and up to 1, or the run has found none.
        """
        if asked == "auto":
            if _TOLERANCE not in self.exits:
                raise ConfigError(
                    f"The run of '{self.name}' knows no confidence for an early exit of {self.trained.name}: give a "
                    "number such as 0.9, or make the section with `spikewise anytime`."
                )
            return self.exits[_TOLERANCE]
        with contextlib.suppress(ValueError, TypeError):
            if 0 < float(asked) <= 1 and not isinstance(asked, bool):
                return float(asked)
        raise ConfigError(f"exit is 'auto' or a confidence above 0 and up to 1; got {str(asked)[:40]!r}.")

    def page(self) -> Path | None:
        """The page that `spikewise export --to html` wrote, if there is one."""
        folder = self.run / "exports" / f"{self.trained.name}-{self.trained.seed}-html"
        return next((path for path in sorted(folder.glob("*.html")) if path.name != "check.html"), None)


class Models:
    """All networks that are served, by name; the first is the default.

    Raises:
        SpikewiseError: one of them cannot be loaded; the message says which and why.
    """

    def __init__(self, wanted: Wanted, limits: Limits) -> None:
        if not wanted.runs:
            raise ConfigError("There is nothing to serve: name a run folder.")
        self.wanted, self.limits = wanted, limits
        places = dict(zip(_names(wanted.runs), wanted.runs, strict=True))
        self.loaded = {name: self._load(name, run) for name, run in places.items()}
        self.failed: dict[str, str] = {}
        """Why a run that has changed could not be read again; its network answers as it was."""
        self._tried: dict[str, str] = {}

    @property
    def default(self) -> Model:
        """The first."""
        return next(iter(self.loaded.values()))

    def named(self, name: str | None) -> Model:
        """The model of a name, or the default.

        Raises:
            UnknownModelError: there is none.
        """
        if name is None:
            return self.default
        if name not in self.loaded:
            raise UnknownModelError(str(unknown_choice("model", name, self.loaded)))
        return self.loaded[name]

    def refresh(self) -> list[tuple[str, bool]]:
        """Read again what has changed; who is being answered keeps the network that they began with.

        Returns:
            Name of each that was read, and whether that went well; a run that is half written is tried again.
        """
        done = []
        for name, model in list(self.loaded.items()):
            found = _signature(model.run)
            if found in (model.signature, self._tried.get(name)):
                continue
            self._tried[name] = found
            try:
                self.loaded[name] = self._load(name, model.run)
                self.failed.pop(name, None)
                done.append((name, True))
            except SpikewiseError as error:
                self.failed[name] = str(error)
                done.append((name, False))
        return done

    def _load(self, name: str, run: Path) -> Model:
        signature = _signature(run)  # before the files are read: what changes meanwhile is seen as a change
        trained = load(run, self.wanted.network, self.wanted.seed, device=self.wanted.device)
        return Model(
            name,
            run,
            replace(
                trained,
                network=trained.network.frozen(),
                reading=replace(trained.reading, max_pixels=self.limits.pixels),
            ),
            exit_thresholds(run, trained.name, trained.seed),
            signature,
        )


def _names(runs: Sequence[Path]) -> Iterator[str]:
    """The folder of each run; a second one of that name gets a number."""
    seen: dict[str, int] = {}
    for run in runs:
        name = run.resolve().name or "run"
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name}-{seen[name]}"


def _signature(run: Path) -> str:
    """What tells that a file of the run has been replaced: names, sizes, times and places on the disk."""
    said = []
    weights = sorted(run.glob("networks/*/seed-*/weights.safetensors"))
    for path in (run / "run.json", run / "results.json", run / "likeness.npz", *weights):
        try:
            found = path.stat()
            said.append(f"{path.relative_to(run)} {found.st_size} {found.st_mtime_ns} {found.st_ino}")
        except OSError:
            said.append(f"{path.relative_to(run)} none")
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
