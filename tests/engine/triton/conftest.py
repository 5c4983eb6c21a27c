"""Where there is no GPU, Triton's interpreter runs the same kernels; it must be asked before Triton is imported."""

import os
import sys
from pathlib import Path

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
sys.path.append(str(Path(__file__).parents[1] / "native"))  # the networks on a dyadic grid
