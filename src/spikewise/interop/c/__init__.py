"""Networks in C99: what is written, the integers, their simulator, and the compiled check."""

from spikewise.interop.c.export import FORMAT

__all__ = ["FORMAT"]
