"""A NIR graph, of whatever tool, becomes a network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float

from spikewise.dynamics import Reset
from spikewise.encoders import Encoder
from spikewise.errors import ConfigError, DataError, ShapeError, quoted
from spikewise.graph import Shape
from spikewise.interop.nir.dialects import Dialect, Meant, dialect_of
from spikewise.interop.nir.files import load_graph, nir_package
from spikewise.interop.nir.nodes import BLOCK, KNOWN, add_current, after, map_pieces, numbers, shape_of
from spikewise.interop.nir.notes import notes_of
from spikewise.interop.nir.restoring import restored
from spikewise.interop.nir.structure import NEURONS, Fork, Structure, structure_of, unpacked
from spikewise.interop.nir.tools import NEVER
from spikewise.interop.pieces import NeuronValues, Piece, assemble, image_shape_of, neuron_piece
from spikewise.network import Network
from spikewise.readouts import Readout

if TYPE_CHECKING:
    import nir

__all__ = ["OWN", "Imported", "from_nir_graph"]

Array = Float[np.ndarray, "..."]


OWN: Final = "spikewise"


class Imported(NamedTuple):
    """A network that came in, and what was understood."""

    network: Network
    tool: str
    """Whose it is."""
    said: tuple[str, ...] = ()
    """What was taken for granted, and what is different there, in sentences."""
    seed: int = 0
    """Of the encoder's random numbers, where the file names one."""


def from_nir_graph(  # noqa: PLR0913  # what a file may leave open
    source: "str | Path | nir.NIRGraph",
    *,
    dialect: str | None = None,
    dt: float | None = None,
    reset: Reset | None = None,
    reset_delay: bool | None = None,
    image_shape: tuple[int, int, int] | None = None,
    encoder: Encoder | None = None,
    readout: Readout | None = None,
) -> Imported:
    """The network of a NIR graph or file.

    Args:
        dialect: the tool that wrote it; None is found out from the pattern of its numbers.
        dt: length of a step in the unit of its time constants; None is that of the tool.
        reset: how neurons reset, where the file does not tell.
        reset_delay: whether that belongs to the next step.
        image_shape: channels, height and width of the images, where the input is flat; None is a square.
        encoder: how images become its input; None is that of the file, or the rate code over 25 steps.
        readout: None is that of the file, or the count of spikes, or the mean membrane.
    Raises:
        ConfigError: it is not clear what the file means, or a node has no counterpart here; the message names it.
        DataError: the file is damaged.
        DependencyError: `nir` is not installed.
    """
    graph = load_graph(source)
    notes = notes_of(graph)
    given = (dialect, dt, reset, reset_delay)
    if notes is not None and given == (None,) * 4:
        network = restored(graph, notes)
        changed = {key: one for key, one in {"encoder": encoder, "readout": readout}.items() if one is not None}
        if changed:
            other = Network(network.graph.replace(**changed))
            other.load_state_dict(network.state_dict())
            network = other.eval()
        return Imported(network, OWN, ("Settings are those in the file's metadata.",), notes.seed)
    if dt is not None and not 0 < dt < np.inf:
        raise ConfigError(f"--dt is the length of a step, above 0; got {dt:g}.")
    try:
        with np.errstate(all="ignore"):  # what is no number any more is refused where it is looked at
            return _read(graph, _Asked(dialect, dt, reset, reset_delay), image_shape, encoder, readout)
    except (AttributeError, TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError) as error:
        if isinstance(error, ConfigError | DataError):
            raise
        raise DataError(
            f"This NIR graph holds values of another kind than the format has ({quoted(str(error))[1:-1]}). Write it "
            "again with the tool that made it."
        ) from error


class _Asked(NamedTuple):
    dialect: str | None
    dt: float | None
    reset: Reset | None
    delay: bool | None


def _read(
    graph: "nir.NIRGraph",
    asked: _Asked,
    image_shape: tuple[int, int, int] | None,
    encoder: Encoder | None,
    readout: Readout | None,
) -> Imported:
    flat = unpacked(graph, nir_package())
    structure = structure_of(flat)
    for name, node in flat.nodes.items():
        if _kind(node) not in KNOWN:
            raise ConfigError(f"Node '{name}' is a {_kind(node)}, and there is no such layer here.")
    dialect = dialect_of(flat, asked.dialect, asked.dt, asked.reset)
    reader = _Reader(flat, structure, dialect, asked)
    pieces = reader.pieces(structure.chain, reader.input_shape)
    shape = image_shape_of(reader.input_shape) if image_shape is None else image_shape
    if int(np.prod(shape)) != int(np.prod(reader.input_shape)) and encoder is None:
        read = "x".join(map(str, reader.input_shape))
        raise ShapeError(f"The network reads {read}, and images of {'x'.join(map(str, shape))} do not fit that.")
    return Imported(assemble(pieces, shape, encoder, readout), dialect.title, tuple(reader.said()))


class _Reader:
    """Makes layers of nodes."""

    def __init__(self, graph: "nir.NIRGraph", structure: Structure, dialect: Dialect, asked: _Asked) -> None:
        self._graph, self._structure, self._dialect, self._asked = graph, structure, dialect, asked
        self._reset = self._reset_of(dialect, asked)
        self._dt = asked.dt or dialect.dt
        if self._dt is None and any(_kind(node) in NEURONS for node in graph.nodes.values()):
            raise ConfigError(
                f"Files of {dialect.title} do not say how long a step is: give --dt, in the unit of their taus."
            )
        start = next(node for node in graph.nodes.values() if _kind(node) == "Input")
        self.input_shape = shape_of(start.input_type["input"])

    def said(self) -> list[str]:
        """What was understood."""
        out = []
        if any(_kind(node) in NEURONS for node in self._graph.nodes.values()):
            reset, late = self._reset
            how = {"subtract": "by subtraction", "zero": "to zero", "none": "not at all"}[reset]
            when = ", one step late" if late and reset != "none" else ""
            title = "as they stand" if self._dialect.name == "nir" else f"as {self._dialect.title} writes them"
            out.append(f"The equations are read {title}: steps of {self._dt:g}, neurons reset {how}{when}.")
        if self._dialect.remark:
            out.append(f"Mind that {self._dialect.remark}.")
        return out

    def _reset_of(self, dialect: Dialect, asked: _Asked) -> tuple[Reset, bool]:
        reset = asked.reset or dialect.reset
        if reset is None:
            if any(_kind(node) in ("LIF", "IF", "CubaLIF") for node in self._graph.nodes.values()):
                raise ConfigError(
                    f"Files of {dialect.title} do not say how neurons reset, and its users choose: give --reset "
                    "subtract or --reset zero (and --no-reset-delay where the reset belongs to the same step)."
                )
            reset = "zero"
        delay = (dialect.delay and reset == "subtract") if asked.delay is None else asked.delay
        return reset, delay

    def pieces(self, chain: "list[str | Fork]", shape: Shape) -> list[Piece]:
        """The layers of nodes that stand one behind the other, for an input shape."""
        out: list[Piece] = []
        for one in chain:
            if isinstance(one, Fork):
                inside = Piece("the sum of two paths", BLOCK)
                inside.main, inside.shortcut = (self.pieces(path, shape) for path in one)
                out.append(inside)
                shape = after(inside.main, shape)
                continue
            made = self._piece(one, shape, out)
            shape = after(made, shape)
            out += made
        return out

    def _piece(self, name: str, shape: Shape, before: list[Piece]) -> list[Piece]:
        node = self._graph.nodes[name]
        kind = _kind(node)
        if kind in NEURONS:
            return [self._neurons(name, node, kind, shape, before)]
        return map_pieces(name, node, shape, before)

    def _neurons(self, name: str, node: Any, kind: str, shape: Shape, before: list[Piece]) -> Piece:
        assert self._dt is not None
        with np.errstate(all="ignore"):
            meant = self._dialect.meant(node, kind, self._dt)
        if kind == "CubaLIF" and meant.synapse is None:
            raise ConfigError(
                f"Node '{name}' is a CubaLIF, which {self._dialect.title} does not write. Give another --dialect."
            )
        spiking = kind in ("LIF", "IF", "CubaLIF") and not _never(node)
        reset, delay = self._reset
        if self._dialect.name == "snntorch" and kind == "LIF" and reset == "zero":
            delay = False  # its Leaky sets the membrane to zero before the next input comes: the same
        threshold = self._shifted(name, node, meant, before, reset) if spiking else None
        found = NeuronValues(
            "integrator" if not spiking else "cuba_lif" if kind == "CubaLIF" else "lif",
            meant.decay,
            threshold,
            meant.gain,
            meant.synapse,
            reset,
            delay,
            self._dialect.at_least,
        )
        if not spiking and kind == "CubaLIF":
            raise ConfigError(f"Node '{name}' is an integrator with a synaptic current, and there is none here.")
        return neuron_piece(name, shape, found, before, self._matrix(name, before))

    def _shifted(self, name: str, node: Any, meant: Meant, before: list[Piece], reset: Reset) -> Array:
        """The threshold over the potential that membranes are reset to, which is 0 here."""
        leak = np.asarray(getattr(node, "v_leak", 0.0), np.float64)
        rest = np.asarray(node.v_reset, np.float64) if reset == "zero" else leak
        drift = (1 - meant.decay) * (leak - rest) / meant.gain
        add_current(name, before, drift)
        return np.asarray(node.v_threshold, np.float64) - rest

    def _matrix(self, name: str, before: list[Piece]) -> Array | None:
        back = self._structure.recurrent.get(name)
        if back is None:
            return None
        node = self._graph.nodes[back]
        if _kind(node) == "Affine":
            add_current(name, before, numbers(back, node.bias))
        return numbers(back, node.weight)


def _never(node: Any) -> bool:
    """Whether neurons are integrators written as such that never spike."""
    return bool(np.size(node.v_threshold) and (np.asarray(node.v_threshold) >= NEVER / 1e6).all())


def _kind(node: Any) -> str:
    return type(node).__name__
