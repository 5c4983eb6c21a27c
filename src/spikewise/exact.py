"""float32 that is float32, and convolutions that add in one order: what PyTorch leaves to a GPU unless it is told."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["exact_arithmetic"]


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Within, cuDNN neither rounds operands to 10 bits (TF32) nor takes algorithms whose sums change from run to run.

    Source: PyTorch documentation, "CUDA semantics" (TensorFloat-32) and "Reproducibility". Nothing changes on a
    processor, nor for matrix products, which PyTorch computes in float32 by itself.
    """
    cudnn = torch.backends.cudnn
    names = ("allow_tf32", "deterministic", "benchmark")
    with warnings.catch_warnings():  # newer versions have another name beside this one, which older ones have not
        warnings.simplefilter("ignore")
        before = {name: getattr(cudnn, name) for name in names}
        for name in names:
            setattr(cudnn, name, name == "deterministic")
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, value in before.items():
                setattr(cudnn, name, value)
