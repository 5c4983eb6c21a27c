"""One workload: the parity check first, then interleaved rounds, then peak memory in processes of their own."""

import contextlib
import gc
import multiprocessing
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.peers.candidates import CANDIDATES, Candidate, Ours, Stack, Unavailable, make
from benchmarks.peers.workloads import WORKLOADS, Problem, load, trained, with_reset
from spikewise.engine import RunOptions, native
from spikewise.errors import SpikewiseError
from spikewise.network import Network
from spikewise.types import Draw

__all__ = ["Settings", "in_fresh_process", "measure", "say", "warm_up"]

_LEAST = 0.2
"""Seconds that one timing takes at least: quick steps are repeated."""
_COMPILE = 100
"""Seconds that the compiler may take for all shapes of one workload."""


class Settings(NamedTuple):
    """How thoroughly to measure."""

    threads: int
    quick: bool


def measure(key: str, settings: Settings) -> dict[str, Any]:
    """Parity, speeds and peak memory of every candidate on one workload, as JSON; each part in a fresh process."""
    found = in_fresh_process(_speeds, key, settings, timeout=600)
    if found is None:
        return {"title": WORKLOADS[key].title, "error": "the measuring process died or took longer than 600 s"}
    for name, row in found.get("rows", {}).items():
        if "error" not in row:
            say(f"{key}: memory of {name}")
            row["memory_mb"] = in_fresh_process(_memory, key, name, found["batch"], settings.threads)
    return found


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def _speeds(key: str, settings: Settings) -> dict[str, Any]:
    torch.set_num_threads(settings.threads)
    workload = WORKLOADS[key]
    batch, rounds = (16, 1) if settings.quick else (workload.batch, workload.rounds)
    problem = load(workload, batch)
    ours = trained(problem)
    rows: dict[str, dict[str, Any]] = {}
    ready: dict[str, Candidate] = {}
    for name in CANDIDATES:
        if "compiled" in name and (settings.quick or not workload.compiles):
            continue
        say(f"{key}: checking {name}")
        rows[name] = _reported(lambda name=name: _ready(name, ours, problem, ready))
    works = {
        "train": (len(problem.images), lambda one: one.train(problem.images, problem.labels)),
        "infer": (len(problem.images), lambda one: one.infer(problem.images)),
        "one": (1, lambda one: one.infer(problem.images[:1])),
    }
    for what, (count, work) in works.items():
        say(f"{key}: timing {what}")
        steps = {name: work(one) for name, one in ready.items()}
        for name, seconds in _interleaved(steps, rounds, rows).items():
            rows[name][what] = [count / one for one in seconds]
    return {
        "title": workload.title, "batch": batch, "rounds": rounds, "rows": rows, "engine": native.status(),
        "density": float(ours.encode(problem.images, Draw.first(batch)).mean()), "rates": _rates(ours, problem),
    }  # fmt: skip


def _rates(ours: Network, problem: Problem) -> dict[str, float]:
    with torch.no_grad():
        found = ours.eval()(problem.images, Draw.first(len(problem.images)), RunOptions(measure=True)).result.rates
    return {layer: float(rate.mean()) for layer, rate in found.items()}


def _reported(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` found, or why it failed: a peer that fails has a row that says so."""
    try:
        return work()
    except Unavailable as error:
        return {"error": str(error)}
    except Exception as error:  # whatever a library raises
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]}


def _ready(name: str, ours: Network, problem: Problem, ready: dict[str, Candidate]) -> dict[str, Any]:
    with _at_most(_COMPILE if "compiled" in name else 600):
        one = make(name, ours)
        found = {"note": one.note, "parity": parity(one, ours, problem)}
        one.train(problem.images, problem.labels)()
        one.infer(problem.images)()
        one.infer(problem.images[:1])()
    # The warm-up trained it a little.
    one = make(name, ours) if "compiled" not in name else one
    ready[name] = one
    return found


def parity(one: Candidate, ours: Network, problem: Problem) -> float | None:
    """Share of outputs equal to ours for the same weights and the same input spikes; None for other equations.

    Outputs are spike counts, or membranes within 1e-3. Sums in another order may flip a spike near the threshold.

    Raises:
        AssertionError: fewer than 95 % are equal.
    """
    if one.delayed is None:
        return None
    images = problem.images[:32]
    spikes = ours.encode(images, Draw(0, 1, torch.arange(len(images))))
    counted = problem.graph.readout.kind == "spike_count"
    like = Network(with_reset(problem.graph, delayed=one.delayed))
    like.load_state_dict(ours.state_dict())
    with torch.no_grad():
        expected = like.eval().run(spikes, Draw.first(len(images))).logits
        found = _logits(one, images, spikes)
    assert expected.abs().sum() > 0, "no output spikes: the check would say nothing"
    share = ((found - expected).abs() <= (0 if counted else 1e-3)).float().mean().item()
    assert share >= 0.95, f"parity: only {share:.1%} of the outputs are ours"
    return share


def _logits(one: Candidate, images: Tensor, spikes: Tensor) -> Tensor:
    if isinstance(one.model, Ours):
        return one.model.eval()(images)
    assert isinstance(one.model, Stack)
    one.model.eval()
    return one.model.logits(one.model.run(spikes))


def _interleaved(
    steps: dict[str, Callable[[], None]], rounds: int, rows: dict[str, dict[str, Any]]
) -> dict[str, list[float]]:
    """Seconds per step: A B C, A B C, ... so that a disturbance meets all alike.

    Each takes a step first that is not timed: in a training the last step was its own, too, not another library's.
    Nor is the collector, which the objects of all libraries keep busy, part of any (`timeit` does the same).
    """
    times: dict[str, list[float]] = {}
    repeats = dict.fromkeys(steps, 0)
    for number in range(rounds + 1):
        for name, step in steps.items():
            if "error" in rows[name]:
                continue
            times_over = max(1, repeats[name])
            rows[name].update(_reported(lambda step=step: _repeat(step, 1)))
            gc.disable()
            started = time.perf_counter()
            rows[name].update(_reported(lambda step=step, n=times_over: _repeat(step, n)))
            spent = (time.perf_counter() - started) / times_over
            gc.enable()
            if number == 0:  # warms up, and says how often to repeat
                repeats[name] = max(1, min(50, round(_LEAST / spent)))
            elif "error" not in rows[name]:
                times.setdefault(name, []).append(spent)
            time.sleep(0.02)
    return times


def _repeat(step: Callable[[], None], times: int) -> dict[str, Any]:
    for _ in range(times):
        step()
    return {}


@contextlib.contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"took longer than {seconds} s to get ready")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def in_fresh_process(work: Callable[..., Any], *arguments: Any, timeout: int = 300) -> Any:
    """The value of `work` in a process whose imports are warm and whose memory is otherwise untouched."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.peers.warm"])
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(send, work, arguments))
    child.start()
    send.close()
    try:
        return receive.recv() if receive.poll(timeout) else None
    except EOFError:  # it died
        return None
    finally:
        child.kill()
        child.join()


def _send(send: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    warnings.filterwarnings("ignore")  # the peers' own
    try:
        send.send(work(*arguments))
    except SpikewiseError as error:  # such as a set that is not here
        send.send({"error": str(error)})
    except Exception:  # no figure then; the reason goes to the terminal
        traceback.print_exc()
    send.close()


def warm_up() -> None:
    """What PyTorch loads and starts at its first step, tens of megabytes, is nobody's own."""
    layers = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 4))
    optimizer = torch.optim.Adam(layers.parameters(), fused=True)
    for _ in range(2):
        optimizer.zero_grad()
        layers(torch.rand(16, 1, 8, 8)).sum().backward()
        optimizer.step()


def _memory(key: str, name: str, batch: int, threads: int) -> float | None:
    """Megabytes that training needs at its peak beyond the process with the batch loaded."""
    from spikewise.evaluation.speed import peak_memory_mb

    torch.set_num_threads(threads)
    problem = load(WORKLOADS[key], batch)
    warm_up()

    def work() -> None:
        step = make(name, Network(problem.graph, seed=1)).train(problem.images, problem.labels)
        step()
        step()

    return peak_memory_mb(work)
