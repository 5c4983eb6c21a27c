"""A layer of Izhikevich neurons, whose equations have kernels of their own."""

from torch import Tensor

from spikewise.dynamics import Izhikevich
from spikewise.engine.triton.kernels.izhikevich import izhikevich_backward_kernel, izhikevich_kernel
from spikewise.engine.triton.kernels.launch import grid_of
from spikewise.engine.triton.population import LANES, LANES_BACK, Carry, Kept, Population

__all__ = ["IzhikevichPopulation"]


class IzhikevichPopulation(Population):
    """Launches of its kernels, with the arguments of `Population`'s."""

    def forward(
        self, current: Tensor, steps: int, kept: Kept, before: tuple[Tensor, ...] | None, after: tuple[Tensor, ...],
        *, facts: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Walk `steps` of `current` and fill `kept` and `after`."""
        n, (gain, kind), total, nowhere = self._neuron, self._gain(), current[0].numel(), after[0]
        izhikevich_kernel[grid_of(total, LANES)](
            current, total if len(current) == steps and steps > 1 else 0, nowhere if facts is None else facts, steps,
            kept.spikes, nowhere if kept.membrane is None else kept.membrane, *(before or after), *after,
            gain, n.dt / n.capacitance, n.k, n.dt * n.a, n.b, n.c, n.d, n.v_rest, n.v_threshold, n.v_peak, n.ceiling,
            self.features, self.plane, total, GAIN=kind, STARTED=before is not None, KEEP_V=kept.membrane is not None,
            AFFINE=facts is not None, SIZE=LANES, enable_fp_fusion=False,
        )  # fmt: skip

    def backward(
        self, given: tuple[Tensor | None, Tensor | None], kept: Kept, out: Tensor, *, earlier: bool = False,
        carry: Carry | None = None, totals: dict[str, Tensor] | None = None,
    ) -> None:  # fmt: skip
        """Gradients of the currents, into `out`."""
        membrane, (gz, gv), n = kept.membrane, given, self._neuron
        assert membrane is not None
        steps, total, nowhere = len(membrane), membrane[0].numel(), membrane
        in_parts, totals = out.ndim > membrane.ndim, totals or {}
        gain, kind = self._gain()
        izhikevich_backward_kernel[grid_of(total, LANES_BACK)](
            nowhere if gz is None else gz, nowhere if gv is None else gv, membrane, out,
            out.stride(0) if in_parts else 0, totals.get("current", nowhere), *(carry or (nowhere,) * 3),
            gain, n.dt / n.capacitance, n.k, n.dt * n.a, n.b, n.v_rest, n.v_threshold, n.v_peak, n.ceiling,
            *self.surrogate[1:], self.features, self.plane, total, steps, (steps - 1) * total, steps - 1 + earlier,
            GAIN=kind, SURROGATE=self.surrogate[0], HAS_GZ=gz is not None, HAS_GV=gv is not None,
            CARRY=carry is not None, SUM="current" in totals, PARTS=len(out) if in_parts else 0, SIZE=LANES_BACK,
            enable_fp_fusion=False,
        )  # fmt: skip

    @property
    def _neuron(self) -> Izhikevich:
        assert isinstance(self.dynamics, Izhikevich)
        return self.dynamics

    def _gain(self) -> tuple[Tensor | float, int]:
        return self.argument("gain", self._neuron.gain)
