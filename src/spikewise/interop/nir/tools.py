"""What other tools make of a NIR file: their time step, the gain of their neurons, and what their readers know.

NIR says differential equations and leaves the step to the reader, so every tool has a form of its own. Read in the
sources of snnTorch 1.0.0, SpikingJelly 2.0.0, Norse 1.1.0 and sinabs 3.1.3; of Spyx 1.0.0 in its documentation.
"""

from typing import Final, Literal, NamedTuple

from spikewise.errors import unknown_choice

__all__ = ["NEUTRAL", "NEVER", "TOOLS", "Tool", "ToolName", "tool_named"]

ToolName = Literal["snntorch", "spikingjelly", "norse", "sinabs", "spyx"]
NEVER: Final = 1e30
"""Threshold of an integrator for tools that read LIF alone: it is never met."""


class Tool(NamedTuple):
    """How a tool reads NIR, and so how a file for it is written."""

    name: str
    title: str
    dt: float = 1e-4
    """Time step in the unit of tau that its reader assumes."""
    decay: Literal["euler", "exponential"] = "euler"
    """A membrane decays in a step by 1 - dt / tau, or by exp(-dt / tau)."""
    gain: Literal["r dt / tau", "1"] = "r dt / tau"
    """What a step adds of the input."""
    integrate: Literal["r", "r dt"] = "r"
    """The same for neurons without leak, on which tools do not agree."""
    unit_r: bool = False
    """Whether its reader takes r for 1: the gain goes into the threshold."""
    unknown: tuple[str, ...] = ()
    """NIR nodes that its reader does not know, or misreads."""
    uniform: tuple[str, ...] = ()
    """Neuron parameters of which its reader takes one for a layer."""
    grouped: bool = False
    """Whether it reads convolutions in groups."""
    graphs: bool = True
    """Whether it reads more than a chain."""
    biased: bool = False
    """Whether its reader knows no linear map without bias."""
    at_least: bool = False
    """Whether it spikes where the membrane meets the threshold (>=), not only above it."""
    resets: Literal["zero", "subtract"] = "zero"
    """What its reader makes of every reset."""


NEUTRAL: Final = Tool("nir", "the NIR equations in Euler steps of 1e-4", grouped=True)
"""tau = dt / (1 - beta) and r = tau / dt: Euler's step at dt is v <- beta v + input, for whoever reads it."""
TOOLS: Final[dict[str, Tool]] = {
    one.name: one
    for one in (
        Tool(
            "snntorch",
            "snnTorch",
            unknown=("IF", "LI", "I", "SumPool2d", "Threshold"),
            uniform=("threshold",),
        ),
        Tool(
            "spikingjelly",
            "SpikingJelly",
            integrate="r dt",
            unknown=("LI", "I", "SumPool2d", "Threshold"),
            uniform=("alpha", "beta", "threshold"),
            at_least=True,
        ),
        Tool(
            "norse",
            "Norse",
            dt=1e-3,
            unit_r=True,
            unknown=("LI", "I", "AvgPool2d", "Threshold", "recurrence"),
            biased=True,
        ),
        Tool(
            "sinabs",
            "sinabs",
            dt=1.0,
            decay="exponential",
            gain="1",
            unknown=("I", "AvgPool2d", "CubaLIF", "Threshold", "recurrence"),
            biased=True,
            at_least=True,
            resets="subtract",
        ),
        Tool(
            "spyx",
            "Spyx",
            dt=1.0,
            gain="1",
            unknown=("LI", "I", "AvgPool2d", "CubaLIF", "recurrence"),
            graphs=False,
            resets="subtract",
        ),
    )
}


def tool_named(name: str | None) -> Tool:
    """The tool that `--for` names; None is none in particular.

    Raises:
        ConfigError: no such tool is known.
    """
    if name is None:
        return NEUTRAL
    if name not in TOOLS:
        raise unknown_choice("tool that reads NIR", name, list(TOOLS))
    return TOOLS[name]
