"""What `doctor` looks at where there may be a GPU: the card, its driver, Triton, and a small network on both sides."""

import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from spikewise.exact import exact_arithmetic
from spikewise.graph import Graph
from spikewise.network import Network

__all__ = ["GpuReport", "examine_gpus", "same_on"]

_KERNEL_MODULE = Path("/proc/driver/nvidia/version")
_APART = 1e-3
"""Largest difference of logits and gradients, relative to the largest of them, that sums in another order explain."""


class GpuReport(NamedTuple):
    """What was found, whether it is as it should be, and what to do."""

    found: str
    sound: bool = True
    advice: str = ""


def examine_gpus() -> dict[str, GpuReport]:
    """The cards, their driver and Triton, by name of what was looked at; one entry where there is nothing."""
    driver = _driver()
    if not torch.cuda.is_available():
        if driver is None:
            return {"GPU": GpuReport("none, the processor computes")}
        return {"GPU": GpuReport(f"NVIDIA driver {driver}, but PyTorch reaches no GPU", sound=False, advice=_why_not())}
    cards = ", ".join(_card(number) for number in range(torch.cuda.device_count()))
    return {
        "GPU": GpuReport(cards),
        "GPU driver": GpuReport(f"{driver or 'of unknown version'}, PyTorch is built for CUDA {torch.version.cuda}"),
        "Triton": _triton(),
    }


def same_on(device: torch.device, graph: Graph) -> str:
    """Run a network forwards and backwards on the processor and on `device`, and say which engines ran.

    Raises:
        RuntimeError: the two differ by more than the order of sums explains.
    """
    here, there = _both_ways(graph, torch.device("cpu")), _both_ways(graph, device)
    for name, wanted in here.values.items():
        apart = (there.values[name] - wanted).abs().max().item()
        if not apart <= _APART * max(1.0, wanted.abs().max().item()):
            raise RuntimeError(f"{name} of a small network: {there.engine} on {device} differs by {apart:.2g} from "
                               f"{here.engine} on the processor")  # fmt: skip
    return f"{there.engine} (a small network ran forwards and backwards as {here.engine} runs it on the processor)"


class _Ran(NamedTuple):
    engine: str
    values: dict[str, Tensor]
    """Logits, and the gradient of each weight, on the processor."""


def _both_ways(graph: Graph, device: torch.device) -> _Ran:
    network = Network(graph, seed=1)
    with torch.no_grad():  # sums of such weights are exact in every order, so that no spike may differ
        for weight in network.parameters():
            weight.copy_((weight * 256).round() / 256)
    network.to(device)
    channels, height, width = graph.image_shape
    pixels = torch.arange(4 * channels * height * width).reshape(4, channels, height, width) * 37 % 256
    with exact_arithmetic():
        output = network(pixels.to(device, torch.uint8))
        torch.autograd.backward(cross_entropy(output.logits, torch.arange(4, device=device) % 2))
    gradients = {f"gradient of {name}": p.grad.cpu() for name, p in network.named_parameters() if p.grad is not None}
    return _Ran(output.result.engine, {"logits": output.logits.detach().cpu(), **gradients})


def _card(number: int) -> str:
    facts = torch.cuda.get_device_properties(number)
    capability = f"compute capability {facts.major}.{facts.minor}"
    return f"cuda:{number} {facts.name} ({facts.total_memory / 2**30:.0f} GiB, {capability})"


def _triton() -> GpuReport:
    """Without it, and without a card it compiles for, layers are launched one operation after the other."""
    advice = "Networks run on the GPU several times slower without it. Run: pip install triton"
    try:
        return GpuReport(version("triton"))
    except PackageNotFoundError:
        return GpuReport("not installed", sound=False, advice=advice)


def _driver() -> str | None:
    """Version of the NVIDIA driver; None where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        asked = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            told = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout.split()
        except (OSError, subprocess.SubprocessError):
            told = []
        if told:
            return told[0]
    if not _KERNEL_MODULE.is_file():
        return None
    words = _KERNEL_MODULE.read_text(errors="replace").split()
    return next((word for word in words if word[:1].isdigit() and "." in word), "of unknown version")


def _why_not() -> str:
    if torch.version.cuda is None:
        return "This PyTorch is built for processors alone: install one that is built for CUDA."
    return (
        f"PyTorch is built for CUDA {torch.version.cuda}: the driver may be too old, or CUDA_VISIBLE_DEVICES hides it."
    )
