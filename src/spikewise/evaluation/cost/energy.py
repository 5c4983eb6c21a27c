"""Energy models: what the counted work of one image would cost on stated hardware. Computed, never measured.

Sources of the constants:

    Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, fig. 1.1.9 (45 nm, 0.9 V)
    Davies et al., "Loihi: a neuromorphic manycore processor with on-chip learning", IEEE Micro 38(1), 2018, table 2

Read with: Dampfhoffer et al., "Are SNNs really more energy-efficient than ANNs? An in-depth hardware-aware study",
IEEE TETCI 7(3), 2023, on reuse; Yan et al., "Reconsidering the energy efficiency of spiking neural networks",
arXiv 2409.08290, on the quantised opponent; Chen et al., "Eyeriss: an energy-efficient reconfigurable accelerator for
deep convolutional neural networks", IEEE Journal of Solid-State Circuits 52(1), 2017, on skipping zeros.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from spikewise.evaluation.cost.operations import LayerWork

__all__ = [
    "ENERGY_MODELS",
    "PUBLISHED_BREAK_EVEN",
    "EnergyModel",
    "break_even_factor",
    "carried_bits",
    "energies",
    "integer_addition_pj",
    "integer_energy",
    "integer_multiplication_pj",
    "word_access_pj",
]

_FLOAT_MULTIPLICATION, _FLOAT_ADDITION = 3.7, 0.9
_INTEGER_MULTIPLICATION, _INTEGER_ADDITION = 3.1, 0.1
_SRAM = ((8, 5.0), (32, 10.0), (1024, 50.0))
"""Capacity in KiB, picojoules for 32 bits: half of the table's 64-bit accesses (10, 20 and 100 pJ)."""
_DRAM = 650.0
"""Half of the lower end of the table's 1.3 to 2.6 nJ for 64 bits."""
_LOIHI_SYNAPSE, _LOIHI_NEURON = 23.6, 81.0
PUBLISHED_BREAK_EVEN = (0.15, 1.38)
"""Spikes per synapse and inference below which a spiking network needs less energy, by accelerator, on hardware that
reuses what it has read. Source: Dampfhoffer et al., IEEE TETCI 7(3), 2023 (full title above)."""
_WEIGHT_BITS, _SUM_BITS, _PIXEL_BITS = 8, 32, 8


class EnergyModel(NamedTuple):
    """A named way to turn counted work into energy."""

    name: str
    constants: Mapping[str, float]
    """Picojoules, by what they are for."""
    source: str
    assumptions: str
    price: Callable[[Sequence[LayerWork], int], float | None]
    """Picojoules for the work of one image, given the bits of an activation; None where the model has no price."""
    quantised: bool = False
    """The bits of an activation matter."""
    memory: bool = False
    """Memory accesses have a price, so the data flow of each layer must be known."""
    zeros: Literal["computed", "skipped", "absent"] = "computed"
    """What becomes of a multiplication by zero; "absent" where nothing multiplies."""


def carried_bits(steps: int) -> int:
    """Bits that a spike count over T steps carries: ceil(log2(T + 1)), for the T + 1 counts from 0 to T.

    Source: Yan et al., arXiv 2409.08290, sec. III.
    """
    return max(1, math.ceil(math.log2(steps + 1)))


def integer_multiplication_pj(a: int, b: int) -> float:
    """Energy of a multiplication of integers of `a` and `b` bits: the table's 32 x 32 bits scaled by the area a b.

    At 8 x 8 bits it gives 0.19 pJ; the table says 0.2.
    """
    return _INTEGER_MULTIPLICATION * a * b / 32**2


def integer_addition_pj(bits: int) -> float:
    """Energy of an addition of integers: the table's 32 bits scaled linearly (0.025 pJ at 8 bits; it says 0.03)."""
    return _INTEGER_ADDITION * bits / 32


def word_access_pj(held: float) -> float:
    """Energy of one 32-bit access to the smallest memory of the table that holds `held` bytes; DRAM above 1 MiB."""
    return next((energy for capacity, energy in _SRAM if held <= capacity * 1024), _DRAM)


def energies(work: Sequence[LayerWork], bits: int | None, *, accesses: bool = True) -> dict[str, float]:
    """Nanojoules per image by each model that has a price for the work.

    Args:
        bits: of an activation in the integer model; None leaves that model out.
        accesses: whether the work says what memory it reads and writes.
    """
    found = {
        model.name: model.price(work, bits or _PIXEL_BITS)
        for model in ENERGY_MODELS
        if (bits is not None or not model.quantised) and (accesses or not model.memory)
    }
    return {name: picojoules / 1000 for name, picojoules in found.items() if picojoules is not None}


def break_even_factor(
    model: EnergyModel, work: Sequence[LayerWork], opponent: Sequence[LayerWork], bits: int
) -> float | None:
    """The factor on all spikes at which `work` costs what `opponent` costs; None where a model has no price.

    Energy is affine in the number of spikes, so the factor is exact. It is at most 0 where what does not depend on
    spikes already costs more than the opponent: then no spike rate wins.
    """
    target, now = model.price(opponent, bits), model.price(work, bits)
    silent = model.price([layer.with_spikes(0.0) for layer in work], bits)
    if target is None or now is None or silent is None or now == silent:
        return None
    return (target - silent) / (now - silent)


def _arithmetic(work: Sequence[LayerWork], bits: int) -> float:
    del bits
    multiply_add = sum(layer.macs + layer.state_updates for layer in work)
    additions = sum(layer.synaptic_operations + layer.additions for layer in work)
    return multiply_add * (_FLOAT_MULTIPLICATION + _FLOAT_ADDITION) + additions * _FLOAT_ADDITION


def _with_memory(work: Sequence[LayerWork], bits: int) -> float:
    accesses = [access for layer in work for access in layer.accesses]
    return _arithmetic(work, bits) + sum(access.words * word_access_pj(access.held) for access in accesses)


def integer_energy(work: Sequence[LayerWork], bits: int, weight_bits: int) -> dict[str, float]:
    """Nanojoules per image of integers, by model, for weights of other widths than the model's 8 bits."""
    skipping = [layer.without_zeros() for layer in work]
    found = zip((model for model in ENERGY_MODELS if model.quantised), (work, skipping), strict=True)
    return {model.name: _integers(done, bits, weight_bits) / 1000 for model, done in found}


def _integers(work: Sequence[LayerWork], bits: int, weight_bits: int = _WEIGHT_BITS) -> float:
    def mac(activation: int) -> float:
        return integer_multiplication_pj(activation, weight_bits) + integer_addition_pj(_SUM_BITS)

    update = integer_multiplication_pj(_SUM_BITS, _WEIGHT_BITS) + integer_addition_pj(_SUM_BITS)
    return sum(
        layer.macs * mac(_PIXEL_BITS if layer.from_image else bits)
        + (layer.synaptic_operations + layer.additions) * integer_addition_pj(_SUM_BITS)
        + layer.state_updates * update
        for layer in work
    )


def _loihi(work: Sequence[LayerWork], bits: int) -> float | None:
    del bits
    if any(layer.macs or layer.several or layer.additions for layer in work):
        return None
    return sum(layer.synaptic_operations * _LOIHI_SYNAPSE + layer.state_updates * _LOIHI_NEURON for layer in work)


def _skipping_zeros(model: EnergyModel) -> EnergyModel:
    """The same model for hardware that skips multiplications by zero, as all skip the spikes that are not sent."""
    return model._replace(
        name=f"{model.name}, zeros skipped",
        assumptions=f"as '{model.name}', but an input of zero is not multiplied and the weights for it are not read "
        "(it is read itself; telling that it is zero costs nothing), as on accelerators that skip zeros (Chen et al., "
        "IEEE JSSC 2017); only multiply-accumulates change, for a spike that is not sent is skipped by either model",
        price=lambda work, bits: model.price([layer.without_zeros() for layer in work], bits),
        zeros="skipped",
    )


_HOROWITZ = "Horowitz, ISSCC 2014, fig. 1.1.9 (45 nm, 0.9 V)"

_ARITHMETIC = EnergyModel(
    "45 nm arithmetic",
    {"32-bit float multiplication": _FLOAT_MULTIPLICATION, "32-bit float addition": _FLOAT_ADDITION},
    _HOROWITZ,
    "32-bit floats; a spike costs an addition at each synapse, its absence nothing; every other input is multiplied, "
    "zeros too; a state update is one multiply-accumulate; no memory traffic, no reuse of sums",
    _arithmetic,
)
_MEMORY = EnergyModel(
    "45 nm with memory",
    {
        **_ARITHMETIC.constants,
        **{f"32-bit access, SRAM of {capacity} KiB": energy for capacity, energy in _SRAM},
        "32-bit access, DRAM": _DRAM,
    },
    f"{_HOROWITZ}, half of a 64-bit access each; reads and writes of Lemaire et al., ICONIP 2022, eq. 3 to 13",
    "each array lies in the smallest memory that holds it, in DRAM above 1 MiB; a linear layer reads each input once, "
    "no other word is reused, on either side (an accelerator that reuses weights makes the conventional side cheaper: "
    "Dampfhoffer et al., IEEE TETCI 2023); biases and the computation of addresses are left out",
    _with_memory,
    memory=True,
)
_INTEGERS = EnergyModel(
    "45 nm integers",
    {
        "32-bit integer multiplication": _INTEGER_MULTIPLICATION,
        "32-bit integer addition": _INTEGER_ADDITION,
    },
    f"{_HOROWITZ}; multiplications scaled by the product of the operands' bits, additions by their bits; activations "
    "of ceil(log2(T + 1)) bits after Yan et al., arXiv 2409.08290",
    "8-bit weights, 32-bit sums and membranes, 8-bit pixels; a conventional network's activations have the bits that "
    "the spiking network's T steps carry; no memory traffic",
    _integers,
    quantised=True,
)
_LOIHI = EnergyModel(
    "Loihi",
    {"Loihi synaptic operation": _LOIHI_SYNAPSE, "Loihi neuron update": _LOIHI_NEURON},
    "Davies et al., IEEE Micro 38(1), 2018, table 2 (14 nm, 0.75 V, pre-silicon simulation)",
    "the table's least energy of a synaptic operation; every neuron active at every step (81 pJ; 52 pJ inactive); "
    "spike transport (1.7 pJ within a tile), leakage and input are left out; the chip has no multiply-accumulate and "
    "sends at most one spike of a neuron a step, so networks that need more have no price",
    _loihi,
    zeros="absent",
)
ENERGY_MODELS = (
    *(model for dense in (_ARITHMETIC, _MEMORY, _INTEGERS) for model in (dense, _skipping_zeros(dense))),
    _LOIHI,
)
"""Every model, in the order of the tables."""
