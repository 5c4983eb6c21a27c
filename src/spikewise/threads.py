"""How many threads work, and how the others wait."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["let_them_sleep", "one_thread"]


def let_them_sleep() -> None:
    """Have PyTorch's threads sleep while they wait, unless the environment says otherwise or PyTorch is there already.

    By default they burn their cores for milliseconds after every operation, in the hope of another. On a machine that
    does other work, too, an image then takes twenty times as long; on an idle one sleeping costs microseconds an
    operation. The native engine's own threads sleep after 30 microseconds anyhow.
    """
    if "torch" not in sys.modules:  # its OpenMP reads the variable when it is loaded
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@contextmanager
def one_thread() -> Iterator[None]:
    """Work on one thread within, as for one image: waking a second takes longer than its share of the work."""
    import torch  # noqa: PLC0415  # `let_them_sleep` comes before it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
