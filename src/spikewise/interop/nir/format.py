"""NIR as an export format."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spikewise.dynamics import IF, LIF, CubaLIF
from spikewise.dynamics.lif import Charged
from spikewise.errors import ConfigError, DataError
from spikewise.graph import Flatten, Graph, Neuron
from spikewise.interop.deployed import Deployed
from spikewise.interop.nir.files import nir_package, read_graph, save_graph
from spikewise.interop.nir.interpreter import Rules
from spikewise.interop.nir.notes import notes_of
from spikewise.interop.nir.runtime import NirRuntime
from spikewise.interop.nir.tools import TOOLS, Tool, tool_named
from spikewise.interop.nir.writing import to_nir
from spikewise.interop.runtime import Format, Opened, Reader, Wish, Written

if TYPE_CHECKING:
    import nir

__all__ = ["FORMAT", "NirFormat"]

_NAME: Final = "{name}.nir"


class NirFormat:
    """Writes NIR files, and reads them back by an interpreter of their equations."""

    name = "nir"
    title = "NIR"
    about = "graph of differential equations that neuromorphic tools exchange"
    exact = False

    def write(self, network: Deployed, folder: Path, wish: Wish) -> Written:
        """Write the file.

        Raises:
            ConfigError: NIR, or the tool, cannot say a layer.
            DependencyError: `nir` is not installed.
        """
        wish._replace(numbers="float32").only(self.name, tools=() if wish.tool is None else (wish.tool,))
        if wish.numbers != "float32":
            raise ConfigError("NIR files hold floating point numbers; leave --int8 out, or export to c.")
        tool = tool_named(wish.tool)
        graph = to_nir(network, tool, seed=wish.seed, classes=wish.classes)
        main = _NAME.format(name=wish.name)
        save_graph(graph, folder / main)
        refused = _refused_by_nir(folder / main)
        facts: dict[str, int | float | str] = {
            "nodes": len(graph.nodes),
            "edges": len(graph.edges),
            "written for": tool.title,
        }
        return Written(main, (main,), tuple(_warnings(network.graph, graph, tool, refused)), facts)

    def open(self, network: Deployed, folder: Path, main: str, wish: Wish) -> Opened:
        """Read it back.

        Raises:
            DataError: it is damaged, or was not written here.
            DependencyError: `nir` is not installed.
        """
        del wish
        graph = read_graph(folder / main)
        notes = notes_of(graph)
        if notes is None:
            raise DataError(f"{folder / main} holds no metadata of spikewise, so its input and readout are not known.")
        if notes.parsed() != network.graph:
            raise DataError(f"{folder / main} describes another network than the one that it is checked against.")
        readers = tuple(
            Reader(title, why, NirRuntime(graph, notes, rules, title))
            for title, why, rules in _readers(network.graph, notes.form)
        )
        return Opened(NirRuntime(graph, notes), readers=readers)


FORMAT: Format = NirFormat()

_FLATTEN: Final = {"snntorch": "one image at a time", "norse": "one image at a time, without an axis for the batch"}
"""What importers take that flatten whatever they get."""
_MEMBRANE: Final = {
    "snntorch": "`net.{0}.mem` after each step, with `reset_mem()` of all neurons before each image",
    "norse": '`state.state["{0}"][0].v` of the state that `net(frame, state)` returns',
}
"""Where importers keep the membrane of a neuron."""


def _readers(graph: Graph, form: Tool) -> Iterator[tuple[str, str, Rules]]:
    """Tools that read the file otherwise than it is meant, and how."""
    plain = all(reset == ("zero", False) for _, reset in _resets(graph)) and not _charged(graph)
    asked = [form] if form.name in TOOLS else [TOOLS["snntorch"], TOOLS["spikingjelly"]]
    for tool in asked:
        strict = not tool.at_least or tool == form  # a file for it has thresholds that allow for it
        if plain and strict and tool.resets == "zero":
            continue
        titles = "snnTorch or Norse" if len(asked) > 1 and tool.name == "snntorch" else tool.title
        sends = ", several spikes at once" if tool.name == "sinabs" else ""
        kept = "resets to zero in the same step" if tool.resets == "zero" else "resets by subtraction"
        why = f"({kept}{sends}{'' if strict else ', spikes at the threshold'})"
        late = tool.name == "spyx"
        yield titles, why, Rules(form, tool.resets, late, tool.at_least, charged=False, several=tool.name == "sinabs")


def _warnings(graph: Graph, made: "nir.NIRGraph", tool: Tool, refused: str | None) -> Iterator[str]:
    if refused:
        yield (
            f"nir's own check of shapes refuses the file ({refused}); it is right, but must be read by "
            "nir.read(file, type_check=False)."
        )
    for (reset, delay), names in _grouped(graph).items():
        if (reset, delay) != ("zero", False) and not (tool.resets == reset and not delay and tool.name != "nir"):
            way = {"subtract": "by subtraction", "zero": "to zero", "none": "not at all"}[reset]
            when = ", one step late" if delay and reset != "none" else ""
            readers = tool.title if tool.name != "nir" else "snnTorch, SpikingJelly and Norse"
            told = "zero in the same step" if tool.resets == "zero" else "subtraction"
            yield f"{', '.join(names)} reset {way}{when}, which NIR cannot say: {readers} will read a reset to {told}."
    if charged := _charged(graph):
        yield f"{', '.join(charged)} start charged, which NIR cannot say: other tools start membranes at 0."
    recurrent = [at.name for at in graph.named if isinstance(at.layer, Neuron) and at.layer.recurrent]
    if recurrent:
        yield f"{', '.join(recurrent)} hear their own spikes one step late; NIR does not say when."
    thresholds = [name for name, node in made.nodes.items() if type(node).__name__ == "Threshold"]
    if thresholds:
        yield (
            "The largest of spikes is written as a sum and a threshold of a half, which of the tools known here Spyx "
            f"alone reads: {', '.join(thresholds)}."
        )
    if tool.name in _FLATTEN and any(isinstance(at.layer, Flatten) for at in graph.named):
        yield f"{tool.title}'s importer flattens the images of a batch together: give it {_FLATTEN[tool.name]}."
    if tool.name == "spyx":
        yield (
            "Spyx sends each layer's spikes a step after they are due: give it a step more for each layer. Biases "
            "behind the first neurons are heard in those steps, too, and may send spikes that are not sent here."
        )
    integrators = [name for name, node in made.nodes.items() if node.metadata.get("integrator")]
    if integrators and any(type(made.nodes[name]).__name__ == "LIF" for name in integrators):
        where = f", {_MEMBRANE[tool.name].format(integrators[-1])}" if tool.name in _MEMBRANE else ""
        yield f"{', '.join(integrators)} never spikes (its threshold is 1e30): read its membrane{where}."


def _charged(graph: Graph) -> list[str]:
    """Layers whose membranes do not start at 0."""
    neurons = [(at.name, at.layer.dynamics) for at in graph.named if isinstance(at.layer, Neuron)]
    return [name for name, dynamics in neurons if isinstance(dynamics, Charged) and dynamics.initial]


def _grouped(graph: Graph) -> dict[tuple[str, bool], list[str]]:
    found: dict[tuple[str, bool], list[str]] = {}
    for name, reset in _resets(graph):
        found.setdefault(reset, []).append(name)
    return found


def _resets(graph: Graph) -> Iterator[tuple[str, tuple[str, bool]]]:
    for at in graph.named:
        if isinstance(at.layer, Neuron) and isinstance(at.layer.dynamics, LIF | IF | CubaLIF):
            yield at.name, (at.layer.dynamics.reset, at.layer.dynamics.reset_delay)


def _refused_by_nir(path: Path) -> str | None:
    """What `nir` itself has against the file; it computes the sizes of some convolutions wrongly."""
    try:
        nir_package().read(path)
    # nir asserts, indexes and converts what it gets; NotImplementedError is its word for a node with several inputs.
    except (ValueError, AssertionError, TypeError, IndexError, NotImplementedError) as error:
        return str(error)[:150] or type(error).__name__
    return None
