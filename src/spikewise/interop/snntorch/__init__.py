"""snnTorch: a small Python file that people read, and its weights; what reads snnTorch modules reads it, too."""

from spikewise.interop.snntorch.exporter import FORMAT

__all__ = ["FORMAT"]
