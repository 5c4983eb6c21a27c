"""A process that has loaded everything, and forks one process for each cell of a sweep: no cell waits for imports.

It reads a line of JSON for each cell, and writes a line when one is over. Where there is no fork (Windows), each cell
is a command of its own, which is slower to start.
"""

import contextlib
import json
import os
import select
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

__all__ = ["main"]

_STOP = "stop"


def main() -> None:
    """Serve until there are no more orders; what runs then ends by itself, unless the last order is to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sweep, which stops what it started
    _load()
    wake, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.set_wakeup_fd(ring)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    orders, rest, open_ = sys.stdin.fileno(), b"", True
    while open_ or running:
        ready, _, _ = select.select([wake, orders] if open_ else [wake], [], [])
        if wake in ready:
            os.read(wake, 512)
            _reap(running)
        if orders in ready:
            part = os.read(orders, 1 << 16)
            *lines, rest = (rest + part).split(b"\n")
            open_ = bool(part)
            for line in lines:
                order = json.loads(line)
                if order == _STOP:
                    _stop(running)
                else:
                    running[_forked(order)] = order["number"]


def _load() -> None:
    """What every cell needs, and what PyTorch loads late."""
    import sklearn.datasets  # noqa: F401, PLC0415
    import torch  # noqa: PLC0415

    import spikewise.experiments.run  # noqa: F401, PLC0415

    warnings.simplefilter("ignore")  # as the commands do: what libraries warn programmers of is no word to a user
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1)])


def _forked(order: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = _work(order)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _work(order: dict[str, Any]) -> int:
    """One cell, as `spikewise train --config FILE` runs it, except that its report is written when it is asked for."""
    from spikewise.errors import SpikewiseError, readable  # noqa: PLC0415
    from spikewise.experiments.request import resolve  # noqa: PLC0415
    from spikewise.experiments.run import run_experiment  # noqa: PLC0415

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _speak_into(order["log"])
    where = None if order["data_dir"] is None else Path(order["data_dir"])
    try:
        experiment = resolve(config=Path(order["config"]))
        run_experiment(experiment, out=Path(order["out"]), kind=order["kind"], data_dir=where, report=False)
    except SpikewiseError as error:
        print(f"Error: {readable(str(error))}", file=sys.stderr)
        return 2
    except BaseException:  # the process ends here: what a traceback says goes into the log
        import traceback  # noqa: PLC0415

        traceback.print_exc()
        return 1
    return 0


def _speak_into(log: str) -> None:
    with Path(log).open("ab") as file, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _reap(running: dict[int, int]) -> None:
    """Say which cells are over."""
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            told = {"number": running.pop(pid), "code": code}
            with contextlib.suppress(BrokenPipeError):  # the sweep has gone
                os.write(1, json.dumps(told).encode() + b"\n")


def _stop(running: dict[int, int]) -> None:
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


if __name__ == "__main__":
    main()
