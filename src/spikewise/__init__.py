"""Spikewise: is a spiking neural network worth it on these images?"""

__version__ = "0.1.0"
