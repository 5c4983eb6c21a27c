"""What `doctor` says of GPUs, with and without one."""

import pytest
import torch

from spikewise.cli import checks, gpu_checks
from spikewise.encoders import Rate
from spikewise.models import MLP, build
from spikewise.network import Network
from spikewise.readouts import MeanMembrane

GRAPH = build(MLP(hidden=(12,)), Rate(steps=4), MeanMembrane(), image_shape=(1, 4, 4), classes=2)


def tool(path, words: str):
    """A command that answers like the driver's."""
    path.write_text(f"#!/bin/sh\n{words}\n")
    path.chmod(0o755)


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine whose only command is the one that a test writes, and whose GPU, if any, PyTorch does not reach."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpu_checks, "_KERNEL_MODULE", tmp_path / "version")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return tmp_path


def test_a_machine_without_one_is_sound(bare):
    assert gpu_checks.examine_gpus() == {"GPU": ("none, the processor computes", True, "")}


@pytest.mark.parametrize("how", ["tool", "kernel module", "broken tool"])
def test_a_driver_that_pytorch_does_not_reach_is_a_problem(how, bare):
    if how == "tool":
        tool(bare / "nvidia-smi", "echo 580.65.06; echo 580.65.06")
    else:
        text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27\nGCC version: gcc 12.3.0\n"
        (bare / "version").write_text(text)
        if how == "broken tool":
            tool(bare / "nvidia-smi", "echo failed to talk to the driver >&2; exit 9")
    found, sound, advice = gpu_checks.examine_gpus()["GPU"]
    assert found == "NVIDIA driver 580.65.06, but PyTorch reaches no GPU"
    assert not sound
    assert "CUDA" in advice


def test_a_network_is_compared_both_ways():
    ran = Network(GRAPH)(torch.zeros(1, 1, 4, 4, dtype=torch.uint8)).result.engine
    words = f"{ran} (a small network ran forwards and backwards as {ran} runs it on the processor)"
    assert gpu_checks.same_on(torch.device("cpu"), GRAPH) == words


@pytest.mark.parametrize("what", ["logits", "gradient of linear1.weight"])
def test_an_engine_that_computes_something_else_is_found(what, monkeypatch):
    real = gpu_checks._both_ways
    calls = []

    def wrong(graph, device):
        ran = real(graph, device)
        calls.append(device)
        return ran if len(calls) == 1 else ran._replace(values={**ran.values, what: ran.values[what] + 0.1})

    monkeypatch.setattr(gpu_checks, "_both_ways", wrong)
    with pytest.raises(RuntimeError, match=rf"{what} of a small network: \w+ on cpu differs by 0.1"):
        gpu_checks.same_on(torch.device("cpu"), GRAPH)


def test_numbers_that_are_none_differ(monkeypatch):
    nan = gpu_checks._Ran("triton", {"logits": torch.tensor([float("nan")])})
    answers = iter([gpu_checks._Ran("native", {"logits": torch.tensor([0.0])}), nan])
    monkeypatch.setattr(gpu_checks, "_both_ways", lambda graph, device: next(answers))
    with pytest.raises(RuntimeError, match="differs by nan"):
        gpu_checks.same_on(torch.device("cpu"), GRAPH)


@pytest.mark.gpu
def test_a_gpu_is_named_and_runs_a_network_like_the_processor():
    found = {check.what: check for check in checks.examine()}
    assert torch.cuda.get_device_name(0) in found["GPU"].found
    assert all(found[what].sound for what in ("GPU", "GPU driver", "engine on cuda:0"))
    assert "forwards and backwards" in found["engine on cuda:0"].found
