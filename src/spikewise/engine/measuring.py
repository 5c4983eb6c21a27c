"""What engines count while they run: spikes where spikes travel, real numbers that are not zero elsewhere."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from spikewise.graph import NamedLayer
from spikewise.types import Signal

__all__ = ["events", "fed_back"]


def events(x: Float[Tensor, "T B *F"], signal: Signal) -> Float[Tensor, "*F"]:
    """Mean number of events of each input per step and image: spikes, or 1 for a real number other than zero."""
    x = x.detach()
    counts = (x / signal.quantum).abs().round() if signal.carrier == "multispikes" else (x != 0).float()
    return counts.mean(dim=(0, 1))


def fed_back(
    at: NamedLayer, rates: Mapping[str, Tensor], before: object, after: object, steps: int
) -> dict[str, Float[Tensor, " F"]]:
    """Mean number of spikes per step that a recurrent layer's own matrix received, by "NAME.recurrent"; else nothing.

    A spike arrives one step after it was sent: those of the last step never do, those before the first step did.

    Args:
        before: state of the layer that the run began with; None is at rest.
        after: its state at the end.
    """
    if not at.layer.feedback(at.output):
        return {}
    last, first = (0.0 if state is None else state.z.detach().float().mean(0) for state in (after, before))  # type: ignore[attr-defined]  # a neuron that spikes has `z`
    return {f"{at.name}.recurrent": rates[at.name] + (first - last) / steps}
