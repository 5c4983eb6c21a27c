"""Speed and memory of a network, measured here and now."""

import contextlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from spikewise.evaluation.prediction import fitting_batch
from spikewise.memory import return_freed_memory
from spikewise.network import Network
from spikewise.threads import one_thread
from spikewise.types import Draw

__all__ = ["Speed", "measure_speed", "measure_speed_of", "peak_memory_mb", "throughput"]

_BATCH = 256
_REPEATS = 5
_SINGLE_REPEATS = 200
_SINGLE_SECONDS = 2.0
"""A slow network is timed less often: its latencies spread less beside their size."""
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Speed(NamedTuple):
    """How fast a network answers."""

    throughput: float
    """Images per second in batches: the median of a few."""
    latency_ms: float
    """One image, from pixels to answer, with one thread: the median of up to 200."""
    latency_p99_ms: float
    """The latency that 99 of 100 of them keep; the longest where there are fewer than 100."""
    engine: str = ""
    """Which engine answered."""


def measure_speed(network: Network, images: UInt8[np.ndarray, "N C H W"]) -> Speed:
    """Time evaluation of `network` on images, as a batch (of at most 256, and as fit the memory) and one at a time."""
    one = torch.from_numpy(np.ascontiguousarray(images[:1])).to(network.device)
    network = network.frozen()
    with torch.no_grad():
        engine = network(one).result.engine
        whole = throughput(network, images)
        return _speed(whole, lambda: _answer(network, one), engine)


def measure_speed_of(
    answer: Callable[[UInt8[np.ndarray, "N C H W"]], object], images: UInt8[np.ndarray, "N C H W"], engine: str
) -> Speed:
    """The same of whatever answers images."""
    batch, one = images[:_BATCH], images[:1]
    whole = len(batch) / statistics.median(_seconds(lambda: _call(answer, batch), _REPEATS))
    return _speed(whole, lambda: _call(answer, one), engine)


def _call(answer: Callable[..., object], images: UInt8[np.ndarray, "N C H W"]) -> None:
    answer(images)


def _speed(whole: float, single: Callable[[], None], engine: str) -> Speed:
    with one_thread():
        times = _seconds(single, _SINGLE_REPEATS)
    p99 = float(np.quantile(times, 0.99, method="higher"))
    return Speed(whole, statistics.median(times) * 1000, p99 * 1000, engine)


def throughput(network: Network, images: UInt8[np.ndarray, "N C H W"]) -> float:
    """Images per second of evaluation in one batch (of at most 256, and as fit the memory): the median of a few."""
    size = min(_BATCH, fitting_batch(network.graph, network.device))
    batch = torch.from_numpy(np.ascontiguousarray(images[:size])).to(network.device)
    with torch.no_grad():
        return len(batch) / statistics.median(_seconds(lambda: _answer(network, batch), _REPEATS))


def peak_memory_mb(work: Callable[[], object]) -> float | None:
    """Megabytes (1e6 bytes) that `work` needs at its peak beyond those held before; None without Linux's /proc."""
    try:
        # What the process has freed but still holds would hide what `work` needs.
        return_freed_memory()
        _CLEAR.write_text("5")  # resets the peak that VmHWM reports
        before = _status_kib("VmRSS")
        work()
        return max(0.0, (_status_kib("VmHWM") - before) * 1024 / 1e6)
    except (OSError, AttributeError):
        return None


def _answer(network: Network, images: Tensor) -> None:
    network(images, Draw.first(len(images)))
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)


def _seconds(work: Callable[[], None], repeats: int) -> list[float]:
    """How long `work` took each time: `repeats` times, or fewer once `_SINGLE_SECONDS` have passed."""
    work()  # the first call allocates and compiles
    times: list[float] = []
    while len(times) < repeats and (len(times) < _REPEATS or sum(times) < _SINGLE_SECONDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return times


def _status_kib(key: str) -> float:
    """The kernel calls 1024 bytes a kB."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{key}:"):
            with contextlib.suppress(ValueError):
                return float(line.split()[1])
    raise OSError(f"no {key} in {_STATUS}")
