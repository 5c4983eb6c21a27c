"""What one image costs: work counted from the graph and its spikes, and energy models over that work."""

from spikewise.evaluation.cost.energy import (
    ENERGY_MODELS,
    PUBLISHED_BREAK_EVEN,
    EnergyModel,
    break_even_factor,
    carried_bits,
    energies,
    integer_addition_pj,
    integer_energy,
    integer_multiplication_pj,
    word_access_pj,
)
from spikewise.evaluation.cost.operations import (
    Access,
    LayerWork,
    Operations,
    count_operations,
    layer_work,
    traffic_bytes,
)

__all__ = [
    "ENERGY_MODELS",
    "PUBLISHED_BREAK_EVEN",
    "Access",
    "EnergyModel",
    "LayerWork",
    "Operations",
    "break_even_factor",
    "carried_bits",
    "count_operations",
    "energies",
    "integer_addition_pj",
    "integer_energy",
    "integer_multiplication_pj",
    "layer_work",
    "traffic_bytes",
    "word_access_pj",
]
