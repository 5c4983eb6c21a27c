"""Spikewise against snnTorch, SpikingJelly, Norse, sinabs and a hand-written PyTorch loop, on real images."""

from benchmarks.peers.command import main

__all__ = ["main"]
