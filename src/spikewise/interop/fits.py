"""`fits`: does a network fit a device, and which layer does not? Limits and their sources are data.

A target is a file of `targets/`, or one of a user's own with the same keys.
"""

import math
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from spikewise.config import Config, parse
from spikewise.dynamics import LeakyIntegrator
from spikewise.errors import ConfigError, DataError, unknown_choice
from spikewise.graph import AvgPool, Conv2d, Flatten, Graph, Linear, MaxPool, NamedLayer, Neuron, Shape, SumPool
from spikewise.interop.c.sizes import MOST_WEIGHTS, layer_sizes
from spikewise.interop.deployed import deploy
from spikewise.interop.runtime import Numbers
from spikewise.network import Network
from spikewise.parsing import ParseError, parse_toml
from spikewise.shell import for_caller

__all__ = ["Cores", "Device", "Fit", "Limit", "Misfit", "fit", "read_target", "target_names"]

_FOLDER: Final = "targets"
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20}
Bytes = Annotated[int, Field(ge=1)]


class Cores(Config):
    """Several equal cores of a chip; each holds one weighted layer."""

    count: Annotated[int, Field(ge=1)]
    weights: Annotated[int, Field(ge=1)]
    """Words of weight memory."""
    neurons: Annotated[int, Field(ge=1)]
    biases: Annotated[int, Field(ge=0)]


class Device(Config):
    """What a device or tool can hold. What is left out has no limit."""

    title: str
    sources: tuple[str, ...]
    """Where the limits come from."""
    layers: tuple[str, ...] | None = None
    """Kinds of layers that it has."""
    neurons: tuple[str, ...] | None = None
    resets: tuple[str, ...] | None = None
    encoders: tuple[str, ...] | None = None
    readouts: tuple[str, ...] | None = None
    recurrent: bool = True
    reset_delay: bool = True
    """Whether a reset may belong to the step after the spike."""
    square_kernels: bool = False
    pools_step_by_size: bool = False
    cores: tuple[Cores, ...] = ()
    memory: bool = False
    """Whether the network runs as the C export does, within `flash` and `ram`."""
    flash: Bytes | None = None
    """Bytes."""
    ram: Bytes | None = None
    """Bytes."""
    code: Annotated[int, Field(ge=0)] = 6144
    """Bytes of flash set aside for code, floating point in software among it."""
    stack: Annotated[int, Field(ge=0)] = 1024
    """Bytes of RAM set aside for the stack."""
    notes: tuple[str, ...] = ()


class Limit(NamedTuple):
    """One thing that is used up."""

    what: str
    used: int
    limit: int | None
    """None where the target does not say."""
    unit: str
    numbers: Numbers | None = None
    """Of which form of the C export, where it is about memory."""

    @property
    def holds(self) -> bool:
        """Whether it is kept."""
        return self.limit is None or self.used <= self.limit


class Misfit(NamedTuple):
    """Something that does not fit."""

    layer: str | None
    """Its name; None for the network as a whole."""
    words: str
    numbers: Numbers | None = None
    """Only in this form; None in every one."""


class Fit(NamedTuple):
    """Whether a network fits a target, and why not."""

    target: str
    title: str
    limits: tuple[Limit, ...]
    problems: tuple[Misfit, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    forms: tuple[Numbers, ...]
    """The forms of the C export that fit; none where the target is no such device."""
    fits: bool

    @property
    def verdict(self) -> str:
        """In a sentence."""
        if not self.fits:
            return for_caller(f"It does not fit {self.title}: {self.problems[0].words}")
        if self.forms and len(self.forms) < len(_FORMS):
            return for_caller(f"It fits {self.title} with {_FORM_WORDS[self.forms[0]]}.")
        return f"It fits {self.title}."


_FORMS: Final[tuple[Numbers, ...]] = ("float32", "int8")
_FORM_WORDS: Final = {"float32": "floating point", "int8": "weights of 8 bits (--int8)"}


def target_names() -> tuple[str, ...]:
    """Names of the targets that come with the package."""
    folder = resources.files("spikewise.interop") / _FOLDER
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def read_target(name: str) -> Device:
    """The target of a name ("speck2f", "cortex-m4:512k/160k": flash and RAM), or of a TOML file.

    Raises:
        ConfigError: there is none, or its settings are wrong.
        DataError: the file cannot be read.
    """
    if name.endswith(".toml"):
        return _of_file(Path(name))
    plain, colon, sizes = name.partition(":")
    if plain not in target_names():
        raise unknown_choice("target", plain, [*target_names(), "FILE.toml"])
    text = (resources.files("spikewise.interop") / _FOLDER / f"{plain}.toml").read_text(encoding="utf-8")
    target = parse(Device, parse_toml(text))
    if not colon and not target.memory:
        return target
    if not target.memory:
        raise ConfigError(f"The target {plain} has sizes of its own; leave ':{sizes}' out.")
    found = re.fullmatch(r"(\d{1,9})([km]?)(?:i?b)?/(\d{1,9})([km]?)(?:i?b)?", sizes.lower())
    if found is None or not int(found[1]) or not int(found[3]):
        raise ConfigError(
            f"{name}: say how much flash and RAM the device has, in bytes, KiB (k) or MiB (m), as in {plain}:512k/160k."
        )
    flash, ram = int(found[1]) * _UNITS[found[2]], int(found[3]) * _UNITS[found[4]]
    return target.replace(flash=flash, ram=ram)


def _of_file(path: Path) -> Device:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The target {path} cannot be read: {error}.") from None
    try:
        return parse(Device, parse_toml(text))
    except ParseError as error:
        raise ConfigError(f"{path} is no TOML: {error}.") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def fit(graph: Graph, target: Device, name: str) -> Fit:
    """Whether a network of any weights fits.

    Args:
        name: what the target was called.
    """
    problems = [*_whole(graph, target), *(one for at in graph.named for one in _layer(at, target))]
    limits: list[Limit] = []
    forms: list[Numbers] = []
    if target.cores:
        made, wrong = _on_cores(graph, target.cores)
        limits, problems = limits + made, problems + wrong
    network = Network(graph) if target.memory else None
    unwritten = [] if network is None else [*_written(network)]
    problems += unwritten
    sound = not problems
    if network is not None and not unwritten:
        for numbers in _FORMS:
            made, wrong = _in_memory(network, target, numbers)
            limits, problems = limits + made, problems + wrong
            forms += [] if wrong or not sound else [numbers]
        sound = bool(forms)
    if sound:
        problems = [one for one in problems if one.numbers is not None]
    return Fit(
        name, target.title, tuple(limits), tuple(problems), target.sources, target.notes, tuple(forms), fits=sound
    )


def _whole(graph: Graph, target: Device) -> Iterable[Misfit]:
    kind = graph.encoder.kind
    if target.encoders is not None and kind not in target.encoders:
        yield Misfit(None, f"its encoder is '{kind}', and {_among(target.encoders)} can be sent there.")
    if target.readouts is not None and graph.readout.kind not in target.readouts:
        yield Misfit(None, f"its readout is '{graph.readout.kind}', and there {_among(target.readouts)} can be read.")


def _among(choices: tuple[str, ...]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


def _layer(at: NamedLayer, target: Device) -> Iterable[Misfit]:
    """What is wrong with one layer, its size aside."""
    layer = at.layer
    about = f"layer {at.name}"
    if target.layers is not None and layer.kind not in (*target.layers, "dropout", "batch_norm"):
        yield Misfit(
            at.name, f"{about}: there is no {layer.kind.replace('_', ' ')} there; {_among(target.layers)} are."
        )
    if isinstance(layer, Neuron):
        yield from _neuron(at.name, layer, target)
    if isinstance(layer, Conv2d) and target.square_kernels and len(set(layer.window)) > 1:
        yield Misfit(at.name, f"{about}: its kernel is {layer.window[0]}x{layer.window[1]}, and must be square.")
    if isinstance(layer, MaxPool | AvgPool | SumPool) and target.pools_step_by_size and layer.window != layer.strides:
        yield Misfit(at.name, f"{about}: its window and its step differ, and must be equal.")


def _neuron(name: str, layer: Neuron, target: Device) -> Iterable[Misfit]:
    dynamics, about = layer.dynamics, f"layer {name}"
    if target.neurons is not None and dynamics.label not in target.neurons:
        yield Misfit(name, f"{about}: its neurons are {dynamics.label}, and there are {_among(target.neurons)}.")
    if layer.recurrent and not target.recurrent:
        yield Misfit(name, f"{about}: it is recurrent, which cannot be said there; use recurrent = false.")
    if isinstance(dynamics, LeakyIntegrator):
        return
    reset = getattr(dynamics, "reset", None)
    if target.resets is not None and reset not in target.resets:
        yield Misfit(name, f"{about}: its reset is '{reset}', and there are {_among(target.resets)}.")
    if not target.reset_delay and getattr(dynamics, "reset_delay", False):
        yield Misfit(name, f"{about}: its reset comes a step late; use reset_delay = false.")


class _Need(NamedTuple):
    """What one weighted layer takes of a core."""

    name: str
    weights: int
    neurons: int
    biases: int

    def fits(self, core: Cores) -> bool:
        return self.weights <= core.weights and self.neurons <= core.neurons and self.biases <= core.biases


def _on_cores(graph: Graph, kinds: tuple[Cores, ...]) -> tuple[list[Limit], list[Misfit]]:
    cores = [kind for kind in kinds for _ in range(kind.count)]
    needs = _needs(graph)
    most = [max(getattr(core, key) for core in cores) for key in ("weights", "neurons", "biases")]
    limits = [Limit("weighted layers", len(needs), len(cores), "cores")]
    problems = []
    for need in needs:
        parts = ("words of weights", "places of neurons", "biases")
        for what, used, limit in zip(parts, need[1:], most, strict=True):
            limits.append(Limit(f"{need.name}: {what}", used, limit, ""))
        if not any(need.fits(core) for core in cores):
            over = [f"{used:,} {what} (a core holds at most {limit:,})"
                    for what, used, limit in zip(parts, need[1:], most, strict=True) if used > limit]  # fmt: skip
            whole = (
                f"{need.weights:,} words of weights with {need.neurons:,} places of neurons, which no core has together"
            )
            problems.append(Misfit(need.name, f"layer {need.name}: it takes {' and '.join(over) or whole}."))
    if not problems and (left := _unplaced(needs, cores)):
        problems.append(Misfit(left, f"layer {left}: no core that could hold it is free; the others take them."))
    return limits, problems


def _needs(graph: Graph) -> list[_Need]:
    """Of each weighted layer: kernels, rounded up to powers of two, and the map that its neurons make.

    Source: `memory_summary` of sinabs's DynapcnnLayer.
    """
    maps: dict[str, Shape] = {}
    found = []
    for at in graph.named:
        source = maps.get(at.inputs[0], at.input)
        if isinstance(at.layer, Flatten):
            maps[at.name] = at.input
        if not isinstance(at.layer, Linear | Conv2d):
            continue
        channels, height, width = source if len(source) == 3 else (source[0], 1, 1)
        if isinstance(at.layer, Conv2d):
            height, width = at.layer.window
        outputs, *places = at.output
        weights = channels * 2 ** (_bits(height * width) + _bits(outputs))
        neurons = outputs * 2 ** sum(map(_bits, places))
        found.append(_Need(at.name, weights, neurons, outputs if at.layer.bias else 0))
    return found


def _bits(count: int) -> int:
    return math.ceil(math.log2(count))


def _unplaced(needs: list[_Need], cores: list[Cores]) -> str | None:
    """A layer for which no core is left, whichever way the others are placed (Kuhn's augmenting paths)."""
    holds: dict[int, _Need] = {}

    def place(need: _Need, tried: set[int]) -> bool:
        for number, core in enumerate(cores):
            if number in tried or not need.fits(core):
                continue
            tried.add(number)
            if number not in holds or place(holds[number], tried):
                holds[number] = need
                return True
        return False

    return next((need.name for need in needs if not place(need, set())), None)


def _written(network: Network) -> Iterable[Misfit]:
    """What the C export refuses whatever the memory."""
    weights = sum(value.numel() for value in network.weights.values())
    if weights > MOST_WEIGHTS:
        yield Misfit(None, f"it has {weights:,} weights, and as C source at most {MOST_WEIGHTS:,} are written.")


def _in_memory(network: Network, target: Device, numbers: Numbers) -> tuple[list[Limit], list[Misfit]]:
    """Flash and RAM of the C export, with what is set aside."""
    try:
        sizes = layer_sizes(deploy(network), numbers)
    except ConfigError as error:
        return [], [Misfit(None, str(error), numbers)]
    flash, ram = sum(one.tables for one in sizes) + target.code, sum(one.state for one in sizes) + target.stack
    limits = [
        Limit("flash", flash, target.flash, "bytes", numbers),
        Limit("RAM", ram, target.ram, "bytes", numbers),
    ]
    problems = []
    of_tables, of_state = ([(getattr(one, key), one.name) for one in sizes] for key in ("tables", "state"))
    for limit, parts in zip(limits, (of_tables, of_state), strict=True):
        if limit.holds or limit.limit is None:
            continue
        guilty = _guilty(limit.used - limit.limit, parts)
        told = ", ".join(f"{name} takes {size:,}" for size, name in guilty)
        words = (
            f"{limit.what} of {limit.used:,} bytes with {_FORM_WORDS[numbers]} where there are {limit.limit:,}: {told}."
        )
        problems += [Misfit(name, words, numbers) for _, name in guilty[:1]]
    return limits, problems


def _guilty(over: int, parts: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The largest parts that together are more than what is too much."""
    found, total = [], 0
    for part in sorted(parts, reverse=True):
        if total >= over or not part[0]:
            break
        found.append(part)
        total += part[0]
    return found
