"""The shape of a NIR graph: nested graphs unpacked, recurrent matrices found, and forks paired with their sums."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spikewise.errors import ConfigError

if TYPE_CHECKING:
    import nir

__all__ = ["Fork", "Structure", "structure_of", "unpacked"]

_DEEPEST: Final = 20
"""Blocks within blocks that are followed."""

NEURONS = ("LIF", "IF", "LI", "I", "CubaLIF")


class Fork(NamedTuple):
    """Two paths from one place that are added where they meet."""

    main: "list[str | Fork]"
    shortcut: "list[str | Fork]"


@dataclass
class Structure:
    """Names of nodes in the order of computing."""

    chain: "list[str | Fork]"
    recurrent: dict[str, str] = field(default_factory=dict)
    """The linear node that feeds each of some neurons back to itself."""


def unpacked(graph: "nir.NIRGraph", package: Any) -> "nir.NIRGraph":
    """The same without nested graphs: their nodes are called "outer.inner".

    Raises:
        ConfigError: an edge leads to a node that is not there.
    """
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    _unpack(graph, "", nodes, edges)
    inner = [name for name, node in nodes.items() if "." in name and _kind(node) in ("Input", "Output")]
    for name in inner:
        if not any(b == name for _, b in edges) or not any(a == name for a, _ in edges):
            continue
        sources, targets = [a for a, b in edges if b == name], [b for a, b in edges if a == name]
        edges = [edge for edge in edges if name not in edge] + [(a, b) for a in sources for b in targets]
        del nodes[name]
    return package.NIRGraph(nodes=nodes, edges=list(dict.fromkeys(edges)), metadata=graph.metadata, type_check=False)


def _unpack(graph: "nir.NIRGraph", prefix: str, nodes: dict[str, Any], edges: list[tuple[str, str]]) -> None:
    for name, node in graph.nodes.items():
        if _kind(node) == "NIRGraph":
            _unpack(node, f"{prefix}{name}.", nodes, edges)
        else:
            nodes[prefix + name] = node
    for a, b in graph.edges:
        if a not in graph.nodes or b not in graph.nodes:
            missing = a if a not in graph.nodes else b
            raise ConfigError(f"An edge of this NIR graph leads to '{missing}', and there is no such node.")
        edges.append((_end(graph, a, prefix, "Output"), _end(graph, b, prefix, "Input")))


def _end(graph: "nir.NIRGraph", name: str, prefix: str, kind: str) -> str:
    """Where an edge really ends: at the input of a nested graph, or begins: at its output."""
    node = graph.nodes[name]
    if _kind(node) != "NIRGraph":
        return prefix + name
    ends = [inner for inner, one in node.nodes.items() if _kind(one) == kind]
    if len(ends) != 1:
        raise ConfigError(f"The nested graph '{prefix}{name}' has {len(ends)} {kind.lower()} nodes; one is read.")
    return _end(node, ends[0], f"{prefix}{name}.", kind)


def structure_of(graph: "nir.NIRGraph") -> Structure:
    """How the nodes of a graph without nested ones follow each other, from its input to its output.

    Raises:
        ConfigError: it is no chain of layers and blocks with two paths; the message names the node.
    """
    edges = [(str(a), str(b)) for a, b in graph.edges]
    recurrent = dict(_loops(graph, edges))
    edges = [edge for edge in edges if not set(edge) & set(recurrent.values())]
    nodes = [name for name in graph.nodes if name not in recurrent.values()]
    start, end = (_only(graph, nodes, kind) for kind in ("Input", "Output"))
    chain = list(_Walk(_Sums(nodes, edges)).chain(start, end))
    _check_seen(chain, {*nodes} - {start, end})
    return Structure(chain, recurrent)


def _loops(graph: "nir.NIRGraph", edges: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Neurons and the linear node through which they hear themselves."""
    for a, b in edges:
        if _kind(graph.nodes[a]) not in NEURONS or _kind(graph.nodes[b]) not in ("Linear", "Affine"):
            continue
        heard = [source for source, target in edges if target == b]
        told = [target for source, target in edges if source == b]
        if heard == [a] and told == [a]:
            yield a, b


def _only(graph: "nir.NIRGraph", nodes: list[str], kind: str) -> str:
    found = [name for name in nodes if _kind(graph.nodes[name]) == kind]
    if len(found) != 1:
        raise ConfigError(f"This NIR graph has {len(found)} {kind.lower()} nodes; a network here has one.")
    return found[0]


def _check_seen(chain: "list[str | Fork]", nodes: set[str]) -> None:
    left = sorted(nodes - set(_names(chain)))
    if left:
        raise ConfigError(f"Node '{left[0]}' of this NIR graph does not lie on a way from its input to its output.")


def _names(chain: "list[str | Fork]") -> Iterator[str]:
    for one in chain:
        if isinstance(one, str):
            yield one
        else:
            yield from _names(one.main)
            yield from _names(one.shortcut)


class _Sums:
    """The edges, with a node for each sum: edges that meet say "add", and several nodes may hear one sum."""

    def __init__(self, nodes: list[str], edges: list[tuple[str, str]]) -> None:
        heard = {name: frozenset(a for a, b in edges if b == name) for name in nodes}
        sums = sorted(
            {sources for sources in heard.values() if len(sources) > 1}, key=lambda one: (len(one), sorted(one))
        )
        self.sums: set[str] = set()
        self.targets: dict[str, list[str]] = {name: [] for name in nodes}
        names: dict[frozenset[str], str] = {}
        for sources in sums:
            names[sources] = name = f"the sum of {' and '.join(sorted(sources))}"
            self.sums.add(name)
            self.targets[name] = []
        for sources, name in names.items():
            for part in _parts(sources, names, sources):
                self.targets[part].append(name)
        for name, sources in heard.items():
            for part in [names[sources]] if len(sources) > 1 else sources:
                self.targets[part].append(name)


def _parts(sources: frozenset[str], names: dict[frozenset[str], str], whole: frozenset[str]) -> list[str]:
    """What is added: where a part of the sources is a sum of its own, that sum."""
    inside = [other for other in names if other < whole and other <= sources]
    if not inside:
        return sorted(sources)
    largest = max(inside, key=len)
    return [names[largest], *_parts(sources - largest, names, whole)]


class _Walk:
    """Follows the edges from the input."""

    def __init__(self, sums: _Sums) -> None:
        self._sums = sums
        self._seen: set[str] = set()
        self._depth = 0

    def chain(self, start: str, end: str) -> "Iterator[str | Fork]":
        """What stands between two places."""
        at = start
        while True:
            targets = self._sums.targets[at]
            if len(targets) == 1:
                at = targets[0]
            elif len(targets) == 2:
                join = self._meeting(at, targets)
                yield Fork(*sorted((list(self._path(one, join)) for one in targets), key=len, reverse=True))
                at = join
            else:
                what = "leads nowhere" if not targets else f"is heard by {len(targets)} others"
                raise ConfigError(f"In this NIR graph, '{at}' {what}; a chain with blocks of two paths is read.")
            if at == end:
                return
            yield from self._entered(at)

    def _entered(self, at: str) -> "Iterator[str | Fork]":
        """The node at a place, unless it is a sum, the first time that it is come to."""
        if at in self._seen:
            raise ConfigError(f"This NIR graph has a cycle through '{at}' that is no recurrent layer.")
        self._seen.add(at)
        if at not in self._sums.sums:
            yield at

    def _path(self, first: str, join: str) -> "Iterator[str | Fork]":
        if first == join:
            return
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ConfigError(f"This NIR graph has blocks within blocks, more than {_DEEPEST} deep, at '{first}'.")
        yield from self._entered(first)
        yield from self.chain(first, join)
        self._depth -= 1

    def _meeting(self, fork: str, targets: list[str]) -> str:
        """The sum in which two paths meet first."""
        reached = [self._reached(one) for one in targets]
        for one in reached[0]:
            if one in reached[1] and one in self._sums.sums:
                return one
        raise ConfigError(f"In this NIR graph, the two paths from '{fork}' are not added anywhere.")

    def _reached(self, start: str) -> dict[str, None]:
        """Everything behind a place, the nearest first."""
        found = {start: None}
        queue = [start]
        while queue:
            for one in self._sums.targets[queue.pop(0)]:
                if one not in found:
                    found[one] = None
                    queue.append(one)
        return found


def _kind(node: Any) -> str:
    return type(node).__name__
