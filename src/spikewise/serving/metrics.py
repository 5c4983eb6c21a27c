"""What the server counts, in the text format of Prometheus (version 0.0.4).

Nothing of an image, a name or an address is among it.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["Labels", "Metrics"]

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_IMAGES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
_HELP: Final = {
    "spikewise_requests_total": ("counter", "Requests answered, by route and status."),
    "spikewise_refused_total": ("counter", "Requests that a limit or a check refused, by reason."),
    "spikewise_images_total": ("counter", "Images classified, by model."),
    "spikewise_steps_total": ("counter", "Time steps run, by model; fewer than images times T with early exit."),
    "spikewise_reloads_total": ("counter", "Models read again after their run changed, by model and outcome."),
    "spikewise_request_seconds": ("histogram", "From the first byte of a prediction's request to its answer."),
    "spikewise_engine_seconds": ("histogram", "Time of the engine for one batch."),
    "spikewise_batch_images": ("histogram", "Images that were run together."),
    "spikewise_requests_in_flight": ("gauge", "Predictions that are received, wait or are answered."),
    "spikewise_held_bytes": ("gauge", "Bytes of requests that are received or wait to be decoded."),
    "spikewise_resident_bytes": ("gauge", "Memory of the process."),
    "spikewise_model_ready": ("gauge", "1 for a model that answers."),
}
_BUCKETS: Final = {
    "spikewise_request_seconds": _SECONDS,
    "spikewise_engine_seconds": _SECONDS,
    "spikewise_batch_images": _IMAGES,
}
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counters, gauges and histograms; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, Labels], float] = {}
        self._buckets: dict[str, list[int]] = {name: [0] * (len(ends) + 1) for name, ends in _BUCKETS.items()}
        self._sums: dict[str, float] = dict.fromkeys(_BUCKETS, 0.0)

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Count."""
        key = (name, tuple(sorted(labels.items())))
        with self._lock:
            self._values[key] = self._values.get(key, 0) + amount

    def observe(self, name: str, value: float) -> None:
        """One observation of a histogram."""
        with self._lock:
            self._buckets[name][bisect_left(_BUCKETS[name], value)] += 1
            self._sums[name] += value

    def value(self, name: str, **labels: str) -> float:
        """What was counted so far."""
        return self._values.get((name, tuple(sorted(labels.items()))), 0)

    def text(self, gauges: Mapping[tuple[str, Labels], float]) -> str:
        """The page that Prometheus reads.

        Args:
            gauges: What is true now, by name and labels.
        """
        with self._lock:
            values = {**self._values, **gauges}
            lines = [line for name in _HELP for line in self._metric(name, values)]
        return "\n".join(lines) + "\n"

    def _metric(self, name: str, values: Mapping[tuple[str, Labels], float]) -> Iterator[str]:
        kind, about = _HELP[name]
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} {kind}"
        if kind == "histogram":
            yield from self._histogram(name)
            return
        for (found, labels), value in sorted(values.items()):
            if found == name:
                yield f"{name}{_braces(labels)} {value:.17g}"

    def _histogram(self, name: str) -> Iterator[str]:
        total = 0
        for end, count in zip((*map(str, _BUCKETS[name]), "+Inf"), self._buckets[name], strict=True):
            total += count
            yield f'{name}_bucket{{le="{end}"}} {total}'
        yield f"{name}_sum {self._sums[name]:.17g}"
        yield f"{name}_count {total}"


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    inside = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels)
    return "{" + inside + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
