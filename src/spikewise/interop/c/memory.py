"""What an export keeps: constant tables (flash) and the state of one network (RAM), with their sizes.

`spikewise.interop.fits` asks for the same sizes before training.
"""

import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikewise.dynamics import ALIF, CubaLIF
from spikewise.graph import Conv2d, Linear, MaxPool, Neuron, Residual
from spikewise.interop.c.layout import INPUT, Layout, Operation, Wire
from spikewise.interop.c.numbers import Own, Quantities
from spikewise.interop.runtime import Numbers
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, SpikeCount

__all__ = ["ConstantArray", "Field", "fields", "index_type", "state_size", "tables", "tables_size"]

_C_TYPES: Final = {"f4": "float", "i1": "int8_t", "u1": "uint8_t", "i2": "int16_t", "u2": "uint16_t", "i4": "int32_t",
                   "u4": "uint32_t"}  # fmt: skip
_SIZES: Final = {"float": 4, "int64_t": 8, "int32_t": 4, "uint32_t": 4, "uint16_t": 2}


class ConstantArray(NamedTuple):
    """A constant array of the C file."""

    name: str
    values: NDArray[Any]
    """In the order of memory."""

    @property
    def c_type(self) -> str:
        """Type of an element."""
        return _C_TYPES[self.values.dtype.str[1:]]


class Field(NamedTuple):
    """A member of the state."""

    name: str
    c_type: str
    length: int
    """Elements; 0 is a plain number."""
    about: str

    @property
    def size(self) -> int:
        """Bytes."""
        return _SIZES[self.c_type] * max(self.length, 1)


def tables(layout: Layout, quantities: Quantities) -> list[ConstantArray]:
    """Every constant array, as the C file reads it."""
    found = _encoder(quantities.own[INPUT])
    for one in layout.operations:
        found += [
            ConstantArray(f"{one.at.name}_{key}", np.ascontiguousarray(values))
            for key, values in _of_layer(one, quantities.own[one.at.name])
            if values.ndim
        ]
    return found


def tables_size(made: Iterable[ConstantArray]) -> int:
    """Bytes of all tables."""
    return sum(one.values.nbytes for one in made)


def _encoder(own: Own) -> list[ConstantArray]:
    return [ConstantArray(f"{INPUT}_{key}", _smallest(values)) for key, values in own.items()]


def _smallest(values: NDArray[Any]) -> NDArray[Any]:
    """In the smallest type that holds them."""
    if values.dtype.kind == "f":
        return values
    return values.astype(np.result_type(np.min_scalar_type(values.min()), np.min_scalar_type(values.max())))


def _of_layer(one: Operation, own: Own) -> Iterable[tuple[str, NDArray[Any]]]:
    source, layer = one.sources[0], one.at.layer
    if isinstance(layer, Residual) and all((own[key] == 1).all() for key in own):
        return  # counts are added as they are
    for key, values in own.items():
        if key == "weight" and isinstance(layer, Linear):
            yield key, values[:, source.order].T
        elif key == "weight" and isinstance(layer, Conv2d):
            yield key, _kernels(values, layer.groups)
        elif key == "recurrent":
            yield key, values[np.ix_(source.order, source.order)].T
        elif values.ndim and one.out.flat and len(values) == one.out.size:
            yield key, values[one.out.order]
        else:
            yield key, values


def _kernels(weight: NDArray[Any], groups: int) -> NDArray[Any]:
    """[inputs, rows, columns, outputs of the input's group]: what one spike adds at one place lies side by side."""
    outputs, of_group, rows, columns = weight.shape
    parts = weight.reshape(groups, outputs // groups, of_group, rows, columns)
    return parts.transpose(0, 2, 3, 4, 1).reshape(groups * of_group, rows, columns, outputs // groups)


def index_type(layout: Layout) -> str:
    """Type that counts the units of every layer."""
    largest = max([layout.input.size, *(one.out.size for one in layout.operations)])
    return "uint16_t" if largest <= 1 << 16 else "uint32_t"


def fields(layout: Layout, numbers: Numbers) -> list[Field]:
    """Every member of the state, the widest types first, so that no bytes lie between."""
    value, index = "float" if numbers == "float32" else "int32_t", index_type(layout)
    found = _evidence(layout, value)
    found.append(Field("step", "uint32_t", 0, "steps done"))
    if layout.work:
        found.append(Field("work", value, layout.work, "currents, one layer after the other"))
    for wire in _lists(layout):
        found.append(Field(f"{wire.name}_n", "uint32_t", 0, f"spikes that {wire.name} sent in the last step"))
        found.append(Field(f"{wire.name}_at", index, wire.size, "which units sent them"))
    for one in layout.operations:
        if isinstance(one.at.layer, Neuron):
            found += _neurons(one, value)
    return sorted(found, key=lambda field: -_SIZES[field.c_type])


def _lists(layout: Layout) -> list[Wire]:
    """Everything that is handed on as a list of spikes."""
    made = [layout.input, *(one.out for one in layout.operations if one.out.store == one.at.name)]
    return [wire for wire in made if wire.carrier == "events"]


def _neurons(one: Operation, value: str) -> list[Field]:
    assert isinstance(one.at.layer, Neuron)
    name, dynamics = one.at.name, one.at.layer.dynamics
    found = [Field(f"{name}_v", value, one.out.size, "membranes")]
    if isinstance(dynamics, CubaLIF):
        found.append(Field(f"{name}_i", value, one.out.size, "synaptic currents"))
    if isinstance(dynamics, ALIF):
        found.append(Field(f"{name}_a", value, one.out.size, "adaptation"))
    return found


def _evidence(layout: Layout, value: str) -> list[Field]:
    classes, readout = layout.graph.classes, layout.graph.readout
    wide = "float" if value == "float" else "int64_t"
    found = [Field("sum", wide, classes, "sums of the outputs' membranes")]
    if isinstance(readout, SpikeCount):
        found.append(Field("count", "int32_t", classes, "spikes of the outputs"))
    elif isinstance(readout, MaxMembrane | LastMembrane | FilteredSum):
        about = {"max_membrane": "highest", "last_membrane": "last", "filtered_sum": "filtered sums of the"}
        found.append(Field("seen", value, classes, f"{about[readout.kind]} membranes of the outputs"))
    return found


def state_size(made: Iterable[Field]) -> int:
    """Bytes of the state."""
    found = list(made)
    widest = max(_SIZES[one.c_type] for one in found)
    return math.ceil(sum(one.size for one in found) / widest) * widest


def scratch(one: Operation) -> str:
    """Name of the place in the working memory that an operation has for itself."""
    assert isinstance(one.at.layer, Neuron | MaxPool)
    return f"{one.at.name}.own"
