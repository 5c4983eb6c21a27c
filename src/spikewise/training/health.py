"""What can go wrong inside a network while it trains, said in words with advice."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from spikewise.errors import TrainingError
from spikewise.evaluation.diagnosis import MOST, dead_share, saturated_share
from spikewise.network import Network

__all__ = ["all_finite", "divergence", "first_bad_weight", "rate_warnings"]


def rate_warnings(rates: Mapping[str, Float[Tensor, "*F"]]) -> tuple[str, ...]:
    """One sentence for each layer most of whose neurons are dead or saturated, with what to try."""
    out = []
    for layer, rate in rates.items():
        dead, full = dead_share(rate), saturated_share(rate)
        if dead > MOST:
            out.append(
                f"{layer}: {100 * dead:.0f} % of the neurons never spike. Lower their threshold, raise beta, add "
                "steps, or use a wider surrogate (a smaller slope)."
            )
        if full > MOST:
            out.append(
                f"{layer}: {100 * full:.0f} % of the neurons spike at nearly every step. Raise their threshold, lower "
                "beta or the learning rate."
            )
    return tuple(out)


def all_finite(network: Network) -> bool:
    """Whether every weight is a number. A spiking layer hides what is not: a membrane that is nan never spikes."""
    weights = [weight.detach() for weight in network.weights.values() if weight.numel()]
    if network.device.type != "cpu":  # one kernel for all of them
        return bool(torch.nn.utils.get_total_norm(weights, norm_type=math.inf).isfinite())
    # A weight that is nan makes both ends nan. On a processor the norm takes twenty times as long.
    ends = torch.stack([end for weight in weights for end in weight.aminmax()])
    return bool(ends.isfinite().all())


def first_bad_weight(network: Network) -> str | None:
    """The first weight that is not finite everywhere, or None."""
    return next((name for name, weight in network.weights.items() if not torch.isfinite(weight).all()), None)


def divergence(
    what: str,
    when: Literal["before", "in", "after"],
    *,
    epoch: int,
    batch: int,
    bad_weight: str | None,
    bad_output: str | None = None,
) -> TrainingError:
    """The error for a loss or weights that are not numbers, naming the first place where one stands.

    Args:
        what: was found.
        when: it was found, with respect to the batch.
        bad_weight: the first weight that is not finite, if one is.
        bad_output: the last layer, if what it gave is not finite, or not known.
    """
    if bad_weight is not None:
        where = f"The weights {bad_weight} were no longer finite {'after' if when == 'after' else 'before'} this batch"
    elif bad_output is not None:
        where = f"The weights were finite; the output of {bad_output} was not"
    else:
        where = "Weights and outputs were finite; the readout or the loss overflowed"
    return TrainingError(
        f"Training diverged in epoch {epoch}, batch {batch}: {what}. {where}. "
        "Lower train.learning_rate, set train.gradient_clip (1.0 is usual), or train in float32."
    )
