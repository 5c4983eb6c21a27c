"""The format `snntorch`: a Python file and its weights, and snnTorch itself as the runtime that reads them back."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from jaxtyping import UInt8
from safetensors import SafetensorError
from safetensors.torch import save as to_bytes
from torch import Tensor

from spikewise import __version__
from spikewise.encoders import Latency, Periodic, Rate
from spikewise.errors import DataError, DependencyError
from spikewise.files import write_bytes, write_text
from spikewise.graph import BatchNorm, Neuron
from spikewise.interop.deployed import Deployed
from spikewise.interop.runtime import Opened, Sent, Wish, Written
from spikewise.interop.snntorch.source import source_of
from spikewise.interop.tables import rate_table

__all__ = ["FORMAT", "SnntorchFormat"]

_NEVER_DELAYED = (
    "Layers that reset in the step of the spike are of a class in the file, LeakyNow or SynapticNow: snnTorch's own "
    "reset_delay=False subtracts twice from a membrane above two thresholds. A tool that looks for snn.Leaky by name "
    "finds its subclass; train with reset_delay = true for it to find snn.Leaky itself."
)


class SnntorchFormat:
    """NAME.py, an `nn.Module` of snnTorch's neurons with encoder and readout, and NAME.safetensors."""

    name = "snntorch"
    title = "snnTorch"
    about = "a Python file with snnTorch's neurons, for people and for tools that read such modules"
    exact = False
    """Products may be added in another order than here, so a membrane may differ in its last bit."""

    def write(self, network: Deployed, folder: Path, wish: Wish) -> Written:
        """Write the two files.

        Raises:
            ConfigError: snnTorch cannot say a layer, which is named, or the format has not what is wished for.
        """
        wish.only(self.name)
        text = source_of(network, wish)
        names = f"{wish.name}.py", f"{wish.name}.safetensors"
        write_text(folder / names[0], text)
        write_bytes(folder / names[1], to_bytes(_tensors(network, wish)))
        warnings = (_NEVER_DELAYED,) if "Now(" in text else ()
        return Written(names[0], names, warnings, {"lines of Python": text.count("\n")})

    def open(self, network: Deployed, folder: Path, main: str, wish: Wish) -> Opened:
        """Import the file and run it.

        Raises:
            DataError: it is not what is written for this network, and so is not run; or its weights are damaged.
            DependencyError: snnTorch is not installed.
        """
        path = folder / main
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            text = ""
        if text != source_of(network, wish):
            raise DataError(
                f"{path} is not what spikewise {__version__} writes for this network, and what a Python file does "
                "nobody knows before it runs: it is not run. Export the run again."
            )
        if any(isinstance(at.layer, Neuron) for at in network.graph.named) and find_spec("snntorch") is None:
            raise DependencyError("The file needs snnTorch to be checked: pip install snntorch")
        made = SnntorchRuntime(network, path, text)
        return Opened(made, alone=made.alone)


FORMAT = SnntorchFormat()


class SnntorchRuntime:
    """The file's own module, run by snnTorch."""

    def __init__(self, network: Deployed, path: Path, text: str) -> None:
        self._layers = network.graph.spiking_layers
        module = ModuleType(path.stem)
        module.__file__ = str(path)
        exec(compile(text, str(path), "exec"), module.__dict__)  # the text was compared with our own
        try:
            self._network = module.load(path.with_suffix(".safetensors"))
        except (SafetensorError, OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            weights = path.with_suffix(".safetensors")
            raise DataError(f"{weights} is damaged: {_first_line(error)}. Export the run again.") from None

    @property
    def name(self) -> str:
        """What it is."""
        neurons = f"snnTorch {version('snntorch')}, " if find_spec("snntorch") else ""
        return f"{neurons}PyTorch {torch.__version__}"

    @torch.no_grad()
    def __call__(self, images: UInt8[np.ndarray, "B C H W"]) -> Sent:
        """Scores and spikes.

        Raises:
            DataError: the weights are not those of this network.
        """
        sent: dict[str, list[Tensor]] = {}
        scores = self._answer(images, sent)
        if not torch.isfinite(scores).all():
            raise DataError("The exported weights give scores that are no numbers. Export the run again.")
        spikes = {name: torch.stack(sent[name]).to(torch.int16).numpy() for name in self._layers}
        return Sent(scores.numpy(), spikes)

    @torch.no_grad()
    def alone(self, images: UInt8[np.ndarray, "B C H W"]) -> Tensor:
        """Scores, without keeping spikes."""
        return self._answer(images, None)

    def _answer(self, images: UInt8[np.ndarray, "B C H W"], sent: dict[str, list[Tensor]] | None) -> Tensor:
        try:
            found: Tensor = self._network(torch.from_numpy(images), sent)
        except (RuntimeError, IndexError, TypeError) as error:
            raise DataError(f"The exported weights do not fit their network: {_first_line(error)}.") from None
        return found


def _tensors(network: Deployed, wish: Wish) -> dict[str, Tensor]:
    """Weights and tables by name; numbers that a layer has one of stand in the text."""
    graph, held = network.graph, dict(network.weights)
    for at in graph.named:
        if isinstance(at.layer, Neuron):
            for key in network.parameters(at):
                value = held.get(f"{at.name}.{key}")
                if value is not None and value.numel() == 1:
                    del held[f"{at.name}.{key}"]
        if isinstance(at.layer, BatchNorm):
            held[f"{at.name}.num_batches_tracked"] = torch.zeros((), dtype=torch.int64)
    if isinstance(graph.encoder, Rate):
        held["random_bytes"] = rate_table(graph.steps, graph.image_shape, wish.seed)
    if isinstance(graph.encoder, Latency | Periodic):
        held["first_spikes"] = graph.encoder.spike_table()
    return held


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
