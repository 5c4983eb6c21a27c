"""A graph of ONNX in the making: values that can be added and compared, constants that are stored once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

__all__ = ["Builder", "Value"]

_TYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
}


@dataclass(frozen=True)
class Value:
    """A tensor of the graph; operators make nodes, so that equations read as they are written elsewhere."""

    graph: "Builder"
    name: str

    def __add__(self, other: "Value") -> "Value":
        return self.graph.op("Add", self, other)

    def __sub__(self, other: "Value") -> "Value":
        return self.graph.op("Sub", self, other)

    def __mul__(self, other: "Value") -> "Value":
        return self.graph.op("Mul", self, other)

    def __truediv__(self, other: "Value") -> "Value":
        return self.graph.op("Div", self, other)

    def __gt__(self, other: "Value") -> "Value":
        return self.graph.op("Greater", self, other)

    def __and__(self, other: "Value") -> "Value":
        return self.graph.op("And", self, other)

    def equals(self, other: "Value") -> "Value":
        """Where the two are equal."""
        return self.graph.op("Equal", self, other)

    def cast(self, kind: str) -> "Value":
        """As numbers of another type ("float32", "float64", "int32" or "int64")."""
        return self.graph.op("Cast", self, to=_TYPES[kind])


class Builder:
    """Nodes and constants as they are made, named by the layer that they belong to."""

    def __init__(self) -> None:
        self.initializers: list[TensorProto] = []
        self._chains: list[list[NodeProto]] = [[]]
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._count: Counter[str] = Counter()
        self._scope = ""

    @property
    def nodes(self) -> list[NodeProto]:
        """Those of the graph, or of the body in which nodes are made just now."""
        return self._chains[-1]

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Names of what is made within begin with this one."""
        before, self._scope = self._scope, f"{name}/"
        try:
            yield
        finally:
            self._scope = before

    @contextmanager
    def body(self) -> Iterator[list[NodeProto]]:
        """What is made within goes into a body of its own, such as that of a Scan; it sees everything around it."""
        nodes: list[NodeProto] = []
        self._chains.append(nodes)
        try:
            yield nodes
        finally:
            self._chains.pop()

    def name(self, what: str) -> str:
        """A name that nothing has yet."""
        name = f"{self._scope}{what}"
        self._count[name] += 1
        return f"{name}_{self._count[name]}"

    def op(self, kind: str, *inputs: Value, name: str | None = None, **attributes: Any) -> Value:
        """A node with one output.

        Args:
            name: of the output; None makes one.
        """
        return self.ops(kind, *inputs, names=[name or self.name(kind)], **attributes)[0]

    def ops(self, kind: str, *inputs: Value, names: Sequence[str], **attributes: Any) -> list[Value]:
        """A node with several outputs, by their names."""
        made = helper.make_node(kind, [value.name for value in inputs], list(names), name=names[0], **attributes)
        self.nodes.append(made)
        return [Value(self, name) for name in names]

    def constant(self, array: NDArray[Any] | float, what: str = "constant") -> Value:
        """A stored tensor; equal ones are stored once. A plain number is a float32."""
        held = np.ascontiguousarray(array, np.float32 if isinstance(array, float) else None).reshape(np.shape(array))
        key = (held.dtype.str, held.shape, held.tobytes())
        if key not in self._constants:
            name = self.name(what)
            self.initializers.append(numpy_helper.from_array(held, name))
            self._constants[key] = Value(self, name)
        return self._constants[key]

    def whole(self, number: int) -> Value:
        """A stored int32."""
        return self.constant(np.array(number, np.int32), "whole")

    def integers(self, *numbers: int) -> Value:
        """A stored list of whole numbers, such as axes or a shape."""
        return self.constant(np.array(numbers, np.int64), "integers")

    def reshape(self, value: Value, *shape: int, name: str | None = None) -> Value:
        """The same numbers in another shape: 0 keeps an axis, -1 is whatever is left."""
        return self.op("Reshape", value, self.integers(*shape), name=name)
