"""A neuron from outside the package, in the place of one of its own."""

import json
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field, PrivateAttr
from torch import Tensor

from spikewise.config import Config, parse
from spikewise.config.registered import found
from spikewise.dynamics.state import Parameters, SpikingNeuron
from spikewise.surrogates import ATan, Surrogate

__all__ = ["RegisteredNeuron"]


class RegisteredNeuron(SpikingNeuron):
    """A registered neuron: its kind and its settings. It does what its class says, on the reference engine.

    Raises:
        ConfigError: no such neuron is registered in this process, or its settings are wrong.
    """

    kind: Literal["registered"] = "registered"
    family: ClassVar[type[Config]] = SpikingNeuron
    name: str
    """The kind of the registered class."""
    settings: dict[str, Any] = Field(default_factory=dict)
    surrogate: Surrogate = ATan()
    """That of the registered class, which decides."""
    _own: SpikingNeuron = PrivateAttr()

    def model_post_init(self, context: object) -> None:
        """Make the neuron, and take over what others ask of it."""
        own: SpikingNeuron = parse(found(self.name, SpikingNeuron, "neuron"), self.settings)  # type: ignore[type-abstract]  # a concrete one
        for key in ("surrogate", "per", "spread"):
            object.__setattr__(self, key, getattr(own, key))  # frozen for users
        self._own = own
        super().model_post_init(context)

    def __hash__(self) -> int:
        return hash((self.name, json.dumps(self.settings, sort_keys=True)))

    @property
    def label(self) -> str:
        """Its own kind."""
        return self.name

    def variables(self) -> tuple[str, ...]:
        """Those of its own state."""
        return self._own.variables()

    def values(self) -> dict[str, float]:
        """Those of the registered class, as all that follows."""
        return self._own.values()

    def learned(self) -> frozenset[str]:
        """Names of the parameters that training changes."""
        return self._own.learned()

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Range of each parameter."""
        return self._own.bounds()

    def initial_state(self, current: Float[Tensor, "B *F"]) -> Any:
        """A layer at rest."""
        return self._own.initial_state(current)

    def starting_state(self, current: Float[Tensor, "B *F"], p: Parameters) -> Any:
        """Before the first step."""
        return self._own.starting_state(current, p)

    def step(self, current: Float[Tensor, "B *F"], state: Any, p: Parameters) -> tuple[Tensor | None, Tensor, Any]:
        """Spikes, membrane that was compared with the threshold, next state."""
        return self._own.step(current, state, p)

    def distance(
        self, membrane: Float[Tensor, "T B *F"], spikes: Float[Tensor, "T B *F"], p: Parameters
    ) -> Float[Tensor, "T B *F"]:
        """Membrane minus threshold."""
        return self._own.distance(membrane, spikes, p)

    def in_thresholds(self, membrane: Float[Tensor, "*any"], p: Parameters) -> Float[Tensor, "*any"]:
        """The membrane on the scale where rest is 0 and the resting threshold 1."""
        return self._own.in_thresholds(membrane, p)
