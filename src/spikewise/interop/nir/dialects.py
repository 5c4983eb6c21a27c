"""What the numbers of a NIR file mean: every tool writes time constants and resistances in a way of its own.

`dialect_of` finds out whose file it is from the pattern of tau and r, and asks where two fit.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float

from spikewise.dynamics import Reset
from spikewise.errors import ConfigError, unknown_choice

if TYPE_CHECKING:
    import nir

__all__ = ["DIALECTS", "Dialect", "Meant", "dialect_of"]

Array = Float[np.ndarray, "..."]
_CLOSE: Final = 1e-5
_NEURONS: Final = ("LIF", "IF", "LI", "I", "CubaLIF")
_PLAIN: Final = ("Input", "Output", "NIRGraph", "Affine", "Linear", "Flatten", "Conv2d")


class Meant(NamedTuple):
    """One step of a layer of neurons: v <- decay v + gain x + leak."""

    decay: Array
    gain: Array
    """Of the input, for a current with a state too."""
    synapse: Array | None = None
    """Decay of the current."""


class Dialect(NamedTuple):
    """A tool, as it writes NIR."""

    name: str
    title: str
    writes: tuple[str, ...]
    """Nodes that it writes."""
    fits: Callable[[Any, str, float], bool]
    """Whether a node of neurons, of a kind, has its pattern, given dt."""
    meant: Callable[[Any, str, float], Meant]
    """What such a node means, given dt."""
    dt: float | None = None
    """Its time step; None has to be given."""
    reset: Reset | None = None
    """How its neurons reset; None is not told by its files."""
    delay: bool = False
    """Whether that belongs to the next step, if nothing else is said."""
    at_least: bool = False
    """Whether they spike where the membrane meets the threshold."""
    remark: str = ""
    """What is different there."""


def dialect_of(
    graph: "nir.NIRGraph", asked: str | None = None, dt: float | None = None, reset: Reset | None = None
) -> Dialect:
    """Whose file a graph (without nested ones) is.

    Args:
        asked: the name of one of `DIALECTS`; None is found out.
        dt: length of a step in seconds, where that is known.
        reset: how neurons reset, where that is known.
    Raises:
        ConfigError: none fits, or more than one; the message says which, and what decides.
    """
    if asked is not None:
        if asked not in DIALECTS:
            raise unknown_choice("NIR dialect", asked, list(DIALECTS))
        return DIALECTS[asked]
    if not any(_kind(node) in _NEURONS for node in graph.nodes.values()):
        return DIALECTS["nir"]  # nothing depends on it
    fitting = [one for one in DIALECTS.values() if _fits(graph, one, dt, reset)]
    if len(fitting) == 1:
        return fitting[0]
    neurons = [f"{name} ({_pattern(node)})" for name, node in graph.nodes.items() if _kind(node) in _NEURONS][:3]
    if not fitting:
        raise ConfigError(
            f"No tool that is known here writes neurons such as {', '.join(neurons)}. --dialect nir takes the "
            "equations as they stand; give --dt with it, the length of a step in the unit of tau."
        )
    choices = "; ".join(f"--dialect {one.name}: {_says(one)}" for one in fitting)
    raise ConfigError(
        f"The neurons of this file, such as {', '.join(neurons) or 'none'}, fit more than one tool's writing, and "
        f"they mean different networks. Say which: {choices}."
    )


def _fits(graph: "nir.NIRGraph", dialect: Dialect, dt: float | None, reset: Reset | None) -> bool:
    if reset is not None and dialect.reset is not None and reset != dialect.reset:
        return False
    step = dialect.dt if dt is None else dt
    known = (*_PLAIN, *dialect.writes)
    return all(
        _kind(node) in known and (_kind(node) not in _NEURONS or dialect.fits(node, _kind(node), step or 0.0))
        for node in graph.nodes.values()
    )


def _says(dialect: Dialect) -> str:
    step = "give --dt" if dialect.dt is None else f"steps of {dialect.dt:g}"
    reset = "give --reset" if dialect.reset is None else f"reset {dialect.reset}"
    return f"{dialect.title} ({step}, {reset})"


def _kind(node: Any) -> str:
    return type(node).__name__


def _pattern(node: Any) -> str:
    keys = ("tau", "tau_mem", "tau_syn", "r", "v_threshold")
    found = [f"{key} {np.asarray(getattr(node, key)).flat[0]:.6g}" for key in keys if np.size(getattr(node, key, ()))]
    return f"{_kind(node)}: {', '.join(found)}"


def _close(a: Array | float, b: Array | float) -> bool:
    return bool(np.allclose(a, b, rtol=_CLOSE, atol=0)) if np.size(a) and np.size(b) else False


def _zero(*values: Any) -> bool:
    return not any(np.any(value) for value in values)


def _tau(node: Any, kind: str) -> Array:
    return np.asarray(node.tau_mem if kind == "CubaLIF" else node.tau)


def _euler(tau: Array, dt: float) -> Array:
    """1 - dt / tau; of all decays that give this tau in the precision of the file the one with the fewest digits."""
    values, place = np.unique(tau, return_inverse=True)
    return np.array([_decay(value, dt) for value in values], np.float64)[place].reshape(tau.shape)


def _decay(tau: Any, dt: float) -> float:
    with np.errstate(all="ignore"):
        raw = 1 - dt / float(tau) if tau else -np.inf
    if not np.isfinite(raw):
        return raw
    single = np.float32(raw)
    near = [round(raw, digits) for digits in range(1, 7)]
    near += [float(single), float(np.nextafter(single, np.float32(2))), float(np.nextafter(single, np.float32(-2)))]
    near += [float(single + step * np.float32(2.0**-27)) for step in (-3, -2, 2, 3)]
    for candidate in near:
        if abs(candidate - raw) < 2e-7 and candidate < 1 and _gives(candidate, tau, dt):
            return float(np.float32(candidate))
    return raw


def _gives(decay: float, tau: Any, dt: float) -> bool:
    if isinstance(tau, np.float32):
        return bool(np.float32(dt) / (np.float32(1) - np.float32(decay)) == tau)
    return abs(dt / (1 - float(np.float32(decay))) - float(tau)) <= 1e-12 * abs(float(tau))


def _stepped(node: Any, kind: str, dt: float) -> Meant:
    """Euler's step of the equations as they stand."""
    if kind in ("IF", "I"):
        return Meant(np.ones(()), np.asarray(node.r, np.float64) * dt)
    tau = _tau(node, kind)
    gain = _snapped(np.asarray(node.r, np.float64) * dt / tau)
    if kind != "CubaLIF":
        return Meant(_euler(tau, dt), gain)
    synapse = np.asarray(node.tau_syn)
    return Meant(
        _euler(tau, dt),
        gain * _snapped(np.asarray(node.w_in, np.float64) * dt / synapse),
        _euler(synapse, dt),
    )


def _snapped(gain: Array) -> Array:
    """A gain that is 1 but for rounding is 1."""
    return np.where(np.abs(gain - 1) < _CLOSE, 1.0, gain)


def _unit_if(meant: Callable[[Any, str, float], Meant]) -> Callable[[Any, str, float], Meant]:
    """The same for tools whose neurons without leak take r for the gain of a step."""

    def read(node: Any, kind: str, dt: float) -> Meant:
        if kind in ("IF", "I"):
            return Meant(np.ones(()), np.asarray(node.r, np.float64))
        return meant(node, kind, dt)

    return read


def _snntorch_fits(node: Any, kind: str, dt: float) -> bool:
    tau = _tau(node, kind)
    cuba = kind != "CubaLIF" or _close(np.asarray(node.w_in) * dt, node.tau_syn)
    return (
        _zero(node.v_leak, node.v_reset)
        and _close(np.asarray(node.r) * dt, tau)
        and cuba
        and bool((tau >= dt * (1 - _CLOSE)).all())
    )


def _spikingjelly_fits(node: Any, kind: str, dt: float) -> bool:
    if any(
        np.ptp(getattr(node, key)) for key in ("r", "v_threshold", "v_reset", "tau") if np.size(getattr(node, key, ()))
    ):
        return False
    if kind == "IF":
        return _close(np.asarray(node.r) * dt, 1.0)
    if kind == "CubaLIF":
        return _snntorch_fits(node, kind, dt)
    tau, r = _tau(node, kind), np.asarray(node.r)
    rest = _close(np.asarray(node.v_leak) + 1.0, np.asarray(node.v_reset) + 1.0)
    return rest and bool((tau > dt).all()) and (_close(r, 1.0) or _close(r * dt, tau))


def _norse_fits(node: Any, kind: str, dt: float) -> bool:
    if not _close(node.r, 1.0):
        return False
    if kind == "IF":
        return True
    alpha = dt * dt / _tau(node, kind)
    return bool(((alpha > 1e-3) & (alpha <= 1)).all())


def _norse(node: Any, kind: str, dt: float) -> Meant:
    """Norse 1.1.0 writes dt / (1 / tau) for tau."""
    alpha = dt * dt / np.asarray(_tau(node, kind), np.float64)
    if kind != "CubaLIF":
        return Meant(1 - alpha, alpha * node.r)
    return Meant(1 - alpha, alpha, 1 - dt * dt / np.asarray(node.tau_syn, np.float64))


def _sinabs_fits(node: Any, kind: str, dt: float) -> bool:
    del dt
    return _close(node.r, 1.0) and (kind == "IF" or (_zero(node.v_leak) and bool((_tau(node, kind) >= 0.2).all())))


def _sinabs(node: Any, kind: str, dt: float) -> Meant:
    decay = np.exp(-dt / np.asarray(_tau(node, kind), np.float64))
    return Meant(decay, 1 - decay)


def _spyx_fits(node: Any, kind: str, dt: float) -> bool:
    if kind == "IF":
        return _close(node.r, 1.0)
    tau = _tau(node, kind)
    return bool((tau >= dt).all()) and _close(node.r, 1 - dt / tau)


def _spyx(node: Any, kind: str, dt: float) -> Meant:
    tau = _tau(node, kind)
    synapse = _euler(np.asarray(node.tau_syn), dt) if kind == "CubaLIF" else None
    return Meant(_euler(tau, dt), np.ones(()), synapse)


def _rockpool_fits(node: Any, kind: str, dt: float) -> bool:
    if kind == "CubaLIF":
        return False
    tau = _tau(node, kind)
    return any(_close(node.r, tau / step * np.exp(-step / tau)) for step in ([dt] if dt else [1e-3, 1e-4]))


def _rockpool(node: Any, kind: str, dt: float) -> Meant:
    decay = np.exp(-dt / np.asarray(_tau(node, kind), np.float64))
    return Meant(decay, np.asarray(node.r, np.float64) * dt / _tau(node, kind))


def _nir_fits(node: Any, kind: str, dt: float) -> bool:
    """r = 1, as in the format's own documentation; its time step is anyone's guess."""
    del dt
    return _close(node.r, 1.0) or kind == "I"


def _listed(dialects: Iterable[Dialect]) -> dict[str, Dialect]:
    return {one.name: one for one in dialects}


DIALECTS: Final[dict[str, Dialect]] = _listed(
    [
        Dialect(
            "snntorch",
            "snnTorch",
            ("AvgPool2d", "LIF", "CubaLIF"),
            _snntorch_fits,
            _unit_if(_stepped),
            1e-4,
            None,
            True,
        ),
        Dialect(
            "spikingjelly",
            "SpikingJelly",
            ("AvgPool2d", "IF", "LIF", "CubaLIF"),
            _spikingjelly_fits,
            _stepped,
            1e-4,
            "zero",
            at_least=True,
        ),
        Dialect(
            "norse",
            "Norse 1.1",
            ("IF", "LIF", "LI", "CubaLIF"),
            _norse_fits,
            _unit_if(_norse),
            1e-3,
            "zero",
            remark="tau is read as dt / tau_inverse, as Norse 1.1.0 writes it",
        ),
        Dialect(
            "sinabs",
            "sinabs",
            ("SumPool2d", "IF", "LIF", "LI"),
            _sinabs_fits,
            _unit_if(_sinabs),
            1.0,
            "subtract",
            at_least=True,
            remark="sinabs sends several spikes at once where a membrane exceeds twice the threshold (MultiSpike), and "
            "keeps membranes of IF above the negative threshold; here a neuron sends one and has no floor",
        ),
        Dialect(
            "spyx",
            "Spyx",
            ("SumPool2d", "IF", "LIF", "CubaLIF"),
            _spyx_fits,
            _unit_if(_spyx),
            1.0,
            "subtract",
            True,
            remark="Spyx sends each layer's spikes one step after they are due, so its output sees as many steps fewer",
        ),
        Dialect("rockpool", "Rockpool", ("LIF", "LI"), _rockpool_fits, _rockpool, None, "subtract"),
        Dialect(
            "nir",
            "the equations as they stand",
            ("AvgPool2d", "SumPool2d", "IF", "LIF", "LI", "I", "CubaLIF", "Scale", "Threshold"),
            _nir_fits,
            _stepped,
            None,
            "zero",
        ),
    ]
)
"""By the name that `--dialect` gives it."""
