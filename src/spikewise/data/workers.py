"""Who works through very many image files: threads, or processes where there are enough files for their start.

Threads of one process take turns wherever Python itself works, which is nearly all that a small file takes. A process
is told runs of files on its standard input and answers each on its standard output, a line of JSON either way. It is
none of ours that goes on by itself: when its input ends, as it does when we are killed, it ends at once.
"""

import contextlib
import itertools
import json
import os
import queue
import selectors
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Final

from PIL import Image, ImageFile

from spikewise.data.opened import quietly
from spikewise.data.runs import Work, work_as_json, work_from_json
from spikewise.errors import ProcessesError

__all__ = ["RUN", "FileWorkers", "main"]

RUN: Final = 32
"""Files that are taken at a time."""
_AHEAD = 4
"""How many runs are asked for ahead of each thread or process."""
_WORTHWHILE = 10_000
"""Files for each process: what two of them save is then several times what their start takes, of the smallest files."""
_MOST = 16
"""Processes, each of which holds some 50 MiB."""
_PATIENCE = 60.0
"""Seconds within which a process begins, on a machine that has much else to do."""
_PILLOW: Final = ((Image, "MAX_IMAGE_PIXELS"), (ImageFile, "LOAD_TRUNCATED_IMAGES"))
"""What a program may have told Pillow."""
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from spikewise.data.workers import main; main()"


class FileWorkers:
    """Works through runs of files; as a context, it leaves nothing running.

    Args:
        files: how many there are.
    """

    def __init__(self, files: int) -> None:
        self._wanted = min(_cores(), files // _WORTHWHILE, _MOST) if os.name == "posix" and sys.executable else 0
        self._processes: list[_Process] = []

    def __enter__(self) -> "FileWorkers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.end()
        self._processes = []

    def each_run(self, work: Work, names: Sequence[str], starts: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """What the work makes of the runs of files that begin at these places, as they are done.

        Raises:
            ProcessesError: a process has ended, such as one that the system has killed.
        """
        if not self._processes and self._wanted > 1:
            self._start()
        if self._processes:
            return self._by_processes(work, names, starts)
        return _by_threads(work, names, starts)

    def _start(self) -> None:
        wanted, self._wanted = self._wanted, 0
        with contextlib.suppress(OSError):  # no room for another process
            for _ in range(wanted):
                self._processes.append(_Process())
        if not all(process.begun() for process in self._processes):  # threads do the same
            self.__exit__(None, None, None)

    def _by_processes(self, work: Work, names: Sequence[str], starts: Sequence[int]) -> Iterator[tuple[int, Any]]:
        left = iter(starts)
        with selectors.DefaultSelector() as selector:
            for process in self._processes:
                process.take(work)
                for start in itertools.islice(left, _AHEAD):
                    process.ask(start, names[start : start + RUN])
                if process.asked:
                    selector.register(process.answers, selectors.EVENT_READ, process)
            while selector.get_map():
                for key, _ in selector.select(1.0):  # now and then look for a Ctrl-C that another thread received
                    for start, answer in key.data.heard():
                        for following in itertools.islice(left, 1):
                            key.data.ask(following, names[following : following + RUN])
                        yield start, work.from_json(answer)
                    if not key.data.asked:
                        selector.unregister(key.fileobj)


class _Process:
    """One that works through runs of files."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, json.dumps([place for place in sys.path if isinstance(place, str)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for us, and we end them
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self.answers = self._process.stdin, self._process.stdout
        self._rest = b""
        self.asked: list[str] = []
        """The first file of each run that it has not answered."""
        with contextlib.suppress(ProcessesError):  # `begun` tells
            self._tell([getattr(place, name) for place, name in _PILLOW])

    def begun(self) -> bool:
        """Wait until it is there; not so where Python is part of another program, which cannot start it anew."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.answers, selectors.EVENT_READ)
            return bool(selector.select(_PATIENCE)) and os.read(self.answers.fileno(), 1) == b"\n"

    def take(self, work: Work) -> None:
        """What is to be done with the runs that follow."""
        self._tell(work_as_json(work))

    def ask(self, start: int, names: Sequence[str]) -> None:
        """Work through a run."""
        self.asked.append(names[0])
        self._tell([start, names])

    def heard(self) -> list[tuple[int, Any]]:
        """What it has answered since; waits until there is something.

        Raises:
            ProcessesError: it has ended.
        """
        part = os.read(self.answers.fileno(), 1 << 16)
        if not part:
            raise self._ended()
        *lines, self._rest = (self._rest + part).split(b"\n")
        del self.asked[: len(lines)]
        return [tuple(json.loads(line)) for line in lines]

    def end(self) -> None:
        """Have it end now."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it waits for a disk, and will do nothing any more
            self._process.wait(2)
        self.answers.close()
        with contextlib.suppress(BrokenPipeError):
            self._orders.close()

    def _tell(self, order: object) -> None:
        try:
            self._orders.write(json.dumps(order).encode() + b"\n")
            self._orders.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _ended(self) -> ProcessesError:
        code = self._process.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        where = f", at {self.asked[0]} or after it" if self.asked else ""
        return ProcessesError(
            f"A process that decodes images ended by itself ({how}{where}), as one does that the system kills for want "
            "of memory. The same command goes on where it stopped."
        )


def main() -> None:
    """Work through what standard input says."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is said is no answer
    orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(orders,), daemon=True).start()
    for (place, name), value in zip(_PILLOW, json.loads(orders.get()), strict=True):
        setattr(place, name, value)
    answers.write(b"\n")
    answers.flush()
    work: Work | None = None
    with quietly():
        while True:
            first, second = json.loads(orders.get())
            if isinstance(first, str):
                work = work_from_json(first, second)
                continue
            assert work is not None
            answers.write(json.dumps([first, work(first, second)]).encode() + b"\n")
            answers.flush()


def _receive(orders: "queue.SimpleQueue[bytes]") -> None:
    for line in sys.stdin.buffer:
        orders.put(line)
    os._exit(0)  # in the middle of a run, too: nobody is there to hear of it


def _by_threads(work: Work, names: Sequence[str], starts: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Few runs are asked for at a time, for there may be very many."""
    left = iter(starts)

    def at(start: int) -> Any:
        with quietly():  # once for many files: to change the filters takes longer than to read a small header
            return work(start, names[start : start + RUN])

    with ThreadPoolExecutor(_cores()) as pool:
        running = {pool.submit(at, start): start for start in itertools.islice(left, _AHEAD * _cores())}
        try:
            while running:
                over = wait(running, return_when=FIRST_COMPLETED).done
                for future in sorted(over, key=_failed):  # what is done is noted before what ends it all
                    start = running.pop(future)
                    for following in itertools.islice(left, 1):
                        running[pool.submit(at, following)] = following
                    yield start, future.result()
        except BaseException:  # also Ctrl-C: do not do the rest first
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _failed(future: "Future[Any]") -> bool:
    return future.exception() is not None


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Windows and macOS
        return os.cpu_count() or 1
