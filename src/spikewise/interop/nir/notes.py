"""What NIR has no words for, kept in the metadata of a graph: how its neurons reset, its input, its readout."""

from typing import TYPE_CHECKING, Any, Final

from spikewise import __version__
from spikewise.config import parse
from spikewise.errors import ConfigError, DataError
from spikewise.evaluation.record import Many, Record
from spikewise.graph import Graph
from spikewise.interop.nir.tools import NEUTRAL, TOOLS, Tool
from spikewise.parsing import ParseError, parse_json

if TYPE_CHECKING:
    import nir

__all__ = ["Notes", "notes_of"]

KEY: Final = "spikewise"


class Notes(Record):
    """What stands in the metadata of a graph that was written here."""

    format: int = 1
    spikewise: str = __version__
    tool: str = NEUTRAL.name
    """The tool that the file was written for."""
    seed: int = 0
    """Of the random numbers of the encoder."""
    classes: Many[str] = ()
    graph: dict[str, Any]
    """The network's graph, as its configuration says it."""

    @property
    def form(self) -> Tool:
        """How the numbers of the nodes are meant."""
        return TOOLS.get(self.tool, NEUTRAL)

    def parsed(self) -> Graph:
        """The graph.

        Raises:
            DataError: it is none.
        """
        try:
            return parse(Graph, self.graph)
        except ConfigError as error:
            raise DataError(f"The metadata of this NIR file describe no network: {error}") from None


def notes_of(graph: "nir.NIRGraph") -> Notes | None:
    """What a graph says of itself in our metadata; None where it was written by another tool.

    Raises:
        DataError: they are there, and damaged.
    """
    held = graph.metadata.get(KEY) if isinstance(graph.metadata, dict) else None
    if held is None:
        return None
    if isinstance(held, bytes):
        held = held.decode("utf-8", "replace")
    if not isinstance(held, str):
        raise DataError(f"The metadata '{KEY}' of this NIR file are no text. Export the network again.")
    try:
        return parse(Notes, parse_json(held, finite=False))
    except (ParseError, ConfigError) as error:
        raise DataError(f"The metadata '{KEY}' of this NIR file are damaged: {error}") from None
