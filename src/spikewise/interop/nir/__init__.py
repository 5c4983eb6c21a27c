"""NIR, the interchange format of neuromorphic tools (Pedersen et al., Nature Communications 2024): written and read."""

from spikewise.interop.nir.format import FORMAT

__all__ = ["FORMAT"]
