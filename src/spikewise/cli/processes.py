"""What commands do in one of several processes that `torchrun` started: one says why all end, and few commands run."""

import os
import signal
from types import FrameType

from spikewise.errors import ConfigError
from spikewise.processes import started_processes, take_seat

__all__ = ["check_command", "may_speak", "obey_the_end"]

_SHARED = frozenset({"compare", "train"})


def check_command(name: str | None) -> None:
    """Refuse a command that several processes cannot share.

    Raises:
        ConfigError: it is another than compare and train.
    """
    count = started_processes()
    if count > 1 and name is not None and name not in _SHARED:
        raise ConfigError(
            f"{count} processes were started, and `spikewise {name}` works in one. Start it without torchrun; "
            "`train` and `compare` can share their trainings."
        )


def may_speak() -> bool:
    """Whether this process may say why it ends: of several, the first that has a reason."""
    if started_processes() == 1:
        return True
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends already
    from spikewise.training.group import claim_word

    return claim_word()


def obey_the_end() -> None:
    """End in words when torchrun ends this process because another one has ended, or it was told to end itself."""
    if take_seat().size > 1:
        # Read when PyTorch is loaded. It warns of a meeting place that is gone, with sixty of its own functions.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt(
        "One of the processes has ended, or all were told to end. The same command goes on where this one stopped."
    )
