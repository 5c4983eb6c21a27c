"""The native engine: C++ whose cost follows the spikes, on the CPU. See docs/engine.md."""

from spikewise.engine.native.plan import refuses, supports
from spikewise.engine.native.run import kept_bytes, run, run_images
from spikewise.extension import isa, status, versions

__all__ = ["isa", "kept_bytes", "refuses", "run", "run_images", "status", "supports", "versions"]
