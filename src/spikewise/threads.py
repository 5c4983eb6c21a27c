"""How many threads work, and how the others wait."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["let_them_sleep", "one_thread", "work_after_a_fork"]


def let_them_sleep() -> None:
    """Have PyTorch's threads sleep while they wait, unless the environment says otherwise or PyTorch is there already.

    By default they burn their cores for milliseconds after every operation, in the hope of another. On a machine that
    does other work, too, an image then takes twenty times as long; on an idle one sleeping costs microseconds an
    operation. The native engine's own threads sleep after 30 microseconds anyhow.
    """
    if "torch" not in sys.modules:  # its OpenMP reads the variable when it is loaded
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def work_after_a_fork() -> None:
    """Have PyTorch work on one thread in processes that are forked from this one.

    Threads do not survive a fork, but OpenMP goes on counting on those that it had: the first operation that is shared
    among them would wait for ever. That is how `multiprocessing` begins processes on Linux before Python 3.14.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_alone)


def _alone() -> None:
    set_threads = getattr(sys.modules.get("torch"), "set_num_threads", None)
    if set_threads is not None:
        set_threads(1)


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
