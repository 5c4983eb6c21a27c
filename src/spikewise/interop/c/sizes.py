"""How much flash and RAM an export takes, layer by layer: the sizes of the very tables and state that it writes."""

from typing import Final, NamedTuple

from spikewise.interop.c.integers import quantised
from spikewise.interop.c.layout import INPUT, lay_out
from spikewise.interop.c.memory import fields, state_size, tables
from spikewise.interop.c.numbers import as_trained
from spikewise.interop.deployed import Deployed
from spikewise.interop.runtime import Numbers

__all__ = ["MOST_WEIGHTS", "LayerSize", "layer_sizes"]

MOST_WEIGHTS: Final = 1 << 24
"""More are not written as C source."""

SHARED = "currents and readout"
"""Name of what no layer has for itself."""


class LayerSize(NamedTuple):
    """Of one layer, of the input, or of what is shared."""

    name: str
    tables: int
    """Bytes of constant tables (flash)."""
    state: int
    """Bytes of state (RAM)."""


def layer_sizes(network: Deployed, numbers: Numbers) -> list[LayerSize]:
    """Sizes that add up to those of the whole export, code and stack aside.

    Raises:
        ConfigError: the C export does not know a layer, which is named.
    """
    layout = lay_out(network.graph)
    quantities = quantised(network, layout) if numbers == "int8" else as_trained(network, layout)
    members = fields(layout, numbers)
    names = [INPUT, *(at.name for at in layout.graph.named)]
    flash, state = dict.fromkeys([*names, SHARED], 0), dict.fromkeys([*names, SHARED], 0)
    for table in tables(layout, quantities):
        flash[_owner(table.name, names)] += table.values.nbytes
    for member in members:
        state[_owner(member.name, names)] += member.size
    state[SHARED] += state_size(members) - sum(state.values())  # what rounds the state up
    return [LayerSize(name, flash[name], state[name]) for name in flash if flash[name] or state[name]]


def _owner(name: str, layers: list[str]) -> str:
    """The layer whose name a table or member begins with."""
    return next((layer for layer in layers if name.startswith(f"{layer}_")), SHARED)
