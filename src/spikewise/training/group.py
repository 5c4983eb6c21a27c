"""Processes that train one network together, as `torchrun` starts them: who is there, and what they tell each other.

The first leads: it does all that a process alone does. The others make their part of each update, and write nothing.
Messages are tensors as safetensors lays them out; nothing is pickled.
"""

import atexit
import contextlib
import importlib
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import torch
import torch.distributed as dist
from jaxtyping import Float
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from spikewise.errors import ProcessesError
from spikewise.processes import seat, started_processes, take_seat
from spikewise.training.common_memory import CommonRows, Note

__all__ = ["ProcessGroup", "claim_word", "current_group", "group_size", "joined", "let_others_go"]

_MEETING: Final = timedelta(minutes=5)
"""In which all processes have to come."""
_PATIENCE: Final = timedelta(days=30)
"""For what another process does alone: the test, the sections. Of one that has ended its connections tell at once."""
_WORD: Final = timedelta(seconds=10)
_NOTES: Final = "notes"
_LOST: Final = "The same command goes on where this one stopped."


class ProcessGroup:
    """Some processes, and this one's place among them.

    Args:
        rank: of this process, from 0; the first leads.
        size: how many there are.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.lesson: object = None
        """What all of them have learned of last; see `shared_epochs`."""
        self.in_step = False
        """Whether they are in the middle of what each has to take part in."""
        self._common: CommonRows | None = None
        self._apart = False
        """Whether they have been found to have no memory in common."""

    def gather(self, row: Float[Tensor, " n"]) -> Float[Tensor, "ranks n"]:
        """The rows of all processes, in their order: to be read before the next call.

        Raises:
            ProcessesError: one of them has ended.
        """
        with self._all_there():
            if row.device.type == "cpu" and (common := self._room(row.numel() * row.element_size())) is not None:
                return common.exchange(row)
            table = row.new_empty(self.size, *row.shape)
            dist.all_gather(list(table.unbind(0)), row)
            return table

    def _room(self, length: int) -> CommonRows | None:
        """Memory of all of them for a row of so many bytes; None where they have none in common."""
        if self._apart:
            return None
        if self._common is None or self._common.room < length:
            self.close()
            self._common = CommonRows.of_all(self.rank, self.size, length)
            self._apart = self._common is None
        return self._common

    def close(self) -> None:
        """Let go of the memory that all have; the others are told that this process has ended, if they wait for it."""
        if self._common is not None:
            self._common.close()

    @property
    def is_on_one_machine(self) -> bool:
        """Whether all have been found to have memory in common."""
        return self._common is not None

    def note(self, what: Note) -> None:
        """Let the processes of this machine know, even where this one has ended when they ask."""
        if self._common is not None:
            self._common.note(what)

    def noted(self, what: Note) -> bool:
        """Whether any process of this machine has noted it."""
        return self._common is not None and self._common.noted(what)

    def let_go(self) -> None:
        """Tell the others that nothing is left for them: whichever ends then, nobody is missed."""
        self.note(Note.OVER)
        self.tell({})

    def tell(self, notes: dict[str, Any], tensors: dict[str, Tensor] | None = None) -> None:
        """From the first process to the others: what JSON can hold, and tensors.

        Raises:
            ProcessesError: one of them has ended.
        """
        here = {name: value.detach().cpu().contiguous() for name, value in (tensors or {}).items()}
        words = torch.frombuffer(bytearray(json.dumps(notes).encode()), dtype=torch.uint8)
        content = torch.frombuffer(bytearray(to_bytes({**here, _NOTES: words})), dtype=torch.uint8)
        with self._all_there():
            dist.broadcast(torch.tensor([len(content)]), 0)
            dist.broadcast(content, 0)

    def hear(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What the first process tells; waits for it. Nothing, where it has let the others go.

        Raises:
            ProcessesError: one of them has ended.
        """
        size = torch.zeros(1, dtype=torch.int64)
        try:
            with self._all_there():
                dist.broadcast(size, 0)
                content = torch.empty(int(size), dtype=torch.uint8)
                dist.broadcast(content, 0)
        except ProcessesError:
            if self.noted(Note.OVER):  # who would have passed it on has ended
                return {}, {}
            raise
        tensors = from_bytes(content.numpy().tobytes())
        return json.loads(tensors.pop(_NOTES).numpy().tobytes()), tensors

    def words(self, text: str) -> list[str]:
        """What each process has to say.

        Raises:
            ProcessesError: one of them has ended.
        """
        said = text.encode()
        sizes = self.gather(torch.tensor([len(said)], dtype=torch.int64))[:, 0].tolist()
        row = torch.zeros(max(*sizes, 1), dtype=torch.uint8)
        row[: len(said)] = torch.frombuffer(bytearray(said or b"\0"), dtype=torch.uint8)[: len(said)]
        return [
            line[:size].numpy().tobytes().decode() for line, size in zip(self.gather(row).unbind(0), sizes, strict=True)
        ]

    @contextlib.contextmanager
    def _all_there(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # a connection that broke, of whatever backend
            self.in_step = True
            if not self.noted(Note.OVER):
                claim_word()  # before the others are told by a closed pipe, and look whether somebody says why
            self.close()
            raise ProcessesError(
                f"One of the {self.size} processes of this training has ended, and so all end. {_LOST}"
            ) from error


_group: ProcessGroup | None = None
_store: Any = None  # a `torch.distributed.Store`, which not every build of PyTorch has
_has_word: bool | None = None  # not asked for yet


_let_go = False


def current_group() -> ProcessGroup | None:
    """The group that this process has joined; None where it works alone, or does again."""
    return None if _let_go else _group


def group_size() -> int:
    """How many processes share, or shared, the trainings of this one; 1 where it works alone."""
    return 1 if _group is None else _group.size


def let_others_go() -> None:
    """When all trainings are over: what is left is the first process's, and the others need not stay until its end.

    Of several machines all stay: `torchrun` ends its processes some minutes after those of another machine have ended.

    Raises:
        ProcessesError: one of them has ended before.
    """
    global _let_go  # noqa: PLW0603
    if (group := current_group()) is not None and group.is_on_one_machine:
        group.let_go()
        _let_go = True


@contextlib.contextmanager
def joined() -> Iterator[ProcessGroup | None]:
    """Be one of the processes that were started together; None where this one is alone.

    When the first leaves, the others are told that it is over.

    Raises:
        ProcessesError: the others do not come, or this program has a process group of its own.
    """
    global _group, _let_go  # noqa: PLW0603  # of a process there is one
    if take_seat().size == 1:
        yield None
        return
    _group = _join()
    try:
        yield _group
    except BaseException:
        claim_word()  # the first says why, before the others can say that it has left
        raise
    finally:
        if _group.rank == 0 and not _group.in_step and not _let_go:
            with contextlib.suppress(ProcessesError):
                _group.let_go()
        _group.close()
        _group, _let_go = None, False
        dist.destroy_process_group()


def claim_word() -> bool:
    """Whether this is the first of the processes that has something to say: where they end, one of them says why.

    It is asked for once. Whoever has it notes that, for those who ask when the first process, at whom they meet, is
    gone.
    """
    global _has_word  # noqa: PLW0603
    if started_processes() == 1:
        return True
    if _has_word is None:
        try:
            _has_word = _meeting_place(_WORD).add("word", 1) == 1
        except (RuntimeError, ValueError, ImportError):  # the first process had the store, and is gone
            _has_word = seat().rank <= 1 and not (_group is not None and _group.noted(Note.WORD))
        if _has_word and _group is not None:
            _group.note(Note.WORD)
    return _has_word


def _join() -> ProcessGroup:
    if not dist.is_available():
        raise ProcessesError("This PyTorch was built without torch.distributed; train in one process.")
    if dist.is_initialized():
        raise ProcessesError(
            "This program has a process group of its own already. Start one training in several processes with "
            "`torchrun --nproc-per-node N -m spikewise train ...`."
        )
    # Its functions keep the group there is when they are defined, for ever: with the first optimizer, and the group's
    # threads would then be at work while the interpreter ends, which may abort it.
    importlib.import_module("torch.distributed.nn.functional")
    rank, size = seat()
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    try:
        store = _meeting_place(_MEETING)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        first = str(error).partition("\n")[0]
        raise ProcessesError(
            f"Process {rank} of {size} did not find the others at {place}: {first}. Start all of them with torchrun."
        ) from error
    return ProcessGroup(rank, size)


def _meeting_place(patience: timedelta) -> Any:
    """Where all processes find what any of them has put down."""
    global _store  # noqa: PLW0603
    if _store is None:
        from torch.distributed.distributed_c10d import PrefixStore  # noqa: PLC0415  # not in every build of PyTorch
        from torch.distributed.rendezvous import rendezvous  # noqa: PLC0415  # the same

        store, _, _ = next(rendezvous(f"env://?rank={seat().rank}&world_size={seat().size}", timeout=patience))
        _store = PrefixStore("spikewise", store)
        atexit.register(_leave_meeting_place)
    return _store


def _leave_meeting_place() -> None:
    """The first process serves the others there, in a thread that must not outlive the interpreter."""
    global _store  # noqa: PLW0603
    _store = None
