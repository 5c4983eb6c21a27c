"""Work of a GPU that is recorded once, as a CUDA graph, and replayed: one launch in place of hundreds.

Source of the rules for what may be recorded: PyTorch documentation, "CUDA semantics", section "CUDA Graphs".
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["Captured", "Recorder"]


class Recorder:
    """Records the steps of one training; what they allocate for themselves, they allocate in one place.

    Args:
        device: where the steps run; anything but a GPU runs them as they are.
        optimizer: what the steps update, if they do.
    """

    def __init__(self, device: torch.device, optimizer: torch.optim.Optimizer | None = None) -> None:
        self.device, self._optimizer = device, optimizer
        self.refusal: str | None = None if device.type == "cuda" else f"there are no CUDA graphs on {device.type}"
        """Why steps are not recorded; None while nothing speaks against it."""
        self.failed = False
        """Whether a step was tried, and could not be recorded: it runs, but slower than a user may expect."""
        self.count = 0
        """Steps that were recorded."""
        self._pool: Any = None

    def record(self, work: Callable[[], None]) -> torch.cuda.CUDAGraph | None:
        """What `work` does on the current stream, without doing it; None where it cannot be recorded.

        Raises:
            torch.OutOfMemoryError: the device's memory is too small for it.
        """
        if self.refusal is not None:
            return None
        graph = torch.cuda.CUDAGraph()
        try:
            with self._capturable():
                if self._pool is None:
                    self._pool = torch.cuda.graph_pool_handle()
                # Only this thread may not do what breaks a recording; another may train a network of its own.
                stream = torch.cuda.current_stream(self.device)
                with torch.cuda.graph(graph, self._pool, stream, capture_error_mode="thread_local"):
                    work()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # an engine may do anything; without a recording it runs as ever
            self.refuse(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
            torch.cuda.synchronize(self.device)
            return None
        self.count += 1
        return graph

    def refuse(self, reason: str) -> None:
        """From now on steps run as they are."""
        self.refusal, self.failed = reason, True

    @contextmanager
    def _capturable(self) -> Iterator[None]:
        """Adam wants to be told; it complains where it is told for good and then runs without a recording."""
        groups = [] if self._optimizer is None else self._optimizer.param_groups
        for group in groups:
            group["capturable"] = True
        try:
            yield
        finally:
            for group in groups:
                group["capturable"] = False


class Captured:
    """A function of nothing, all of whose inputs and outputs lie in tensors that stay where they are.

    The first call runs it (libraries start, optimizers make their state, kernels are compiled), the second records it,
    and from then on it is replayed.
    """

    def __init__(self, work: Callable[[], None], recorder: Recorder) -> None:
        self._work, self._recorder = work, recorder
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warm = False

    def __call__(self) -> None:
        """Do the work."""
        if self._graph is None and self._warm:
            self._graph = self._recorder.record(self._work)
        self._warm = True
        if self._graph is None:
            self._work()
        else:
            self._graph.replay()
