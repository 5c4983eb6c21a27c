"""Steps that can be captured in a CUDA graph, and their times."""

import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["captured", "inference", "interleaved", "training"]

Step = Callable[[], None]


def training(model: nn.Module, images: Tensor, classes: int) -> Step:
    """Encode, forward, cross-entropy, backward, fused Adam."""
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=1e-4, fused=True, capturable=True)
    index = torch.arange(len(images), device=images.device)
    labels = index % classes

    def step() -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(images, index), labels).backward()
        optimizer.step()

    return step


def inference(model: nn.Module, images: Tensor) -> Step:
    """Encode, forward, argmax."""
    index = torch.arange(len(images), device=images.device)

    def step() -> None:
        model.eval()
        with torch.no_grad():
            model(images, index).argmax(-1)

    return step


def captured(step: Step) -> Step:
    """The same step in one CUDA graph."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def interleaved(steps: dict[str, Step], *, rounds: int = 5, seconds: float = 0.04) -> dict[str, float]:
    """Median seconds of each step; every round times each of them, over as many calls as fill some time.

    A step that fails is named and left out, with what follows from it.
    """
    counts: dict[str, int] = {}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            if turn and name not in counts:
                continue
            try:
                if turn:
                    times[name].append(_time(step, counts[name]))
                else:
                    step()
                    counts[name] = max(1, min(200, int(seconds / max(_time(step, 2), 1e-6))))
            except Exception as error:  # of one candidate; the others still have their turn
                counts.pop(name, None)
                print(f"({name}: {type(error).__name__} {str(error)[:300]})", flush=True)
    return {name: statistics.median(found) for name, found in times.items() if name in counts}


def _time(step: Step, count: int) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    for _ in range(count):
        step()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000 / count
