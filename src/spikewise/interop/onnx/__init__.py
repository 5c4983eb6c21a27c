"""ONNX: one file with all time steps inside, from the bytes of an image to scores, evidence and spikes.

Written node by node, run by onnxruntime for the check. Weights meet the frames of all steps at once; only neurons go
step after step, in a row of nodes, or in a Scan where they are recurrent or have more than 64 steps.
"""

from spikewise.interop.onnx.exporter import FORMAT

__all__ = ["FORMAT"]
