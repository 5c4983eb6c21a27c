"""NIR files: damaged bytes, hostile values, nodes and edges, bombs; as `spikewise import` reads them."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import h5py
import nir
import numpy as np

from benchmarks.fuzz.mutate import Rng, damaged, hostile_text
from spikewise.dynamics import IF, LIF, CubaLIF, LeakyIntegrator
from spikewise.encoders import Rate
from spikewise.graph import AvgPool, Conv2d, Flatten, Graph, Linear, MaxPool, Neuron, Residual, SumPool
from spikewise.interop.deployed import deploy
from spikewise.interop.nir import files
from spikewise.interop.nir.dialects import DIALECTS
from spikewise.interop.nir.reading import Imported, from_nir_graph
from spikewise.interop.nir.tools import NEUTRAL, TOOLS
from spikewise.interop.nir.writing import to_nir
from spikewise.network import Network
from spikewise.readouts import MeanMembrane

TOGETHER: Final = 1000
"""Cases that may follow each other in one process."""
_PLAIN = (Linear(features=6), Neuron(dynamics=LIF(beta=0.75, reset="zero")), Linear(features=3))
_NETWORKS: tuple[tuple[Any, ...], ...] = (
    (Flatten(), *_PLAIN),
    (Flatten(), Linear(features=5), Neuron(dynamics=CubaLIF(), recurrent=True), Linear(features=3)),
    (Conv2d(channels=2, kernel=3), Neuron(dynamics=IF()), SumPool(), Flatten(), *_PLAIN),
    (
        Conv2d(channels=2, kernel=1),
        Residual(main=(Neuron(dynamics=LIF()), Conv2d(channels=2, kernel=3, padding=1))),
        AvgPool(),
        Flatten(),
        Linear(features=3),
        Neuron(dynamics=LeakyIntegrator()),
    ),
    (Conv2d(channels=2, kernel=3), Neuron(dynamics=LIF()), MaxPool(), Flatten(), Linear(features=3)),
)


class NirFile(NamedTuple):
    """A file, and what its reader is told."""

    name: str
    content: bytes
    options: dict[str, Any]


def cases(seed: int, count: int) -> Iterator[NirFile]:
    makers = (_bytes, _value, _value, _node, _edges, _metadata, _hinted, _bomb, _value, _bytes)
    whole = [_written(layers, described=described) for layers in _NETWORKS for described in (True, False)]
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        name, content = makers[number % len(makers)](rng, whole[int(rng.integers(len(whole)))])
        yield NirFile(name, content, _options(rng))


def run(case: NirFile) -> Imported:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.nir"
        path.write_bytes(case.content)
        return from_nir_graph(path, **case.options)


def run_within(case: NirFile) -> Imported:
    """Without the process that tries the file first: a file that it would find unreadable ends this one."""
    with patch.object(files, "_try_apart", lambda path: None):
        return run(case)


def _written(layers: tuple[Any, ...], *, described: bool) -> bytes:
    graph = Graph(image_shape=(1, 6, 6), encoder=Rate(steps=3), layers=layers, readout=MeanMembrane())
    made = to_nir(deploy(Network(graph)), NEUTRAL if described else TOOLS["snntorch"] if len(layers) == 4 else NEUTRAL)
    if not described:
        made = nir.NIRGraph(made.nodes, made.edges, type_check=False)
    buffer = io.BytesIO()
    nir.write(buffer, made)
    return buffer.getvalue()


def _options(rng: Rng) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if rng.random() < 0.5:
        out["dialect"] = str(rng.choice([*DIALECTS, "snntorch", "snntorch"]))
    if rng.random() < 0.4:
        out["dt"] = float(rng.choice([1e-4, 1e-3, 1.0, 1e-300, 1e300, 0.0, -1.0, np.nan]))
    if rng.random() < 0.5:
        out["reset"] = str(rng.choice(["zero", "subtract", "none"]))
    if rng.random() < 0.3:
        out["reset_delay"] = bool(rng.integers(2))
    return out


def _bytes(rng: Rng, whole: bytes) -> tuple[str, bytes]:
    return damaged(whole, rng)


def _edited(whole: bytes, change: Any) -> bytes:
    buffer = io.BytesIO(whole)
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def _datasets(file: Any) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def _value(rng: Rng, whole: bytes) -> tuple[str, bytes]:
    """An array, number or text becomes another."""
    made = _hostile_array(rng)
    said = []

    def change(file: Any) -> None:
        names = _datasets(file)
        name = names[int(rng.integers(len(names)))]
        del file[name]
        said.append(name)
        if made is not None:
            file[name] = made

    content = _edited(whole, change)
    return f"{said[0]} is {str(made)[:40]}", content


def _hostile_array(rng: Rng) -> Any:
    shape = tuple(int(size) for size in rng.integers(0, 5, rng.integers(0, 5)))
    kind = str(rng.choice(["f4", "f8", "i8", "u1", "?", "f2", "i4"]))
    wide = rng.standard_normal(shape) * 10.0 ** rng.integers(-8, 8)
    numbers = np.ones(shape, "?") if kind == "?" else np.clip(wide, -100, 100).astype(kind) if kind[0] in "iu" else wide
    text = hostile_text(rng).replace("\x00", "").encode("utf-8", "replace").decode()
    others = [
        None, numbers, numbers, numbers, np.float64("nan"), np.float64("inf"), 0.0, -1.0, 0, 2**62, -(2**62), True,
        np.array([]), text, np.complex64(1j), np.full(36, np.nan), np.full((6, 36), 1e38), np.zeros((6, 36)),
        "NIRGraph", "LIF", "Delay", np.array([b"a", b"b"]),
    ]  # fmt: skip
    return others[int(rng.integers(len(others)))]


def _nodes(file: Any) -> list[str]:
    return list(file["node/nodes"])


def _node(rng: Rng, whole: bytes) -> tuple[str, bytes]:
    """A node goes, is doubled, nested, or of another type."""
    what = str(rng.choice(["remove", "rename", "type", "nest", "copy", "empty", "link"]))

    def change(file: Any) -> None:
        nodes = file["node/nodes"]
        name = str(rng.choice(_nodes(file)))
        if what == "remove":
            del nodes[name]
        elif what == "rename":
            nodes.move(name, "another")
        elif what == "type":
            del nodes[name]["type"]
            nodes[name]["type"] = str(
                rng.choice(["LIF", "IF", "Affine", "Input", "Output", "Scale", "CubaLI", "Nothing"])
            )
        elif what == "nest":
            file.copy("node", nodes, name=f"{name}_graph")
        elif what == "copy":
            file.copy(f"node/nodes/{name}", nodes, name="copied")
        elif what == "empty":
            del nodes[name]
            nodes.create_group(name)
        else:
            nodes["linked"] = h5py.SoftLink("/node") if rng.random() < 0.5 else h5py.ExternalLink("/etc/passwd", "/")

    return f"node {what}", _edited(whole, change)


def _edges(rng: Rng, whole: bytes) -> tuple[str, bytes]:
    what = str(rng.choice(["add", "remove", "swap", "double", "shape", "all"]))

    def change(file: Any) -> None:
        edges = [tuple(one.decode() for one in edge) for edge in file["node/edges"][()]]
        names = [*_nodes(file), "lost"]
        if what == "add":
            edges += [(str(rng.choice(names)), str(rng.choice(names))) for _ in range(rng.integers(1, 4))]
        elif what == "remove":
            edges.pop(int(rng.integers(len(edges))))
        elif what == "swap":
            at = int(rng.integers(len(edges)))
            edges[at] = edges[at][::-1]
        elif what == "double":
            edges *= 2
        elif what == "all":
            edges = [(a, b) for a in names for b in names]
        del file["node/edges"]
        made = (
            np.array(edges, dtype=object)
            if what != "shape"
            else np.array([one for edge in edges for one in edge], object)
        )
        file.create_dataset("node/edges", data=made, dtype=h5py.string_dtype())

    return f"edges {what}", _edited(whole, change)


def _metadata(rng: Rng, whole: bytes) -> tuple[str, bytes]:
    """Text of the graph's metadata is damaged, or theirs is put onto a file that has none."""

    def change(file: Any) -> None:
        held = file["node"].require_group("metadata")
        before = held["spikewise"][()] if "spikewise" in held else b"{}"
        if "spikewise" in held:
            del held["spikewise"]
        after = damaged(before, rng)[1].decode("utf-8", "replace").replace("\x00", "")
        held["spikewise"] = after if rng.random() < 0.9 else np.arange(3)

    return "metadata", _edited(whole, change)


def _hinted(rng: Rng, whole: bytes) -> tuple[str, bytes]:
    del rng
    return "as written", whole


def _bomb(rng: Rng, whole: bytes) -> tuple[str, bytes]:
    """Few bytes that unpack to many, deep groups, one text many times."""
    what = str(rng.choice(["zeros", "deep", "texts", "wide"]))

    def change(file: Any) -> None:
        if what == "zeros":
            rows = int(2 ** rng.integers(20, 40))
            file["node"].create_dataset("bomb", shape=(rows,), dtype="f8", chunks=(2**16,), compression="gzip")
        elif what == "deep":
            group = file["node/nodes"]
            for _ in range(int(rng.integers(5, 300))):
                group = group.create_group("a")
        elif what == "texts":
            text = "x" * int(10 ** rng.uniform(3, 5))
            file["node"].create_dataset("texts", data=[text] * int(10 ** rng.uniform(1, 3)), dtype=h5py.string_dtype())
        else:
            for number in range(int(10 ** rng.uniform(1, 2.5))):
                file[f"node/nodes/n{number}/type"] = "Input"

    return f"bomb {what}", _edited(whole, change)
