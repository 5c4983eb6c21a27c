"""`register`: a neuron or an encoder of one's own."""

from typing import TypeVar

from spikewise.config import Config
from spikewise.config.registered import add
from spikewise.config.shorthand import kinds_in
from spikewise.dynamics import Dynamics, SpikingNeuron
from spikewise.encoders import Encoder, ImageEncoder
from spikewise.errors import ConfigError, quoted

__all__ = ["register"]

Kind = TypeVar("Kind", bound=type[Config])


def register(kind: Kind) -> Kind:
    """Let experiments use a neuron or an encoder of your own; a decorator.

        @spikewise.register
        class Fading(spikewise.dynamics.LIF):
            kind: Literal["fading"] = "fading"

    `model.cell = "fading"`, or `{kind = "fading", beta = 0.8}`, is then a neuron like any other: trained, compared,
    priced by the state that it keeps, explained and diagnosed. It runs on the reference engine, which results name.
    Another process (a sweep's, the command line) finds it where an installed package has an entry point in the group
    `spikewise`, or where the environment variable SPIKEWISE_PLUGINS names the module that registers it.

    Args:
        kind: A subclass of `spikewise.dynamics.SpikingNeuron` or `spikewise.encoders.ImageEncoder` with a `kind`.
    Raises:
        ConfigError: it is neither, has no kind of its own, or its kind is taken.
    """
    families = (SpikingNeuron, ImageEncoder)
    if not isinstance(kind, type) or not issubclass(kind, families):
        raise ConfigError(
            f"register takes a subclass of spikewise.dynamics.SpikingNeuron or spikewise.encoders.ImageEncoder; got "
            f"{quoted(kind)}."
        )
    name = kind.model_fields["kind"].default
    if not isinstance(name, str):
        raise ConfigError(
            f'{kind.__name__} has no kind of its own. Give it one, such as kind: Literal["mine"] = "mine".'
        )
    if name in {*kinds_in(Dynamics), *kinds_in(Encoder)}:
        raise ConfigError(f"'{name}' is a kind of this package already. Give {kind.__name__} another.")
    add(name, kind)
    return kind
